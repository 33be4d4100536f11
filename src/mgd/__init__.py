"""mgd: train hardware neural networks, analog or digital, by multiplexed gradient descent.

Names load on first use, so that importing the package (and the command line's help) costs nothing.
"""

import importlib

from ._version import __version__ as __version__

TYPE_CHECKING = False  # that of `typing`, which takes longer to load than all else here
if TYPE_CHECKING:
    from . import algorithm as algorithm
    from . import calibration as calibration
    from . import chips as chips
    from . import datasets as datasets
    from . import engines as engines
    from . import instruments as instruments
    from . import networks as networks
    from . import onchip as onchip
    from . import perturbations as perturbations
    from . import planning as planning
    from . import reports as reports
    from . import reproduction as reproduction
    from . import results as results
    from . import runs as runs
    from . import sweeps as sweeps
    from . import theory as theory
    from . import timing as timing
    from ._errors import DataError as DataError
    from ._errors import DivergedError as DivergedError
    from ._errors import HardwareError as HardwareError
    from ._errors import Interrupted as Interrupted
    from ._errors import LimitError as LimitError
    from ._errors import MgdError as MgdError
    from ._errors import MgdWarning as MgdWarning
    from ._errors import RunError as RunError
    from ._train import Result as Result
    from .algorithm import Algorithm as Algorithm
    from .algorithm import Backprop as Backprop
    from .algorithm import TimeConstants as TimeConstants
    from .algorithm import analog as analog
    from .algorithm import discrete as discrete
    from .algorithm import from_published as from_published
    from .algorithm import to_published as to_published
    from .planning import plan as plan
    from .reports import report as report
    from .results import load_run as load_run
    from .runs._python import resume as resume
    from .runs._python import train as train
    from .sweeps import sweep as sweep

_PACKAGES = (
    *("algorithm", "calibration", "chips", "datasets", "engines", "instruments", "networks", "onchip"),
    *("perturbations", "planning", "reports", "reproduction", "results", "runs", "sweeps", "theory", "timing"),
)
_HOMES = {
    "DataError": "_errors",
    "DivergedError": "_errors",
    "HardwareError": "_errors",
    "Interrupted": "_errors",
    "LimitError": "_errors",
    "MgdError": "_errors",
    "MgdWarning": "_errors",
    "RunError": "_errors",
    "Result": "_train",
    "Algorithm": "algorithm",
    "Backprop": "algorithm",
    "TimeConstants": "algorithm",
    "analog": "algorithm",
    "discrete": "algorithm",
    "from_published": "algorithm",
    "to_published": "algorithm",
    "resume": "runs._python",
    "train": "runs._python",
    "load_run": "results",
    "plan": "planning",
    "report": "reports",
    "sweep": "sweeps",
}
__all__ = ["__version__", *_PACKAGES, *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name in _PACKAGES:
        return importlib.import_module(f".{name}", __name__)
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
