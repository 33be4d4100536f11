"""What is settled when a chip is opened: its number of parameters and their limits. Nothing here imports JAX."""

import numpy as np
from jaxtyping import Float

from .._limits import Limits
from .._wire import Item, text
from ._replies import Replies
from ._settings import LimitSettings


class Reported:
    """Reads what a chip says of its parameters.

    Args:
        unit: of the limits.
        replies: reads the numbers of its answers.
    """

    def __init__(self, unit: str, replies: Replies):
        self._unit, self._replies = unit, replies
        self._limits: Limits | None = None

    def count(self, query: bytes, reply: Item) -> int:
        """How many parameters it has.

        Raises:
            HardwareError: if that is not what it says.
        """
        values = self._replies.read(query, reply, 1)
        if not (values[0] >= 1 and values[0] == int(values[0])):
            self._replies.dialogue.of_no_use(query, text(values), "is not a number of parameters: give n_params")
        return int(values[0])

    def limits(self, query: bytes, reply: Item, n_params: int) -> Limits:
        """The limits of its parameters.

        Raises:
            HardwareError: if that is not what it says.
        """
        self._replies.read(query, reply, None)
        values = self._replies.numbers.limits_of(reply)
        try:
            self._limits = as_before(reported_limits(values, n_params, self._unit), self._limits)
            return self._limits
        except ValueError as error:
            self._replies.dialogue.of_no_use(query, text(values), f"{error}: give limits in the chip file")


def declared_limits(given: LimitSettings, n_params: int) -> Limits | None:
    """Those of the settings; None if they are the chip's to say.

    Args:
        given: as in the chip file.
        n_params: P, or 0 if it is the chip's to say.

    Raises:
        ValueError: if they are none.
    """
    if given.low is None or given.high is None:
        return None
    low, high = (np.atleast_1d(np.array(side, np.float64)) for side in (given.low, given.high))
    n = max(n_params, low.size, high.size)
    low, high = (np.full(n, side[0]) if side.size == 1 else side for side in (low, high))
    try:
        return Limits(low, high, given.unit)
    except ValueError as error:
        raise ValueError(f"limits: {error}") from None


def reported_limits(values: Float[np.ndarray, " n"], n_params: int, unit: str) -> Limits:
    """What a chip says of them: low and high, of all or of each in turn.

    Raises:
        ValueError: if that is not what it says.
    """
    if values.size not in (2, 2 * n_params):
        raise ValueError(
            f"are {values.size} numbers, expected low and high for all or for each of {n_params} parameters"
        )
    low, high = np.broadcast_to(values.reshape(-1, 2), (n_params, 2)).T
    try:
        return Limits(low, high, unit)
    except ValueError as error:
        raise ValueError(f"are not limits ({error})") from None


def as_before(limits: Limits, before: Limits | None) -> Limits:
    """The limits reported before, if these equal them except for digits: as text after a block, or rounded again.

    >>> before = Limits.uniform(1, -1.1, 1.1)
    >>> as_before(Limits(np.nextafter(before.low, 0), before.high), before) is before
    True
    """
    if before is None or limits.low.shape != before.low.shape:
        return limits
    ends, old = np.stack([limits.low, limits.high]), np.stack([before.low, before.high])
    return before if (np.abs(ends - old) <= 2 * np.spacing(np.abs(old))).all() else limits
