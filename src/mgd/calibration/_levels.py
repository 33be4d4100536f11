"""The levels that parameters are set in, found by the steps of the cost along a few of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float

from .._errors import HardwareError
from ._common import Common
from ._staircase import Look, Steps, look

# Points of a look; looks of the least budget, at perturbations and at writes; looks that there is to be enough for,
# each of so many repeats at most.
_POINTS, _FEWEST_LOOKS, _FEWEST_WRITES, _LOOKS, _MOST_REPEATS = 48, 8, 2, 6, 16
# Numbers of parameters, and of random codes, to look at; those with the largest response come first.
_CANDIDATES, _CODES = 12, 3
# How much nearer the next look is; the finest of all, of the farthest that parameters are moved together.
_NEARER, _FINEST = 4.0, 1 / 512
# Steps that a look is to have when their width is known.
_STEPS = 6.0
# Widths of the same steps agree to this.
_AGREE = 0.15
# Steps of a code that must be seen whole, and as wide as each other.
_WHOLE = 3
# Even levels of several parameters are the same to this.
_SAME = 0.1
Measure = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Levels:
    """The levels of parameters.

    Attributes:
        width: from one to the next; of uneven ones, the widest that was seen.
        even: whether all that were seen are the same.
    """

    width: float
    even: bool

    @staticmethod
    def of(found: list[Steps]) -> "Levels | None":
        """Those of several parameters."""
        if not found:
            return None
        means = np.array([one.mean for one in found])
        middle = float(np.median(means))
        if all(one.even for one in found) and float(np.abs(means - middle).max()) <= _SAME * middle:
            return Levels(middle, True)
        return Levels(max(one.widest for one in found), False)

    @staticmethod
    def both(one: "Levels | None", other: "Levels | None") -> "Levels | None":
        """Those of two ways to set parameters, as one."""
        if one is None or other is None:
            return one or other
        wide, narrow = max(one.width, other.width), min(one.width, other.width)
        return Levels(wide, one.even and other.even and wide - narrow <= _SAME * wide)


@dataclass(frozen=True)
class _Line:
    """A line through parameters.

    Attributes:
        along: a parameter alone, or a code of all.
        farthest: from its middle.
    """

    along: Float[np.ndarray, " p"]
    farthest: float


def least_of_levels(hold: int, delay: int, own_line: bool) -> int:
    """The least number of measurements for a result."""
    late, one = delay + hold - 1, _POINTS * hold + delay
    writes = _POINTS * (hold + delay) + late
    first = late + 3 * (_CANDIDATES + _CODES) * hold + delay
    looks = _FEWEST_LOOKS // (2 if late else 1)  # they are dear then
    return first + looks * one + (_FEWEST_WRITES * writes if own_line else 0)


def measure_levels(common: Common) -> tuple[Levels | None, Levels | None]:
    """The levels of perturbed parameters, and of written ones where these are not the same.

    Along a code the cost of all parameters has steps if these are between two levels alike, and they are large; along
    one parameter it always has if there are levels.

    Raises:
        HardwareError: if there is no room for two levels.
    """
    prober, point = common.prober, common.points[0]
    end = prober.budget.spent + prober.budget.allot("levels")
    prober.place(point.theta, point.batch)
    lines = _most_answering(common)
    own_line = prober.instrument.own_line
    half = prober.budget.spent + (end - prober.budget.spent) // (2 if own_line else 1)
    wiggled = _levels_along(common, lines, prober.settled, end=half, write=False)
    written = None
    if own_line:
        write = partial(prober.written_around, point.theta)
        written = _levels_along(common, lines, write, end=end, write=True)
    _check_room(common, wiggled)
    return wiggled, written


def coarser(common: Common, indices: list[int], levels: Levels | None, *, end: int) -> Levels | None:
    """The levels, when parameters that codes do not show, though they answer to large changes, are looked at too.

    Raises:
        HardwareError: if there is no room for two levels.
    """
    point = common.points[0]
    least = common.prober.late + common.prober.price(_POINTS)
    if not indices or common.prober.budget.spent + least > end:
        return levels
    common.prober.place(point.theta, point.batch)
    found = _levels_along(common, [_alone(common, i) for i in indices], common.prober.settled, end=end, write=False)
    both = Levels.both(levels, found)
    _check_room(common, both)
    return both


def _check_room(common: Common, levels: Levels | None) -> None:
    """Takes note of the levels, and sees that there is room for two."""
    common.coarsest = levels.width if levels else 0.0
    room, instrument = float(common.room().min()), common.prober.instrument
    if 2 * common.coarsest > room:
        unit = instrument.limits.unit
        raise HardwareError(
            f"{instrument.address}: parameters are set in levels {common.coarsest:.3g} {unit}".rstrip()
            + f" apart, and their limits leave room for {room:.3g} {unit}".rstrip()
            + ": a perturbation needs room for two levels; give wider limits, or finer levels"
        )


def _alone(common: Common, index: int) -> _Line:
    """A parameter by itself."""
    along = np.zeros(common.prober.n_params, np.float32)
    along[index] = 1
    return _Line(along, common.alone(index))


def _most_answering(common: Common) -> list[_Line]:
    """The code, and then the parameters, that answer most to large changes, of some that are tried."""
    prober, n = common.prober, common.prober.n_params
    lines = [_Line(common.rng.choice([-1.0, 1.0], n).astype(np.float32), common.highest) for _ in range(_CODES)]
    lines += [_alone(common, int(index)) for index in common.rng.permutation(n)[:_CANDIDATES]]
    rows = np.stack([side * one.farthest * one.along for one in lines for side in (1, 0, -1)]).astype(np.float32)
    plus, zero, minus = prober.settled(rows).reshape(-1, 3).T
    answers = np.maximum(np.abs(plus - zero), np.abs(minus - zero))
    best = int(np.argmax(answers[:_CODES]))
    return [lines[best]] + [lines[_CODES + int(k)] for k in np.argsort(-answers[_CODES:])]


def _levels_along(common: Common, lines: list[_Line], measure: Measure, *, end: int, write: bool) -> Levels | None:
    """The levels by as many of these lines as can be looked along; a code tells if no parameter by itself does."""
    alone, along_code = [], []
    search = _Search(common, measure, end, write)
    for line in lines:
        steps = search.along(line)
        is_code = np.count_nonzero(line.along) > 1
        # Of parameters whose levels differ, a code has steps of any width.
        if steps is not None and (not is_code or (steps.even and steps.whole >= _WHOLE)):
            (along_code if is_code else alone).append(steps)
            search.start = _STEPS * steps.mean
    return Levels.of(alone or along_code)


class _Search:
    """Looks for steps along lines, from far to near.

    Args:
        common: the chip.
        measure: costs of changes, perturbed or written.
        end: measurements of the calibration at which it must be done.
        write: whether they are written.

    Attributes:
        start: how far is looked at first; where steps were found last, so far that some are seen.
    """

    def __init__(self, common: Common, measure: Measure, end: int, write: bool):
        self._common, self._measure, self._end, self._write = common, measure, end, write
        self._most = int(np.clip((end - common.prober.budget.spent) // (_LOOKS * self._price(1)), 1, _MOST_REPEATS))
        self.start, self._repeats = math.inf, 1

    def _price(self, repeats: int) -> int:
        return self._common.prober.price(_POINTS * repeats, write=self._write)

    def along(self, line: _Line) -> Steps | None:
        """Those along a line, seen at two distances, or the same as another line's; None if there are none."""
        widest, finest = 2 * line.farthest, self._common.highest * _FINEST
        width, expected = min(self.start, widest), self.start / _STEPS
        nearer = outward = confirming = False
        while self._common.prober.budget.spent + self._price(self._repeats) <= self._end:
            found = _look(self._common, line, width, self._repeats, self._measure)
            if found.steps is not None:
                if abs(found.steps.mean - expected) <= _AGREE * expected < math.inf:
                    return found.steps
                confirming, expected = True, found.steps.mean
                other = min(_STEPS * expected, widest)
                width = 0.8 * width if abs(other - width) < 0.1 * width else other
            elif found.hidden and self._repeats < self._most:
                self._repeats = min(4 * self._repeats, self._most)
            elif found.flat and width < widest and not nearer:
                outward, width = True, min(_NEARER * width, widest)
            elif found.flat or found.hidden or outward or confirming or width < finest:
                return None
            else:
                nearer, width = True, width / _NEARER
        return None


def _look(common: Common, line: _Line, width: float, repeats: int, measure: Measure) -> Look:
    """A look at the cost along a line, in an order in which slow noise does not pass for steps."""
    at = np.linspace(-width / 2, width / 2, _POINTS)
    order = np.concatenate([common.rng.permutation(_POINTS) for _ in range(repeats)])
    costs = np.zeros((repeats, _POINTS))
    costs[np.repeat(np.arange(repeats), _POINTS), order] = measure(np.outer(at[order], line.along).astype(np.float32))
    error = common.sigma.of_mean(repeats)
    if repeats > 1:
        error = max(error, math.sqrt(float(np.mean(np.var(costs, axis=0, ddof=1))) / repeats))
    found = look(at, costs.mean(axis=0), error)
    # Steps of the cost's own readout are none of the parameter's.
    if found.steps is not None and found.steps.jump < 2.5 * common.readout_step:
        return Look(None, flat=False, hidden=True)
    return found
