"""Plans: from what a chip takes to settings, hardware time and yield. Names load on first use."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._at_hand import ask_chip as ask_chip
    from ._chips import chip_folder as chip_folder
    from ._chips import chip_names as chip_names
    from ._chips import chip_of as chip_of
    from ._folder import KeptPlan as KeptPlan
    from ._folder import is_plan as is_plan
    from ._folder import read_plan as read_plan
    from ._folder import write_plan as write_plan
    from ._gpu import gpu_of as gpu_of
    from ._gpu import on_gpu as on_gpu
    from ._landscape import descend as descend
    from ._landscape import operations_of as operations_of
    from ._made import Plan as Plan
    from ._optuna import search as search
    from ._plan import plan as plan
    from ._problem import Problem as Problem
    from ._reasons import Gain as Gain
    from ._search import Course as Course
    from ._simulate import Simulator as Simulator
    from ._structure import Structure as Structure

_PUBLIC = {
    "Course": "_search",
    "Gain": "_reasons",
    "Plan": "_made",
    "chip_names": "_chips",
    "plan": "_plan",
}
# For other parts of this library, and its benchmarks.
_INSIDE = {
    "ask_chip": "_at_hand",
    "chip_folder": "_chips",
    "chip_of": "_chips",
    "descend": "_landscape",
    "gpu_of": "_gpu",
    "is_plan": "_folder",
    "KeptPlan": "_folder",
    "read_plan": "_folder",
    "on_gpu": "_gpu",
    "operations_of": "_landscape",
    "Problem": "_problem",
    "search": "_optuna",
    "Simulator": "_simulate",
    "Structure": "_structure",
    "write_plan": "_folder",
}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
