"""Causes on the way from a perturbation to C̃: converters, delay, a cost that does not move, noise."""

import math

import numpy as np

from ..algorithm import TwoSided
from ..chips.imperfections import ADC, DAC, Delay, Settling
from ..theory import best_hold, share_seen
from ._case import Case
from ._finding import Finding
from ._probes import LARGER, Probes

# A converter's own amplitude: at least so many of its levels.
_LEVELS = 2.0
# Of what C̃ should be, what must arrive for G to be of use.
_ARRIVES = 0.4
# The signal over the noise, of one C̃ and of a window's G, below which noise is a cause.
_SNR = 1.0
# Times the noise of costs that C̃ without a perturbation has if other samples are in it.
_FAR_MORE = 5.0
# What is not advised, because no cost is linear so far, and nobody waits so long.
_LARGEST_AMPLITUDE, _LONGEST_WINDOW = 0.5, 1_000_000
# C̃ that is exactly zero in so many of all timesteps is not the exception.
_MOSTLY = 0.9


def perturbation_below_a_level(case: Case) -> Finding | None:
    """A perturbation that is less than half a level of the converter that it passes has no effect, or another one."""
    algorithm, dac = case.ask_tell, case.imperfection(DAC)
    if algorithm is None or dac is None or dac.own_line:
        return None
    level, amplitude = dac.lsb, float(algorithm.perturbation.amplitude)
    if amplitude >= level / 2:
        return None
    bits = math.ceil(math.log2((dac.high - dac.low) * _LEVELS / amplitude + 1))
    larger = f"amplitude {_LEVELS * level:.2g} ({_LEVELS:g} levels), " if _LEVELS * level <= _LARGEST_AMPLITUDE else ""
    return Finding(
        "levels",
        f"the perturbation is below the levels of the parameters' converter: an amplitude of {amplitude:.3g} is "
        f"{amplitude / level:.2g} of a level of {level:.3g}",
        f"{larger}{bits} bits, or a line of its own for the perturbation (dac-own-line)",
    )


def no_effect_of_small_changes(case: Case) -> Finding | None:
    """A chip with steps of its own: the perturbation never changes the cost, and a larger one does."""
    probes = case.at_start
    if probes is None or case.imperfection(DAC) is not None:
        return None
    unmoved = float(np.mean(probes.expected == 0))
    if unmoved < _MOSTLY or float(np.mean(probes.larger == 0)) > 0.5:
        return None
    amplitude = _amplitude(case)
    return Finding(
        "levels",
        f"the perturbation is below the chip's own steps: with an amplitude of {amplitude:.3g} the cost did not change "
        f"at all in {unmoved:.0%} of {len(probes.expected)} timesteps",
        f"a larger amplitude: with {LARGER * amplitude:.2g} the cost changes by {np.std(probes.larger):.2g}",
    )


def readout_does_not_show(case: Case) -> Finding | None:
    """A converter of the cost that saturates, or whose steps are larger than C̃."""
    adc, probes = case.imperfection(ADC), case.at_start
    if adc is None or probes is None:
        return None
    beyond = (probes.costs > adc.high) | (probes.costs < adc.low)
    if beyond.mean() > 0.5:
        return Finding(
            "readout",
            f"the cost is beyond the range of its converter, which reads the end of it: the cost is "
            f"{np.median(probes.costs):.3g}, and the range goes from {adc.low:g} to {adc.high:g}",
            f"a range to {2 * float(probes.costs.max()):.2g}",
        )
    step = adc.lsb
    # Noise of half a step makes means of costs finer than steps.
    if probes.signal >= step / 2 or not probes.signal or _noise_before(case) > step / 2:
        return None
    larger = _amplitude(case) * _LEVELS * step / probes.signal
    return Finding(
        "readout",
        f"C̃ is below the steps of the cost's converter: its root mean square is {probes.signal:.2g}, and a step is "
        f"{step:.2g} ({adc.bits} bits from {adc.low:g} to {adc.high:g})",
        (f"amplitude {larger:.2g}, or " if larger <= _LARGEST_AMPLITUDE else "")
        + f"{adc.bits + math.ceil(math.log2(_LEVELS * step / probes.signal))} bits",
    )


def cost_never_moves(case: Case) -> Finding | None:
    """A cost that does not depend on the parameters."""
    probes = case.at_start
    if probes is None or not probes.still or probes.larger.any() or (case.at_end is not None and not case.at_end.still):
        return None
    return Finding(
        "constant",
        f"the cost does not depend on the parameters: C̃ is exactly 0 in all of {2 * len(probes.measured)} timesteps "
        f"at a cost of {probes.costs.mean():.4g}",
        "look at the cost and the detector; a softmax of one output, for example, is always 1",
    )


