"""The best structures by the closed form, over a grid of all of them at once."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from ..theory import (
    Landscape,
    Windows,
    best_hold,
    error_of_signal,
    events_of,
    late_of,
    left_of_code,
    noise_of_writes,
    rate_of,
    variance_of,
    windows_to,
)
from ..timing import seconds_of
from ._problem import Problem
from ._structure import BASELINES, FAMILIES, Structure, period_of

_BATCHES = tuple(2**k for k in range(11))
_HOLDS = (1, 2, 4, 8, 16, 32, 64)
# Of a cost that comes late, these times the hold that gives the most signal for its measurements.
_LATE_HOLDS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
# Less than this share of a signal is not worth a thought: with less than none, descent would be ascent.
_LEAST_SEEN = 0.05
# Windows of up to so many times P perturbations.
_LONGEST = 16
# Amplitudes tried, from the least that float32 can tell from rounding to the largest that is still a perturbation.
_AMPLITUDES = np.geomspace(1e-4, 10.0, 121)
# Timesteps that engines count.
_MOST_STEPS = 2**31 - 1
# Rounding of a cost in float32, relative.
_ROUNDING = 1e-7
# Without noise, of the error that smaller amplitudes avoid, this share of the cross-talk is let go.
_SLACK = 0.02
# Structures whose times by the law differ by no more than this are as good.
AS_GOOD = 1.02


@dataclass(frozen=True)
class Guess:
    """A structure, and what the closed form makes of it.

    Attributes:
        structure: with the rate that the closed form gives.
        seconds: hardware time to the target.
        windows: how many windows that is.
        variance: of one window's G.
    """

    structure: Structure
    seconds: float
    windows: float
    variance: float


def guesses(problem: Problem, land: Landscape) -> list[Guess]:
    """The best structure of each family and baseline, the quickest first.

    Raises:
        ValueError: if no structure reaches the target by the closed form, or the quickest takes more timesteps than can
            be simulated.
    """
    found = []
    for family in FAMILIES:
        for baseline in BASELINES:
            best = _best_of(problem, land, family, baseline)
            if best is not None:
                found.append(best)
    if not found:
        raise ValueError(_why_never(problem, land))
    found.sort(key=lambda one: one.seconds)
    steps = found[0].windows * found[0].structure.window * found[0].structure.tau_p
    if steps > _MOST_STEPS:
        raise ValueError(
            f"by the law the target {problem.target:g} takes {steps:.2g} timesteps at the best, and at most "
            f"{_MOST_STEPS:.2g} can be simulated: give a chip with less noise, or lower --target"
        )
    return found


def _why_never(problem: Problem, land: Landscape) -> str:
    """Why no structure reaches the target, in a line."""
    fewest = math.ceil(land.flow * land.largest / 2)
    if fewest > problem.most_writes:
        return (
            f"the target {problem.target:g} needs {fewest:,} writes of a parameter at least, by the law, and an "
            f"endurance of {problem.profile.endurance:,} does not allow them: lower --target"
        )
    return (
        f"the target {problem.target:g} is not reached by the law: the steps and the noise of this chip's writes alone "
        "keep the cost above it; give finer writes, or lower --target"
    )


def seconds_by_law(problem: Problem, land: Landscape) -> float:
    """Hardware time to the target of the best structure, by the closed form."""
    return guesses(problem, land)[0].seconds


def guess_of(problem: Problem, land: Landscape, structure: Structure) -> Guess:
    """What the closed form makes of a structure, at its own best rate."""
    if not is_seen(problem, structure):
        return Guess(structure, math.inf, math.inf, math.inf)
    windows = problem.windows(structure)
    noise = problem.noise(structure.batch, land.cost)
    variance = variance_of(land, windows, noise=noise, amplitude=structure.amplitude)
    writes = noise_of_writes(land, variance, pulse=problem.pulse, noise=problem.write_noise)
    rate = rate_of(land, windows, variance, writes, momentum=structure.optimizer == "momentum")
    count = float(windows_to(land, variance, rate, writes))
    seconds = count * float(seconds_of(events_of(windows), problem.profile))
    seconds = seconds if count <= problem.most_writes and problem.fits(windows) else math.inf
    return Guess(structure.with_rate(float(rate / windows.late.seen)), seconds, count, float(variance))


def is_seen(problem: Problem, structure: Structure) -> bool:
    """Whether enough of a perturbation's signal is in its own costs to learn by."""
    return bool(problem.windows(structure).late.seen >= _LEAST_SEEN)


