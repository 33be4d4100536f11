"""How late a cost comes and how it settles, by correlation with a code. Nothing here imports JAX."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ._calibration import Quantity

# Largest delay looked for, in measurements.
LAGS = 64
_SIGNIFICANT = 2.0


@dataclass(frozen=True)
class Timing:
    """The results of the response to a code.

    Attributes:
        delay: measurements from a perturbation to the first cost that shows it; its error is 0 or 1.
        settling: τ of the way to the final cost, in measurements.
        response: change in cost of the whole response, half of it from + to −.
        kernel: response at each lag.
        kernel_error: standard error of each.
    """

    delay: Quantity
    settling: Quantity
    response: float
    kernel: Float[np.ndarray, " lags"]
    kernel_error: float

    @property
    def seen(self) -> bool:
        """Whether the response stands out: its largest lag by eight standard errors, in a hundred of noise never."""
        return float(np.abs(self.kernel).max()) > 8 * self.kernel_error


def timing_of(
    code: Float[np.ndarray, " n"], costs: Float[np.ndarray, " n"], *, lags: int, floor: float = 0.0
) -> Timing:
    r"""Delay and settling from the costs that a code of ±1 along one direction gave.

    The cost takes two values only, however nonlinear the chip is, so it is linear in the code:

    $$C_n = c + \sum_{l=0}^{L-1} h_l\, b_{n-l} + \text{noise}, \qquad
      h_l = A (1 - r)\, r^{\,l-k} \text{ for } l \ge k, \qquad \tau = -1/\ln r$$

    h is found by least squares, with a straight line for slow drift; k and r by least squares on h.

    Args:
        code: b, of ±1, independent from one measurement to the next.
        costs: C.
        lags: L; the first L costs are left out.
        floor: error of a cost by rounding.
    """
    n = len(costs) - lags + 1
    columns = [code[lags - 1 - lag : len(code) - lag] for lag in range(lags)]
    trend = np.linspace(-1, 1, n)
    design = np.stack([*columns, np.ones(n), trend, trend**2], axis=1)
    # Random signs are nearly orthogonal: the normal equations are safe, and cheap.
    found = np.linalg.solve(design.T @ design, design.T @ costs[lags - 1 :])
    rest = costs[lags - 1 :] - design @ found
    error = math.hypot(math.sqrt(float(rest @ rest) / (n - design.shape[1])), floor) / math.sqrt(n)
    kernel = found[:lags]
    fits = [_fit(kernel, k) for k in range(lags)]
    k = min(range(lags), key=lambda k: fits[k][0])
    misfit, r, scale = fits[k]
    others = min(fits[other][0] for other in range(lags) if other != k) if lags > 1 else math.inf
    certain = others - misfit > 25 * error**2
    return Timing(Quantity.of(k, 0.0 if certain else 1.0), _constant(kernel, k, r, scale, error), scale, kernel, error)


def _shape(r: float, length: int) -> Float[np.ndarray, " lags"]:
    return (1 - r) * r ** np.arange(length)


def _fit(kernel: Float[np.ndarray, " lags"], k: int) -> tuple[float, float, float]:
    """Misfit, r and A for a delay of k: the best r of a grid, twice refined."""
    best, low, high = (math.inf, 0.0, 0.0), 0.0, 0.98
    before = float(kernel[:k] @ kernel[:k])
    for _ in range(3):
        grid = np.linspace(low, high, 24)
        shapes = (1 - grid[:, None]) * grid[:, None] ** np.arange(len(kernel) - k)
        along = shapes @ kernel[k:]
        gain = along**2 / np.sum(shapes**2, axis=1)
        r = int(np.argmax(gain))
        scale = float(along[r] / (shapes[r] @ shapes[r]))
        rest = kernel[k:] - scale * shapes[r]
        best = min(best, (before + float(rest @ rest), float(grid[r]), scale))
        low, high = max(0.0, best[1] - (grid[1] - grid[0])), min(0.98, best[1] + (grid[1] - grid[0]))
    return best


def _constant(kernel: Float[np.ndarray, " lags"], k: int, r: float, scale: float, error: float) -> Quantity:
    """τ with the standard error that the misfit's curvature in (A, r) gives r."""
    step, length = 1e-4, len(kernel) - k
    by_r = scale * (_shape(r + step, length) - _shape(r, length)) / step
    by_scale = _shape(r, length)
    across = by_r - by_scale * float(by_r @ by_scale / (by_scale @ by_scale))
    error_r = error / max(math.sqrt(float(across @ across)), 1e-300)
    if r < _SIGNIFICANT * error_r or r < 1e-3:
        return Quantity.of(0.0, -1 / math.log(min(max(error_r, 1e-12), 0.9)))
    return Quantity.of(-1 / math.log(r), error_r / (r * math.log(r) ** 2))
