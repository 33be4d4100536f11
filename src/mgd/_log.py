"""The logger of this library, called "mgd": what happens in a run that goes on for days. It is silent by default."""

import logging

LOG = logging.getLogger("mgd")
LOG.addHandler(logging.NullHandler())