def _best_of(problem: Problem, land: Landscape, family: str, baseline: str) -> Guess | None:
    n_params, two_sided = problem.n_params, baseline == "two-sided"
    period = period_of(family, n_params)
    holds = _holds(problem, two_sided)
    if not len(holds):
        return None
    powers = 2 ** np.arange(0, int(np.log2(_LONGEST * n_params)) + 2)
    held, shown, batch, tau_p = np.meshgrid(powers, powers, _batches(problem), holds, indexing="ij")
    keep = held * shown <= _LONGEST * n_params
    held, shown, batch, tau_p = (each[keep] for each in (held, shown, batch, tau_p))
    windows = problem.late(
        Windows(held, shown, batch, tau_p, np.full(held.shape, two_sided), np.full(held.shape, period))
    )
    noise = problem.noise(batch, land.cost)
    amplitude = _amplitudes(problem, land, windows, noise)
    variance = variance_of(land, windows, noise=noise, amplitude=amplitude)
    writes = noise_of_writes(land, variance, pulse=problem.pulse, noise=problem.write_noise)
    best = None
    for optimizer in ("sgd", "momentum"):
        rate = rate_of(land, windows, variance, writes, momentum=optimizer == "momentum")
        count = windows_to(land, variance, rate, writes)
        seconds = count * seconds_of(events_of(windows), problem.profile)
        seconds = np.where((count <= problem.most_writes) & problem.fits(windows), seconds, np.inf)
        k = int(np.argmin(seconds))
        if problem.given.get("engine") == "sampled":
            k = _soonest_simulated(seconds, count * windows.shown * windows.batch)
        if np.isfinite(seconds[k]) and (best is None or seconds[k] < best.seconds):
            structure = Structure(
                family,
                baseline,
                optimizer,
                int(held[k]),
                int(shown[k]),
                int(batch[k]),
                int(tau_p[k]),
                float(amplitude[k]),
                float((rate / windows.late.seen)[k]),
            )
            best = Guess(structure, float(seconds[k]), float(count[k]), float(variance[k]))
    return best


def _soonest_simulated(seconds: Float[np.ndarray, " structures"], samples: Float[np.ndarray, " structures"]) -> int:
    """Of the structures that are about as quick as the quickest, the one with the fewest samples: the sampled engine
    takes as long as their gradients."""
    return int(np.argmin(np.where(seconds <= AS_GOOD * seconds.min(), samples, np.inf)))


def _batches(problem: Problem) -> tuple[int, ...]:
    return tuple(batch for batch in _BATCHES if batch <= len(problem.task.train))


def _holds(problem: Problem, two_sided: bool) -> np.ndarray:
    """The τ_p that are tried: those that leave a share of the signal in the costs."""
    if not problem.is_late:
        return np.array(_HOLDS)
    best = best_hold(problem.delay, problem.settling)
    holds = np.unique([*_HOLDS, *(max(1, round(best * factor)) for factor in _LATE_HOLDS)])
    late = late_of(1, holds, two_sided, delay=problem.delay, settling=problem.settling)
    return holds[(late.seen >= _LEAST_SEEN) & (holds >= best * min(_LATE_HOLDS))]


def _amplitudes(problem: Problem, land: Landscape, windows: Windows, noise: Any) -> Float[np.ndarray, " structures"]:
    """For each structure the largest amplitude whose error is about the least; whole levels, if there are levels."""
    grid = _AMPLITUDES
    level = problem.level
    if level:
        grid = level * np.unique(np.round(np.geomspace(1, max(2.0, 10 / level), 60)))
    grid = grid[grid >= least_amplitude(problem, land)]
    if not len(grid):
        raise ValueError("no perturbation changes the cost by a step in which it is read: give the ADC more bits")
    scale = land.gradient + land.spread / windows.batch
    # Of late costs, what baselines share is mostly other samples, which codes take away and amplitudes need not.
    left = left_of_code(windows.held, windows.period) if problem.is_late else 1.0
    best = np.full(windows.held.shape, np.inf)
    chosen = np.full(windows.held.shape, grid[0])
    for amplitude in grid:
        own, shared = error_of_signal(land, windows, noise=noise, amplitude=amplitude)
        error = own + left * shared
        better = error <= best + _SLACK * scale
        best, chosen = np.minimum(best, error), np.where(better, amplitude, chosen)
    return chosen


def least_amplitude(problem: Problem, land: Landscape) -> float:
    """The least amplitude whose change in cost stands out from rounding, by float32 and by a converter."""
    slope = np.sqrt(land.gradient + land.spread)
    dithered = problem.noise(1, land.cost) > 0.7 * problem.readout
    return float(max(100 * _ROUNDING * land.cost, 0.0 if dithered else problem.readout) / slope)
