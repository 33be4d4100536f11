"""The stages of a calibration that look at the chip as a whole: noise, timing, samples, range, curvature."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from .._errors import HardwareError
from ..datasets import Task
from ._calibration import Quantity
from ._choose import best_amplitude
from ._noise import Noise, Sigma, float_floor, noise_of, resolution
from ._parameters import Point, Response
from ._prober import Prober
from ._range import Range, fit, range_of
from ._timing import Timing, timing_of

# Largest delay looked for, in measurements.
LAGS = 64
_RUNGS, _POINTS, _BATCHES = 14, 4, 16
# Shares of the budget.
_SHARES = {"noise": 0.15, "timing": 0.15, "range": 0.2, "parameters": 0.3, "alone": 0.12, "curvature": 0.05}


@dataclass
class Bench:
    """What all stages share."""

    prober: Prober
    points: list[Point]
    rng: np.random.Generator
    budget: int
    batches: Callable[[], tuple[np.ndarray, np.ndarray]]
    noise: Noise | None = None

    @property
    def span(self) -> float:
        """The shortest range of a parameter."""
        limits = self.prober.instrument.limits
        return float((limits.high - limits.low).min())

    @property
    def highest(self) -> float:
        """The largest amplitude for all parameters together."""
        return float(min(self.room().min(), self.span / 8))

    def elsewhere(self) -> Point:
        """Another point, up to half way from the middle to the limits, with another batch."""
        limits = self.prober.instrument.limits
        half = (limits.high - limits.low) / 2
        theta = limits.low + half * (1 + self.rng.uniform(-0.5, 0.5, half.size))
        return Point(theta.astype(np.float32), self.batches())

    def share(self, stage: str) -> int:
        return int(self.budget * _SHARES[stage])

    @property
    def sigma(self) -> Sigma:
        """The noise of a cost, by all that was read so far."""
        assert self.noise is not None
        white, step = self.noise.white.value, resolution(self.prober.distinct) or 0.0
        covered = white > step / 2  # then the record of noise has the step's error in it
        return Sigma(white, max(0.0 if covered else step / math.sqrt(12), float_floor(self.noise.cost.value)))

    def room(self) -> Float[np.ndarray, " p"]:
        """How far each parameter may move at every point."""
        limits = self.prober.instrument.limits
        return np.min([np.minimum(p.theta - limits.low, limits.high - p.theta) for p in self.points], axis=0)


def bench_of(prober: Prober, task: Task, batch: int, key: PRNGKeyArray, budget: int, start: np.ndarray | None) -> Bench:
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,), jnp.uint32)))
    limits, n = prober.instrument.limits, prober.n_params
    start = prober.instrument.start if start is None else start
    if start is not None and np.shape(start) != (n,):
        raise ValueError(f"the chip has {n} parameters, and its start has shape {np.shape(start)}")

    def batches() -> tuple[np.ndarray, np.ndarray]:
        rows = rng.choice(len(task.train), size=batch, replace=batch > len(task.train))
        return np.asarray(task.train.features(jnp.asarray(task.train.x[rows]))), task.train.y[rows]

    def place() -> np.ndarray:
        return (limits.low + limits.high) / 2 + (limits.high - limits.low) / 20 * rng.uniform(-1, 1, n)

    first = place() if start is None else np.asarray(start)
    thetas = [first, *(place() for _ in range(_POINTS - 1))]
    points = [Point(theta.astype(np.float32), batches()) for theta in thetas]
    return Bench(prober, points, rng, budget, batches)


def measure_noise(bench: Bench) -> Noise:
    bench.prober.place(bench.points[0].theta, bench.points[0].batch)
    zeros = np.zeros((bench.share("noise"), bench.prober.n_params), np.float32)
    bench.prober.raw(zeros[:LAGS])
    return noise_of(bench.prober.raw(zeros[LAGS:]))


def measure_timing(bench: Bench) -> Timing:
    """The response to a code of ±1 along one direction, at an amplitude that shows; another direction each time."""
    prober, total = bench.prober, bench.share("timing")
    highest = bench.highest
    floor = float_floor(1.0)
    amplitude, n = highest / 4**5, max(4 * LAGS, total // 12)
    while True:
        direction = bench.rng.choice([-1.0, 1.0], prober.n_params)
        found = _timing_along(bench, direction * amplitude, n, floor)
        if found.seen or amplitude >= highest:
            break
        amplitude = min(highest, 4 * amplitude)
    if found.seen:
        # As much again for as fine an answer as the budget allows.
        return _timing_along(bench, direction * amplitude, max(n, total - 6 * n), floor)
    raise HardwareError(
        f"{prober.instrument.address}: no perturbation of up to {highest:g} {prober.instrument.limits.unit}".rstrip()
        + f" shows in the cost within {LAGS} measurements above its noise: check that parameters and cost are "
        "connected, or give a larger budget"
    )


def _timing_along(bench: Bench, step: np.ndarray, n: int, floor: float) -> Timing:
    code = bench.rng.choice([-1.0, 1.0], n + LAGS)
    costs = bench.prober.raw(np.outer(code, step).astype(np.float32))
    # float32 of the cost itself.
    return timing_of(code, costs, lags=LAGS, floor=floor * float(np.abs(costs).max()))


def measure_spread(bench: Bench) -> float:
    """Standard deviation of the cost from batch to batch, without that of its noise."""
    costs, zero = [], np.zeros((2, bench.prober.n_params), np.float32)
    for _ in range(_BATCHES):
        bench.prober.place(bench.points[0].theta, bench.batches())
        costs.append(bench.prober.settled(zero).mean())
    return math.sqrt(max(0.0, float(np.var(costs, ddof=1)) - bench.sigma.of_mean(2) ** 2))


def measure_range(bench: Bench) -> Range:
    prober, total = bench.prober, bench.share("range")
    highest = bench.highest
    amplitudes = highest * 0.5 ** np.arange(_RUNGS)[::-1]
    n_codes = int(np.clip(total // prober.price(3 * _RUNGS), 8, 32))
    repeats = max(1, total // prober.price(3 * _RUNGS * n_codes))
    odd, even = np.zeros((2, n_codes, _RUNGS))
    for k in range(n_codes):
        if k * _POINTS % n_codes < _POINTS:  # the next point
            point = bench.points[k * _POINTS // n_codes]
            prober.place(point.theta, point.batch)
        code = bench.rng.choice([-1.0, 1.0], prober.n_params)
        levels = np.stack([amplitudes, np.zeros(_RUNGS), -amplitudes], axis=1)
        rows = np.tile(levels.reshape(-1, 1) * code, (repeats, 1)).astype(np.float32)
        plus, zero, minus = np.moveaxis(prober.settled(rows).reshape(repeats, _RUNGS, 3).mean(axis=0), 1, 0)
        odd[k], even[k] = (plus - minus) / 2, (plus + minus) / 2 - zero.mean()
    each = bench.sigma.of_mean(repeats)
    try:
        return range_of(
            amplitudes,
            odd,
            even,
            odd_error=each / math.sqrt(2),
            even_error=each * math.sqrt(0.5 + 1 / _RUNGS),
        )
    except ValueError as error:
        raise HardwareError(
            f"{prober.instrument.address}: {error}: reduce the noise, or give a larger budget"
        ) from None


def code_amplitude(bench: Bench, linear: Range) -> float:
    """The amplitude of codes that find slopes: bias against noise, as of two-sided differences."""
    return best_amplitude(
        noise=bench.sigma.one / math.sqrt(2),
        gradient=linear.slope.value,
        quadratic=0.0,
        cubic=linear.cubic.value,
        lowest=linear.smallest,
        highest=max(linear.smallest, linear.linear.value),
    )


def norm_of(responses: list[Response]) -> Quantity:
    """‖∇C‖ from slopes, without the share of their noise; the root mean square over points."""
    n, squares, variance = len(responses[0].slope), 0.0, 0.0
    for one in responses:
        square = float(one.slope @ one.slope) - n * one.error**2
        squares += square
        variance += 4 * max(square, 0.0) * one.error**2 + 2 * n * one.error**4
    mean, error = squares / len(responses), math.sqrt(variance) / len(responses)
    root = math.sqrt(max(mean, error, 1e-300))
    return Quantity.of(root, error / (2 * root))


def measure_curvature(bench: Bench, responses: list[Response], amplitude: float) -> Quantity:
    """The second difference along each point's G: the largest."""
    prober, found = bench.prober, []
    repeats = max(2, bench.share("curvature") // (len(responses) * prober.price(9)))
    for point, one in zip(bench.points, responses, strict=False):
        along = one.slope / max(float(np.linalg.norm(one.slope)), 1e-300)
        farthest = 0.9 * float(np.min(bench.room() / np.maximum(np.abs(along), 1e-12)))
        steps = min(2 * amplitude * math.sqrt(prober.n_params), farthest) * np.array([0.25, 0.5, 1.0])
        prober.place(point.theta, point.batch)
        levels = np.stack([steps, np.zeros(3), -steps], axis=1).reshape(-1, 1)
        rows = np.tile(levels * along, (repeats, 1)).astype(np.float32)
        plus, zero, minus = np.moveaxis(prober.settled(rows).reshape(repeats, 3, 3).mean(axis=0), 1, 0)
        even = (plus + minus) / 2 - zero.mean()
        error = bench.sigma.of_mean(repeats) * math.sqrt(0.5 + 1 / 3)
        curve, _, variance, _ = fit(steps**2 / 2, steps**4, even[None], error)
        found.append((float(curve[0]), math.sqrt(variance)))
    value, error = max(found)
    return Quantity.of(value, error)
