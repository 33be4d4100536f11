"""Published results, each as one command: data, figure and table. Names load on first use."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._execute import reproduce as reproduce
    from ._names import STUDIES as STUDIES
    from ._study import Row as Row

_HOMES = {"STUDIES": "_names", "Row": "_study", "reproduce": "_execute"}
__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
