"""Chips behind I/O: instruments with limits and a safe state. Names that need JAX or an extra load on first use."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._base import AbstractInstrument as AbstractInstrument
    from ._base import Identity as Identity
    from ._callables import from_callables as from_callables
    from ._epics import from_epics as from_epics
    from ._kinds import Kind as Kind
    from ._kinds import available as available
    from ._kinds import kinds as kinds
    from ._kinds import load_instrument as load_instrument
    from ._leaving import leave_safely as leave_safely
    from ._limits import Limits as Limits
    from ._opened import Guarded as Guarded
    from ._opened import opened as opened
    from ._ophyd import from_ophyd as from_ophyd
    from ._qcodes import from_qcodes as from_qcodes
    from ._recorder import Recorder as Recorder
    from ._replay import Replay as Replay
    from ._scpi import Scpi as Scpi
    from ._simulated import Simulated as Simulated
    from ._spice import Spice as Spice
    from ._torch import TorchModule as TorchModule
    from ._torch import from_torch as from_torch

_HOMES = {
    "AbstractInstrument": "_base",
    "Guarded": "_opened",
    "Identity": "_base",
    "Kind": "_kinds",
    "Limits": "_limits",
    "Recorder": "_recorder",
    "Replay": "_replay",
    "Scpi": "_scpi",
    "Simulated": "_simulated",
    "Spice": "_spice",
    "TorchModule": "_torch",
    "available": "_kinds",
    "from_callables": "_callables",
    "from_epics": "_epics",
    "from_ophyd": "_ophyd",
    "from_qcodes": "_qcodes",
    "from_torch": "_torch",
    "kinds": "_kinds",
    "leave_safely": "_leaving",
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
