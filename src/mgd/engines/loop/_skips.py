"""Replacements for costs that could not be measured."""

import math

import numpy as np
from jaxtyping import Float

from ._chunk import Layout


class Skips:
    """Replaces missing costs in the rows of a run, in order.

    A cost that could not be measured is NaN. It is replaced by its reference, so that the modulation of its timestep is
    zero.

    Args:
        layout: the layout of the rows.

    Attributes:
        count: number of costs that could not be measured, or that have no use because their reference is missing.
        reference: the cost with which the next one is compared: the hold's baseline, or the previous cost; NaN if there
            was none yet.
    """

    def __init__(self, layout: Layout):
        self._head, self._per = layout.head, layout.per
        self.count, self.reference = 0, math.nan
        self._lost = False  # whether the reference of the next cost could not be measured

    def mark(self) -> tuple[int, float, bool]:
        """The state, for `go_back`."""
        return self.count, self.reference, self._lost

    def go_back(self, mark: tuple[int, float, bool]) -> None:
        """Goes back to a state of `mark`."""
        self.count, self.reference, self._lost = mark

    def lacks_reference(self, row: int) -> bool:
        """Whether the reference of a row's cost could not be measured."""
        return self._lost and row >= self._head and (self._head == 1 or (row - self._head) % self._per == 1)

    def filled(self, row: int, cost: float) -> float:
        """The cost of a row, or its replacement."""
        is_baseline = row < self._head
        if not math.isnan(cost):
            if is_baseline or not self._head:
                self.reference, self._lost = cost, False
            return cost
        self.count += 1
        # A hold has no use without its baseline, nor one side without the other.
        self._lost = self._lost or is_baseline or self._per > 1
        return self.reference

    def filled_together(self, start: int, made: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
        """The same for rows measured together; costs in `made` become NaN if they lack a reference, and are kept so."""
        if not (self._lost or np.isnan(made).any()):
            if start < self._head:
                self.reference = float(made[0])
            elif not self._head:
                self.reference = float(made[-1])
            return made
        filled = made.copy()
        for k in range(len(made)):
            if self.lacks_reference(start + k):
                made[k] = math.nan
            filled[k] = self.filled(start + k, float(made[k]))
        return filled
