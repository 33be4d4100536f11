"""The measurement of a chip, from its noise to the settings it is to be trained with."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from .._version import __version__
from ..chips import AbstractCost
from ..chips._costs import cost_named
from ..datasets import Task
from ..instruments import Guarded
from ..instruments._watchdog import watchdog
from ._answers import POINTS_OF_CODES, Answers, measure_parameters
from ._calibration import Calibration, Quantity
from ._choose import Facts, choose
from ._noise import Noise, float_floor, resolution
from ._parameters import Response, gains
from ._prober import Prober
from ._range import Range
from ._stages import (
    LAGS,
    Bench,
    bench_of,
    code_amplitude,
    measure_curvature,
    measure_noise,
    measure_range,
    measure_spread,
    measure_timing,
    norm_of,
)
from ._timing import Timing, hold_for


def calibrate(
    instrument: Guarded,
    task: Task,
    *,
    batch: int,
    key: PRNGKeyArray,
    budget: int | None = None,
    cost: str | AbstractCost = "mse",
    start: Float[np.ndarray, " p"] | None = None,
    give_up_seconds: float = 30.0,
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
        start: where training starts; by default where the chip says, or else drawn from the middle tenth of the limits.
        give_up_seconds: how long it may fail to answer; called in the main thread, it is taken out of a wait of twice
            that.
        on_progress: called with the measurements made, and the budget.

    Raises:
        ValueError: if the budget is too small for that many parameters, or the start has the wrong shape.
        HardwareError: if it does not answer, or no perturbation within the limits shows in the cost.

    References:
        McCaughan et al., APL Mach. Learn. 1, 026118 (2023); Spall, IEEE Trans. Automat. Contr. 37, 332 (1992), on what
        noise and curvature ask of the amplitude.
    """
    period = 1 << instrument.n_params.bit_length()
    least = 4000 + 8 * POINTS_OF_CODES * period * (2 if instrument.own_line else 1)
    budget = 20_000 + 60 * period if budget is None else budget
    if isinstance(budget, bool) or budget < least:
        raise ValueError(f"{instrument.n_params} parameters take {least} measurements or more, got {budget}")
    prober = Prober(instrument, cost_named(cost), lambda done: on_progress(min(done, budget), budget))
    with watchdog(instrument.address, give_up_seconds, prober.silence):
        return _measured(bench_of(prober, task, batch, key, budget, start), task, batch, period)


def _measured(bench: Bench, task: Task, batch: int, period: int) -> Calibration:
    """What the stages find, in turn: each knows what those before it found."""
    prober = bench.prober
    bench.noise = noise = measure_noise(bench)
    timing = measure_timing(bench)
    prober.delay, prober.hold = int(timing.delay.value), hold_for(int(timing.delay.value), timing.settling.value)
    spread = measure_spread(bench)
    linear = measure_range(bench)
    amplitude = code_amplitude(bench, linear)
    wiggled, written, answers = measure_parameters(bench, amplitude, period)
    gradient = norm_of(wiggled)
    curvature = measure_curvature(bench, wiggled, amplitude)
    return _conclude(bench, task, batch, noise, timing, spread, linear, wiggled, written, answers, gradient, curvature)


def _conclude(
    bench: Bench,
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
        allowed=bench.highest,
        delay=int(timing.delay.value),
        settling=timing.settling.value,
        spread=spread,
        load=load / each if each else 0.0,
        unit=instrument.limits.unit,
    )
    choice = choose(facts)
    mixed = linear.cubic.value * code_amplitude(bench, linear) ** 2
    gain, gain_error = gains(wiggled, written, mixed=mixed) if written else np.full((2, prober.n_params), np.nan)
    identity = instrument.known()
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
