"""The stages of a calibration that look at the chip as a whole: noise, timing, samples, range, curvature."""

import math
import time

import numpy as np

from .._errors import HardwareError
from ..theory import best_amplitude
from ._calibration import Quantity
from ._common import POINTS, Common
from ._levels import Levels
from ._noise import Noise, float_floor, noise_of
from ._parameters import Response
from ._range import Range, fit, range_of
from ._timing import LAGS, Timing, timing_of

_RUNGS, _FEWEST_RUNGS, _BATCHES = 14, 7, 16
# The least record of noise; amplitudes at which a response is looked for, of codes at least so long; random codes.
_LEAST_NOISE, _TRIES, _LEAST_CODE, _LEAST_CODES, _MOST_CODES = 256, 6, 4 * LAGS, 8, 32
# Points of the curvature, and the measurements of a look at it.
_CURVED, _CURVE = 2, 9
# Of a step, the error of a level: the root mean square of what is even from −½ to ½.
_ROUNDING = 1 / math.sqrt(12)


def least_of_stages(hold: int, delay: int) -> dict[str, int]:
    """The measurements that each of these stages takes at least."""
    late = delay + hold - 1
    return {
        "noise": LAGS + _LEAST_NOISE + late,
        "timing": (_TRIES + 1) * (_LEAST_CODE + LAGS),
        "spread": 2 * _BATCHES * (late + 1),
        "range": _LEAST_CODES * (3 * _FEWEST_RUNGS * hold + delay) + POINTS * late,
        "curvature": _CURVED * (2 * _CURVE * hold + delay + late),
        "again": LAGS,
    }


def measure_noise(common: Common) -> Noise:
    allotted = common.prober.budget.allot("noise")
    common.prober.place(common.points[0].theta, common.points[0].batch)
    zeros = np.zeros((allotted, common.prober.n_params), np.float32)
    common.prober.raw(zeros[:LAGS])
    common.noise, common.noise_measurements = noise_of(common.prober.raw(zeros[LAGS:])), allotted - LAGS
    return common.noise


