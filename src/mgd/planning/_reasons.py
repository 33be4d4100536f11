"""Why a plan is as it is, and what would make it quicker: a sentence with a number for each."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..theory import Landscape, Windows, error_of_signal, left_of_code, variance_of
from ..timing import format_seconds
from ._guess import AS_GOOD, Guess, guess_of, least_amplitude, seconds_by_law
from ._problem import Problem
from ._structure import BASELINES, FAMILIES, OPTIMIZERS, Structure, period_of

# A gain of less than half a percent is none.
_LEAST_GAIN = 0.005


@dataclass(frozen=True)
class Gain:
    """What a better chip would come to.

    Attributes:
        what: is better.
        share: of the hardware time that it saves, by the law, with the best structure of that chip.
    """

    what: str
    share: float

    def __str__(self) -> str:
        return f"{self.what}: {-self.share:+.0%}"


def reasons(
    problem: Problem, land: Landscape, structure: Structure, *, tried: int, otherwise: Mapping[str, float]
) -> dict[str, str]:
    """A sentence for each choice, by the setting's name.

    Args:
        problem: what is planned.
        land: facts of the task.
        structure: what was chosen.
        tried: simulations that it was chosen by.
        otherwise: how many times as long the other optimizer and schedule took, as in `Found`.
    """
    now = guess_of(problem, land, structure)
    law = now.structure.rate
    windows = problem.windows(structure)
    noise = float(problem.noise(structure.batch, land.cost))
    own, shared = error_of_signal(land, windows, noise=noise, amplitude=structure.amplitude)
    signal = land.gradient + land.spread / structure.batch
    period = period_of(structure.perturbation, problem.n_params)

    def beside(**changes: object) -> str:
        return _beside(problem, land, structure, now, **changes)

    family = (
        f"{structure.perturbation} codes are orthogonal over {period} perturbations, of which a window has "
        f"{structure.window}, so that {float(left_of_code(structure.window, period)):.0%} of the cross-talk is left"
        if period
        else f"independent signs have no period to fill; a window has {structure.window} perturbations"
    )
    added = float(own + shared) / signal
    return {
        "perturbation": f"{family}; {_others(problem, land, structure, now, 'perturbation', FAMILIES)}",
        "baseline": _others(problem, land, structure, now, "baseline", BASELINES),
        "tau_p": f"measurements of a perturbation: {structure.tau_p}{_seen(problem, windows)}; twice that "
        + beside(tau_p=2 * structure.tau_p),
        "tau_x": f"{structure.held} perturbations share a presentation, each sample of which takes "
        f"{_took(problem, 'load')} to load, and a baseline; twice that "
        + beside(held=2 * structure.held, shown=max(1, structure.shown // 2)),
        "tau_theta": f"{structure.window} perturbations of {problem.n_params} parameters make a window, and a write "
        f"takes {_took(problem, 'write')}; twice that " + beside(shown=2 * structure.shown),
        "batch": f"a measurement is of {structure.batch} samples of {_took(problem, 'inference')} each, beside "
        f"{_took(problem, 'perturbation')} of a perturbation; twice that " + beside(batch=2 * structure.batch),
        "amplitude": f"noise and higher orders add {added:.2g} of the signal's square, and the least amplitude that "
        f"stands out from rounding is {least_amplitude(problem, land):.2g}",
        "optimizer": _others(problem, land, structure, now, "optimizer", OPTIMIZERS)
        + (f"; the best of it {_simulated(otherwise['optimizer'])}" if "optimizer" in otherwise else ""),
        "learning_rate": f"the best of {tried} simulations, {structure.rate / law:.2g} times the law's, which is the "
        "smaller of what noise and curvature allow",
        "schedule": _schedule(structure, otherwise.get("falls")),
    }


def _schedule(structure: Structure, otherwise: float | None) -> str:
    """What the other schedule came to in simulations."""
    if structure.falls:
        this, other = f"the rate falls to a tenth in {structure.falls} windows", "the best rate that stays"
    else:
        this, other = "the rate stays", "the best rate that falls"
    if otherwise is None:
        return f"{this}; none that {'stays' if structure.falls else 'falls'} was simulated"
    return f"{this}; {other} {_simulated(otherwise)}"


def _simulated(times: float) -> str:
    """How many times as long something took, compared by simulations."""
    if math.isfinite(times):
        return f"took {times:.2f} times as long in simulations"
    return "was not there in as long a simulation"


def _seen(problem: Problem, windows: Windows) -> str:
    """What a late cost leaves of a perturbation."""
    if not problem.is_late:
        return ""
    return (
        f", which have {windows.late.seen:.0%} of its signal for a delay of {problem.delay} and a settling time of "
        f"{problem.settling:g} measurements"
    )


def error_shares(problem: Problem, land: Landscape, structure: Structure) -> dict[str, float]:
    """What the mean square error of G consists of, as shares: samples, cross-talk of parameters, noise, curvature.

    If costs come late, the signals of other perturbations and the costs of other samples are a share too.
    """
    windows = problem.windows(structure)

    def variance(land: Landscape, noise: float, windows: Windows = windows) -> float:
        return float(variance_of(land, windows, noise=noise, amplitude=structure.amplitude))

    linear = replace(land, quadratic=0.0, cubic=0.0)
    samples = land.spread / structure.batch / structure.shown
    noisy = variance(land, float(problem.noise(structure.batch, land.cost)))
    curved, bare = variance(land, 0.0), variance(linear, 0.0)
    own = variance(linear, 0.0, structure.windows(problem.n_params))
    parts = {"samples": samples, "cross-talk": own - samples, "noise": noisy - curved, "curvature": curved - bare}
    if problem.is_late:
        parts["late costs"] = bare - own
    return {name: part / noisy for name, part in parts.items()}


def gains(problem: Problem, land: Landscape) -> tuple[Gain, ...]:
    """What better chips would save, most first; what would save nothing is left out."""
    now = seconds_by_law(problem, land)
    found = [Gain(what, 1 - seconds_by_law(better, land) / now) for what, better in _better(problem)]
    return tuple(sorted((gain for gain in found if gain.share >= _LEAST_GAIN), key=lambda gain: -gain.share))


def _better(problem: Problem) -> Iterator[tuple[str, Problem]]:
    seconds, given = problem.profile.seconds, problem.imperfect
    for event in ("inference", "perturbation", "write", "load", "latency"):
        value = getattr(seconds, event)
        if value:
            half = problem.profile.model_copy(update={"seconds": seconds.model_copy(update={event: value / 2})})
            yield f"half the time of {event}", problem.with_profile(half)
    noisy = {
        name: given[name] / 2 for name in ("cost-noise", "cost-noise-relative", "flicker-noise") if given.get(name)
    }
    if noisy:
        yield "half the noise", problem.with_imperfect(**noisy)
    if problem.delay:
        half = problem.delay // 2
        yield f"a delay of {half} instead of {problem.delay} measurements", problem.with_imperfect(delay=half)
    if problem.settling:
        yield "half the settling time", problem.with_imperfect(settling=problem.settling / 2)
    for name, what in (("adc-bits", "one more bit of the ADC"), ("dac-bits", "one more bit of the DACs")):
        if name in given:
            yield what, problem.with_imperfect(**{name: given[name] + 1})
    if problem.profile.buffer is not None:
        buffer = 2 * problem.profile.buffer
        yield (
            f"a buffer of {buffer} samples",
            problem.with_profile(problem.profile.model_copy(update={"buffer": buffer})),
        )
    if problem.profile.presentation_seconds is not None:
        longer = {"presentation_seconds": 2 * problem.profile.presentation_seconds}
        yield "samples that stay twice as long", problem.with_profile(problem.profile.model_copy(update=longer))


def _others(
    problem: Problem, land: Landscape, structure: Structure, now: Guess, field: str, choices: tuple[str, ...]
) -> str:
    said = []
    for name in choices:
        if name != getattr(structure, field):
            said.append(f"{name} {_beside(problem, land, structure, now, **{field: name})}")
    return ", ".join(said)


def _beside(problem: Problem, land: Landscape, structure: Structure, now: Guess, **changes: object) -> str:
    """How much longer another structure takes by the law."""
    changed = replace(structure, **changes)
    stay = problem.profile.presentation_seconds
    if stay is not None and not problem.fits(changed.windows(problem.n_params)):
        return f"does not fit in the {format_seconds(stay)} for which a sample stays"
    other = guess_of(problem, land, changed).seconds / now.seconds
    if not math.isfinite(other):
        return "never gets there by the law"
    if 1 / AS_GOOD < other < AS_GOOD:
        return "takes as long by the law"
    return f"takes {other:.2f} times as long by the law"


def _took(problem: Problem, event: str) -> str:
    return format_seconds(getattr(problem.profile.seconds, event))
