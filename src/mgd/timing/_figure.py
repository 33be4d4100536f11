"""The score against hardware time, drawn."""

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .._metric import METRICS, metric_in
from ._format import format_seconds

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg")
_DAY, _YEAR = 86_400.0, 365.25 * 86_400
# Where people put marks on a clock; the fine ones only if there are few of the coarse.
_COARSE = [1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 1.0, 60.0, 3600.0, _DAY, _YEAR, 1e3 * _YEAR, 1e6 * _YEAR]
_FINE = [
    *(size * factor for size in _COARSE[:5] for factor in (1, 10, 100)),
    *(1.0, 10.0, 60.0, 600.0, 3600.0, 6 * 3600.0, _DAY, 10 * _DAY, 100 * _DAY),
    *(_YEAR * 10.0**k for k in range(7)),
]


def check_figure(path: Path) -> None:
    """Refuses, before anything is computed, a file that cannot be written.

    Raises:
        ValueError: if its name ends in neither .png nor .svg, or its folder does not exist.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"a figure is PNG or SVG: give a name that ends in {' or '.join(SUFFIXES)}, got {path}")
    if not os.path.isdir(path.parent):
        raise ValueError(f"cannot write {path}: there is no folder {path.parent}")


def draw_score(histories: "dict[str, xr.Dataset]", path: Path, *, title: str) -> None:
    """Draws the score of one chip, the mean over replicas, against hardware time, a line for each profile.

    For chips that only have a cost, it draws the cost.

    Args:
        histories: the results of `time_history`, by the profile's name.
        path: the file, PNG or SVG by its suffix.
        title: the title of the figure.

    Raises:
        ValueError: if no logged step takes any time, or the file cannot be written.
    """
    from matplotlib.figure import Figure

    check_figure(path)
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    draw_times(figure.subplots(), histories)
    figure.legend(loc="outside lower center", frameon=False, ncols=2)
    figure.suptitle(title, fontsize=10)
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:].lower(), dpi=130)
    try:
        path.write_bytes(content.getvalue())
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from error


def draw_times(axes: "Axes", histories: "dict[str, xr.Dataset]") -> None:
    """Draws the panel of `draw_score`.

    Raises:
        ValueError: if no logged step takes any time.
    """
    metric = metric_in(next(iter(histories.values())))
    percent = metric not in (None, "r2")
    low, high = np.inf, 0.0
    for name, history in histories.items():
        seconds = history.seconds.values
        score = (100 if percent else 1) * history[metric or "cost"].mean("replica").values
        timed = seconds > 0  # the start has no place on a logarithmic axis
        if not timed.any():
            raise ValueError(f"nothing to draw for {name}: no logged step takes time with this profile yet")
        low, high = min(low, seconds[timed][0]), max(high, seconds[-1])
        label = f"{name}: {format_seconds(seconds[-1])}".replace("$", r"\$")  # which would begin a formula
        axes.plot(seconds[timed], score[timed], marker="o", markersize=3, linewidth=1.6, label=label)
    named = METRICS.get(metric or "", "cost") + (" (%)" if percent else "")
    axes.set(xscale="log", xlabel="hardware time of one chip", ylabel=f"test {named}")
    if percent:
        axes.set_ylim(0, 102)
    mark_clock(axes, low, high)
    axes.grid(color="0.9", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def mark_clock(axes: "Axes", low: float, high: float) -> None:
    """Gives a logarithmic axis of seconds, from the least to the most that is drawn, marks as people read clocks."""
    low, high = low / 1.5, high * 1.5
    axes.set_xlim(low, high)
    marks = _marks(low, high)
    axes.set_xticks(marks, [format_seconds(mark) for mark in marks])
    axes.set_xticks([], minor=True)


def _marks(low: float, high: float) -> list[float]:
    """Ticks within these times; powers of ten where a clock has no marks."""
    for candidates in (_COARSE, _FINE):
        marks = [mark for mark in candidates if low <= mark <= high]
        if len(marks) >= 4:
            return marks
    return marks or [low * 1.5, high / 1.5]
