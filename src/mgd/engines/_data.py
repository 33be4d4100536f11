"""Samples on the device, and on the host."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class HostData:
    """The same for a host that shows few rows at a time, without a compiled program.

    Attributes:
        data: the samples of the device.
        x: their stored inputs.
        y: their targets.
    """

    data: Data
    x: Shaped[np.ndarray, "n *features"]
    y: Float[np.ndarray, "n outputs"]

    @staticmethod
    def of(data: Data) -> "HostData":
        return HostData(data, np.asarray(data.x), np.asarray(data.y))

    def show(
        self, rows: Int[np.ndarray, " batch"]
    ) -> tuple[Float[np.ndarray, "batch *features"], Float[np.ndarray, "batch outputs"]]:
        """Inputs and targets of these rows, to the bit as the device has them."""
        x = self.x[rows].astype(np.float32)
        if (self.data.offset, self.data.scale) != (0.0, 1.0):
            x = (x - np.float32(self.data.offset)) * np.float32(self.data.scale)
        return x, self.y[rows]
