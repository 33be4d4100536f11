"""Calibration of a chip by measurements, and the settings that follow; diagnostics of a run."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._budget import Budget as Budget
    from ._calibrate import calibrate as calibrate
    from ._calibration import Calibration as Calibration
    from ._calibration import Quantity as Quantity
    from ._calibration import scales as scales
    from ._diagnostics import Diagnostics as Diagnostics
    from ._learnt import Learnt as Learnt
    from ._moments import Ratio as Ratio
    from ._noise import float_floor as float_floor
    from ._noise import noise_of as noise_of
    from ._prober import Prober as Prober

_PUBLIC = {
    "Calibration": "_calibration",
    "Diagnostics": "_diagnostics",
    "Quantity": "_calibration",
    "calibrate": "_calibrate",
}
# For other parts of this library.
_INSIDE = {
    "Budget": "_budget",
    "float_floor": "_noise",
    "Learnt": "_learnt",
    "noise_of": "_noise",
    "Prober": "_prober",
    "Ratio": "_moments",
    "scales": "_calibration",
}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
