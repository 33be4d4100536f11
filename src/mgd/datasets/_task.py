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

    Inputs may be stored as bytes (images); `features` turns stored rows into the numbers a chip is
    shown, `(x − offset) · scale` in float32, so that a data set takes no more memory than its file.

    Args:
        x: stored inputs, one row a sample, float32 or uint8.
        y: targets in float32 of shape (n, outputs), one row a sample and one column an output.
        offset: subtracted from a stored input.
        scale: multiplied after.

    Raises:
        ValueError: if there are no rows, not as many inputs as targets, a number is NaN or infinite, or targets are
            not rows.
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
        """What the chip is shown for stored inputs (any leading axes)."""
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
        "a number): mend these rows or leave them out"
    )


@dataclass(frozen=True, eq=False)
class Task:
    """Something to learn.

    The kind of its targets says how outputs are judged:

    - "classes": one column a class, of which the largest target and the largest output name one; or one output, read
      as two classes, split at 0.5 (a logit at 0). The measure is the accuracy.
    - "signs": targets -1 and 1, split at 0. The accuracy; of several outputs the accuracy by label.
    - "labels": several outputs that say yes or no independently, split at 0.5. The accuracy by label: the share of all
      labels that are right.
    - "values": numbers. The measure is R² over all outputs together, 1 - Σ(y - ŷ)² / Σ(ŷ - mean ŷ)², with ŷ the
      targets; it is 1 if all are met and 0 if an output is no better than the mean of its targets.

    Args:
        name: as on the command line.
        train: what training may see.
        test: what a chip is judged by; training never sees it (for parity, every pattern is both).
        classes: a name for each class.
        solved_accuracy: a chip has solved the task when its test accuracy is at least this.
        source: where the data come from, or how they are made.
        held_out: training samples that training does not see, to choose settings by.
        kind: of the targets. If it is left out, targets that are all 0 or 1 are classes where each row has one 1 or
            there is one column, otherwise labels; all -1 or 1, classes where each of several columns has one 1 a row,
            otherwise signs; and all else is values. So probabilities and softened classes are values unless they are
            said to be classes.
        solved_r2: where targets are values, the R² at which a chip has solved the task; without it none has.
        scaling: how inputs were scaled, to be called on new ones; None if they are as they were given.
        order: in which training samples are presented: "shuffled", anew in every epoch, or "sequential", as they lie,
            and from the first again after the last.
        inputs: a name for each input, if they have some.
        files: those that the samples were read from, if `from_file` did it.

    Raises:
        ValueError: if there is no such kind or order, or the targets are not of the kind.
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
        """The value of the task's measure at which a chip has solved it; None if there is none."""
        return self.solved_r2 if self.kind == "values" else self.solved_accuracy


def check_batch(batch: int, task: Task) -> None:
    """Raises: ValueError: if a batch has more samples than there are."""
    if batch > len(task.train):
        raise ValueError(f"batch must be at most the {len(task.train)} training samples of {task.name}, got {batch}")
