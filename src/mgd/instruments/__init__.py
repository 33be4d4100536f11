"""Chips behind I/O: instruments with limits and a safe state. Names that need JAX or an extra load on first use."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._base import AbstractInstrument as AbstractInstrument
    from ._base import Identity as Identity
    from ._callables import from_callables as from_callables
    from ._kinds import kinds as kinds
    from ._kinds import load_instrument as load_instrument
    from ._limits import Limits as Limits
    from ._opened import Guarded as Guarded
    from ._opened import opened as opened
    from ._scpi import Scpi as Scpi
    from ._simulated import Simulated as Simulated

_HOMES = {
    "AbstractInstrument": "_base",
    "Guarded": "_opened",
    "Identity": "_base",
    "Limits": "_limits",
    "Scpi": "_scpi",
    "Simulated": "_simulated",
    "from_callables": "_callables",
    "kinds": "_kinds",
    "load_instrument": "_kinds",
    "opened": "_opened",
}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
