"""What is settled when a chip is opened: its limits. Nothing here imports JAX."""

import numpy as np
from jaxtyping import Float

from .._limits import Limits
from ._settings import LimitSettings


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
