"""Engines: what turns the handle of ask and tell."""

from ._data import Data as Data
from ._evaluate import evaluate as evaluate
from ._replicas import Progress as Progress
from ._start import start_within as start_within
from .loop import Fleet as Fleet
from .loop import Instrumented as Instrumented
from .loop import Options as Options
from .loop import Told as Told
from .simulated import Backpropagated as Backpropagated
from .simulated import Fused as Fused
from .simulated import Measured as Measured
from .simulated import Sampled as Sampled
