"""Samples on the device, and on the host."""

from dataclasses import dataclass
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped, UInt32

from .._counter import Counter
from ..algorithm import rows_of
from ..datasets import Samples

# Presentations whose rows are worked out at a time, at most, and rows.
_MOST_PRESENTATIONS, _MOST_ROWS = 512, 2**16
# Inputs of so many numbers are turned into features once for all.
_FEW_NUMBERS = 2_000_000


class Data(eqx.Module):
    """Samples as arrays of the device, still as stored; rows are turned into features when they are shown.

    Attributes:
        x: stored inputs.
        y: targets.
        offset: subtracted from a stored input.
        scale: multiplied after.
        kind: of the targets, as in `mgd.datasets.Task`.
        order: in which samples are presented, likewise.
    """

    x: Shaped[Array, "n *features"]
    y: Float[Array, "n outputs"]
    offset: float = eqx.field(static=True)
    scale: float = eqx.field(static=True)
    kind: str = eqx.field(static=True, default="classes")
    order: str = eqx.field(static=True, default="shuffled")

    @staticmethod
    def of(samples: Samples, kind: str = "classes", order: str = "shuffled") -> "Data":
        return Data(_placed(samples.x), jnp.asarray(samples.y), samples.offset, samples.scale, kind, order)

    def rows(self, presentation: Counter, *, seed: UInt32[Array, " 2"], batch: int) -> Int[Array, " {batch}"]:
        """The rows of a presentation, counted over the whole run."""
        return rows_of(presentation, seed=seed, n_samples=len(self.y), batch=batch, order=self.order)

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
        x: their inputs: features where they are few, otherwise as stored.
        y: their targets.
    """

    data: Data
    x: Shaped[np.ndarray, "n *features"]
    y: Float[np.ndarray, "n outputs"]

    @staticmethod
    def of(data: Data) -> "HostData":
        x, y = np.asarray(data.x), np.asarray(data.y)
        return HostData(data, x if x.size > _FEW_NUMBERS else _features(x, data), y)

    def show(
        self, rows: Int[np.ndarray, " batch"]
    ) -> tuple[Float[np.ndarray, "batch *features"], Float[np.ndarray, "batch outputs"]]:
        """Inputs and targets of these rows, to the bit as the device has them."""
        x = self.x.take(rows, 0)
        return x if self.x.size <= _FEW_NUMBERS else _features(x, self.data), self.y.take(rows, 0)


def _placed(values: Shaped[np.ndarray, "n *features"]) -> Shaped[Array, "n *features"]:
    """Inputs on the device; where they are, without a copy, if nobody can write to them and JAX can use them there."""
    return jnp.asarray(values) if values.flags.writeable else jax.device_put(np.asarray(values))


def _features(stored: Shaped[np.ndarray, "*many"], data: Data) -> Float[np.ndarray, "*many"]:
    x = stored.astype(np.float32)
    if (data.offset, data.scale) != (0.0, 1.0):
        x = (x - np.float32(data.offset)) * np.float32(data.scale)
    return x


@partial(jax.jit, static_argnames=("n_samples", "batch", "order"))
def coming_rows(
    first: Counter, seed: UInt32[Array, " 2"], *, n_samples: int, batch: int, order: str = "shuffled"
) -> Int[Array, "presentations batch"]:
    """The rows of the training set in some presentations, from the first of them on."""

    def one(k: UInt32[Array, ""]) -> Int[Array, " batch"]:
        return rows_of(first.plus(k), seed=seed, n_samples=n_samples, batch=batch, order=order)

    n_presentations = max(1, min(_MOST_PRESENTATIONS, _MOST_ROWS // batch))
    return jax.vmap(one)(jnp.arange(n_presentations, dtype=jnp.uint32))
