"""What is settled when a chip is opened: its limits, and a first value that does no harm. Nothing here imports JAX."""

import numpy as np
from jaxtyping import Float

from .._limits import Limits
from ._settings import LimitSettings

# What is written and read back at opening lies this near to the harmless value, in parts of the way to the limits: of
# both signs, and small.
_PARTS = (0.02, -0.013, 1e-7)


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


def harmless(limits: Limits) -> Float[np.ndarray, " p"]:
    """As near to zero as the limits allow, and a little inside of them.

    >>> harmless(Limits.uniform(3, 0.0, 5.0)).tolist()  # doctest: +NUMBER
    [0.1, 0.065, 5e-07]
    """
    low, high = limits.low, limits.high
    nearest = np.clip(np.float32(0), low, high)
    parts = np.resize(np.array(_PARTS, np.float32), low.size)
    # Away from a limit that it lies at.
    parts = np.where(np.where(parts > 0, high, low) == nearest, -parts, parts)
    theta = nearest + np.where(parts > 0, high - nearest, nearest - low) * parts
    return np.clip(theta, low, high).astype(np.float32)
