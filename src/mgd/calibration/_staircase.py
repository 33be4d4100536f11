"""The levels of a parameter, by the steps in the cost along it. Nothing here imports JAX."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

# A smooth curve is a polynomial of this degree.
_DEGREE = 5
# What a staircase must explain beyond a smooth curve, in χ²; and what each of its steps is charged, in logarithms of
# the number of points: a place and a height.
_CERTAIN, _CHARGE = 30.0, 4.5
# Standard deviations by which χ² may be above that of noise.
_WORST = 4.0
# Even levels are looked for of so many widths and places, and charged for it.
_WIDTHS, _PLACES, _CHARGE_EVEN = 96, 16, 15.0
# Steps so much wider are taken if χ² is larger by no more.
_WIDER, _AS_GOOD = 1.5, 15.0
# Of the largest change from one even level to the next, the smallest, where there are few.
_LEAST_CHANGE, _FEW = 0.2, 4
# The least points of a step: shorter ones are a matter for a finer look.
_SHORTEST = 4


@dataclass(frozen=True)
class Steps:
    """The steps of a cost along one parameter.

    Attributes:
        mean: the mean width of those that are seen whole.
        widest: the width of the widest.
        even: whether all are as wide, to the distance of points.
        jump: the median change in cost from one to the next.
        whole: how many are seen whole.
    """

    mean: float
    widest: float
    even: bool
    jump: float
    whole: int


@dataclass(frozen=True)
class Look:
    """The results of a look at the cost along one parameter.

    Attributes:
        steps: the steps, if at least one whole step is seen.
        flat: whether nothing changes, or once only: steps, if there are any, are wider.
        hidden: whether steps of a twelfth of what was looked at would not be seen in the noise.
    """

    steps: Steps | None
    flat: bool
    hidden: bool


def look(at: Float[np.ndarray, " k"], costs: Float[np.ndarray, " k"], error: float) -> Look:
    r"""Whether the cost along a parameter is a staircase, and how wide its steps are.

    The costs are described in three ways: by one polynomial of the parameter; by a polynomial of the parameter rounded
    to even levels, of the width and place that suit best; and as constant on n segments, whose ends are found by least
    squares (dynamic programming). With k points and χ² of each, the one of the last two that has the smaller

    $$\chi^2_\text{even} + 15 \quad\text{or}\quad \chi^2_n + 4.5 n \ln k$$

    is taken if that is less than χ² of the first by 30, and if no step is shorter than four points: the charges are
    for the places and heights that were looked for.

    Args:
        at: values of the parameter, evenly spaced and rising.
        costs: at each.
        error: standard error of each cost.

    >>> at = np.linspace(0.0, 1.0, 48)
    >>> look(at, np.floor((at + 0.03) / 0.2) * 0.2, 1e-3).steps.mean.__round__(1)
    0.2
    """
    k, apart = len(at), float(at[1] - at[0])
    error = max(error, 1e-12 * max(1.0, float(np.abs(costs).max())))
    position = np.linspace(-1, 1, k)
    smooth = np.polynomial.polynomial.polyfit(position, costs, _DEGREE)
    fitted = np.polynomial.polynomial.polyval(position, smooth)
    chi_smooth = float(np.sum((costs - fitted) ** 2)) / error**2
    rise = float(np.abs(np.diff(fitted)).sum())
    hidden = rise / 12 < 3 * error
    chi, ends = _segments(costs / error, k // _SHORTEST)
    charged = chi + _CHARGE * math.log(k) * np.arange(len(chi))
    n = int(np.argmin(charged))
    chi_even, width, jump = _even(position, costs / error)
    fits = k + _WORST * math.sqrt(2 * k)
    even = chi_even + _CHARGE_EVEN if chi_even <= fits else math.inf
    uneven = float(charged[n]) if chi[n] <= fits else math.inf
    if min(even, uneven) >= chi_smooth - _CERTAIN:
        # One curve is as good, or nothing is: what changes, if anything does, changes smoothly or in finer steps.
        return Look(None, flat=rise < 6 * error and chi_smooth <= fits, hidden=hidden)
    if even < uneven:
        wide = width * (k - 1) / 2 * apart
        return Look(Steps(wide, wide, True, jump * error, int(2 / width) - 1), flat=False, hidden=hidden)
    widths = np.diff(ends[n])
    if n <= 1:
        return Look(None, flat=True, hidden=hidden)
    if widths.min() < _SHORTEST - 1:
        return Look(None, flat=False, hidden=hidden)
    levels = np.array([part.mean() for part in np.split(costs, ends[n])])
    jump = float(np.median(np.abs(np.diff(levels))))
    alike = bool(widths.max() - widths.min() <= 2 + 0.1 * widths.mean())
    return Look(
        Steps(float(widths.mean()) * apart, float(widths.max()) * apart, alike, jump, len(widths)),
        flat=False,
        hidden=hidden,
    )


def _even(position: Float[np.ndarray, " k"], y: Float[np.ndarray, " k"]) -> tuple[float, float, float]:
    """The least sum of squares of a cubic of the position rounded to even levels; their width, and a change of y."""
    width, place, basis = _staircases(len(y))
    weights = np.einsum("mki,k->mi", basis, y)
    fitted = np.einsum("mki,mi->mk", basis, weights)
    chi = np.sum((y - fitted) ** 2, axis=1)
    # A staircase goes up or down at every step: one of few that does not would describe any change at one place.
    changes = np.abs(np.diff(fitted, axis=1))
    apart = np.floor(position / width[:, None] + place[:, None])
    at_steps = np.where(np.diff(apart, axis=1) > 0, changes, np.nan)
    many = np.isfinite(at_steps).sum(axis=1) > _FEW
    regular = np.nanmin(at_steps, axis=1) >= _LEAST_CHANGE * np.nanmax(at_steps, axis=1)
    chi = np.where(many | regular, chi, np.inf)
    best = int(np.argmin(chi))
    # Half as wide steps describe the same, two by two.
    wider = np.where((width > _WIDER * width[best]) & (chi <= chi[best] + _AS_GOOD), chi, np.inf)
    if np.isfinite(wider).any():
        best = int(np.argmin(wider))
    return float(chi[best]), float(width[best]), float(np.nanmedian(at_steps[best]))


@lru_cache(maxsize=4)
def _staircases(k: int) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"], Float[np.ndarray, "m k four"]]:
    """Widths and places of even levels, and orthonormal columns that span the cubics of each."""
    position = np.linspace(-1, 1, k)
    widths = np.geomspace(_SHORTEST, k / 2.4, _WIDTHS) * 2 / (k - 1)
    width, place = np.repeat(widths, _PLACES), np.tile(np.arange(_PLACES) / _PLACES, _WIDTHS)
    rounded = (np.floor(position / width[:, None] + place[:, None]) - place[:, None] + 0.5) * width[:, None]
    columns, values, _ = np.linalg.svd(rounded[..., None] ** np.arange(4), full_matrices=False)
    # Three levels span no cubic.
    return width, place, columns * (values > 1e-9 * values[:, :1])[:, None]


def _segments(y: Float[np.ndarray, " k"], most: int) -> tuple[Float[np.ndarray, " n"], list[list[int]]]:
    """The least sum of squares with 0, 1, … `most` changes of a constant, and where these are."""
    k = len(y)
    y = y - y.mean()
    sums, squares = np.concatenate([[0.0], np.cumsum(y)]), np.concatenate([[0.0], np.cumsum(y**2)])
    first, last = np.arange(k)[:, None], np.arange(1, k + 1)[None]
    lengths = np.maximum(last - first, 1)
    # Of the segment from first to before last.
    alone = np.where(last > first, squares[last] - squares[first] - (sums[last] - sums[first]) ** 2 / lengths, np.inf)
    alone = np.where(last > first, np.maximum(alone, 0.0), np.inf)
    best, came = [alone[0]], []
    for _ in range(most):
        through = best[-1][:-1, None] + alone[1:]
        came.append(np.argmin(through, axis=0))
        best.append(np.min(through, axis=0))
    places = []
    for n in range(most + 1):
        end, found = k - 1, []
        for back in range(n - 1, -1, -1):
            end = int(came[back][end])
            found.append(end + 1)
        places.append(found[::-1])
    return np.array([line[-1] for line in best]), places
