"""What a chip on the bench is like, measured through its verbs, and the settings that follow; diagnostics of a run."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._calibrate import calibrate as calibrate
    from ._calibration import Calibration as Calibration
    from ._calibration import Quantity as Quantity
    from ._diagnostics import Diagnostics as Diagnostics

_HOMES = {
    "Calibration": "_calibration",
    "Diagnostics": "_diagnostics",
    "Quantity": "_calibration",
    "calibrate": "_calibrate",
}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
