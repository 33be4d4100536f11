"""The noise of a record of costs, and the step of its readout. Nothing here imports JAX."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ._calibration import Quantity

# Steps of float32 below which a difference of costs is taken for rounding.
_ROUNDING = 8
_EPSILON = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Noise:
    """The results of a record of repeated costs.

    Attributes:
        cost: their mean.
        white: standard deviation of what is independent from one measurement to the next.
        slow: standard deviation, over the record, of all that is not.
        drift: slope, per measurement.
        lengths: averaging lengths, in measurements.
        deviations: the Allan deviation at each.
    """

    cost: Quantity
    white: Quantity
    slow: Quantity
    drift: Quantity
    lengths: tuple[int, ...]
    deviations: tuple[float, ...]


@dataclass(frozen=True)
class Sigma:
    """The noise of one cost.

    Attributes:
        white: what repeats average away.
        fixed: what they do not: rounding, and the readout's step where no noise covers it.
    """

    white: float
    fixed: float

    @property
    def one(self) -> float:
        """Of one measurement."""
        return math.hypot(self.white, self.fixed)

    def of_mean(self, repeats: int) -> float:
        """Of a mean of repeats."""
        return math.hypot(self.white / math.sqrt(repeats), self.fixed)


def noise_of(costs: Float[np.ndarray, " n"]) -> Noise:
    r"""The noise of costs measured one after the other with nothing changed.

    $$\sigma_\text{white}^2 = \tfrac12 \langle (C_{n+1} - C_n)^2 \rangle, \qquad
      \sigma_\text{slow}^2 = s^2 - \sigma_\text{white}^2$$

    with s² the variance of the record. For white noise alone the first has the variance (3N − 4)/(N − 1)² σ⁴, and the
    second the mean 0 and the variance σ⁴/N (von Neumann 1941), which are the standard errors; a slow part of few
    swings is itself one draw of many, which its standard error, of √2 σ_slow² more, allows for.

    Raises:
        ValueError: if there are fewer than 16.

    References:
        von Neumann, *Ratio of the mean square successive difference to the variance*, Ann. Math. Statist. 12 (1941).
        Allan, *Statistics of atomic frequency standards*, Proc. IEEE 54, 221 (1966).
    """
    n = len(costs)
    if n < 16:
        raise ValueError(f"a record of noise needs 16 costs or more, got {n}")
    white = float(np.mean(np.diff(costs) ** 2) / 2)
    total = float(np.var(costs, ddof=1))
    slow, slow_error = max(0.0, total - white), math.hypot(total / math.sqrt(n), math.sqrt(2) * max(0.0, total - white))
    lengths = tuple(2**k for k in range(int(math.log2(n // 8)) + 1))
    sigma = math.sqrt(white)
    return Noise(
        cost=Quantity.of(np.mean(costs), math.sqrt((white + n * slow) / n)),
        white=Quantity.of(sigma, sigma * math.sqrt(3 * n - 4) / (n - 1) / 2),
        slow=Quantity.of(math.sqrt(slow), _root_error(slow, slow_error)),
        drift=_slope(costs),
        lengths=lengths,
        deviations=tuple(allan_deviation(costs, length) for length in lengths),
    )


def allan_deviation(costs: Float[np.ndarray, " n"], length: int) -> float:
    r"""$$\sqrt{\tfrac12 \langle (\bar C_{k+1} - \bar C_k)^2 \rangle}$$ over neighbouring means of `length` costs.

    White noise: σ/√length.
    """
    means = costs[: len(costs) // length * length].reshape(-1, length).mean(axis=1)
    return math.sqrt(float(np.mean(np.diff(means) ** 2)) / 2)


def resolution(distinct: Float[np.ndarray, " n"]) -> float | None:
    """The step of the readout if costs lie on a grid coarser than float32; None if they do not.

    The smallest difference of two distinct costs is taken for the step; it is one if every other difference of
    neighbours is a whole multiple of it.
    """
    values = np.unique(np.asarray(distinct, np.float64))
    if len(values) < 4:
        return None
    gaps = np.diff(values)
    # float32 of the cost, and of the readout's own arithmetic.
    rounding = 4 * _EPSILON * float(np.abs(values).max())
    if gaps.min() <= _ROUNDING * rounding / 4:
        return None
    steps = np.round(gaps / gaps.min())
    step = float(gaps.sum() / steps.sum())
    return step if np.all(np.abs(gaps - steps * step) <= rounding) else None


def float_floor(cost: float) -> float:
    """The error of a cost of that size in float32."""
    return _EPSILON * abs(cost)


def _slope(costs: Float[np.ndarray, " n"]) -> Quantity:
    """Least squares over means of blocks, whose scatter has the slow noise in it."""
    blocks = 16
    means = costs[: len(costs) // blocks * blocks].reshape(blocks, -1).mean(axis=1)
    at = (np.arange(blocks) - (blocks - 1) / 2) * (len(costs) // blocks)
    slope = float(at @ means / (at @ at))
    rest = means - means.mean() - slope * at
    return Quantity.of(slope, math.sqrt(float(rest @ rest) / (blocks - 2) / float(at @ at)))


def _root_error(square: float, error: float) -> float:
    """The standard error of a square root; at zero, the root of the square's."""
    return error / (2 * math.sqrt(square)) if square > error else math.sqrt(error)
