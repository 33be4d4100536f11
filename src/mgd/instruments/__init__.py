"""Instruments: chips with I/O, limits and a safe state. Names that need JAX or an extra load on first use."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._absent import Absent as Absent
    from ._base import GIVE_UP_SECONDS as GIVE_UP_SECONDS
    from ._base import AbstractInstrument as AbstractInstrument
    from ._base import Identity as Identity
    from ._base import Origin as Origin
    from ._base import checked_range as checked_range
    from ._callables import from_callables as from_callables
    from ._check import latency as latency
    from ._check import noise as noise
    from ._circuit import Spice as Spice
    from ._epics import from_epics as from_epics
    from ._factory import build as build
    from ._factory import check_one as check_one
    from ._factory import function_named as function_named
    from ._group import Group as Group
    from ._grouped import Grouped as Grouped
    from ._grouped import in_groups as in_groups
    from ._grouped import wired as wired
    from ._groups import common_amplitude as common_amplitude
    from ._groups import for_each as for_each
    from ._groups import groups_of as groups_of
    from ._guardian import check_outlives as check_outlives
    from ._kinds import Kind as Kind
    from ._kinds import available as available
    from ._kinds import kinds as kinds
    from ._kinds import load_instrument as load_instrument
    from ._leaving import leave_safely as leave_safely
    from ._limits import Limits as Limits
    from ._limits import inwards as inwards
    from ._opened import Guarded as Guarded
    from ._opened import opened as opened
    from ._ophyd import from_ophyd as from_ophyd
    from ._qcodes import from_qcodes as from_qcodes
    from ._recorder import Recorder as Recorder
    from ._replay import Replay as Replay
    from ._scpi import Scpi as Scpi
    from ._simulated import Simulated as Simulated
    from ._torch import TorchModule as TorchModule
    from ._torch import from_torch as from_torch
    from ._units import Units as Units
    from ._units import difference as difference
    from ._units import other_meaning as other_meaning
    from ._virtual._server import serve as serve
    from ._virtual._settings import ServeSettings as ServeSettings
    from ._virtual._speaker import Speaker as Speaker

_PUBLIC = {
    "AbstractInstrument": "_base",
    "Group": "_group",
    "Guarded": "_opened",
    "Identity": "_base",
    "Kind": "_kinds",
    "Limits": "_limits",
    "Recorder": "_recorder",
    "Replay": "_replay",
    "Scpi": "_scpi",
    "Simulated": "_simulated",
    "Spice": "_circuit",
    "TorchModule": "_torch",
    "available": "_kinds",
    "from_callables": "_callables",
    "from_epics": "_epics",
    "from_ophyd": "_ophyd",
    "from_qcodes": "_qcodes",
    "from_torch": "_torch",
    "in_groups": "_grouped",
    "kinds": "_kinds",
    "leave_safely": "_leaving",
    "load_instrument": "_kinds",
    "opened": "_opened",
}
# For other parts of this library.
_INSIDE = {
    "GIVE_UP_SECONDS": "_base",
    "Absent": "_absent",
    "Origin": "_base",
    "ServeSettings": "_virtual._settings",
    "Speaker": "_virtual._speaker",
    "build": "_factory",
    "checked_range": "_base",
    "function_named": "_factory",
    "check_one": "_factory",
    "Grouped": "_grouped",
    "Units": "_units",
    "common_amplitude": "_groups",
    "for_each": "_groups",
    "groups_of": "_groups",
    "check_outlives": "_guardian",
    "inwards": "_limits",
    "difference": "_units",
    "other_meaning": "_units",
    "latency": "_check",
    "noise": "_check",
    "serve": "_virtual._server",
    "wired": "_grouped",
}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
