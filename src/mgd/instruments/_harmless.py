"""A first value that does no harm, for a chip that may misread numbers. Nothing here imports JAX."""

import numpy as np
from jaxtyping import Float

from ._limits import Limits

# What is written and read back at opening lies this near to the harmless value, in parts of the way to the limits: of
# both signs, and small.
_PARTS = (0.02, -0.013, 1e-7)


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
