"""Chips that drift, and a task that turns: how training that never stops follows, and how long it takes to recover.

`python benchmarks/tracking.py FIGURE.png` trains 32 simulated 2-4-1 chips to tell on which side of a line points lie
(as with the photonic chip of arXiv:2506.18041, whose boundary was turned while it was trained): the line turns at once
by some angle, or slowly for ever; or the parameters diffuse. It prints accuracies and recovery times, and draws them.
"""

import sys
from collections.abc import Callable

import jax
import numpy as np
import optax

import mgd
from mgd.chips.imperfections import CostNoise, Drift, imperfect
from mgd.datasets import Samples
from mgd.engines import Data, Measured, Progress

CHIPS, BATCH, EVERY = 32, 16, 200
BEFORE, AFTER = 40_000, 40_000  # timesteps; two measurements each
NOISE, DRIFT = 1e-3, 0.01
JUMPS, TURNS = (30, 90, 180), (15, 60)  # degrees at once; degrees in 10,000 measurements
TOLERANCE = 0.02  # recovered: within so much of the chip's own mean accuracy before


def points(degrees: float, n: int, seed: int) -> Data:
    """Points of the unit square, and on which side of a line through its middle they lie."""
    x = np.random.default_rng(seed).random((n, 2)).astype(np.float32)
    angle = np.radians(degrees)
    side = (x - 0.5) @ np.array([np.cos(angle), np.sin(angle)]) > 0
    return Data.of(Samples(x, side[:, None].astype(np.float32)))


def engine(drift: float) -> Measured:
    """Chips with noise, and parameters that diffuse."""
    chip = mgd.chips.mlp((2, 4, 1))
    algorithm = mgd.discrete(perturbation=mgd.perturbations.Rademacher(0.05), optimizer=optax.sgd(0.5))
    noisy = imperfect(chip, CostNoise(NOISE), *([Drift(sigma=drift)] if drift else []))
    return Measured(noisy, algorithm, BATCH)


def follow(
    of: Measured, progress: Progress, n: int, degrees: Callable[[int], float], *, train: bool = True
) -> tuple[Progress, np.ndarray]:
    """Accuracy of each chip every so many timesteps, of a line that is at an angle then. Untrained chips are measured
    alike, and not written."""
    accuracies = []
    for step in range(0, n, EVERY):
        data = points(degrees(step), 2048, seed=step)
        after = of.advance(data, jax.tree.map(lambda x: x.copy(), progress), EVERY)
        state = after.state if train else progress.state.with_clock(after.state.clock)
        progress = Progress(state, after.device, after.diverged, after.diverged_at)
        fresh = points(degrees(step + EVERY), 4096, seed=1_000_000 + step)
        accuracies.append(np.asarray(of.evaluate(progress, fresh)[0]))
    return progress, np.stack(accuracies)


def recovery(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Measurements until each chip is as good as before, to the tolerance; NaN if it never is."""
    good = after >= before[-50:].mean(0) - TOLERANCE
    return np.where(good.any(0), 2.0 * EVERY * (good.argmax(0) + 1), np.nan)


def main() -> None:
    """Follows, prints, draws."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axes = figure.subplots(1, 3, sharey=True)
    steady = engine(0.0)
    learnt, before = follow(steady, steady.init(CHIPS, key=jax.random.key(0)), BEFORE, lambda step: 0.0)
    level = 100 * before[-50:].mean()
    print(f"{CHIPS} chips of 2-4-1, seed 0, σ_C = {NOISE:g}, {2 * BEFORE:,} measurements: {level:.1f} %\n")
    print("| what happens | accuracy at once | at the end | measurements to recover: median (quartiles), recovered |")
    print("|---|---|---|---|")
    x = 2e-3 * EVERY * np.arange(1, AFTER // EVERY + 1)
    for degrees in JUMPS:
        _, after = follow(steady, learnt, AFTER, lambda step, degrees=degrees: float(degrees))
        taken = recovery(before, after)
        low, middle, high = np.nanpercentile(taken, [25, 50, 75])
        ends = 100 * after[0].mean(), 100 * after[-50:].mean()
        done = f"{middle:,.0f} ({low:,.0f} … {high:,.0f}), {np.isfinite(taken).sum()} of {CHIPS}"
        print(f"| the line turns by {degrees}° | {ends[0]:.1f} % | {ends[1]:.1f} % | {done} |")
        axes[0].plot(x, 100 * after.mean(1), label=f"{degrees}°")
    for rate in TURNS:
        for train in (True, False):
            _, after = follow(steady, learnt, AFTER, lambda step, rate=rate: rate * step / 5_000, train=train)
            what = "trained on" if train else "left as it is"
            print(f"| it turns by {rate}° in 10,000 measurements, {what} | – | {100 * after[-50:].mean():.1f} % | – |")
            axes[1].plot(x, 100 * after.mean(1), "-" if train else ":", label=f"{rate}°, {what}")
    drifting = engine(DRIFT)
    learnt, before = follow(drifting, drifting.init(CHIPS, key=jax.random.key(0)), BEFORE, lambda step: 0.0)
    for train in (True, False):
        _, after = follow(drifting, learnt, AFTER, lambda step: 0.0, train=train)
        what = "trained on" if train else "left as it is"
        ends = 100 * after[0].mean(), 100 * after[-50:].mean()
        print(f"| parameters diffuse by {DRIFT:g} a measurement, {what} | {ends[0]:.1f} % | {ends[1]:.1f} % | – |")
        axes[2].plot(x, 100 * after.mean(1), "-" if train else ":", label=what)
    titles = "the line turns at once", "it turns for ever (in 10,000 measurements)", "parameters diffuse"
    for ax, title in zip(axes, titles, strict=True):
        ax.set(title=title, xlabel="measurements (thousands)", ylim=(0, 100))
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize=8, loc="lower right")
    axes[0].set_ylabel(f"accuracy, mean of {CHIPS} chips (%)")
    figure.savefig(sys.argv[1], dpi=130)


if __name__ == "__main__":
    main()
