"""Engines for instruments: a host loop around one chip, or several."""

from ._chunk import Told as Told
from ._chunk import turn_of as turn_of
from ._fleet import Fleet as Fleet
from ._instrument import Instrumented as Instrumented
from ._instrument import Options as Options
