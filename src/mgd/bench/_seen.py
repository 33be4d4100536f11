"""Costs that are far beyond all that were seen."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

# A cost is doubted if it is so many times as large as all that were seen. What it costs to be wrong bounds it from
# below: an honest cost is measured once more, and then counts as seen, so that costs that grow over 30 decades are
# doubted 30 times.
_FACTOR = 10.0
# Costs that are taken as they are, and costs after which the largest is forgotten.
_FEWEST, _BLOCK = 8, 4096


class Mark(NamedTuple):
    """The state of `Seen`."""

    n: int
    largest: float
    before: float
    bound: float


class Seen:
    """Doubts a cost that is more than ten times as large as all of the last 4,096 to 8,192 costs.

    Costs that fall are never doubted, whatever their sign. The first eight are taken as they are.

    >>> seen = Seen()
    >>> all(seen.takes(0.25) for _ in range(8)), seen.takes(-2.0), seen.takes(1e9)
    (True, True, False)
    """

    def __init__(self):
        self._n, self._largest, self._before, self._bound = 0, 0.0, 0.0, math.inf

    def mark(self) -> Mark:
        """The state, for `go_back`."""
        return Mark(self._n, self._largest, self._before, self._bound)

    def go_back(self, mark: Mark) -> None:
        """Goes back to a state of `mark`."""
        self._n, self._largest, self._before, self._bound = mark

    def takes(self, cost: float) -> bool:
        """Counts a cost as seen, unless it is to be doubted; whether it is not."""
        size = abs(cost)
        if size > self._bound:
            return False
        self._n += 1
        if size > self._largest or self._n in (_FEWEST, _BLOCK):
            self._grow(size)
        return True

    def takes_all(self, costs: Float[np.ndarray, " k"]) -> Bool[np.ndarray, " k"]:
        """The same for costs that were measured together; NaN counts for nothing, and is not doubted."""
        sizes = np.abs(costs)
        doubted = sizes > self._bound
        taken = sizes[~(doubted | np.isnan(sizes))]
        if taken.size:
            self._n += taken.size
            self._grow(float(taken.max()))
        return ~doubted

    def believe(self, cost: float) -> None:
        """Counts a cost as seen, because it came again."""
        self._n += 1
        self._grow(abs(cost))

    def _grow(self, size: float) -> None:
        self._largest = max(self._largest, size)
        # Where all costs were zero, nothing is known of their size.
        largest = max(self._largest, self._before)
        self._bound = _FACTOR * largest if largest and (self._before or self._n >= _FEWEST) else math.inf
        if self._n >= _BLOCK:
            self._n, self._largest, self._before = 0, 0.0, self._largest


def repeats(cost: float, before: float) -> bool:
    """Whether a cost came again: of the same sign, and within a factor of two, as noise may have it.

    >>> repeats(1.1e9, 0.9e9), repeats(3.0, -3.0), repeats(0.2, 3.0)
    (True, False, False)
    """
    return cost * before > 0 and 0.5 <= cost / before <= 2.0
