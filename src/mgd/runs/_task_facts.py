"""What whoever uses a run's chip must know of its task, kept beside the run: `task.json`. Nothing here imports JAX."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import RunError
from ._contents import TASK, put, read_json

if TYPE_CHECKING:
    from ..datasets import Task


def task_facts(task: "Task") -> dict[str, Any]:
    """What is kept of a task.

    - `name`, `kind`, `classes`: as the task has them; values have no classes.
    - `input_shape`, `n_outputs`: of one sample.
    - `inputs`: names of the columns that inputs came from, or null.
    - `scaling`: null, or `how`, and the `offset` and the `spread` of each input: (x - offset) / spread is stored.
    - `offset`, `scale`: of what is stored, (x - offset) · scale is shown to the chip.
    """
    scaling = task.scaling
    return {
        "name": task.name,
        "kind": task.kind,
        "classes": [] if task.kind == "values" else list(task.classes),
        "input_shape": list(task.input_shape),
        "n_outputs": task.n_outputs,
        "inputs": None if task.inputs is None else list(task.inputs),
        "scaling": None
        if scaling is None
        else {"how": scaling.how, "offset": scaling.offset.tolist(), "spread": scaling.spread.tolist()},
        "offset": float(task.train.offset),
        "scale": float(task.train.scale),
    }


def write_task_facts(folder: Path, task: "Task") -> None:
    """Keeps what must be known of a run's task; nothing is written if it is kept already, whole and the same.

    Raises:
        OSError: if it cannot be written.
    """
    facts = task_facts(task)
    try:
        if read_json(folder, TASK) == facts:
            return
    except RunError:  # it was harmed, and is written again
        pass
    put(folder, {TASK: (json.dumps(facts, indent=2) + "\n").encode()})


def read_task_facts(folder: Path) -> dict[str, Any]:
    """What is kept of a run's task; see `task_facts`.

    Raises:
        RunError: if it is damaged or missing.
    """
    found = read_json(folder, TASK)
    if found is None:
        raise RunError(f"{folder} has no {TASK}, which says what its task is: mgd resume {folder} writes it again")
    return found
