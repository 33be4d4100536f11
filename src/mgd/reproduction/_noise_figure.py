"""The figure of the studies of noise."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_AXIS = {
    "cost-noise": r"noise on each measured cost $\sigma_C$ (cost)",
    "update-noise": r"noise on each write $\sigma_\theta$ (weight)",
    "defects": r"variation of the neurons $\sigma_a$ (activation)",
}
# Colour, marker and filling of each group of chips.
_STYLES = {"sampled": ("C0", "o-", "C0"), "measured": ("C3", "s", "white"), "longer": ("C2", "^", "white")}


def draw(data: xr.Dataset) -> "Figure":
    """Yield, time and final accuracy against sigma."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.7), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    _yields(left, data)
    _ratios(middle, data)
    _accuracies(right, data)
    largest = data.sampled_sigma.values[-1]
    for letter, axes in zip("abc", (left, middle, right), strict=True):
        axes.set_xlabel(_AXIS[data.study])
        axes.ticklabel_format(axis="x", scilimits=(-2, 3), useMathText=True)
        axes.set_title(letter, loc="left", fontweight="bold", fontsize=10)
        axes.legend(frameon=False, fontsize=8, loc="center left" if axes is not left else "lower left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(-0.03 * largest, 1.03 * largest)
    n, end = data.sizes["sampled_chip"], data.sampled_measurements.values[-1]
    learnt = f"learnt = {data.threshold:.0%} of test images right"
    figure.suptitle(f"NIST7x7 49-4-4 (P = 220): {n} chips a point, {end:,} measurements each; {learnt}", fontsize=10)
    return figure


def _yields(axes: "Axes", data: xr.Dataset) -> None:
    labels = {"sampled": "sampled engine", "measured": "measured engine", "longer": f"{data.longer}× longer"}
    for kind, label in labels.items():
        if f"{kind}_yield" in data:
            middle, low, high = 100 * data[f"{kind}_yield"].values.T
            _points(axes, kind, data[f"{kind}_sigma"].values, middle, low, high, label)
    axes.set(ylabel="chips that learn (%)", ylim=(-3, 104))


def _ratios(axes: "Axes", data: xr.Dataset) -> None:
    longest = data.sampled_measurements.values[-1] / np.median(data.sampled_time.sel(sampled_sigma=0.0))
    for kind in ("sampled", "measured"):
        x, (middle, low, high) = data[f"{kind}_sigma"].values, data[f"{kind}_ratio"].values.T
        there = np.isfinite(middle)
        # An interval that reaches "never" is drawn to beyond the end of the run.
        high = np.where(np.isfinite(high), high, 2 * longest)
        _points(axes, kind, x[there], middle[there], low[there], high[there], f"{kind} engine")
    never = data.sampled_sigma.values[~np.isfinite(data.sampled_ratio.values[:, 0])]
    axes.axhline(longest, color="0.5", linewidth=0.8, linestyle=":", label="end of the run")
    if len(never):
        axes.plot(never, np.full(len(never), longest), "x", color="C0", markersize=6, label="most chips: never")
    if data.study == "defects":
        axes.plot(0.25, 2, "*", color="k", markersize=10, label="published, second-hand", zorder=3)
    axes.set(ylabel=f"median time to {data.threshold:.0%} (× no noise)", ylim=(0, 1.12 * longest))


def _accuracies(axes: "Axes", data: xr.Dataset) -> None:
    x, final = data.sampled_sigma.values, 100 * data.sampled_accuracy.isel(sampled_measurements=-1)
    low, middle, high = (final.quantile(q, "sampled_chip").values for q in (0.25, 0.5, 0.75))
    axes.fill_between(x, low, high, color="C0", alpha=0.2, linewidth=0, label="quartiles")
    axes.plot(x, middle, "o-", color="C0", markersize=4, label="median chip")
    axes.axhline(100 * data.threshold, color="0.5", linewidth=0.8, linestyle="--", label="threshold")
    axes.axhline(25, color="0.5", linewidth=0.8, linestyle=":", label="guessing")
    axes.set(ylabel="test accuracy at the end (%)", ylim=(0, 102))


def _points(
    axes: "Axes", kind: str, x: np.ndarray, middle: np.ndarray, low: np.ndarray, high: np.ndarray, label: str
) -> None:
    color, fmt, face = _STYLES[kind]
    error = np.clip([middle - low, high - middle], 0, None)
    axes.errorbar(x, middle, error, fmt=fmt, color=color, mfc=face, markersize=5, capsize=2, label=label)
