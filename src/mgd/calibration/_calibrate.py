"""The measurement of a chip, from its noise to the settings it is to be trained with."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from jaxtyping import Float, PRNGKeyArray

from .._errors import HardwareError
from .._version import __version__
from ..bench import watchdog
from ..chips import AbstractCost, cost_named
from ..datasets import Task
from ..instruments import GIVE_UP_SECONDS, Guarded
from ..theory import Facts, choose, hold_for
from ._answers import Answers, least_of_parameters, measure_parameters
from ._budget import Budget
from ._calibration import Calibration, Quantity, scales, units_of_groups
from ._common import Common, common_of
from ._levels import Levels, least_of_levels, measure_levels
from ._noise import Noise, float_floor
from ._parameters import Response, gains
from ._prober import Prober
from ._range import Range
from ._stages import (
    code_amplitude,
    least_of_stages,
    measure_curvature,
    measure_noise,
    measure_range,
    measure_spread,
    measure_timing,
    norm_of,
)
from ._timing import Timing


def calibrate(
    instrument: Guarded,
    task: Task,
    *,
    batch: int,
    key: PRNGKeyArray,
    budget: int | None = None,
    cost: str | AbstractCost = "mse",
    start: Float[np.ndarray, " p"] | None = None,
    give_up_seconds: float = GIVE_UP_SECONDS,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Calibration:
    """Measures a chip through its driver, and chooses the settings with which to train it.

    It knows only the chip's limits. It moves every parameter within them: together with others by an eighth of its
    range, alone by half of its room.

    Args:
        instrument: an open instrument.
        task: the task whose samples are presented.
        batch: samples over which a measurement is averaged.
        key: the seed of codes, samples and parameters.
        budget: most measurements; by default 20,000 and 60 for each perturbation of a code's period, more if costs come
            late.
        cost: the cost of outputs, for chips that give outputs.
        start: the parameters at the start of training; by default the chip's own, or else drawn from the middle tenth
            of the limits.
        give_up_seconds: how long the chip may fail to answer, while it is asked and opened again. In the main thread,
            a wait of twice that is interrupted.
        on_progress: called with the measurements made, and the budget.

    Raises:
        ValueError: if the budget is too small for this number of parameters and this delay of the cost, or the start
            has the wrong shape.
        HardwareError: if the chip does not answer, if no perturbation within the limits changes the cost, or if the
            limits leave no room for two levels of the parameters' converters.

    References:
        McCaughan et al., APL Mach. Learn. 1, 026118 (2023); Spall, IEEE Trans. Automat. Contr. 37, 332 (1992), on the
    amplitude that noise and curvature require.
    """
    period = 1 << instrument.n_params.bit_length()
    spending = Budget(
        20_000 + 60 * period if budget is None else budget,
        _least(instrument, 0, 1),
        f"a calibration of {instrument.n_params} parameters",
        may_grow=budget is None,
    )
    prober = Prober(
        instrument, cost_named(cost), spending, give_up_seconds, lambda done: on_progress(done, spending.total)
    )
    with watchdog(instrument.address, give_up_seconds, prober.silence):
        return _measured(common_of(prober, task, batch, key, start), task, batch)


def _least(instrument: Guarded, delay: int, hold: int) -> dict[str, int]:
    """The measurements that each stage takes at least, of costs that come and settle so late."""
    n, own_line = instrument.n_params, instrument.own_line
    return least_of_stages(hold, delay) | {
        "levels": least_of_levels(hold, delay, own_line),
        "parameters": least_of_parameters(n, hold, delay, own_line),
        "alone": 0,
    }


@dataclass(frozen=True)
class _Found:
    """What the stages found."""

    noise: Noise
    timing: Timing
    spread: float
    levels: tuple[Levels | None, Levels | None]
    linear: Range
    wiggled: list[Response]
    written: list[Response]
    answers: Answers
    gradient: Quantity
    curvature: Quantity
    code_amplitude: float


def _measured(common: Common, task: Task, batch: int) -> Calibration:
    """What the stages find, in turn: each knows what those before it found."""
    prober = common.prober
    noise = measure_noise(common)
    timing = measure_timing(common)
    prober.settle(int(timing.delay.value), hold_for(int(timing.delay.value), timing.settling.value))
    prober.budget.reprice(_least(prober.instrument, prober.delay, prober.hold), ("noise", "timing"))
    spread = measure_spread(common)
    perturbed, stored = measure_levels(common)
    both = Levels.both(perturbed, stored)
    linear = measure_range(common, perturbed)
    amplitude = code_amplitude(common, linear, both)
    wiggled, written, answers = measure_parameters(common, amplitude, perturbed)
    curvature = measure_curvature(common, wiggled, amplitude)
    levels = answers.levels, stored
    gradient = norm_of(wiggled)
    found = _Found(noise, timing, spread, levels, linear, wiggled, written, answers, gradient, curvature, amplitude)
    return _conclude(common, task, batch, found)


def _conclude(common: Common, task: Task, batch: int, found: _Found) -> Calibration:
    prober, instrument = common.prober, common.prober.instrument
    noise, timing, linear, answers = found.noise, found.timing, found.linear, found.answers
    levels, stored = found.levels
    each, load, step = prober.each_seconds, common.load_seconds, common.readout_step
    facts = Facts(
        n_params=prober.n_params,
        cost=noise.cost.value,
        noise=common.sigma.one,
        gradient=found.gradient.value,
        quadratic=linear.quadratic.value,
        cubic=linear.cubic.value,
        curvature=found.curvature.value,
        curvature_error=found.curvature.error,
        lowest=linear.smallest,
        linear=linear.linear.value,
        allowed=common.highest,
        delay=int(timing.delay.value),
        settling=timing.settling.value,
        spread=found.spread,
        load=load / each if each else 0.0,
        unit=instrument.limits.unit,
        level=levels.width if levels else 0.0,
        even=levels is not None and levels.even,
        batch=batch,
        readout_step=step if noise.white.value <= step / 2 else 0.0,
    )
    try:
        choice = choose(facts)
    except ValueError as error:
        raise HardwareError(f"{instrument.address}: {error}") from None
    mixed, nothing = linear.cubic.value * found.code_amplitude**2, np.full((2, prober.n_params), np.nan)
    gain, gain_error = gains(found.wiggled, found.written, mixed=mixed) if found.written else nothing
    identity = instrument.known()
    return Calibration(
        **vars(identity),
        address=instrument.address,
        unit=instrument.limits.unit,
        scale=scales(instrument.limits),
        group_units=units_of_groups(instrument.limits),
        task=task.name,
        batch=batch,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        mgd_version=__version__,
        n_params=prober.n_params,
        measurements=prober.budget.spent,
        seconds_per_measurement=each,
        seconds_per_presentation=load,
        noise_measurements=common.noise_measurements,
        allan_lengths=noise.lengths,
        allan_deviations=noise.deviations,
        sample_spread=found.spread,
        float_floor=float_floor(noise.cost.value),
        readout_step=step or None,
        level=levels.width if levels else None,
        written_level=stored.width if stored else None,
        levels_even=levels.even if levels else None,
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
        descent_rate=choice.descent_rate,
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
        gradient_norm=found.gradient,
        quadratic=linear.quadratic,
        cubic=linear.cubic,
        linear_range=linear.linear,
        curvature=found.curvature,
    )
