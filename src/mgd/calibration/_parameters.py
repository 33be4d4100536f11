"""The slope of the cost along each parameter, by codes, and the gain of perturbations."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt32

from .._counter import Counter
from ..perturbations import Walsh
from ._prober import Batch

# Standard errors by which a response must stand out.
STANDS_OUT = 5.0
# A part of the root mean square response below which a code's answer is checked one parameter at a time: codes mix
# a share of the third order of other parameters into each.
_SMALL = 0.1
_MOST_NUMBERS = 2_000_000


@dataclass(frozen=True)
class Point:
    """Where a chip is measured: parameters, and a batch in front of it."""

    theta: Float[np.ndarray, " p"]
    batch: Batch


@dataclass(frozen=True)
class Response:
    """The response of each parameter at one point, cost per unit.

    Attributes:
        slope: of each parameter.
        error: standard error of each, from the scatter of repeats over all parameters.
    """

    slope: Float[np.ndarray, " p"]
    error: float


def codes_together(n_params: int) -> int:
    """Codes that are made, and measured, at a time."""
    return max(1, _MOST_NUMBERS // n_params)


class Codes:
    """Walsh codes of ±1: exactly orthogonal over a period, so that no first order of another parameter mixes in.

    Args:
        n_params: P.
        seed: two words.
    """

    def __init__(self, n_params: int, seed: UInt32[np.ndarray, " 2"]):
        walsh, self.n_params = Walsh(amplitude=1.0), n_params
        words = jnp.asarray(seed, jnp.uint32)
        self.period = walsh.period(n_params)
        self.size = min(self.period, codes_together(n_params))
        self._rows = jax.jit(
            lambda period, start: jax.vmap(
                lambda k: walsh(
                    Counter.of(0).plus(period * jnp.uint32(self.period) + start + k), seed=words, n_params=n_params
                )
            )(jnp.arange(self.size, dtype=jnp.uint32))
        )

    def rows(self, period: int) -> Iterator[Float[np.ndarray, "k p"]]:
        """The codes of one period, piece by piece."""
        for start in range(0, self.period, self.size):
            rows = np.asarray(self._rows(np.uint32(period), np.uint32(start)))
            yield rows[: self.period - start]


def response(
    measure: Callable[[np.ndarray], np.ndarray], codes: Codes, amplitude: float, periods: range, *, cost_error: float
) -> Response:
    r"""The slope along each parameter from both signs of every code, and its error from the scatter of periods.

    $$G_i = \frac{1}{N a} \sum_{m=1}^{N} \tfrac12 [C(a s_m) - C(-a s_m)]\, s_{im}$$

    Args:
        measure: costs with each of these changes on the parameters.
        codes: s.
        amplitude: a.
        periods: two or more; each has other signs, by which what codes mix in changes sign too.
        cost_error: standard deviation of one cost, the least that errors are taken for.
    """
    slopes = []
    for period in periods:
        total = np.zeros(codes.n_params)
        for rows in codes.rows(period):
            both = np.stack([rows, -rows], axis=1).reshape(-1, codes.n_params) * np.float32(amplitude)
            plus, minus = measure(both).reshape(-1, 2).T
            total += rows.T.astype(np.float64) @ ((plus - minus) / 2)
        slopes.append(total / (codes.period * amplitude))
    repeats = len(slopes)
    scatter = float(np.mean(np.var(slopes, axis=0, ddof=1))) if repeats > 1 else 0.0
    least = cost_error**2 / (2 * codes.period * amplitude**2)
    return Response(np.mean(slopes, axis=0), math.sqrt(max(scatter, least) / repeats))


def suspects(responses: list[Response]) -> list[int]:
    """Parameters whose response does not stand out, or is small, at each point; the least one first."""
    n = len(responses[0].slope)
    clear, most = np.zeros(n, bool), np.zeros(n)
    for one in responses:
        size, typical = np.abs(one.slope), math.sqrt(float(np.mean(one.slope**2)))
        clear |= (size > STANDS_OUT * one.error) & (size > _SMALL * typical)
        most = np.maximum(most, size / one.error if one.error else np.where(size > 0, np.inf, 0.0))
    return sorted(np.flatnonzero(~clear).tolist(), key=lambda i: most[i])


def gains(
    wiggled: list[Response], written: list[Response], *, mixed: float = 0.0
) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
    r"""Applied over intended perturbation: the response to one over that to a write of the same size.

    $$\hat\gamma_i = \frac{\sum_p G_{ip} W_{ip}}{\sum_p (W_{ip}^2 - \sigma_p^2)}$$

    over points p, NaN where the write's response does not stand out by ten standard errors. Codes mix a share m of
    other parameters' third order into each slope, the same in all repeats; in the ratio it is the same above and below
    for γ = 1, and what gains change of it, 2m⟨|γ − 1|⟩ of the root mean square slope, is counted as an error.

    Args:
        wiggled: responses to perturbations.
        written: and to writes.
        mixed: m.
    """
    g, w = (np.array([one.slope for one in many]) for many in (wiggled, written))
    g_error, w_error = (np.array([[one.error] for one in many]) for many in (wiggled, written))
    total = np.sum(w**2, axis=0)
    clear = total > np.maximum(100 * np.mean(w_error**2), 1e-300)
    below = np.where(clear, total - np.sum(w_error**2), 1.0)
    gain = np.sum(g * w, axis=0) / below
    if clear.any():
        change = 2 * mixed * float(np.median(np.abs(gain[clear] - 1)))
        g_error = np.hypot(g_error, change * np.sqrt(np.mean(w**2, axis=1, keepdims=True)))
    error = np.sqrt(np.sum((g_error * w) ** 2, axis=0) + gain**2 * np.sum((w_error * w) ** 2, axis=0)) / below
    return np.where(clear, gain, np.nan), np.where(clear, error, np.nan)
