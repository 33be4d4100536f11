"""Calibration of a chip by measurements, and the settings that follow; diagnostics of a run."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._calibrate import calibrate as calibrate
    from ._calibration import Calibration as Calibration
    from ._calibration import Quantity as Quantity
    from ._calibration import scales as scales
    from ._diagnostics import Diagnostics as Diagnostics
    from ._learnt import Learnt as Learnt

_PUBLIC = {
    "Calibration": "_calibration",
    "Diagnostics": "_diagnostics",
    "Quantity": "_calibration",
    "calibrate": "_calibrate",
}
# For other parts of this library.
_INSIDE = {"Learnt": "_learnt", "scales": "_calibration"}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
