"""Pictures of one run or of several. Nothing here imports JAX."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from .._metric import METRICS, metric_in

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Choices for the x-axis: the coordinate of a history, and its label.
AXES = {
    "measurements": ("cost_measurements", "cost measurements of one chip"),
    "steps": ("step", "timesteps"),
    "time": ("seconds", "hardware time of one chip"),
}
# When all colours are used, lines are dashed, then dotted.
_COLOURS, _DASHES = 10, ("-", "--", ":", "-.")


def draw_curve(history: "xr.Dataset", *, title: str, guess: float) -> bytes:
    """Draws score and cost on the test set against cost measurements, a line for each replica and their median, as PNG.

    A history without a score (of chips without outputs) is drawn without it.

    Args:
        history: the history of a run, over (replica, step).
        title: the title of the picture.
        guess: the best score without looking at the inputs, drawn as a line.
    """
    from matplotlib.figure import Figure

    metric = metric_in(history)
    names = ["cost"] if metric is None else [metric, "cost"]
    figure = Figure(figsize=(4.5 * len(names), 3.6), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    x = np.maximum(history.cost_measurements.values, 1)
    for axes, name in zip(panels, names, strict=True):
        values, label = history[name].values, f"test {METRICS.get(name, name)}"
        if name not in ("cost", "r2"):
            values, label = 100 * values, f"{label} (%)"
        for line in values[:64]:
            axes.plot(x, line, color="#1f77b4", alpha=max(0.08, 1 / len(values[:64]) ** 0.7), linewidth=0.8)
        if len(values) > 1:
            axes.plot(x, np.median(values, 0), color="#d62728", linewidth=2, label=f"median of {len(values)} chips")
            axes.legend(loc="upper right" if name == "cost" else "lower right", frameon=False)
        axes.set(xscale="log", xlabel="cost measurements per chip", ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
    if metric is not None:
        guessed, ends = (guess, (-1, 1.02)) if metric == "r2" else (100 * guess, (0, 102))
        panels[0].axhline(guessed, color="0.6", linewidth=0.8, linestyle="--")
        panels[0].annotate("guessing", (x[0], guessed), (0, 3), textcoords="offset points", color="0.5", fontsize=8)
        panels[0].set_ylim(*ends)
    if np.nanmin(history.cost.values, initial=np.inf) > 0:
        panels[-1].set_yscale("log")
    figure.suptitle(title, fontsize=10)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130)
    return content.getvalue()


class Curve(NamedTuple):
    """The curve of a run.

    Attributes:
        label: its label in the legend.
        history: the history of the run, over (replica, step).
    """

    label: str
    history: "xr.Dataset"


def draw_curves(
    curves: Sequence[Curve], *, along: str, within: float, title: str, format: str, hardware: str = ""
) -> bytes:
    """Draws score and cost of several runs: the median of each run's chips, and a band that contains most of them.

    Args:
        curves: one for each run.
        along: the x-axis, one of `AXES`.
        within: the share of the chips that the band contains.
        title: the title of the picture.
        format: png, svg or pdf.
        hardware: the name of the profile, for hardware time.

    Raises:
        ValueError: if there is nothing to draw, for instance if the steps of a run take no time.
    """
    from matplotlib.figure import Figure

    names = [name for name in METRICS if any(name in curve.history for curve in curves)] + ["cost"]
    wide = max(len(curve.label) for curve in curves) > 45
    columns = 1 if wide else min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(4.5 * len(names), 3.6 + 0.2 * rows), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        draw_panel(axes, curves, name, along=along, within=within, hardware=hardware)
    _legend(figure, panels, [curve.label for curve in curves], columns)
    band = "" if all(curve.history.sizes["replica"] == 1 for curve in curves) else _band(within)
    figure.suptitle(title + band, fontsize=10)
    content = io.BytesIO()
    figure.savefig(content, format=format, dpi=130)
    return content.getvalue()


def draw_panel(
    axes: "Axes", curves: Sequence[Curve], name: str, *, along: str, within: float, hardware: str = ""
) -> None:
    """Draws one measure, or the cost, of the runs that have it; see `draw_curves`.

    Raises:
        ValueError: if there is nothing to draw.
    """
    for number, curve in enumerate(curves):
        if name in curve.history:
            _draw(axes, curve, name, along, within, number)
    _finish(axes, name, along, hardware)


def _draw(axes: "Axes", curve: Curve, name: str, along: str, within: float, number: int) -> None:
    x = curve.history[AXES[along][0]].values.astype(float)
    values = curve.history[name].values.astype(float)
    if name not in ("cost", "r2"):
        values = 100 * values
    drawn = x > 0 if along == "time" else np.ones(len(x), bool)  # the start has no place on a logarithmic axis
    drawn &= ~np.isnan(values).all(0)
    if not drawn.any():
        raise ValueError(f"{curve.label} has nothing to draw: give other runs, or another --x")
    x, values = np.maximum(x[drawn], 0 if along == "time" else 1), values[:, drawn]
    colour, dashes = f"C{number % _COLOURS}", _DASHES[number // _COLOURS % len(_DASHES)]
    low, middle, high = np.nanquantile(values, [0.5 - within / 2, 0.5, 0.5 + within / 2], axis=0)
    marker = "o" if len(x) == 1 else ""
    axes.plot(x, middle, linewidth=1.8, linestyle=dashes, color=colour, label=curve.label, marker=marker)
    if len(values) > 1:
        axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)


def _finish(axes: "Axes", name: str, along: str, hardware: str) -> None:
    percent = name not in ("cost", "r2")
    label = f"test {METRICS.get(name, name)}" + (" (%)" if percent else "")
    axes.set(xscale="log", xlabel=AXES[along][1] + (f" ({hardware})" if hardware else ""), ylabel=label)
    if percent:
        axes.set_ylim(0, 102)
    drawn = [np.asarray(line.get_xydata()) for line in axes.get_lines()]
    if name == "cost" and min(_least(line[:, 1]) for line in drawn) > 0:
        axes.set_yscale("log")
    if along == "time":
        from ..timing import mark_clock

        mark_clock(axes, min(line[0, 0] for line in drawn), max(line[-1, 0] for line in drawn))
    axes.grid(color="0.92", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def _least(values: Float[np.ndarray, " n"]) -> float:
    return float(np.nanmin(values))


def _legend(figure: "Figure", panels: Sequence["Axes"], labels: Sequence[str], columns: int) -> None:
    """Draws one legend for all panels, with the runs in the given order."""
    lines = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(
        [lines[label] for label in labels],
        labels,
        loc="outside lower center",
        frameon=False,
        ncols=columns,
        fontsize=9,
    )


def _band(within: float) -> str:
    return f"; lines: medians, bands: {within:.0%} of the chips" if within < 1 else "; lines: medians, bands: all chips"
