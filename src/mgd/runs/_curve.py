"""The picture of a run."""

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


def draw_curve(history: "xr.Dataset", *, title: str, chance: float) -> bytes:
    """Draws test accuracy and cost against cost measurements, a line a replica and their median, as PNG.

    Args:
        history: of a run, over (replica, step).
        title: of the picture.
        chance: accuracy of guessing, drawn as a line.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    x = np.maximum(history.cost_measurements.values, 1)
    for axes, name, label in ((left, "accuracy", "test accuracy (%)"), (right, "cost", "test cost")):
        values = history[name].values * (100 if name == "accuracy" else 1)
        for line in values[:64]:
            axes.plot(x, line, color="#1f77b4", alpha=max(0.08, 1 / len(values[:64]) ** 0.7), linewidth=0.8)
        if len(values) > 1:
            axes.plot(x, np.median(values, 0), color="#d62728", linewidth=2, label=f"median of {len(values)} chips")
            axes.legend(loc="lower right" if name == "accuracy" else "upper right", frameon=False)
        axes.set(xscale="log", xlabel="cost measurements per chip", ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
    left.axhline(100 * chance, color="0.6", linewidth=0.8, linestyle="--")
    left.annotate("guessing", (x[0], 100 * chance), (0, 3), textcoords="offset points", color="0.5", fontsize=8)
    left.set_ylim(0, 102)
    if np.nanmin(history.cost.values, initial=np.inf) > 0:
        right.set_yscale("log")
    figure.suptitle(title, fontsize=10)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=130)
    return content.getvalue()
