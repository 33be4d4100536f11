"""Published results, each as one command: data, figure and table. Names load on first use."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..sweeps import Row as Row
    from ._names import STUDIES as STUDIES
    from ._reproduce import reproduce as reproduce

_HOMES = {"STUDIES": "._names", "Row": "..sweeps", "reproduce": "._reproduce"}
__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
