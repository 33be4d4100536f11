"""The picture of a run."""

import io
from typing import TYPE_CHECKING

import numpy as np

from .._metric import METRICS, metric_in

if TYPE_CHECKING:
    import xarray as xr


def draw_curve(history: "xr.Dataset", *, title: str, guess: float) -> bytes:
    """Draws score and cost on the test set against cost measurements, a line a replica and their median, as PNG.

    A history without a score (of chips that only tell their cost) is drawn without it.

    Args:
        history: of a run, over (replica, step).
        title: of the picture.
        guess: score of the best answer that does not look at the inputs, drawn as a line.
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