def measure_timing(common: Common) -> Timing:
    """The response to a code of ±1 along one direction, at an amplitude that shows; another direction each time."""
    prober, total = common.prober, common.prober.budget.allot("timing")
    highest, end = common.highest, common.prober.budget.spent + total
    floor = float_floor(1.0)
    amplitude, n = highest / 4 ** (_TRIES - 1), max(_LEAST_CODE, total // (2 * _TRIES) - LAGS)
    while True:
        direction = common.rng.choice([-1.0, 1.0], prober.n_params)
        found = _timing_along(common, direction * amplitude, n, floor)
        if found.seen or amplitude >= highest:
            break
        amplitude = min(highest, 4 * amplitude)
    if found.seen:
        # As much again for as fine an answer as the budget allows.
        return _timing_along(common, direction * amplitude, max(_LEAST_CODE, end - prober.budget.spent - LAGS), floor)
    raise HardwareError(
        f"{prober.instrument.address}: no perturbation of up to {highest:g} {prober.instrument.limits.unit}".rstrip()
        + f" changes the cost by more than its noise within {LAGS} measurements: check that parameters and cost are "
        "connected and that levels are fine enough, or give a larger budget"
    )


def _timing_along(common: Common, step: np.ndarray, n: int, floor: float) -> Timing:
    code = common.rng.choice([-1.0, 1.0], n + LAGS)
    costs = common.prober.raw(np.outer(code, step).astype(np.float32))
    # float32 of the cost itself.
    return timing_of(code, costs, lags=LAGS, floor=floor * float(np.abs(costs).max()))


def measure_spread(common: Common) -> float:
    """Standard deviation of the cost from batch to batch, without that of its noise; and what presenting one takes."""
    prober, costs, longer = common.prober, [], []
    rows = np.zeros((prober.late + 1, prober.n_params), np.float32)
    prober.write(common.points[0].theta)
    for _ in range(_BATCHES):
        prober.show(common.batches())
        began = time.perf_counter()
        fresh, between = prober.raw(rows)[-1], time.perf_counter()
        again = prober.raw(rows)[-1]
        longer.append(2 * between - began - time.perf_counter())
        costs.append((fresh + again) / 2)
    common.load_seconds = max(0.0, float(np.median(longer)))
    return math.sqrt(max(0.0, float(np.var(costs, ddof=1)) - common.sigma.of_mean(2) ** 2))


def measure_range(common: Common, levels: Levels | None) -> Range:
    prober, allotted = common.prober, common.prober.budget.allot("range")
    amplitudes = _rungs(common.highest, levels)
    if _LEAST_CODES * prober.price(3 * len(amplitudes)) + POINTS * prober.late > allotted:
        amplitudes = amplitudes[(len(amplitudes) - 1) % 2 :: 2]
    rungs = len(amplitudes)
    each = prober.price(3 * rungs)
    n_codes = int(np.clip((allotted - POINTS * prober.late) // each, _LEAST_CODES, _MOST_CODES))
    repeats = max(1, (allotted - POINTS * prober.late) // (each * n_codes))
    odd, even = np.zeros((2, n_codes, rungs))
    for k in range(n_codes):
        if k * POINTS % n_codes < POINTS:  # the next point
            point = common.points[k * POINTS // n_codes]
            prober.place(point.theta, point.batch)
        code = common.rng.choice([-1.0, 1.0], prober.n_params)
        ladder = np.stack([amplitudes, np.zeros(rungs), -amplitudes], axis=1)
        rows = np.tile(ladder.reshape(-1, 1) * code, (repeats, 1)).astype(np.float32)
        plus, zero, minus = np.moveaxis(prober.settled(rows).reshape(repeats, rungs, 3).mean(axis=0), 1, 0)
        odd[k], even[k] = (plus - minus) / 2, (plus + minus) / 2 - zero.mean()
    one = common.sigma.of_mean(repeats)
    # Of uneven levels, the rounding of each parameter is noise.
    slope = math.sqrt(float(np.mean(odd[:, -1] ** 2))) / amplitudes[-1]
    rounded = 0.0 if levels is None or levels.even else slope * levels.width * _ROUNDING
    try:
        return range_of(
            amplitudes,
            odd,
            even,
            odd_error=math.hypot(one, rounded) / math.sqrt(2),
            even_error=math.hypot(one * math.sqrt(0.5 + 1 / rungs), rounded * math.sqrt(1.5)),
        )
    except ValueError as error:
        raise HardwareError(
            f"{prober.instrument.address}: {error}: reduce the noise, or give a larger budget"
        ) from None


def _rungs(highest: float, levels: Levels | None) -> np.ndarray:
    """The amplitudes that are tried: none of less than a level, and of even ones whole numbers."""
    halves = highest * 0.5 ** np.arange(_RUNGS)[::-1]
    if levels is None:
        return halves
    if not levels.even:
        return np.geomspace(levels.width, highest, min(_RUNGS, 6)) if levels.width > halves[0] else halves
    most = max(2, int(highest / levels.width * (1 + 1e-6)))
    whole = np.unique(np.round(np.geomspace(1, most, min(most, _RUNGS))))
    return levels.width * whole


def code_amplitude(common: Common, linear: Range, levels: Levels | None) -> float:
    """The amplitude of codes that find slopes: bias against noise, as of two-sided differences."""
    return best_amplitude(
        noise=common.sigma.one / math.sqrt(2),
        gradient=linear.slope.value,
        quadratic=0.0,
        cubic=linear.cubic.value,
        lowest=linear.smallest,
        highest=max(linear.smallest, linear.linear.value),
        level=levels.width if levels else 0.0,
        even=levels is not None and levels.even,
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


def measure_curvature(common: Common, responses: list[Response], amplitude: float) -> Quantity:
    """The second difference along each point's G: the largest."""
    prober, found = common.prober, []
    allotted = prober.budget.allot("curvature") // len(responses) - prober.late
    repeats = max(2, allotted // prober.price(_CURVE))
    for point, one in zip(common.points, responses, strict=False):
        along = one.slope / max(float(np.linalg.norm(one.slope)), 1e-300)
        farthest = 0.9 * float(np.min(common.room() / np.maximum(np.abs(along), 1e-12)))
        steps = min(2 * amplitude * math.sqrt(prober.n_params), farthest) * np.array([0.25, 0.5, 1.0])
        prober.place(point.theta, point.batch)
        levels = np.stack([steps, np.zeros(3), -steps], axis=1).reshape(-1, 1)
        rows = np.tile(levels * along, (repeats, 1)).astype(np.float32)
        plus, zero, minus = np.moveaxis(prober.settled(rows).reshape(repeats, 3, 3).mean(axis=0), 1, 0)
        even = (plus + minus) / 2 - zero.mean()
        rounded = float(np.linalg.norm(one.slope)) * common.coarsest * _ROUNDING
        error = math.hypot(common.sigma.of_mean(repeats) * math.sqrt(0.5 + 1 / 3), rounded)
        curve, _, variance, _ = fit(steps**2 / 2, steps**4, even[None], error)
        found.append((float(curve[0]), math.sqrt(variance)))
    value, error = max(found)
    return Quantity.of(value, error)
