"""How far the cost stays linear along a code, and how it bends. Nothing here imports JAX."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ._calibration import Quantity

# The slope along a code may differ by this much from that at zero.
TOLERANCE = 0.1
# The least amplitudes in a fit, and what of the odd part it may leave unexplained.
_FEWEST, _LEFT = 4, 0.03
# Times what the slope promises by which the next response may be larger; the cubic of a range that fits adds half.
_LEAP = 2.5


@dataclass(frozen=True)
class Range:
    """The results of costs at ± a ladder of amplitudes.

    Attributes:
        slope: root mean square of g·s over codes s: ‖∇C‖.
        quadratic: root mean square of sᵀHs.
        cubic: β, relative error of the slope at amplitude 1 over its square.
        linear: amplitude at which the slope is wrong by `TOLERANCE`; not beyond the largest tried.
        smallest: the smallest amplitude that the fit holds at.
        largest: the largest.
    """

    slope: Quantity
    quadratic: Quantity
    cubic: Quantity
    linear: Quantity
    smallest: float
    largest: float


def range_of(
    amplitudes: Float[np.ndarray, " rungs"],
    odd: Float[np.ndarray, "codes rungs"],
    even: Float[np.ndarray, "codes rungs"],
    *,
    odd_error: float,
    even_error: float,
) -> Range:
    r"""Slope, second and third order along codes, from parts of the cost that are odd and even in the amplitude.

    $$\tfrac12 [C(a) - C(-a)] = a\,u + a^3 w, \qquad \tfrac12 [C(a) + C(-a)] - C(0) = \tfrac12 a^2 h + a^4 z$$

    for each code, over the widest range of amplitudes that this fits within the noise and 3 %; beyond it higher orders
    count, below it steps of the parameters may: a range is none if the next larger amplitude shows far more than its
    slope promises. Squares are freed of the noise's share; errors are from leaving out
    one code at a time.

    Args:
        amplitudes: rising.
        odd: first left side, for each code and amplitude.
        even: the second.
        odd_error: noise of each of the first.
        even_error: and of the second.

    Raises:
        ValueError: if the slope is lost in the noise.
    """
    low, high = _window(amplitudes, odd, odd_error)
    a = amplitudes[low:high]
    u, w, var_u, var_w = fit(a, a**3, odd[:, low:high], odd_error)
    h, _, var_h, _ = fit(a**2 / 2, a**4, even[:, low:high], even_error)

    def root(values: np.ndarray, variance: float) -> Callable[[np.ndarray], float]:
        return lambda keep: math.sqrt(max(0.0, float(np.mean(values[keep] ** 2)) - variance))

    slope, quadratic, bend = root(u, var_u), root(h, var_h), root(w, var_w)
    everything = np.arange(len(u))
    if slope(everything) <= 3 * math.sqrt(var_u / len(u)):
        raise ValueError(
            f"the slope of the cost is lost in its noise of {odd_error:.3g} up to an amplitude of {a[-1]:g}"
        )

    def cubic(keep: np.ndarray) -> float:
        return bend(keep) / max(slope(keep), 1e-300)

    def linear(keep: np.ndarray) -> float:
        beta = cubic(keep)
        return min(float(a[-1]), math.sqrt(TOLERANCE / beta) if beta else math.inf)

    parts = (slope, quadratic, cubic, linear)
    return Range(*(_jackknife(part, len(u)) for part in parts), smallest=float(a[0]), largest=float(a[-1]))


def _window(amplitudes: np.ndarray, odd: np.ndarray, error: float) -> tuple[int, int]:
    """The widest range of rungs over which the odd part shows and is a u + a³ w; of equally wide ones the highest."""
    rungs, least = len(amplitudes), (math.inf, 0, min(_FEWEST, len(amplitudes)))
    for width in range(rungs, min(_FEWEST, rungs) - 1, -1):
        for low in range(rungs - width, -1, -1):
            a = amplitudes[low : low + width]
            part = odd[:, low : low + width]
            u, w, variance, _ = fit(a, a**3, part, error)
            if np.mean(u**2) < variance * (1 + 4 * math.sqrt(2 / len(u))):
                continue  # nothing shows there
            if low + width < rungs and _leaps(u * amplitudes[low + width], odd[:, low + width], error):
                continue  # what shows is less than a step
            rest = part - np.outer(u, a) - np.outer(w, a**3)
            noise = error * (1 + 3 / math.sqrt(2 * len(u)))
            allowed = np.hypot(noise, _LEFT * np.sqrt(np.mean(part**2, axis=0)))
            if np.all(np.sqrt(np.mean(rest**2, axis=0)) <= allowed):
                return low, low + width
            least = min(least, (float(np.mean(rest**2) / np.mean(part**2)), low, low + width))
    # No range fits: the one with the smallest residual.
    return least[1:]


def _leaps(expected: np.ndarray, found: np.ndarray, error: float) -> bool:
    """Whether a response is far larger than the slope at smaller amplitudes promises: there, levels hid it."""
    noise = 4 * error**2 * math.sqrt(2 / len(found))
    return float(np.mean(found**2)) - error**2 - noise > _LEAP**2 * float(np.mean(expected**2))


def fit(x: np.ndarray, y: np.ndarray, values: np.ndarray, error: float) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Least squares of each row on x and y: both coefficients, and their variances."""
    design = np.stack([x, y], axis=1)
    scale = np.linalg.norm(design, axis=0)
    inverse = np.linalg.inv((design / scale).T @ (design / scale))
    found = inverse @ (design / scale).T @ values.T / scale[:, None]
    variance = np.diag(inverse) * error**2 / scale**2
    return found[0], found[1], float(variance[0]), float(variance[1])


def _jackknife(statistic: Callable[[np.ndarray], float], n: int) -> Quantity:
    """A statistic of all, and its standard error from leaving out one at a time."""
    whole = np.arange(n)
    without = np.array([statistic(np.delete(whole, k)) for k in range(n)])
    return Quantity.of(statistic(whole), math.sqrt((n - 1) * float(np.var(without))))
