"""What a run directory says of its task: what a chip is shown, and what its outputs mean. Nothing here imports JAX."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped

from ..datasets import Scaling
from ._contents import TASK, damaged, read_json

if TYPE_CHECKING:
    from ..datasets import Task


@dataclass(frozen=True)
class TaskFacts:
    """What there is to know of a task without its samples.

    Attributes:
        name: of the task.
        kind: of its targets, as in `mgd.datasets.Task`.
        classes: their names.
        input_shape: of one input.
        n_outputs: how many outputs a chip gives.
        inputs: names of the inputs' columns, where they have some.
        scaling: how inputs are scaled, by what the training samples said; None if they are not.
        offset: subtracted from a stored input.
        scale: multiplied after.
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    n_outputs: int
    inputs: tuple[str, ...] | None = None
    scaling: Scaling | None = None
    offset: float = 0.0
    scale: float = 1.0

    @staticmethod
    def of(task: "Task") -> "TaskFacts":
        """Those of a task that is at hand."""
        train = task.train
        return TaskFacts(
            name=task.name,
            kind=task.kind,
            classes=() if task.kind == "values" else task.classes,
            input_shape=task.input_shape,
            n_outputs=task.n_outputs,
            inputs=task.inputs,
            scaling=task.scaling,
            offset=train.offset,
            scale=train.scale,
        )

    def check_inputs(self, x: Shaped[np.ndarray, "..."], what: str = "inputs") -> None:
        """Raises: ValueError: if these are not samples of the task, one a row; both shapes are named."""
        if x.ndim == 0 or x.shape[1:] != self.input_shape:
            due = ", ".join(("n", *map(str, self.input_shape)))
            raise ValueError(f"{what} have shape {x.shape}, and {self.name} was trained on inputs of shape ({due})")
        if x.dtype.kind not in "biuf":
            raise ValueError(f"{what} must be numbers, got {x.dtype}")

    def shown(self, x: Shaped[np.ndarray, "n *features"]) -> Float[np.ndarray, "n *features"]:
        """Inputs in the user's own units, as the chip is shown them."""
        if self.scaling is not None:
            x = self.scaling(x)
        small = np.asarray(x, np.float32)
        if (self.offset, self.scale) == (0.0, 1.0):
            return small
        return (small - np.float32(self.offset)) * np.float32(self.scale)


def read_facts(folder: Path) -> TaskFacts | None:
    """What a run directory says of its task; None in runs of before that was kept.

    Raises:
        RunError: if it is damaged.
    """
    told = read_json(folder, TASK)
    if told is None:
        return None
    try:
        scaling = None if told["scaling"] is None else _scaling(told["scaling"], tuple(told["input_shape"]))
    except (ValueError, TypeError) as error:
        raise damaged(folder, TASK, str(error)) from None
    return TaskFacts(
        name=told["name"],
        kind=told["kind"],
        classes=tuple(told["classes"]),
        input_shape=tuple(told["input_shape"]),
        n_outputs=told["n_outputs"],
        inputs=None if told["inputs"] is None else tuple(told["inputs"]),
        scaling=scaling,
        offset=told["offset"],
        scale=told["scale"],
    )


def _scaling(told: Mapping[str, Any], shape: tuple[int, ...]) -> Scaling:
    """Raises: ValueError: if it is not of inputs of this shape."""
    offset, spread = (np.asarray(told[name], np.float64) for name in ("offset", "spread"))
    if not offset.shape == spread.shape == shape:
        raise ValueError(f"its scaling is of inputs of shape {offset.shape}, not {shape}")
    return Scaling(told["how"], offset, spread)
