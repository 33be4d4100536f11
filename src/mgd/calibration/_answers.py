"""Which parameters answer, to a perturbation and to a write."""

import math
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from jaxtyping import Float

from ._common import Common
from ._levels import Levels, coarser
from ._noise import Sigma
from ._parameters import STANDS_OUT, Codes, Point, Response, codes_together, response, suspects
from ._prober import Prober

# A parameter is called silent if this share of the others' response is excluded.
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
    """The results of changing one parameter at a time.

    Attributes:
        none: those without an answer.
        undecided: parameters that the budget did not suffice to decide.
        tries: of each, at most.
        seen: change in cost that would have been seen.
    """

    none: list[int]
    undecided: list[int]
    tries: int
    seen: float


@dataclass
class Answers:
    """What became of each parameter.

    Attributes:
        dead: neither perturbation nor write shows.
        no_perturbation: a write shows.
        no_write: a perturbation shows.
        unresolved: parameters that the budget did not suffice to decide.
        tries: of a parameter, at most.
        detectable: change in cost that would have been seen.
        levels: the levels of parameters, with those that codes do not show.
    """

    dead: list[int] = field(default_factory=list)
    no_perturbation: list[int] = field(default_factory=list)
    no_write: list[int] = field(default_factory=list)
    unresolved: list[int] = field(default_factory=list)
    tries: int = 0
    detectable: float = 0.0
    levels: Levels | None = None

    @property
    def false_alive(self) -> float:
        """Probability that noise alone stood out in one of all tries."""
        return 1 - (1 - math.erfc(STANDS_OUT / math.sqrt(2))) ** self.tries


def least_of_parameters(n_params: int, hold: int, delay: int, own_line: bool) -> int:
    """The measurements of two periods of codes at each point."""
    return POINTS_OF_CODES * (2 * _of_a_period(n_params, hold, delay, own_line) + 2 * (delay + hold - 1))


def _of_a_period(n_params: int, hold: int, delay: int, own_line: bool) -> int:
    """The measurements of both signs of every code, perturbed and written."""
    codes = 2 * (1 << n_params.bit_length())
    pieces = math.ceil(codes / 2 / codes_together(n_params))
    writes = codes * (hold + delay) + pieces * (delay + hold - 1)
    return codes * hold + pieces * delay + (writes if own_line else 0)


