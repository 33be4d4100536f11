"""Engines: what turns the handle of ask and tell."""

from ._backpropagated import Backpropagated as Backpropagated
from ._bench import Bench as Bench
from ._chunk import Told as Told
from ._data import Data as Data
from ._evaluate import evaluate as evaluate
from ._fleet import Fleet as Fleet
from ._fused import Fused as Fused
from ._instrument import Instrumented as Instrumented
from ._instrument import Options as Options
from ._measured import Measured as Measured
from ._replicas import Progress as Progress
from ._sampled import Sampled as Sampled
from ._start import start_within as start_within
