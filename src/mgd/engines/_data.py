"""Samples on the device."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from ..datasets import Samples


class Data(eqx.Module):
    """Samples as arrays of the device, still as stored; rows are turned into features when they are shown.

    Attributes:
        x: stored inputs.
        y: targets.
        offset: subtracted from a stored input.
        scale: multiplied after.
    """

    x: Shaped[Array, "n *features"]
    y: Float[Array, "n outputs"]
    offset: float = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    @staticmethod
    def of(samples: Samples) -> "Data":
        return Data(jnp.asarray(samples.x), jnp.asarray(samples.y), samples.offset, samples.scale)

    def show(self, rows: Int[Array, " batch"]) -> tuple[Float[Array, "batch *features"], Float[Array, "batch outputs"]]:
        """Inputs and targets of these rows."""
        x = self.x[rows].astype(jnp.float32)
        if (self.offset, self.scale) != (0.0, 1.0):
            x = (x - self.offset) * self.scale
        return x, self.y[rows]