def measure_parameters(
    common: Common, amplitude: float, levels: Levels | None
) -> tuple[list[Response], list[Response], Answers]:
    prober = common.prober
    own_line = prober.instrument.own_line
    codes = Codes(prober.n_params, common.rng.integers(0, 2**32, 2, np.uint32))
    each = _of_a_period(prober.n_params, prober.hold, prober.delay, own_line)
    allotted = prober.budget.allot("parameters") - 2 * POINTS_OF_CODES * prober.late
    repeats = max(2, allotted // (POINTS_OF_CODES * each))
    wiggled, written = [], []
    for k, point in enumerate(common.points[:POINTS_OF_CODES]):
        periods = range(k * repeats, (k + 1) * repeats)
        prober.place(point.theta, point.batch)
        wiggled.append(response(prober.settled, codes, amplitude, periods, cost_error=common.sigma.one))
        if own_line:
            write = partial(prober.written_around, point.theta)
            written.append(response(write, codes, amplitude, periods, cost_error=common.sigma.one))
    return wiggled, written, answers_of(common, wiggled, written, levels)


def answers_of(common: Common, wiggled: list[Response], written: list[Response], levels: Levels | None) -> Answers:
    """Each parameter that did not answer clearly in codes is tried alone."""
    prober, answers = common.prober, Answers(levels=levels)
    amplitude = 0.5 * float(common.room().min())
    silent, unwritten = suspects(wiggled), suspects(written) if written else []
    allotted = prober.budget.allot("alone")
    end = prober.budget.spent + allotted

    def alone(indices: list[int], others: list[int], write: bool, most: int) -> tuple[set[int], set[int]]:
        if not indices:
            return set(), set()
        clear = np.setdiff1d(np.arange(prober.n_params), others)
        clear = common.rng.permutation(clear)[:_USUAL].tolist()
        sigma = common.sigma
        until = min(end, prober.budget.spent + most)
        if write:
            if prober.budget.spent + prober.late + prober.price(_WRITES, write=True) > until:
                return set(), set(indices)
            sigma = written_sigma(common)
        found = check_alone(
            prober,
            common.points,
            [common.elsewhere() for _ in range(_ELSEWHERE)],
            indices,
            clear,
            amplitude=amplitude,
            sigma=sigma,
            end=until,
            write=write,
        )
        answers.tries += found.tries
        answers.detectable = max(answers.detectable, found.seen)
        return set(found.none), set(found.undecided)

    quiet, undecided = alone(silent, silent, False, int((0.45 if written else 0.9) * allotted))
    loud = [index for index in silent if index not in quiet | undecided]
    answers.levels = coarser(common, loud, levels, end=min(end, prober.budget.spent + allotted // 4))
    if written:
        # Also the quiet ones: a broken line for perturbations does not make a parameter dead.
        ahead = end - prober.budget.spent
        deaf, more = alone(sorted(quiet | set(unwritten)), unwritten, True, int(0.65 * ahead))
        answers.dead = sorted(quiet & deaf)
        answers.no_perturbation = sorted(quiet - deaf - more)
        # Codes may show one that by itself matters too little to be seen: its line must be seen to work where and as
        # far as its writes were tried.
        still, unseen = alone(sorted(deaf - quiet - undecided), silent, False, allotted)
        answers.no_write = sorted(deaf - quiet - undecided - still - unseen)
        undecided = undecided | more | still | unseen
    else:
        answers.dead = sorted(quiet)
    answers.unresolved = sorted(undecided)
    return answers


def written_sigma(common: Common) -> Sigma:
    """The noise of a cost after a write: converters that dither, and writes that scatter, add to it."""
    point = common.points[0]
    common.prober.place(point.theta, point.batch)
    costs = common.prober.written(np.tile(point.theta, (_WRITES, 1)))
    # A tenth more, as a standard deviation of so many is known to a tenth.
    return Sigma(max(common.sigma.white, 1.1 * float(np.std(costs, ddof=1))), common.sigma.fixed)


def check_alone(
    prober: Prober,
    points: list[Point],
    elsewhere: list[Point],
    indices: list[int],
    clear: list[int],
    *,
    amplitude: float,
    sigma: Sigma,
    end: int,
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
        end: measurements of the calibration at which it must be done.
        write: whether changes are written, instead of put on as perturbations.
    """
    budget = prober.budget
    first = _price_of_sums(prober, len(points), 1, 4, write)
    least = _price_of_sums(prober, len(points), len(clear), 4, write)
    affordable = max(0, end - budget.spent - least) // first
    if not affordable:
        return Alone([], indices, 0, 0.0)
    left, undecided = list(indices)[:affordable], list(indices)[affordable:]
    usual = _sums(prober, points, clear, amplitude, 4, write)[..., 0] / 4
    enough = _ENOUGH * float(np.median(np.abs(usual).max(axis=0))) if clear else 0.0
    repeats, tries, n = 4, 0, 0
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
        if budget.spent + _price_of_sums(prober, len(points), len(left), repeats, write) > end:
            return Alone([], left + undecided, tries, seen)
    for k, point in enumerate(elsewhere):
        most = end - budget.spent
        affordable = max(0, most - _price_of_sums(prober, 1, len(left), 0, write)) // (
            4 * max(1, len(left)) * (prober.price(1, write=True) if write else prober.hold)
        )
        if not left or (k >= _LEAST_ELSEWHERE and affordable < n):
            break
        if affordable < n:
            return Alone([], left + undecided, tries, seen)
        n, tries = max(n, affordable // (len(elsewhere) - k)), tries + 2
        answers = np.abs(_sums(prober, [point], left, amplitude, n, write)[0]) / n
        silent = np.all(answers <= STANDS_OUT * sigma.of_mean(n) * np.array([math.sqrt(2), 2.0]), axis=1)
        left = [i for i, quiet in zip(left, silent, strict=True) if quiet]
    return Alone(left, undecided, tries, seen)


def _price_of_sums(prober: Prober, points: int, indices: int, repeats: int, write: bool) -> int:
    """The measurements of `_sums` of so many."""
    return points * (prober.late + indices * prober.price(4 * repeats, write=write))


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
