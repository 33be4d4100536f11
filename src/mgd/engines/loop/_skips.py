"""Costs that could not be measured, and what stands in for them."""

import math

import numpy as np
from jaxtyping import Float

from ._chunk import Layout


class Skips:
    """Makes of the costs of a run's rows, in order, what is told of them.

    For a cost that could not be measured, which is NaN, one is told that makes its timestep's modulation zero.

    Args:
        layout: of the rows.

    Attributes:
        count: costs that could not be measured, or would have told nothing without one that could not.
        reference: what a cost is compared with: the hold's baseline, or the cost before; NaN if there was none yet.
    """

    def __init__(self, layout: Layout):
        self._head, self._per = layout.head, layout.per
        self.count, self.reference = 0, math.nan
        self._lost = False  # whether what the next cost is compared with could not be measured

    def mark(self) -> tuple[int, float, bool]:
        """What `go_back` takes."""
        return self.count, self.reference, self._lost

    def go_back(self, mark: tuple[int, float, bool]) -> None:
        """Forgets what was told since."""
        self.count, self.reference, self._lost = mark

    def tells_nothing(self, row: int) -> bool:
        """Whether what the cost of a row is compared with could not be measured."""
        return self._lost and row >= self._head and (self._head == 1 or (row - self._head) % self._per == 1)

    def told(self, row: int, cost: float) -> float:
        """The cost of a row as it is told."""
        is_baseline = row < self._head
        if not math.isnan(cost):
            if is_baseline or not self._head:
                self.reference, self._lost = cost, False
            return cost
        self.count += 1
        # Without its baseline a hold tells nothing, nor does one side without the other.
        self._lost = self._lost or is_baseline or self._per > 1
        return self.reference

    def told_together(self, start: int, made: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """The same of rows measured together; `made`, costs as they are kept, becomes NaN where it tells nothing."""
        if not (self._lost or np.isnan(made).any()):
            if start < self._head:
                self.reference = float(made[0])
            elif not self._head:
                self.reference = float(made[-1])
            return made
        told = made.copy()
        for k in range(len(made)):
            if self.tells_nothing(start + k):
                made[k] = math.nan
            told[k] = self.told(start + k, float(made[k]))
        return told
