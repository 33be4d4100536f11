"""Which parameters answer, to a perturbation and to a write, and with what gain."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._counter import Counter
from ..perturbations import Walsh
from ._prober import Batch, Prober

# Standard errors by which a response must stand out.
STANDS_OUT = 5.0
# A part of the root mean square response below which a code's answer is checked one parameter at a time: codes mix
# a share of the third order of other parameters into each.
_SMALL = 0.1
_MOST_NUMBERS = 2_000_000
# Of the answer of other parameters, what must be excluded before one is said not to answer.
_ENOUGH = 0.1


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


@dataclass(frozen=True)
class Alone:
    """What changes of one parameter at a time told.

    Attributes:
        none: those without an answer.
        untold: those of which the budget did not allow to say.
        tries: of each, at most.
        seen: change in cost that would have been seen.
    """

    none: list[int]
    untold: list[int]
    tries: int
    seen: float


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


@dataclass
class Answers:
    """What became of each parameter.

    Attributes:
        dead: neither perturbation nor write shows.
        no_perturbation: a write shows.
        no_write: a perturbation shows.
        unresolved: not told within the budget.
        tries: of a parameter, at most.
        detectable: change in cost that would have been seen.
    """

    dead: list[int] = field(default_factory=list)
    no_perturbation: list[int] = field(default_factory=list)
    no_write: list[int] = field(default_factory=list)
    unresolved: list[int] = field(default_factory=list)
    tries: int = 0
    detectable: float = 0.0

    @property
    def false_alive(self) -> float:
        """Probability that noise alone stood out in one of all tries."""
        return 1 - (1 - math.erfc(STANDS_OUT / math.sqrt(2))) ** self.tries


class Codes:
    """Walsh codes of ±1: exactly orthogonal over a period, so that no first order of another parameter mixes in.

    Args:
        n_params: P.
        seed: two words.
    """

    def __init__(self, n_params: int, seed: Float[np.ndarray, " 2"]):
        walsh, self.n_params = Walsh(amplitude=1.0), n_params
        words = jnp.asarray(seed, jnp.uint32)
        self.period = walsh.period(n_params)
        self.size = max(1, min(self.period, _MOST_NUMBERS // n_params))
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


def check_alone(
    prober: Prober,
    points: list[Point],
    indices: list[int],
    clear: list[int],
    *,
    amplitude: float,
    sigma: Sigma,
    budget: int,
    write: bool,
) -> Alone:
    """Which of these parameters do not answer to large changes of each alone, at any point.

    A gradient may be small at one place; a change this large shows unless it is small everywhere. Measurements are
    repeated until what would have been seen is a tenth of the answer of parameters that do answer: only then is one
    without an answer called so.

    Args:
        prober: the chip.
        points: where.
        indices: of parameters to check.
        clear: of some that do answer.
        amplitude: of the change.
        sigma: noise of a cost.
        budget: measurements.
        write: whether changes are written, instead of put on as perturbations.
    """
    end = prober.count + budget
    usual = _sums(prober, points, clear, amplitude, 4, write)[..., 0] / 4
    enough = _ENOUGH * float(np.median(np.abs(usual).max(axis=0))) if clear else 0.0
    left, repeats, tries, n = list(indices), 4, 0, 0
    sums = np.zeros((len(points), len(left), 2))
    while True:
        sums = sums + _sums(prober, points, left, amplitude, repeats, write)
        n, tries = n + repeats, tries + 2 * len(points)
        # C(+) − C(−), and C(+) + C(−) − 2 C(0) with two baselines.
        limits = STANDS_OUT * sigma.of_mean(n) * np.array([math.sqrt(2), 2.0])
        silent = np.all(np.abs(sums / n) <= limits, axis=(0, 2))
        left, sums = [i for i, quiet in zip(left, silent, strict=True) if quiet], sums[:, silent]
        seen = float(limits[0])
        if not left or seen <= enough:
            return Alone(left, [], tries, seen)
        repeats = n
        if prober.count + prober.price(4 * repeats * len(left) * len(points)) > end:
            return Alone([], left, tries, seen)


def _sums(
    prober: Prober, points: list[Point], indices: list[int], amplitude: float, repeats: int, write: bool
) -> Float[np.ndarray, "points indices two"]:
    """Sums over repeats of the odd and of the even answer."""
    found = np.zeros((len(points), len(indices), 2))
    for p, point in enumerate(points):
        prober.place(point.theta, point.batch)
        for k, index in enumerate(indices):
            rows = np.zeros((repeats, 4, prober.n_params), np.float32)
            rows[:, 0, index], rows[:, 2, index] = amplitude, -amplitude
            rows = rows.reshape(-1, prober.n_params)
            costs = prober.written(point.theta + rows) if write else prober.settled(rows)
            plus, before, minus, after = costs.reshape(repeats, 4).sum(axis=0)
            found[p, k] = plus - minus, plus + minus - before - after
    return found


def gains(wiggled: list[Response], written: list[Response]) -> tuple[np.ndarray, np.ndarray]:
    r"""Applied over intended perturbation: the response to one over that to a write of the same size.

    $$\hat\gamma_i = \frac{\sum_p G_{ip} W_{ip}}{\sum_p (W_{ip}^2 - \sigma_p^2)}$$

    over points p, NaN where the write's response does not stand out by ten standard errors.
    """
    g, w = (np.array([one.slope for one in many]) for many in (wiggled, written))
    g_error, w_error = (np.array([[one.error] for one in many]) for many in (wiggled, written))
    total = np.sum(w**2, axis=0)
    clear = total > np.maximum(100 * np.mean(w_error**2), 1e-300)
    below = np.where(clear, total - np.sum(w_error**2), 1.0)
    gain = np.sum(g * w, axis=0) / below
    error = np.sqrt(np.sum((g_error * w) ** 2, axis=0) + gain**2 * np.sum((w_error * w) ** 2, axis=0)) / below
    return np.where(clear, gain, np.nan), np.where(clear, error, np.nan)
