"""What late costs leave of a window: whose signals are in the costs of a perturbation. Derived in docs/plan.md."""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ._hold import hold_for

# Of a step in the cost, what is still missing after the measurements that are looked back at.
_LEFT = 1e-6


class Late(NamedTuple):
    r"""What C̃ consists of, in the mean over the perturbations of a presentation; each number may be an array.

    All but γ are sums of squares of shares. What all perturbations of a presentation have in common, through their
    baseline, is apart, since orthogonal codes cancel it.

    Attributes:
        seen: γ, the share of a perturbation's own signal. It is negative where readings with one sign are taken for
            those with the other.
        others: χ_o, of the signals of other perturbations.
        others_shared: χ_s, of those in what is shared.
        samples: ψ_o, of the costs of presentations.
        samples_shared: ψ_s, of those in what is shared.
        steady: μ, of what every perturbation adds to the cost alike.
    """

    seen: Any
    others: Any
    others_shared: Any
    samples: Any
    samples_shared: Any
    steady: Any


ON_TIME = Late(seen=1.0, others=0.0, others_shared=0.0, samples=0.0, samples_shared=0.0, steady=1.0)


def late_of(held: Any, tau_p: Any, two_sided: Any, *, delay: int, settling: float) -> Late:
    r"""What C̃ consists of, if the cost that is read is that of k measurements earlier and settles with τ.

    $$R_m = \sum_{l \ge k} (1 - r)\, r^{l-k}\, C_{m-l}, \qquad r = e^{-1/\tau}$$

    A presentation is a baseline and n perturbations of τ_p measurements each; two-sided, it is n perturbations of 2τ_p
    measurements, plus and minus in turn. All presentations are alike.

    Args:
        held: n, the perturbations of a presentation.
        tau_p: the timesteps of a perturbation.
        two_sided: whether each is measured with both signs.
        delay: k, in measurements.
        settling: τ, in measurements.

    >>> round(float(late_of(8, 3, False, delay=1, settling=0.0).seen), 3)
    0.667
    >>> round(float(late_of(8, 3, True, delay=1, settling=0.0).seen), 3)  # plus is taken for minus
    -0.833
    """
    if not (delay or settling):
        return ON_TIME
    kinds = np.stack(np.broadcast_arrays(held, tau_p, two_sided)).astype(np.int64)
    unique, where = np.unique(kinds.reshape(3, -1), axis=1, return_inverse=True)
    found = np.array([_late(n, tau, bool(both), delay, float(settling)) for n, tau, both in unique.T.tolist()])
    return Late(*found.T[:, where.ravel()].reshape(len(Late._fields), *kinds.shape[1:]))


@lru_cache(maxsize=2**13)
def _late(held: int, tau_p: int, two_sided: bool, delay: int, settling: float) -> Late:
    each, first = (2 * tau_p, 0) if two_sided else (tau_p, 1)
    back = delay + hold_for(delay, settling, left=_LEFT) - 1
    # The last of these sees nothing of the presentation before but through the baseline, and stands for those after it.
    places = min(held, 2 + back // each)
    counted = np.ones(places)
    counted[-1] += held - places
    costs = _costs(places, each, two_sided, delay, settling, back)
    presentation, at = np.divmod(np.arange(-back, first + places * each), first + held * each)
    sign = 1 - 2 * (at % 2) if two_sided else (at >= first).astype(int)
    signals = _sums(costs * sign, presentation * held + (at - first) // each)
    before, within = signals[:, :-places], signals[:, -places:]
    seen = within[0, 0]
    np.fill_diagonal(within, 0.0)
    others, others_shared = _split(before, counted)
    samples, samples_shared = _split(_sums(costs, presentation), counted)
    return Late(
        seen=seen,
        others=others + (counted @ within**2).sum() / held,
        others_shared=others_shared,
        samples=samples,
        samples_shared=samples_shared,
        steady=counted @ (costs @ sign**2) ** 2 / held,
    )


def _costs(
    places: int, each: int, two_sided: bool, delay: int, settling: float, back: int
) -> Float[np.ndarray, "places measurements"]:
    """The factors of costs in the C̃ of the first perturbations, from `back` measurements before the presentation on."""
    first = 0 if two_sided else 1
    read = np.zeros((places, back + first + places * each))
    for place in range(places):
        start = back + first + place * each
        read[place, start : start + each] = 1 / each
    if two_sided:
        read[:, back + 1 :: 2] *= -1
    else:
        read[:, back] = -1.0
    costs = np.zeros_like(read)
    costs[:, : read.shape[1] - delay] = read[:, delay:]
    r = math.exp(-1 / settling) if settling else 0.0
    costs *= 1 - r
    for n in range(costs.shape[1] - 2, -1, -1):
        costs[:, n] += r * costs[:, n + 1]
    return costs


def _sums(factors: Float[np.ndarray, "places n"], what: np.ndarray) -> Float[np.ndarray, "places m"]:
    """The sums of columns that stand for the same thing; such columns are side by side."""
    return np.add.reduceat(factors, np.flatnonzero(np.diff(what, prepend=what[0] - 1)), axis=1)


def _split(factors: Float[np.ndarray, "places n"], counted: Float[np.ndarray, " places"]) -> tuple[float, float]:
    """The mean squares of what places have for themselves, and of what is common to all."""
    mean = counted @ factors / counted.sum()
    return float((counted @ (factors - mean) ** 2).sum() / counted.sum()), float((mean**2).sum())
