"""Which parameters answer, to a perturbation and to a write."""

import math
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from ._noise import Sigma
from ._parameters import STANDS_OUT, Codes, Point, Response, response, suspects
from ._prober import Prober
from ._stages import Bench

# Of the answer of other parameters, what must be excluded before one is said not to answer.
_ENOUGH = 0.1
# Further points at which one must not answer either, and of how many at least: what is far from the cost at one place
# need not be at another.
_ELSEWHERE, _LEAST_ELSEWHERE = 16, 4
# Parameters that answer, with which one that does not is compared.
_USUAL = 9
POINTS_OF_CODES = 2
# Writes of the same, by whose scatter the noise of a write is known.
_WRITES = 64


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


def measure_parameters(bench: Bench, amplitude: float, period: int) -> tuple[list[Response], list[Response], Answers]:
    prober = bench.prober
    own_line = prober.instrument.own_line
    codes = Codes(prober.n_params, bench.rng.integers(0, 2**32, 2, np.uint32))
    each = 2 * period * POINTS_OF_CODES * (prober.hold + (prober.hold + prober.delay if own_line else 0))
    repeats = max(2, bench.share("parameters") // each)
    wiggled, written = [], []
    for k, point in enumerate(bench.points[:POINTS_OF_CODES]):
        periods = range(k * repeats, (k + 1) * repeats)
        prober.place(point.theta, point.batch)
        wiggled.append(response(prober.settled, codes, amplitude, periods, cost_error=bench.sigma.one))
        if own_line:
            write = lambda changes, point=point: prober.written(point.theta + changes)  # noqa: E731
            written.append(response(write, codes, amplitude, periods, cost_error=bench.sigma.one))
    return wiggled, written, answers_of(bench, wiggled, written)


def answers_of(bench: Bench, wiggled: list[Response], written: list[Response]) -> Answers:
    """Each parameter that did not answer clearly in codes is tried alone."""
    prober, answers = bench.prober, Answers()
    amplitude = 0.5 * float(bench.room().min())
    silent, unwritten = suspects(wiggled), suspects(written) if written else []

    def alone(indices: list[int], others: list[int], write: bool) -> tuple[set[int], set[int]]:
        if not indices:
            return set(), set()
        clear = np.setdiff1d(np.arange(prober.n_params), others)
        clear = bench.rng.permutation(clear)[:_USUAL].tolist()
        found = check_alone(
            prober,
            bench.points,
            [bench.elsewhere() for _ in range(_ELSEWHERE)],
            indices,
            clear,
            amplitude=amplitude,
            sigma=written_sigma(bench) if write else bench.sigma,
            budget=bench.share("alone"),
            write=write,
        )
        answers.tries += found.tries
        answers.detectable = max(answers.detectable, found.seen)
        return set(found.none), set(found.untold)

    quiet, untold = alone(silent, silent, False)
    if written:
        # Also the quiet ones: a broken line for perturbations does not make a parameter dead.
        deaf, more = alone(sorted(quiet | set(unwritten)), unwritten, True)
        answers.dead = sorted(quiet & deaf)
        answers.no_perturbation = sorted(quiet - deaf - more)
        answers.no_write = sorted(deaf - quiet - untold)
        untold = untold | more
    else:
        answers.dead = sorted(quiet)
    answers.unresolved = sorted(untold)
    return answers


def written_sigma(bench: Bench) -> Sigma:
    """The noise of a cost after a write: converters that dither, and writes that scatter, add to it."""
    point = bench.points[0]
    bench.prober.place(point.theta, point.batch)
    costs = bench.prober.written(np.tile(point.theta, (_WRITES, 1)))
    # A tenth more, as a standard deviation of so many is known to a tenth.
    return Sigma(max(bench.sigma.white, 1.1 * float(np.std(costs, ddof=1))), bench.sigma.fixed)


def check_alone(
    prober: Prober,
    points: list[Point],
    elsewhere: list[Point],
    indices: list[int],
    clear: list[int],
    *,
    amplitude: float,
    sigma: Sigma,
    budget: int,
    write: bool,
) -> Alone:
    """Which of these parameters do not answer to large changes of each alone, at any point.

    Measurements are repeated until what would have been seen is a tenth of the answer of parameters that do answer. One
    without an answer may still be one that matters little at these points, as a weight of a pixel in the corner: it is
    called so if it does not answer elsewhere either, with all repeats that the budget allows.

    Args:
        prober: the chip.
        points: where.
        elsewhere: where else.
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
            break
        repeats = n
        if prober.count + prober.price(4 * repeats * len(left) * len(points)) > end:
            return Alone([], left, tries, seen)
    for k, point in enumerate(elsewhere):
        affordable = (end - prober.count) // prober.price(4 * max(1, len(left)))
        if not left or (k >= _LEAST_ELSEWHERE and affordable < n):
            break
        if affordable < n:
            return Alone([], left, tries, seen)
        n, tries = max(n, affordable // (len(elsewhere) - k)), tries + 2
        answers = np.abs(_sums(prober, [point], left, amplitude, n, write)[0]) / n
        silent = np.all(answers <= STANDS_OUT * sigma.of_mean(n) * np.array([math.sqrt(2), 2.0]), axis=1)
        left = [i for i, quiet in zip(left, silent, strict=True) if quiet]
    return Alone(left, [], tries, seen)


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
