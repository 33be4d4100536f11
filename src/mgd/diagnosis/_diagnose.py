"""All causes that are looked for, the one that explains most first."""

from collections.abc import Callable
from functools import partial

from ._case import Case
from ._finding import Finding
from ._outputs import neurons_are_saturated, targets_out_of_reach
from ._parameters import starts_at_a_limit, writes_are_lost
from ._rates import rate_too_high, rate_too_low
from ._signal import (
    cost_never_moves,
    costs_come_late,
    no_effect_of_small_changes,
    perturbation_below_a_level,
    readout_does_not_show,
    signal_under_noise,
)

Cause = Callable[[Case], Finding | None]

# What is true of the chip and the samples comes before what is true of the settings; what is found at the start comes
# before what may be its consequence now.
_CAUSES: tuple[Cause, ...] = (
    targets_out_of_reach,
    perturbation_below_a_level,
    no_effect_of_small_changes,
    readout_does_not_show,
    starts_at_a_limit,
    neurons_are_saturated,
    cost_never_moves,
    costs_come_late,
    signal_under_noise,
    writes_are_lost,
)
# These take a few updates, or are consequences.
_DEARER: tuple[Cause, ...] = (
    rate_too_high,
    rate_too_low,
    partial(neurons_are_saturated, at_end=True),
    partial(signal_under_noise, at_end=True),
)


def diagnose_case(case: Case, *, first: bool = False) -> list[Finding]:
    """The causes for which a run does not learn; none if it has learnt.

    Args:
        case: the run.
        first: whether only the first cause is wanted.
    """
    found: list[Finding] = []
    if case.learnt:
        return found
    for cause in (*_CAUSES, *_DEARER):
        one = cause(case)
        if one is not None and one.name not in {other.name for other in found}:
            found.append(one)
            if first:
                break
    return found