def costs_come_late(case: Case) -> Finding | None:
    """A delay, or settling, that leaves little of a perturbation in its own C̃."""
    algorithm, probes = case.ask_tell, case.at_start
    late, tau = _lateness(case)
    if algorithm is None or probes is None or not (late or tau):
        return None
    if certain := costs_come_late_for_certain(case):
        return certain
    share, error = probes.share()
    if share + 4 * error < _ARRIVES:
        return _late(case, late, tau, max(0.0, share))
    if probes.snr >= _SNR or probes.noise < _FAR_MORE * _noise_before(case):
        return None
    return Finding(
        "delay",
        f"costs come {_words(late, tau)}, so that baselines contain the cost of the sample before: that adds "
        f"{probes.noise:.2g} to C̃, whose own root mean square is {probes.signal:.2g}",
        f"a larger batch, or tau_x and tau_theta much longer than {max(late, math.ceil(tau))}, as whole periods of "
        "Walsh codes",
    )


def costs_come_late_for_certain(case: Case) -> Finding | None:
    """The same if the delay alone leaves nothing, which needs no measurement."""
    algorithm = case.ask_tell
    late, tau = _lateness(case)
    if algorithm is None or not (late or tau):
        return None
    share = share_seen(algorithm.time_constants.tau_p, late, tau)
    return _late(case, late, tau, share) if share < _ARRIVES / 2 else None


def _lateness(case: Case) -> tuple[int, float]:
    """The delay and the time constant of the cost, in measurements."""
    delay, settling = case.imperfection(Delay), case.imperfection(Settling)
    return (delay.measurements if delay is not None else 0), (float(settling.tau) if settling is not None else 0.0)


def _words(late: int, tau: float) -> str:
    """How late costs come, in words."""
    words = [f"{late} measurement{'s' if late > 1 else ''} late"] if late else []
    return " and ".join([*words, *([f"with a time constant of {tau:.3g} measurements"] if tau else [])])


def _late(case: Case, late: int, tau: float, share: float) -> Finding:
    algorithm = case.ask_tell
    assert algorithm is not None, "only of what measures costs come late"
    tau_p, hold = algorithm.time_constants.tau_p, best_hold(late, tau)
    two_sided = isinstance(algorithm.baseline, TwoSided)
    whose = f"a perturbation is held for {tau_p} timestep{'s' if tau_p > 1 else ''}" + (
        ", and its sign changes at each measurement" if two_sided else ""
    )
    return Finding(
        "delay",
        f"costs come {_words(late, tau)}, and {whose}: {share:.0%} of its effect is in its own C̃",
        f"tau_p {hold}, which leaves {share_seen(hold, late, tau):.0%}, with tau_x of at least {3 * hold}"
        + (" and the baseline remeasured" if two_sided else ""),
    )


def signal_under_noise(case: Case) -> Finding | None:
    """Noise that is larger than C̃, and that a window does not average away."""
    return _under_noise(case, case.at_start, "at the start")


def signal_now_under_noise(case: Case) -> Finding | None:
    """The same with the parameters of now."""
    return _under_noise(case, case.at_end, "now")


def _under_noise(case: Case, probes: Probes | None, where: str) -> Finding | None:
    algorithm = case.ask_tell
    if algorithm is None or probes is None or not probes.signal or probes.snr >= _SNR:
        return None
    window = _perturbations(case)
    of_window = window * probes.snr / case.chip.n_sites
    if of_window >= _SNR:
        return None
    amplitude = _amplitude(case)
    larger = amplitude * math.sqrt(_SNR / probes.snr)
    longer = math.ceil(window / of_window * algorithm.time_constants.tau_p * _SNR)
    tries = [f"amplitude {larger:.2g} (SNR 1)"] if larger <= _LARGEST_AMPLITUDE else []
    tries += [f"tau_theta {longer:,} (SNR 1 of G)"] if longer <= _LONGEST_WINDOW else []
    return Finding(
        "noise",
        f"the signal is under the noise: {where} C̃ has a root mean square of {probes.signal:.2g}, and its noise of "
        f"{probes.noise:.2g}: SNR {probes.snr:.2g} of one C̃, and {of_window:.2g} of G after {window:,} perturbations",
        " or ".join(tries) or f"a readout with 1/{probes.snr**-0.5:,.0f} of the noise: no window can average this away",
    )


def _amplitude(case: Case) -> float:
    assert case.ask_tell is not None, "only what measures is probed"
    return float(case.ask_tell.perturbation.amplitude)


def _perturbations(case: Case) -> int:
    """T: those that G gathers."""
    assert case.ask_tell is not None, "only what measures is probed"
    times = case.ask_tell.time_constants
    return max(1, times.tau_theta // times.tau_p)


def _noise_before(case: Case) -> float:
    """White noise of a cost before it is read."""
    traits = case.chip.traits
    return math.hypot(traits.cost_noise, traits.relative_noise * _typical(case.at_start))


def _typical(probes: Probes | None) -> float:
    return 0.0 if probes is None else float(np.mean(np.abs(probes.costs)))
