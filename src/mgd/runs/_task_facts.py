"""The facts of a run's task that a user of its chip must know, in `task.json`. Nothing here imports JAX."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped

from .._errors import RunError
from ..datasets import Scaling
from ._contents import TASK, damaged, put, read_json

if TYPE_CHECKING:
    from ..datasets import Task


@dataclass(frozen=True)
class TaskFacts:
    """The facts of a task, without its samples.

    Attributes:
        name: the name of the task.
        kind: the kind of its targets, as in `mgd.datasets.Task`.
        classes: the names of the classes; empty for values.
        input_shape: the shape of one input.
        n_outputs: number of outputs of a chip.
        inputs: names of the inputs' columns, if they have names.
        scaling: the scaling of the inputs, fitted to the training samples; None if they are not scaled.
        offset: subtracted from a stored input.
        scale: factor after the subtraction: the chip is shown (x - offset) · scale.
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
        """The facts of a task."""
        train = task.train
        return TaskFacts(
            name=task.name,
            kind=task.kind,
            classes=() if task.kind == "values" else task.classes,
            input_shape=task.input_shape,
            n_outputs=task.n_outputs,
            inputs=task.inputs,
            scaling=task.scaling,
            offset=float(train.offset),
            scale=float(train.scale),
        )

    def as_json(self) -> dict[str, Any]:
        """These facts in types of JSON; of a scaling, `how`, and `offset` and `spread` of each input."""
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("classes", "input_shape", "inputs"):
            facts[name] = None if facts[name] is None else list(facts[name])
        if self.scaling is not None:
            offset, spread = self.scaling.offset.tolist(), self.scaling.spread.tolist()
            facts["scaling"] = {"how": self.scaling.how, "offset": offset, "spread": spread}
        return facts

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


def write_task_facts(folder: Path, task: "Task") -> None:
    """Writes the facts of a run's task, unless the same facts are there already.

    Raises:
        OSError: if they cannot be written.
    """
    facts = TaskFacts.of(task).as_json()
    try:
        if read_json(folder, TASK) == facts:
            return
    except RunError:  # the file is damaged, and is written again
        pass
    put(folder, {TASK: (json.dumps(facts, indent=2) + "\n").encode()})


def read_task_facts(folder: Path) -> TaskFacts | None:
    """The facts of a run's task; None if an older version wrote the run, which kept none.

    Raises:
        RunError: if they are damaged.
    """
    found = read_json(folder, TASK)
    if found is None:
        return None
    try:
        scaling = None if found["scaling"] is None else _scaling(found["scaling"], tuple(found["input_shape"]))
    except (ValueError, TypeError) as error:
        raise damaged(folder, TASK, str(error)) from None
    return TaskFacts(
        name=found["name"],
        kind=found["kind"],
        classes=tuple(found["classes"]),
        input_shape=tuple(found["input_shape"]),
        n_outputs=found["n_outputs"],
        inputs=None if found["inputs"] is None else tuple(found["inputs"]),
        scaling=scaling,
        offset=found["offset"],
        scale=found["scale"],
    )


def _scaling(found: Mapping[str, Any], shape: tuple[int, ...]) -> Scaling:
    """Raises: ValueError: if it is not of inputs of this shape."""
    offset, spread = (np.asarray(found[name], np.float64) for name in ("offset", "spread"))
    if not offset.shape == spread.shape == shape:
        raise ValueError(f"its scaling is of inputs of shape {offset.shape}, not {shape}")
    return Scaling(found["how"], offset, spread)
