"""Samples on the device."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
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

    x: Shaped[Array | np.ndarray, "n *features"]
    y: Float[Array | np.ndarray, "n outputs"]
    offset: float = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    def on_host(self) -> "Data":
        """The same as arrays of NumPy, whose few rows are shown without a compiled program."""
        return Data(np.asarray(self.x), np.asarray(self.y), self.offset, self.scale)

    @staticmethod
    def of(samples: Samples) -> "Data":
        return Data(jnp.asarray(samples.x), jnp.asarray(samples.y), samples.offset, samples.scale)

    def show(
        self, rows: Int[Array | np.ndarray, " batch"]
    ) -> tuple[Float[Array, "batch *features"], Float[Array, "batch outputs"]]:
        """Inputs and targets of these rows."""
        x = self.x[rows].astype(np.float32)
        if (self.offset, self.scale) != (0.0, 1.0):
            x = (x - self.offset) * self.scale
        return x, self.y[rows]
