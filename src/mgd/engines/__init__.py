"""Engines: loops that call ask and tell on a simulated or a real chip. Names load on first use."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._base import AbstractEngine as AbstractEngine
    from ._base import Progress as Progress
    from ._choice import choose as choose
    from ._choice import choose_for_each as choose_for_each
    from ._data import Data as Data
    from ._evaluate import evaluate as evaluate
    from ._evaluate import n_outputs as n_outputs
    from ._inputs import check_inputs as check_inputs
    from ._replicas import in_front as in_front
    from ._rows import ENGINES as ENGINES
    from ._start import parameters_at_start as parameters_at_start
    from ._start import start_within as start_within
    from .loop import Fleet as Fleet
    from .loop import Instrumented as Instrumented
    from .loop import Options as Options
    from .loop import Told as Told
    from .simulated import Backpropagated as Backpropagated
    from .simulated import Fused as Fused
    from .simulated import Measured as Measured
    from .simulated import Sampled as Sampled
    from .simulated._windows import gradient_of as gradient_of

_PUBLIC = {
    "AbstractEngine": "_base",
    "Backpropagated": "simulated",
    "Data": "_data",
    "ENGINES": "_rows",
    "Fleet": "loop",
    "Fused": "simulated",
    "Instrumented": "loop",
    "Measured": "simulated",
    "Options": "loop",
    "Progress": "_base",
    "Sampled": "simulated",
    "Told": "loop",
    "evaluate": "_evaluate",
    "start_within": "_start",
}
# For other parts of this library.
_INSIDE = {
    "check_inputs": "_inputs",
    "choose": "_choice",
    "choose_for_each": "_choice",
    "gradient_of": "simulated._windows",
    "in_front": "_replicas",
    "n_outputs": "_evaluate",
    "parameters_at_start": "_start",
}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
