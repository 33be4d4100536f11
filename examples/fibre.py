"""A beam that four tilts of two mirrors couple into a fibre: a chip that only tells its cost.

    mgd train fibre:task --chip fibre.toml

There are no inputs and no outputs. A power meter behind the fibre tells how much light is lost.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import mgd


def chip(distance: float = 0.5) -> tuple[Callable, Callable]:
    """The lost share of the power, and tilts to start with.

    Args:
        distance: from the second mirror to the fibre, in units in which a tilt of the beam and an offset on the
            fibre's face count alike.
    """

    def lost(tilts: Float[Array, " 4"], x: Array, target: Array) -> Float[Array, ""]:
        first, second = tilts[:2], tilts[2:]
        angle = first + second - 0.3
        offset = distance * second + (1 + distance) * first + jnp.array([0.5, -0.4])
        return 1 - jnp.exp(-jnp.sum(angle**2) - jnp.sum(offset**2))

    return lost, lambda key: 0.1 * jax.random.normal(key, (4,))


def task() -> mgd.datasets.Task:
    """Nothing to show, and nothing to compare."""
    nothing = np.zeros((1, 1), np.float32)
    return mgd.datasets.from_arrays(nothing, nothing)
