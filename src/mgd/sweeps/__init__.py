"""Cells that are computed on all cores, and what is made of their results. Names load on first use."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._execute import OnProgress as OnProgress
    from ._execute import execute as execute
    from ._study import Row as Row
    from ._study import Run as Run
    from ._study import Study as Study
    from ._study import Work as Work

_HOMES = {
    "OnProgress": "_execute",
    "Row": "_study",
    "Run": "_study",
    "Study": "_study",
    "Work": "_study",
    "execute": "_execute",
}
__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
