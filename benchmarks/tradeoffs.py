"""The founding trade-offs as sweeps, with the law of `mgd.theory` drawn in.

    python benchmarks/tradeoffs.py --out docs/figures/tradeoffs.png    # some minutes on two cores

A 2-4-1 perceptron learns XOR. The hardware time until a chip has solved it is drawn against tau_theta for several
times of a write, against tau_x for several times of a load, and against the perturbation's amplitude for several
noises of the cost. A measurement takes 1, all times are in its units, and each point has the best of several learning
rates. The law has one free number for all panels, a factor on time, which is printed. `--small` is a quick one.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

import mgd
from mgd.planning import Problem, descend
from mgd.theory import Landscape, Windows, WriteNoise, events_of, rate_of, variance_of, windows_to
from mgd.timing import Profile

COMMON: dict[str, Any] = {
    "hidden": [4],
    "optimizer": "sgd",
    "perturbation": "rademacher",
    "baseline": "remeasured",
    "batch": 1,
    "engine": "fused",
}
RATES = "0.03..30:9:log"
EXACT = WriteNoise(0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Panel:
    """One trade-off.

    Attributes:
        x: the setting on the horizontal axis, by its name in a sweep.
        label: of that axis.
        values: of the setting.
        given: the settings that stay.
        of: what the curves differ in: "write" and "load" are seconds of the chip, and "cost-noise" is simulated.
        curves: its values.
    """

    x: str
    label: str
    values: tuple[float, ...]
    given: dict[str, Any]
    of: str
    curves: tuple[float, ...]


PANELS = (
    Panel(
        "tau_theta",
        r"$\tau_\theta$",
        (1, 4, 16, 64, 256, 1024),
        {"tau_x": 1, "amplitude": 0.02},
        "write",
        (0, 30, 1000),
    ),
    Panel(
        "tau_x",
        r"$\tau_x$",
        (1, 2, 4, 8, 16, 32, 64),
        {"tau_theta": 64, "amplitude": 0.02},
        "load",
        (0, 3, 30),
    ),
    Panel(
        "amplitude",
        r"$\Delta\theta$",
        (0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        {"tau_x": 1, "tau_theta": 64},
        "cost-noise",
        (1e-4, 3e-3, 3e-2),
    ),
)


@dataclass(frozen=True)
class Times:
    """Hardware time until a share of the chips has solved the task, of each value of a panel, by a curve."""

    low: np.ndarray
    median: np.ndarray
    high: np.ndarray


def swept(panel: Panel, chips: int, steps: int) -> dict[float, Times]:
    """The times of each curve, at the best rate of each point."""
    vary: dict[str, Any] = {panel.x: list(panel.values), "learning_rate": RATES}
    noises = panel.curves if panel.of == "cost-noise" else (0.0,)
    if panel.of == "cost-noise":
        vary["cost-noise"] = list(noises)
    found = mgd.sweep("parity", vary=vary, replicas=chips, steps=steps, log_every=steps // 256, **panel.given, **COMMON)
    times = {}
    for value in panel.curves:
        one = found.sel({"cost-noise": value}) if panel.of == "cost-noise" else found
        costs = {"write": 0.0, "load": 0.0} | ({} if panel.of == "cost-noise" else {panel.of: value})
        whole = one.cost_measurements + costs["write"] * one.parameter_writes + costs["load"] * one.sample_loads
        each = (one.solved_step / steps * whole).where(one.solved_step.notnull(), np.inf)
        each = each.transpose(panel.x, "learning_rate", "replica").values
        best = np.median(each, axis=2).argmin(1)
        own = np.sort(each[np.arange(len(best)), best], axis=1)
        times[value] = Times(*(own[:, round(share * (chips - 1))] for share in (0.25, 0.5, 0.75)))
    return times


def by_law(panel: Panel, land: Landscape, x: np.ndarray, value: float) -> np.ndarray:
    """The law's time to the target, at the law's best rate."""
    given = {"tau_x": 1, "tau_theta": 64, "amplitude": 0.02, "cost-noise": 0.0, "write": 0.0, "load": 0.0}
    given |= panel.given | {panel.x: x, panel.of: value}
    windows = Windows(given["tau_x"], given["tau_theta"] / given["tau_x"], 1, 1, False, 0)
    variance = variance_of(land, windows, noise=given["cost-noise"], amplitude=given["amplitude"])
    number = windows_to(land, variance, rate_of(land, windows, variance, EXACT), EXACT)
    events = events_of(windows)
    return number * (events["latency"] + given["write"] * events["write"] + given["load"] * events["load"])


def landscape(seed: int) -> Landscape:
    """What the cost of the task is like, as `mgd plan` measures it."""
    profile = Profile.of(
        {
            "name": "unit",
            "description": "a measurement takes 1",
            "source": "benchmarks/tradeoffs.py",
            "seconds": {"inference": 1.0, "perturbation": 0.0, "write": 0.0, "load": 0.0, "latency": 0.0},
        }
    )
    return descend(Problem.of({"task": "parity", "hidden": [4]}, profile, 1.0), seed=seed).landscape


def pairs(
    found: dict[Panel, dict[float, Times]], land: Landscape
) -> Iterator[tuple[Panel, float, np.ndarray, np.ndarray]]:
    """Of each curve, what was measured and what the law says."""
    for panel, curves in found.items():
        for value, times in curves.items():
            yield panel, value, times.median, by_law(panel, land, np.array(panel.values, float), value)


def draw(found: dict[Panel, dict[float, Times]], land: Landscape, factor: float, path: Path) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    for ax, (panel, curves) in zip(axes, found.items(), strict=True):
        x = np.array(panel.values, float)
        fine = np.geomspace(x[0], x[-1], 200)
        for number, (value, times) in enumerate(curves.items()):
            there = np.isfinite(times.median)
            low, median = times.low[there], times.median[there]
            high = np.where(np.isfinite(times.high[there]), times.high[there], median)  # or some have never solved it
            bars = np.array([median - low, high - median])
            name = {"write": "write {:g}", "load": "load {:g}", "cost-noise": "noise {:g}"}[panel.of].format(value)
            ax.errorbar(x[there], median, bars, fmt="o", color=f"C{number}", capsize=3, label=name)
            ax.plot(fine, factor * by_law(panel, land, fine, value), color=f"C{number}", lw=1)
        medians = np.concatenate([times.median for times in curves.values()])
        medians = medians[np.isfinite(medians)]
        ax.set(xscale="log", yscale="log", xlabel=panel.label)
        if len(medians):
            ax.set(ylim=(medians.min() / 3, medians.max() * 3))
        ax.legend(frameon=False, fontsize=8)
    axes[0].set_ylabel("time to solve XOR (measurements)")
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("tradeoffs.png"))
    parser.add_argument("--chips", type=int, default=32)
    parser.add_argument("--steps", type=int, default=1 << 16)
    parser.add_argument("--small", action="store_true", help="8 chips and 8192 steps")
    given = parser.parse_args()
    chips, steps = (8, 8192) if given.small else (given.chips, given.steps)
    land = landscape(seed=0)
    found = {panel: swept(panel, chips, steps) for panel in PANELS}
    ratios = np.concatenate([measured / law for *_, measured, law in pairs(found, land)])
    factor = float(np.exp(np.median(np.log(ratios[np.isfinite(ratios) & (ratios > 0)]))))
    print(f"{chips} chips, {steps:,} timesteps, seed 0; the law's times are multiplied by {factor:.2f}\n")
    print(
        "| curve | best of the sweep | best of the law | at the law's best, over the sweep's best |\n|---|---|---|---|"
    )
    for panel, value, measured, law in pairs(found, land):
        own, said = int(np.argmin(measured)), int(np.argmin(law))
        times = measured[said] / measured[own] if np.isfinite(measured[own]) else np.nan
        print(f"| {panel.of} {value:g} | {panel.x} = {panel.values[own]:g} | {panel.values[said]:g} | {times:.2f} |")
    draw(found, land, factor, given.out)


if __name__ == "__main__":
    main()
