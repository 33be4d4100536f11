"""What studies need of statistics: intervals of fractions and of medians, and times that may never come."""

import numpy as np
from scipy import stats

_Z = 1.959964  # 95 % of a normal law, two-sided
_DRAWS = 2000
# The coordinate of what has an interval.
BOUND = ("bound", np.arange(3), {"long_name": "0: the value; 1 and 2: ends of its 95 % interval"})


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a fraction.

    Args:
        successes: how many of n.
        n: at least 1.

    >>> [round(float(x), 3) for x in wilson(9, 10)]
    [0.596, 0.982]

    References:
        E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    fraction, spread = successes / n, _Z**2 / n
    middle = fraction + spread / 2
    half = np.sqrt(spread * (fraction * (1 - fraction) + spread / 4))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def student_half(deviation: np.ndarray | np.floating | float, n: int) -> np.ndarray:
    """Half of Student's 95 % interval of a mean of n values of this standard deviation; 0 for one value.

    >>> round(float(student_half(1.0, 4)), 3)
    1.591
    """
    student = float(stats.t.ppf(0.975, n - 1)) if n > 1 else 0.0
    return student * np.asarray(deviation) / np.sqrt(n)


def first_time(values: np.ndarray, at: np.ndarray, threshold: float) -> np.ndarray:
    """When values first are at least the threshold; infinite if they never are.

    Args:
        values: over (…, time).
        at: the times.
        threshold: that is to be reached.

    >>> first_time(np.array([[0.1, 0.9, 0.2], [0.1, 0.2, 0.3]]), np.array([0, 10, 20]), 0.5).tolist()
    [10.0, inf]
    """
    there = values >= threshold
    return np.where(there.any(-1), np.asarray(at, float)[np.argmax(there, -1)], np.inf)


def median(times: np.ndarray) -> tuple[float, float, float]:
    """The median of times, some of which may be infinite, and its bootstrap 95 % interval."""
    return _with_interval(_resampled(times, 0), times)


def in_words(time: np.ndarray) -> str:
    """A time and its interval.

    >>> in_words(np.array([2000.0, 1500.0, np.inf]))
    '2,000 [1,500, never]'
    """
    middle, low, high = (f"{t:,.0f}" if np.isfinite(t) else "never" for t in time)
    return f"{middle} [{low}, {high}]"


def median_ratio(times: np.ndarray, reference: np.ndarray) -> tuple[float, float, float]:
    """Median over median of reference, and the bootstrap 95 % interval; infinite where most never arrive.

    Args:
        times: of one group of chips.
        reference: of another, most of which arrive.

    Raises:
        ValueError: if most of the reference never arrive.
    """
    if not np.isfinite(np.median(reference)):
        raise ValueError("most of the reference never arrive: there is no median to compare with")
    draws = _resampled(times, 0) / _resampled(reference, 1)
    return _with_interval(draws, times, float(np.median(reference)))


def _resampled(times: np.ndarray, seed: int) -> np.ndarray:
    """Medians of samples drawn again from these times."""
    rows = np.random.default_rng(seed).integers(0, len(times), (_DRAWS, len(times)))
    return np.median(times[rows], axis=1)


def _with_interval(draws: np.ndarray, times: np.ndarray, unit: float = 1.0) -> tuple[float, float, float]:
    # Quantiles that are members of the sample: between a number and infinity there is nothing to interpolate.
    low, high = np.quantile(draws, [0.025, 0.975], method="inverted_cdf")
    return float(np.median(times)) / unit, float(low), float(high)
