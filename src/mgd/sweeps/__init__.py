"""Sweeps over settings, and studies made of cells. Names load on first use."""

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from ._axes import given_in as given_in
    from ._compute import compute as compute
    from ._course import Course as Course
    from ._execute import OnProgress as OnProgress
    from ._execute import execute as execute
    from ._plans import plan_of as plan_of
    from ._plotted import draw_sweep as draw_sweep
    from ._plotted import plot_sweep as plot_sweep
    from ._plotted import varied_in as varied_in
    from ._points import Plan as Plan
    from ._rows import axis_of as axis_of
    from ._shown import shown as shown
    from ._store import about_sweep as about_sweep
    from ._store import is_sweep as is_sweep
    from ._store import load_sweep as load_sweep
    from ._study import Row as Row
    from ._study import Run as Run
    from ._study import Study as Study
    from ._study import Work as Work
    from ._sweep import run as run
    from ._sweep import sweep as sweep
    from ._yields import table_of as table_of
    from ._yields import wilson as wilson
    from ._yields import yields as yields

_PUBLIC = {
    "OnProgress": "_execute",
    "Row": "_study",
    "Run": "_study",
    "Study": "_study",
    "Work": "_study",
    "execute": "_execute",
    "load_sweep": "_store",
    "plot_sweep": "_plotted",
    "sweep": "_sweep",
    "yields": "_yields",
}
# For other parts of this library.
_INSIDE = {
    "Course": "_course",
    "Plan": "_points",
    "about_sweep": "_store",
    "axis_of": "_rows",
    "compute": "_compute",
    "draw_sweep": "_plotted",
    "is_sweep": "_store",
    "plan_of": "_plans",
    "table_of": "_yields",
    "run": "_sweep",
    "shown": "_shown",
    "given_in": "_axes",
    "varied_in": "_plotted",
    "wilson": "_yields",
}
__all__, __getattr__, __dir__ = lazily(__name__, _PUBLIC, _INSIDE)  # pyright: ignore[reportUnsupportedDunderAll]
