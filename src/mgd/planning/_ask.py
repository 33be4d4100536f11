"""What a chip is asked of the facts of its task, in order, within a number of measurements."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from jaxtyping import Float

from .._errors import HardwareError
from ..calibration import Prober, Quantity, noise_of
from ._facts import Fact, Facts
from ._probes import (
    BENDS,
    Answers,
    Ask,
    PerCode,
    Questioner,
    asked_of_chip,
    asked_of_model,
    is_straight,
    straight_amplitude,
)
from ._problem import Problem

_BATCH = 64
# The shares of all measurements that each of two records of noise gets, and that are kept for answers that are lost;
# the share of the rest that slopes get; the fewest measurements of a record, and codes.
_NOISE, _AGAIN, _SLOPES = 1 / 12, 1 / 20, 2 / 3
_LEAST_NOISE, _LEAST_CODES = 16, 8
# How often an amplitude is halved until slopes are straight.
_HALVINGS = 4
# At the linear range of a calibration slopes are wrong by a tenth, and at this share of it by a twentieth.
_OF_RANGE = math.sqrt(0.5)


def least_measurements(delay: int, hold: int) -> int:
    """The fewest measurements that say anything, of costs that come and settle so late."""

    def price(n: int) -> int:
        return n * hold + delay

    noise = 2 * price(_LEAST_NOISE)
    looks = (_HALVINGS + 1) * BENDS * price(4)
    codes = max(2 * _LEAST_CODES * price(2) / _SLOPES, _LEAST_CODES * price(3) / (1 - _SLOPES))
    return math.ceil((noise + looks + codes) / (1 - _AGAIN))


@dataclass(frozen=True)
class Asking:
    """A chip that is asked.

    Args:
        problem: the model of the chip, and its task.
        prober: the chip.
        theta: the parameters at which it is measured.
        seed: of codes and samples.
        linear_range: the linear range that a calibration has found; None if there is none.
    """

    problem: Problem
    prober: Prober
    theta: Float[np.ndarray, " p"]
    seed: int
    linear_range: float | None = None

    def facts(self) -> Facts:
        """The facts of the chip and of its model, by the same questions.

        Raises:
            HardwareError: if the chip does not answer, has no room for a perturbation, or bends more than its model.
        """
        problem, prober = self.problem, self.prober
        prober.instrument.limits.check_start(self.theta)
        prober.write(self.theta)
        batch = min(_BATCH, len(problem.task.train))
        questions = Questioner(problem.task, problem.n_params, batch, np.random.default_rng(self.seed))
        ask, imagine = asked_of_chip(prober), asked_of_model(problem.ideal(), self.theta)
        repeats = max(_LEAST_NOISE, int(_NOISE * prober.budget.total) // prober.hold)
        record, record_of_one = questions.of_noise(repeats, batch), questions.of_noise(repeats, 1)
        noise, noise_of_one = noise_of(ask(record)[0]), noise_of(ask(record_of_one)[0])
        # A readout's steps, in which noise does not show, are white from code to code.
        sigma, sigma_of_one = (
            math.hypot(found.white.value, problem.readout / math.sqrt(12)) for found in (noise, noise_of_one)
        )
        amplitude = self._amplitude(questions, ask, imagine, sigma_of_one)
        left = prober.budget.left - int(_AGAIN * prober.budget.total)
        slopes = questions.of_slopes(int(_SLOPES * left) // (2 * prober.price(2)), amplitude)
        curves = questions.of_curves(int((1 - _SLOPES) * left) // prober.price(3), amplitude)
        answered, imagined = (ask(slopes), ask(curves)), (imagine(slopes), imagine(curves))
        real = PerCode.of(*answered, amplitude, one=sigma_of_one, batch=sigma)
        model = PerCode.of(*imagined, amplitude, one=0.0, batch=0.0)
        return Facts(
            identity=str(prober.instrument.known()),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            batch=batch,
            measurements=prober.budget.spent,
            amplitude=amplitude,
            likeness=_likeness(answered[0], imagined[0], sigma_of_one),
            cost=Fact.of(answered[1][:, 1], imagined[1][:, 1]),
            noise=noise.white,
            noise_of_one=noise_of_one.white,
            # What is subtracted for σ² is known to 2σ times the error of σ.
            spread=Fact.of(real.spread, model.spread, noise_of_one.white.error * sigma_of_one / amplitude**2),
            gradient=Fact.of(real.gradient, model.gradient),
            trace=Fact.of(real.trace, model.trace),
            mixed=Fact.of(real.mixed, model.mixed, 6 * noise.white.error * sigma / amplitude**4).root,
        )

    def _amplitude(self, questions: Questioner, ask: Ask, imagine: Ask, noise: float) -> float:
        """The amplitude of all perturbations, by the calibration, or else the largest that leaves slopes straight.

        Raises:
            HardwareError: if there is no room for one, or slopes bend at all of them.
        """
        limits, level, address = self.prober.instrument.limits, self.problem.level, self.prober.instrument.address
        room = float(np.minimum(self.theta - limits.low, limits.high - self.theta).min()) * (1 - 1e-5)  # float32 rounds
        highest = min(room, float((limits.high - limits.low).min()) / 8)
        if highest <= level:
            raise HardwareError(
                f"{address}: a parameter starts so near to its limits that there is no room for a perturbation: give "
                "start, or wider limits"
            )

        def whole(amplitude: float) -> float:
            return max(1, math.floor(amplitude / level)) * level if level else amplitude

        if self.linear_range is not None:
            return whole(min(highest, _OF_RANGE * self.linear_range))
        amplitude = whole(straight_amplitude(imagine, questions, highest))
        for _ in range(_HALVINGS + 1):
            if is_straight(ask(questions.of_bend(BENDS, amplitude)), amplitude, noise):
                return amplitude
            amplitude = whole(amplitude / 2)
        raise HardwareError(
            f"{address}: the cost is not linear in perturbations of {2 * amplitude:.3g} either, and the model's is in "
            f"larger ones: correct [chip], or calibrate the chip with mgd calibrate and name the file in [instrument]"
        )


def _likeness(chip: Answers, model: Answers, noise: float) -> Quantity:
    """The correlation of slopes, and about what it may be off by chance; 0 if they are lost in the noise."""
    real, imagined = chip[:, 0] - chip[:, 1], model[:, 0] - model[:, 1]
    square, expected = float(np.mean(real**2)), float(np.mean(imagined**2))
    kept = square - 2 * noise**2
    if kept <= 0 or not expected:
        return Quantity.of(0.0, 1.0)
    value = float(np.mean(real * imagined)) / math.sqrt(kept * expected)
    return Quantity.of(value, math.sqrt(square / kept / len(real)))
