"""A task: labelled samples to train on, samples to judge by, and where both come from."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from ._scaling import Scaling


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs and targets, row by row, as they lie in memory.

    Inputs may be stored as bytes (images); `features` turns stored rows into the numbers a chip is
    shown, `(x − offset) · scale` in float32, so that a data set takes no more memory than its file.

    Args:
        x: stored inputs, one row a sample, float32 or uint8.
        y: targets in float32, one row a sample: one output in {0, 1}, or one-hot over classes.
        offset: subtracted from a stored input.
        scale: multiplied after.

    Raises:
        ValueError: if there are no rows, or not as many inputs as targets.
    """

    x: Shaped[np.ndarray, "n *features"]
    y: Float[np.ndarray, "n outputs"]
    offset: float = 0.0
    scale: float = 1.0

    def __post_init__(self):
        if len(self.x) == 0:
            raise ValueError("a set of samples needs at least one row, got none")
        if len(self.x) != len(self.y):
            raise ValueError(
                f"as many targets as inputs are needed, got {len(self.x)} inputs and {len(self.y)} targets"
            )

    def __len__(self) -> int:
        return len(self.x)

    def features(self, stored: Shaped[Array, "*batch"]) -> Float[Array, "*batch"]:
        """What the chip is shown for stored inputs (any leading axes)."""
        if (self.offset, self.scale) == (0.0, 1.0):
            return jnp.asarray(stored, jnp.float32)
        return (jnp.asarray(stored, jnp.float32) - self.offset) * self.scale

    def subset(self, rows: Int[np.ndarray, " m"] | slice) -> "Samples":
        """The chosen rows, stored and shown in the same way."""
        return Samples(self.x[rows], self.y[rows], self.offset, self.scale)


@dataclass(frozen=True, eq=False)
class Task:
    """Something to learn.

    Args:
        name: as on the command line.
        train: what training may see.
        test: what accuracy is measured on; training never sees it (for parity, every pattern is both).
        classes: a name for each class; one output is read as two classes, split at 0.5.
        solved_accuracy: a chip has solved the task when its test accuracy is at least this.
        source: where the data come from, or how they are made.
        held_out: training samples that training does not see, to choose settings by.
        scaling: how inputs were scaled, to be called on new ones; None if they are as they were given.
    """

    name: str
    train: Samples
    test: Samples
    classes: tuple[str, ...]
    solved_accuracy: float
    source: str
    held_out: Samples | None = None
    scaling: Scaling | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.train.x.shape[1:]

    @property
    def n_outputs(self) -> int:
        return self.train.y.shape[1]
