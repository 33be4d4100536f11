"""A task: labelled samples to train on, samples to judge by, and where both come from."""

from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from .._input import nearest
from ._kind import check_kind, kind_of
from ._scaling import Scaling

ORDERS = ("shuffled", "sequential")
# Numbers that are looked at together, so that what is made of them takes little memory.
_LOOKED_AT = 2**22


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs and targets, row by row, as they lie in memory.

    Inputs may be stored as bytes (images); `features` turns stored rows into the numbers that a chip
    sees, `(x − offset) · scale` in float32, so that a data set takes no more memory than its file.

    Args:
        x: stored inputs, one row a sample, float32 or uint8.
        y: targets in float32 of shape (n, outputs), one row a sample and one column an output.
        offset: the number subtracted from a stored input.
        scale: the factor applied after that.

    Raises:
        ValueError: if there are no rows, the numbers of inputs and targets differ, a number is NaN or infinite, or
            targets are not rows.
    """

    x: Shaped[np.ndarray, "n *features"]
    y: Float[np.ndarray, "..."]
    offset: float = 0.0
    scale: float = 1.0

    def __post_init__(self):
        if len(self.x) == 0:
            raise ValueError("a set of samples needs at least one row, got none")
        if len(self.x) != len(self.y):
            raise ValueError(
                f"as many targets as inputs are needed, got {len(self.x)} inputs and {len(self.y)} targets"
            )
        if self.y.ndim != 2 or self.y.shape[1] == 0:
            raise ValueError(
                f"targets must have one row a sample and one column an output, got shape {self.y.shape}: "
                "give from_arrays class numbers of shape (n,), or put the outputs of a sequence side by side, "
                "y.reshape(n, -1)"
            )
        check_finite(self.x, "inputs")
        check_finite(self.y, "targets")

    def __len__(self) -> int:
        return len(self.x)

    def features(self, stored: Shaped[Array, "*batch"]) -> Float[Array, "*batch"]:
        """The numbers that the chip sees for stored inputs (any leading axes)."""
        if (self.offset, self.scale) == (0.0, 1.0):
            return jnp.asarray(stored, jnp.float32)
        return (jnp.asarray(stored, jnp.float32) - self.offset) * self.scale

    def subset(self, rows: Int[np.ndarray, " m"] | slice) -> "Samples":
        """The chosen rows, stored and shown in the same way."""
        return Samples(self.x[rows], self.y[rows], self.offset, self.scale)


def check_finite(values: Shaped[np.ndarray, "n *rest"], what: str) -> None:
    """Raises: ValueError: if a number is NaN or infinite; it says where."""
    if not np.issubdtype(values.dtype, np.floating):
        return
    step = max(1, _LOOKED_AT // max(1, values[:1].size))
    if all(np.isfinite(values[start : start + step]).all() for start in range(0, len(values), step)):
        return
    wrong = ~np.isfinite(values)
    row, *place = np.argwhere(wrong)[0]
    column = f", column {', '.join(map(str, place))}" if place else ""
    rows = int(wrong.reshape(len(values), -1).any(1).sum())
    raise ValueError(
        f"{what} must be finite: row {row}{column} is {values[(row, *place)]} ({rows} of {len(values)} rows have such "
        "a number): correct these rows or leave them out"
    )


@dataclass(frozen=True, eq=False)
class Task:
    """Something to learn.

    The kind of its targets says how outputs are judged:

    - "classes": one column for each class; the largest target and the largest output name the class. Or one output for
      two classes, split at 0.5 (a logit at 0). The measure is the accuracy.
    - "signs": targets -1 and 1, split at 0. The measure is the accuracy; for several outputs the accuracy by label.
    - "labels": several outputs that say yes or no independently, split at 0.5. The measure is the accuracy by label:
      the share of all labels that are right.
    - "values": numbers. The measure is R² over all outputs together, 1 - Σ(y - ŷ)² / Σ(ŷ - mean ŷ)², with ŷ the
      targets; it is 1 if all are met and 0 if an output is no better than the mean of its targets.

    Args:
        name: its name on the command line.
        train: the samples for training.
        test: the samples for the test; training never sees them (for parity, every pattern is in both).
        classes: a name for each class.
        solved_accuracy: a chip has solved the task when its test accuracy is at least this.
        source: where the data come from, or how they are made.
        held_out: training samples that training does not see, for the choice of settings.
        kind: the kind of the targets. By default, targets that are all 0 or 1 are classes if each row has one 1 or
            there is one column, otherwise labels; targets that are all -1 or 1 are classes if there are several columns
            and each row has one 1, otherwise signs; all others are values. So probabilities and softened classes are
            values, unless you say that they are classes.
        solved_r2: for values, the R² at which a chip has solved the task; without it no chip has.
        scaling: the scaling of the inputs, which you call on new ones; None if they were not scaled.
        order: the order of the training samples: "shuffled", anew in every epoch, or "sequential", as they lie, and
            from the first again after the last.
        inputs: a name for each input, if they have names.
        files: the files from which `from_file` read the samples.

    Raises:
        ValueError: if the kind or the order is unknown, or the targets do not match the kind.
    """

    name: str
    train: Samples
    test: Samples
    classes: tuple[str, ...]
    solved_accuracy: float
    source: str
    held_out: Samples | None = None
    kind: str = ""
    solved_r2: float | None = None
    scaling: Scaling | None = None
    order: str = "shuffled"
    inputs: tuple[str, ...] | None = None
    files: tuple[Path, ...] = ()

    def __post_init__(self):
        if self.order not in ORDERS:
            raise ValueError(f"unknown order {self.order!r}{nearest(self.order, ORDERS)}; choose {', '.join(ORDERS)}")
        if not self.kind:
            object.__setattr__(self, "kind", kind_of(self.train.y))
        for whose, samples in (("training", self.train), ("test", self.test), ("held-out", self.held_out)):
            if samples is not None:
                check_kind(self.kind, samples.y, whose)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.train.x.shape[1:]

    @property
    def n_outputs(self) -> int:
        return self.train.y.shape[1]

    @property
    def threshold(self) -> float | None:
        """The value of the measure at which a chip has solved the task; None if there is none."""
        return self.solved_r2 if self.kind == "values" else self.solved_accuracy


def check_batch(batch: int, task: Task) -> None:
    """Raises: ValueError: if a batch has more samples than there are."""
    if batch > len(task.train):
        raise ValueError(f"batch must be at most the {len(task.train)} training samples of {task.name}, got {batch}")
