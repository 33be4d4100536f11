"""What a calibration may spend, and what each of its stages gets of it. Nothing here imports JAX."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from .._errors import HardwareError

# What is left over the stages' least is shared out so, in the order of the stages. The last is no stage: it is kept for
# measurements that a lost line asks for again.
SHARES: Mapping[str, float] = MappingProxyType(
    {
        "noise": 0.12,
        "timing": 0.12,
        "spread": 0.0,
        "levels": 0.1,
        "range": 0.15,
        "parameters": 0.22,
        "alone": 0.22,
        "curvature": 0.04,
        "again": 0.03,
    }
)


class Budget:
    """The measurements that may be made, all counted here and nowhere else.

    Args:
        total: how many.
        least: of each stage, as far as is known.
        who: takes that many, for messages.
        may_grow: whether it becomes larger if what is found of the chip asks for more.

    Attributes:
        spent: measurements made.

    Raises:
        ValueError: if the total is not a number, or less than the least of all stages.

    >>> budget = Budget(1000, dict.fromkeys(SHARES, 10), "a chip of 9 parameters")
    >>> budget.allot("noise")
    119
    >>> budget.spend(119)
    >>> budget.left
    881
    """

    def __init__(self, total: int, least: Mapping[str, int], who: str, *, may_grow: bool = False):
        if isinstance(total, bool) or not isinstance(total, int):
            raise ValueError(f"the budget must be a whole number of measurements, got {total!r}")
        self.total, self.spent, self._who, self._may_grow = total, 0, who, may_grow
        self._least = dict(least)
        self._check(sum(least.values()))

    @property
    def left(self) -> int:
        """Measurements that may still be made."""
        return self.total - self.spent

    def spend(self, n: int) -> None:
        """Takes note of measurements that are about to be made.

        Raises:
            HardwareError: if so many are not left.
        """
        if n > self.left:
            raise HardwareError(
                f"{self._who}: {self.left} of {self.total} measurements are left, and {n} are needed, because lost "
                "replies were repeated: repair the line, or give a larger budget"
            )
        self.spent += n

    def allot(self, stage: str) -> int:
        """The measurements that a stage which begins may make: its least, and its share of what is over."""
        names = list(SHARES)
        later = names[names.index(stage) :]
        over = self.left - sum(self._least[name] for name in later)
        return max(0, min(self.left, self._least[stage] + int(over * SHARES[stage] / sum(SHARES[n] for n in later))))

    def reprice(self, least: Mapping[str, int], begun: tuple[str, ...]) -> None:
        """Takes what was found out of the stages' least; `begun` are stages that are behind.

        Raises:
            ValueError: if the budget does not reach for those that are left.
        """
        before, self._least = self._least, dict(least)
        ahead = [name for name in SHARES if name not in begun]
        needed = sum(least[name] for name in ahead)
        if self._may_grow:
            self.total = max(self.total, self.spent + 2 * needed)
        if needed <= self.left:
            return
        # Of a larger budget, the stages that are behind had taken their share too.
        share = sum(SHARES[name] for name in begun)
        at_first = sum(before[name] for name in begun)
        self._check(math.ceil((at_first + needed - share * sum(before.values())) / (1 - share)) + len(SHARES))

    def _check(self, least: int) -> None:
        if self.total < least:
            raise ValueError(f"{self._who} needs at least {least} measurements, got {self.total}")
