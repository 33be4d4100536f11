"""A network trained by backpropagation, put on chips whose neurons vary, and trained further there.

`python benchmarks/twin.py FIGURE.png` trains one 49-4-4 network on NIST7x7 through its model (the twin), and then 16
simulated chips of the same design whose neurons vary by 25 %: once from the twin's parameters and once from scratch,
with the same settings and seeds. It prints and draws the accuracy against cost measurements, the median and the
quartiles over the chips. The same is `mgd train nist7x7 --algorithm backprop --out twin` and then
`mgd train nist7x7 --start twin --imperfect activation-variation=0.25`.
"""

import sys
from typing import TYPE_CHECKING

import jax
import numpy as np

import mgd
from mgd.chips.imperfections import ActivationVariation, imperfect
from mgd.runs import RunConfig, resolve
from mgd.runs._build import build_algorithm, build_chip

if TYPE_CHECKING:
    import xarray as xr

CHIPS, VARIATION, STEPS = 16, 0.25, 100_000
LEVELS = (0.8, 0.85, 0.9, 0.95)


def median(values: np.ndarray) -> str:
    low, middle, high = np.quantile(100 * values, (0.25, 0.5, 0.75))
    return f"{middle:.1f} % ({low:.1f} … {high:.1f})"


def reached(history: "xr.Dataset", level: float) -> str:
    """Measurements until the median chip has an accuracy."""
    curve = np.median(history.accuracy.values, 0)
    at = np.flatnonzero(curve >= level)
    return f"{int(history.cost_measurements.values[at[0]]):,}" if at.size else "not reached"


def main(figure: str) -> None:
    task = mgd.datasets.load("nist7x7")
    through_model = resolve(RunConfig.of({"task": "nist7x7", "algorithm": "backprop", "replicas": 1}))
    network = build_chip(through_model, task)
    twin = mgd.train(
        network,
        task,
        build_algorithm(through_model),
        n_steps=through_model.steps,
        batch=through_model.batch,
        key=jax.random.key(0),
    )
    on_chip = resolve(RunConfig.of({"task": "nist7x7", "steps": STEPS, "replicas": CHIPS, "cost": through_model.cost}))
    varied = imperfect(network, ActivationVariation(VARIATION))
    starts = {"from the twin": np.asarray(twin.theta[0]), "from scratch": None}
    runs = {
        name: mgd.train(
            varied,
            task,
            build_algorithm(on_chip),
            n_steps=STEPS,
            n_replicas=CHIPS,
            batch=on_chip.batch,
            key=jax.random.key(1),
            start=start,
        )
        for name, start in starts.items()
    }
    print(f"NIST7x7, 49-4-4, {CHIPS} chips whose neurons vary by {VARIATION:.0%}, {STEPS:,} timesteps")
    print(f"the twin itself: {float(twin.score[0]):.1%} after {through_model.steps:,} steps of backpropagation")
    for name, run in runs.items():
        accuracy = run.history.accuracy.values
        print(f"{name}: at the start {median(accuracy[:, 0])}, at the end {median(accuracy[:, -1])}")
        print("  cost measurements until the median chip has", end="")
        print(";".join(f" {level:.0%}: {reached(run.history, level)}" for level in LEVELS))
    draw(runs, float(twin.score[0]), figure)


def draw(runs: dict[str, mgd.Result], twin: float, path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for (name, run), colour in zip(runs.items(), ("#1f77b4", "#d62728"), strict=True):
        x = np.maximum(run.history.cost_measurements.values, 1)
        low, middle, high = np.quantile(100 * run.history.accuracy.values, (0.25, 0.5, 0.75), axis=0)
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(x, middle, color=colour, linewidth=2, label=name)
    axes.axhline(100 * twin, color="0.5", linewidth=0.8, linestyle="--")
    axes.annotate(
        "the twin, in its model", (1, 100 * twin), (0, 3), textcoords="offset points", color="0.4", fontsize=8
    )
    axes.set(xscale="log", xlabel="cost measurements per chip", ylabel="test accuracy (%)", ylim=(0, 102))
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "twin.png")
