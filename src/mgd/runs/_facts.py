"""What a run directory says of its task: what a chip is shown, and what its outputs mean. Nothing here imports JAX."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped
from pydantic import BaseModel, ConfigDict, ValidationError

from .._errors import RunError
from .._input import first_error
from ..datasets import Scaling
from ._contents import read_bytes

if TYPE_CHECKING:
    from ..datasets import Task

TASK = "task.json"


class _Scaling(BaseModel):
    how: str
    offset: Any
    spread: Any


class _File(BaseModel):
    model_config = ConfigDict(strict=True)

    name: str
    kind: str
    classes: list[str]
    input_shape: list[int]
    n_outputs: int
    inputs: list[str] | None
    scaling: _Scaling | None
    offset: float
    scale: float


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
            classes=task.classes,
            input_shape=task.input_shape,
            n_outputs=task.n_outputs,
            inputs=getattr(task, "inputs", None),
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
    content = read_bytes(folder, TASK)
    if content is None:
        return None
    try:
        told = _File.model_validate_json(content)
        scaling = None
        if told.scaling is not None:
            offset, spread = (np.asarray(of, np.float64) for of in (told.scaling.offset, told.scaling.spread))
            if not offset.shape == spread.shape == tuple(told.input_shape):
                raise ValueError(f"its scaling is of inputs of shape {offset.shape}, not {tuple(told.input_shape)}")
            scaling = Scaling(told.scaling.how, offset, spread)
    except ValidationError as error:
        raise _damaged(folder, first_error(error, ())) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(folder, str(error)) from None
    return TaskFacts(
        name=told.name,
        kind=told.kind,
        classes=tuple(told.classes),
        input_shape=tuple(told.input_shape),
        n_outputs=told.n_outputs,
        inputs=None if told.inputs is None else tuple(told.inputs),
        scaling=scaling,
        offset=told.offset,
        scale=told.scale,
    )


def read_task_json(folder: Path) -> dict[str, Any] | None:
    """The file as it is, once it is known to be whole; None if there is none."""
    if read_facts(folder) is None:
        return None
    return json.loads(read_bytes(folder, TASK) or b"null")


def _damaged(folder: Path, why: str) -> RunError:
    return RunError(f"{folder / TASK} is damaged ({why}): mgd resume {folder} writes it again")
