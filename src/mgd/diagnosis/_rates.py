"""Causes in the learning rate."""

from ..theory import growth
from ._case import Case
from ._finding import Finding
from ._trials import FACTORS, Trials

# Standard errors by which one cost is above another for certain.
_SURELY = 3.0
# A rate is too low if so many times as much lowers the cost by so many times as much.
_TIMES = 4.0
# Of the cost at the start, what all updates to the end would take away at least, at a rate that is not too low.
_FALL = 0.2
# A rate is too high if updates raise the cost to so many times what it was, and one that is lower leaves at most this
# part of it. Sample by sample, some rates with which XOR is learnt raise it by a tenth at first.
_RAISED, _WORSE = 1.25, 0.9
_FEWEST_UPDATES = 100
_LOWER = tuple(factor for factor in FACTORS if factor < 1)
_HIGHER = tuple(factor for factor in FACTORS if factor > 1)


def rate_too_high(case: Case) -> Finding | None:
    """Updates that raise the cost, where smaller ones lower it, or that do not lower it at all."""
    trials = case.trials
    if trials is None:
        return None
    here, error = trials.mean(1.0)
    lower = min(_LOWER, key=lambda factor: trials.mean(factor)[0])
    there, its_error = trials.mean(lower)
    raised = here > _RAISED * trials.before and here - trials.before > _SURELY * error
    better = there < _WORSE * here and here - there > _SURELY * (error + its_error)
    if not (raised and better) or case.fell:
        return None
    reached = (
        f"from {trials.before:.3g} to {here:.3g}" if here < float("inf") else f"from {trials.before:.3g} to infinity"
    )
    return Finding(
        "rate-high",
        f"the learning rate is too high for the window: the first {trials.updates} updates raise the cost {reached}"
        + _length_of_g(case),
        f"a learning rate of {_named(lower)} of it, or a longer tau_theta",
    )


def rate_too_low(case: Case) -> Finding | None:
    """Updates that lower the cost by much less than larger ones would, and come to nothing by the planned end."""
    trials = case.trials
    if trials is None or case.updates < _FEWEST_UPDATES:
        return None
    fall, error = trials.fall(1.0)
    best = max(_HIGHER, key=lambda factor: trials.fall(factor)[0])
    more, its_error = trials.fall(best)
    by_the_end = max(fall + _SURELY * error, 0.0) * case.planned / trials.updates
    if (
        more <= 0
        or by_the_end > _FALL * trials.before
        or more - _TIMES * fall <= _SURELY * (its_error + _TIMES * error)
    ):
        return None
    return Finding(
        "rate-low",
        f"the learning rate is too low: {trials.updates} updates lower the cost by {max(fall, 0.0):.2g} of "
        f"{trials.before:.3g}, and at a rate {best:g} times as large by {more:.2g}",
        f"a learning rate {_times_enough(trials, best):g} times as large",
    )


def _times_enough(trials: Trials, best: float) -> float:
    """The smallest of the rates tried that does nearly as well as the best."""
    return min(factor for factor in _HIGHER if trials.fall(factor)[0] >= 0.5 * trials.fall(best)[0])


def _named(factor: float) -> str:
    return f"1/{1 / factor:.0f}"


def _length_of_g(case: Case) -> str:
    """How much longer than the gradient G is."""
    algorithm = case.ask_tell
    if algorithm is None:
        return ""
    times = algorithm.time_constants
    window = max(1, times.tau_theta // times.tau_p)
    squared = float(growth(case.chip.n_sites, window))
    return (
        f" (G of {window:,} perturbations is {squared**0.5:.2g} times as long as the gradient)" if squared > 4 else ""
    )
