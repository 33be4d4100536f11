"""All causes that are looked for, the one that explains most first."""

from collections.abc import Callable

from .._train import Session
from ._case import Case
from ._finding import Finding
from ._learnt import has_learnt
from ._outputs import (
    neurons_are_saturated,
    neurons_became_saturated,
    targets_out_of_reach,
    targets_out_of_reach_for_certain,
)
from ._parameters import starts_at_a_limit, writes_are_lost
from ._rates import rate_too_high, rate_too_low
from ._signal import (
    cost_never_moves,
    costs_come_late,
    costs_come_late_for_certain,
    no_effect_of_small_changes,
    perturbation_below_a_level,
    readout_does_not_show,
    signal_now_under_noise,
    signal_under_noise,
)

Cause = Callable[[Case], Finding | None]

# What is true of the chip and the samples comes before what is true of the settings; what is found at the start comes
# before what may be its consequence now.
_CAUSES: tuple[Cause, ...] = (
    starts_at_a_limit,
    targets_out_of_reach,
    perturbation_below_a_level,
    no_effect_of_small_changes,
    readout_does_not_show,
    neurons_are_saturated,
    cost_never_moves,
    costs_come_late,
    signal_under_noise,
    writes_are_lost,
    # These take a few updates, or are consequences.
    rate_too_high,
    rate_too_low,
    neurons_became_saturated,
    signal_now_under_noise,
)


# What is found without a timestep of training.
_QUICK: tuple[Cause, ...] = (
    starts_at_a_limit,
    targets_out_of_reach_for_certain,
    perturbation_below_a_level,
    costs_come_late_for_certain,
)
# Runs that took less time, in seconds, and chips with more parameters, get no more than that when they end; runs of
# fewer updates nothing.
_SHORT, _LARGE, _FEW = 30.0, 100_000, 100


def diagnose(session: Session) -> list[Finding]:
    """The causes for which a run of simulated chips does not learn; none if it has learnt.

    Raises:
        ValueError: if the chips differ in numbers, so that one is not like the others.
    """
    if session.varied:
        raise ValueError(
            f"the chips of this run differ in {', '.join(session.varied)}: run those that do not learn by themselves, "
            "and diagnose that run"
        )
    if has_learnt(session):
        return []
    case, found = Case.of(session), dict[str, Finding]()
    for one in filter(None, (cause(case) for cause in _CAUSES)):
        found.setdefault(one.name, one)
    return list(found.values())


def first_finding(session: Session) -> Finding | None:
    """The first cause that is found soon after the end of a run: in about a second, or a part of the run's own time."""
    if session.chip is None or session.varied or session.n_params > _LARGE or has_learnt(session):
        return None
    case = Case.of(session)
    if case.updates < _FEW:
        return None
    causes = _QUICK if session.snapshot.seconds < _SHORT else _CAUSES
    return next(filter(None, (cause(case) for cause in causes)), None)
