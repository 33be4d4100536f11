"""Engines: what turns the handle of ask and tell."""

from ._data import Data as Data
from ._evaluate import evaluate as evaluate
from ._measured import Measured as Measured
from ._measured import Progress as Progress
