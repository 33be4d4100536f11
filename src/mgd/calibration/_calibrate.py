"""The measurement of a chip, stage by stage."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from .._errors import HardwareError
from .._version import __version__
from ..chips import AbstractCost
from ..chips._costs import cost_named
from ..datasets import Task
from ..instruments import Guarded
from ._calibration import Calibration, Quantity
from ._choose import Facts, choose
from ._noise import Noise, float_floor, noise_of, resolution
from ._parameters import Answers, Codes, Point, Response, Sigma, check_alone, gains, response, suspects
from ._prober import Prober
from ._range import Range, _fit, range_of
from ._timing import Timing, hold_for, timing_of

# Largest delay looked for, in measurements.
LAGS = 64
_RUNGS, _POINTS, _POINTS_OF_CODES, _BATCHES = 14, 4, 2, 16
# Parameters that answer, with which one that does not is compared.
_USUAL = 5
# Of the budget: noise, timing, range, parameters, parameters one at a time, curvature.
_SHARES = {"noise": 0.15, "timing": 0.15, "range": 0.2, "parameters": 0.3, "alone": 0.12, "curvature": 0.05}


@dataclass
class _Bench:
    """What all stages share."""

    prober: Prober
    points: list[Point]
    rng: np.random.Generator
    budget: int
    batches: Callable[[], tuple[np.ndarray, np.ndarray]]
    noise: Noise | None = None

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


def calibrate(
    instrument: Guarded,
    task: Task,
    *,
    batch: int,
    key: PRNGKeyArray,
    budget: int | None = None,
    cost: str | AbstractCost = "mse",
    start: Float[np.ndarray, " p"] | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Calibration:
    """Measures a chip through its verbs, and chooses the settings to train it with.

    Nothing is known of the chip but its limits; every parameter is moved within them, by an eighth of its range
    together with others and by half of the room it has alone.

    Args:
        instrument: open.
        task: whose samples are presented.
        batch: samples a measurement is averaged over.
        key: what codes, samples and parameters are drawn from.
        budget: measurements, about; by default 20,000 and 60 for each of a code's period.
        cost: of outputs, for chips that give these.
        start: where training starts; by default drawn from the middle tenth of the limits.
        on_progress: called with the measurements made, and the budget.

    Raises:
        ValueError: if the budget is too small for that many parameters, or the start has the wrong shape.
        HardwareError: if no perturbation within the limits shows in the cost.

    References:
        McCaughan et al., APL Mach. Learn. 1, 026118 (2023); Spall, IEEE Trans. Automat. Contr. 37, 332 (1992), on what
        noise and curvature ask of the amplitude.
    """
    period = 1 << instrument.n_params.bit_length()
    least = 4000 + 8 * _POINTS_OF_CODES * period * (2 if instrument.own_line else 1)
    budget = 20_000 + 60 * period if budget is None else budget
    if isinstance(budget, bool) or budget < least:
        raise ValueError(f"{instrument.n_params} parameters take {least} measurements or more, got {budget}")
    prober = Prober(instrument, cost_named(cost), lambda done: on_progress(min(done, budget), budget))
    bench = _bench(prober, task, batch, key, budget, start)
    bench.noise = noise = _measure_noise(bench)
    timing = _measure_timing(bench)
    prober.delay, prober.hold = int(timing.delay.value), hold_for(int(timing.delay.value), timing.settling.value)
    spread = _measure_spread(bench)
    linear = _measure_range(bench)
    amplitude = _code_amplitude(bench, linear)
    wiggled, written, answers = _measure_parameters(bench, amplitude, period)
    gradient = _norm(wiggled)
    curvature = _measure_curvature(bench, wiggled, amplitude)
    return _conclude(bench, task, batch, noise, timing, spread, linear, wiggled, written, answers, gradient, curvature)


def _bench(
    prober: Prober, task: Task, batch: int, key: PRNGKeyArray, budget: int, start: np.ndarray | None
) -> _Bench:
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,), jnp.uint32)))
    limits, n = prober.instrument.limits, prober.n_params
    if start is not None and np.shape(start) != (n,):
        raise ValueError(f"the chip has {n} parameters, and its start has shape {np.shape(start)}")

    def batches() -> tuple[np.ndarray, np.ndarray]:
        rows = rng.choice(len(task.train), size=batch, replace=batch > len(task.train))
        return np.asarray(task.train.features(task.train.x[rows])), task.train.y[rows]  # pyright: ignore[reportArgumentType]

    def place() -> np.ndarray:
        return (limits.low + limits.high) / 2 + (limits.high - limits.low) / 20 * rng.uniform(-1, 1, n)

    first = place() if start is None else np.asarray(start)
    thetas = [first, *(place() for _ in range(_POINTS - 1))]
    points = [Point(theta.astype(np.float32), batches()) for theta in thetas]
    return _Bench(prober, points, rng, budget, batches)


def _measure_noise(bench: _Bench) -> Noise:
    bench.prober.place(bench.points[0].theta, bench.points[0].batch)
    zeros = np.zeros((bench.share("noise"), bench.prober.n_params), np.float32)
    bench.prober.raw(zeros[:LAGS])
    return noise_of(bench.prober.raw(zeros[LAGS:]))


def _measure_timing(bench: _Bench) -> Timing:
    """The response to a code of ±1 along one direction, at an amplitude that shows; another direction each time."""
    prober, total = bench.prober, bench.share("timing")
    highest = float(min(bench.room().min(), _span(bench) / 8))
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
        + f" shows in the cost within {LAGS} measurements above its noise: check that parameters and cost are connected, "
        "or give a larger budget"
    )


def _timing_along(bench: _Bench, step: np.ndarray, n: int, floor: float) -> Timing:
    code = bench.rng.choice([-1.0, 1.0], n + LAGS)
    costs = bench.prober.raw(np.outer(code, step).astype(np.float32))
    # float32 of the cost itself.
    return timing_of(code, costs, lags=LAGS, floor=floor * float(np.abs(costs).max()))


def _span(bench: _Bench) -> float:
    limits = bench.prober.instrument.limits
    return float((limits.high - limits.low).min())


def _measure_spread(bench: _Bench) -> float:
    """Standard deviation of the cost from batch to batch, without that of its noise."""
    costs, zero = [], np.zeros((2, bench.prober.n_params), np.float32)
    for _ in range(_BATCHES):
        bench.prober.place(bench.points[0].theta, bench.batches())
        costs.append(bench.prober.settled(zero).mean())
    return math.sqrt(max(0.0, float(np.var(costs, ddof=1)) - bench.sigma.of_mean(2) ** 2))


def _measure_range(bench: _Bench) -> Range:
    prober, total = bench.prober, bench.share("range")
    highest = float(min(bench.room().min(), _span(bench) / 8))
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
        raise HardwareError(f"{prober.instrument.address}: {error}: reduce the noise, or give a larger budget") from None


def _code_amplitude(bench: _Bench, linear: Range) -> float:
    """The amplitude of codes that find slopes: bias against noise, as of two-sided differences."""
    from ._choose import best_amplitude

    return best_amplitude(
        noise=bench.sigma.one / math.sqrt(2),
        gradient=linear.slope.value,
        quadratic=0.0,
        cubic=linear.cubic.value,
        lowest=linear.smallest,
        highest=max(linear.smallest, linear.linear.value),
    )


def _measure_parameters(
    bench: _Bench, amplitude: float, period: int
) -> tuple[list[Response], list[Response], Answers]:
    prober = bench.prober
    own_line = prober.instrument.own_line
    codes = Codes(prober.n_params, bench.rng.integers(0, 2**32, 2, np.uint32))
    each = 2 * period * _POINTS_OF_CODES * (prober.hold + (prober.hold + prober.delay if own_line else 0))
    repeats = max(2, bench.share("parameters") // each)
    wiggled, written = [], []
    for k, point in enumerate(bench.points[:_POINTS_OF_CODES]):
        periods = range(k * repeats, (k + 1) * repeats)
        prober.place(point.theta, point.batch)
        wiggled.append(response(prober.settled, codes, amplitude, periods, cost_error=bench.sigma.one))
        if own_line:
            write = lambda changes, point=point: prober.written(point.theta + changes)  # noqa: E731
            written.append(response(write, codes, amplitude, periods, cost_error=bench.sigma.one))
    return wiggled, written, _answers(bench, wiggled, written)


def _answers(bench: _Bench, wiggled: list[Response], written: list[Response]) -> Answers:
    """Each parameter that did not answer clearly in codes is tried alone."""
    prober, answers = bench.prober, Answers()
    amplitude = 0.5 * float(bench.room().min())
    silent, unwritten = suspects(wiggled), suspects(written) if written else []

    def alone(indices: list[int], others: list[int], write: bool) -> tuple[set[int], set[int]]:
        if not indices:
            return set(), set()
        clear = [index for index in range(prober.n_params) if index not in set(others)][:_USUAL]
        found = check_alone(
            prober,
            bench.points,
            indices,
            clear,
            amplitude=amplitude,
            sigma=bench.sigma,
            budget=bench.share("alone"),
            write=write,
        )
        answers.tries += found.tries
        answers.detectable = max(answers.detectable, found.seen)
        return set(found.none), set(found.untold)

    quiet, untold = alone(silent, silent, False)
    if written:
        # Also the quiet ones: a broken line for perturbations does not make a parameter dead.
        deaf, more = alone(sorted(quiet | set(unwritten)), unwritten, True)
        answers.dead = sorted(quiet & deaf)
        answers.no_perturbation = sorted(quiet - deaf - more)
        answers.no_write = sorted(deaf - quiet - untold)
        untold = untold | more
    else:
        answers.dead = sorted(quiet)
    answers.unresolved = sorted(untold)
    return answers


def _norm(responses: list[Response]) -> Quantity:
    """‖∇C‖ from slopes, without the share of their noise; the root mean square over points."""
    n, squares, variance = len(responses[0].slope), 0.0, 0.0
    for one in responses:
        square = float(one.slope @ one.slope) - n * one.error**2
        squares += square
        variance += 4 * max(square, 0.0) * one.error**2 + 2 * n * one.error**4
    mean, error = squares / len(responses), math.sqrt(variance) / len(responses)
    root = math.sqrt(max(mean, error, 1e-300))
    return Quantity.of(root, error / (2 * root))


def _measure_curvature(bench: _Bench, responses: list[Response], amplitude: float) -> Quantity:
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
        curve, _, variance, _ = _fit(steps**2 / 2, steps**4, even[None], error)
        found.append((float(curve[0]), math.sqrt(variance)))
    value, error = max(found)
    return Quantity.of(value, error)


def _conclude(
    bench: _Bench,
    task: Task,
    batch: int,
    noise: Noise,
    timing: Timing,
    spread: float,
    linear: Range,
    wiggled: list[Response],
    written: list[Response],
    answers: Answers,
    gradient: Quantity,
    curvature: Quantity,
) -> Calibration:
    prober, instrument = bench.prober, bench.prober.instrument
    each, load = prober.each_seconds, float(np.median(prober.present_seconds))
    facts = Facts(
        n_params=prober.n_params,
        cost=noise.cost.value,
        noise=bench.sigma.one,
        gradient=gradient.value,
        quadratic=linear.quadratic.value,
        cubic=linear.cubic.value,
        curvature=curvature.value,
        curvature_error=curvature.error,
        lowest=linear.smallest,
        linear=linear.linear.value,
        allowed=float(min(bench.room().min(), _span(bench) / 8)),
        delay=int(timing.delay.value),
        settling=timing.settling.value,
        spread=spread,
        load=load / each if each else 0.0,
        unit=instrument.limits.unit,
    )
    choice = choose(facts)
    gain, gain_error = gains(wiggled, written) if written else np.full((2, prober.n_params), np.nan)
    identity = instrument.identify()
    return Calibration(
        **vars(identity),
        address=instrument.address,
        unit=instrument.limits.unit,
        task=task.name,
        batch=batch,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        mgd_version=__version__,
        n_params=prober.n_params,
        measurements=prober.count,
        seconds_per_measurement=each,
        seconds_per_presentation=load,
        noise_measurements=bench.share("noise") - LAGS,
        allan_lengths=noise.lengths,
        allan_deviations=noise.deviations,
        sample_spread=spread,
        float_floor=float_floor(noise.cost.value),
        readout_step=resolution(prober.distinct),
        smallest_amplitude=linear.smallest,
        dead=tuple(answers.dead),
        no_perturbation=tuple(answers.no_perturbation),
        no_write=tuple(answers.no_write),
        unresolved=tuple(answers.unresolved),
        false_alive=answers.false_alive,
        detectable=answers.detectable,
        gain=tuple(gain.tolist()),
        gain_error=tuple(gain_error.tolist()),
        amplitude=choice.amplitude,
        tau_p=choice.tau_p,
        tau_x=choice.tau_x,
        tau_theta=choice.tau_theta,
        learning_rate=choice.learning_rate,
        expected_angle=choice.angle,
        expected_snr=choice.snr,
        why=choice.why,
        cost=noise.cost,
        cost_noise=noise.white,
        slow_noise=noise.slow,
        drift=noise.drift,
        delay=timing.delay,
        settling=timing.settling,
        settling_seconds=Quantity.of(timing.settling.value * each, timing.settling.error * each),
        gradient_norm=gradient,
        quadratic=linear.quadratic,
        cubic=linear.cubic,
        linear_range=linear.linear,
        curvature=curvature,
    )
