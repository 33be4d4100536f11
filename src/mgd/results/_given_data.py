"""Samples of a file for a trained run to predict, with or without targets."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from .._errors import DataError
from ..datasets import KNOWN, mapped, read_arrays, read_cells
from ..runs import TaskFacts
from ._assessed import class_names, one_of

# Data are in other units if their median column is this many spreads away from training, or this many times as wide.
_FAR, _WIDER = 10.0, 100.0
# The width of fewer samples is not a good estimate.
_FEWEST = 10


class Given(NamedTuple):
    """Samples that the user gave.

    Attributes:
        x: inputs, in the user's own units.
        y: targets in the form of the task; None if there are none.
    """

    x: Shaped[np.ndarray, "n *features"]
    y: Float[np.ndarray, "n outputs"] | None


def read_given(path: Path, facts: TaskFacts, *, header: bool | None = None) -> Given:
    """The samples of a file, for a chip that was trained on this task.

    In a table (CSV, TSV, or an array with two axes) with names, the inputs are the columns with the same names as in
    training; without names, they are the first columns, in the same order. The remaining columns are the targets: one
    column of classes or their names, or one column for each output. An NPZ file has the arrays `x` and, if there are
    targets, `y`, or other usual names.

    Args:
        path: the file.
        facts: the facts of the task.
        header: whether the first line of a table has the names of its columns; by default, whether none of its cells
            is a number.

    Raises:
        DataError: if the file cannot be read.
        ValueError: if its samples do not match those of training, or a class is not one of the task's.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        x, y = read_arrays(path)
        if y is None:
            x, y = _of_array(path, x, facts)
    elif suffix == ".npy":
        x, y = _of_array(path, mapped(path), facts)
    elif suffix in KNOWN:
        x, y = _of_text(path, facts, header)
    else:
        raise ValueError(f"the format of {path} is unknown: give a file that ends in {', '.join(KNOWN)}")
    facts.check_inputs(x, f"the inputs of {path}")
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        row = int(np.argwhere(~np.isfinite(x))[0][0])
        raise DataError(f"{path}: sample {row + 1} has an input that is empty or not a finite number")
    _check_scaling(path, x, facts)
    return Given(x, None if y is None else _targets(path, y, facts))


def _check_scaling(path: Path, x: np.ndarray, facts: TaskFacts) -> None:
    """Raises: ValueError: if inputs are in other units than those of the training."""
    if facts.scale != 1.0 and x.dtype.kind == "f" and x.min() >= 0 and x.max() <= 1:
        raise ValueError(
            f"the inputs of {path} are numbers from {x.min():g} to {x.max():g}, and {facts.name} was trained on bytes "
            "from 0 to 255: give them in the form of the training data"
        )
    scaling = facts.scaling
    if scaling is None or not x[0].size:
        return
    mean, width = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
    off = float(np.median(np.abs(mean - scaling.offset) / scaling.spread))
    wider = float(np.median(width / scaling.spread)) if len(x) >= _FEWEST else 1.0
    if off <= _FAR and 1 / _WIDER <= wider <= _WIDER:
        return
    column = int(np.argmax(np.abs(mean - scaling.offset) / scaling.spread))
    name = repr(facts.inputs[column]) if facts.inputs else f"{column + 1}"
    said = {"standard": ("mean", "standard deviation"), "min-max": ("least", "range")}
    offset, spread = said.get(scaling.how, ("offset", "spread"))
    raise ValueError(
        f"the inputs of {path} are in other units than those of the training: column {name} has mean "
        f"{mean.ravel()[column]:.4g} and standard deviation {width.ravel()[column]:.4g}, and in the training {offset} "
        f"{scaling.offset.ravel()[column]:.4g} and {spread} {scaling.spread.ravel()[column]:.4g}: give them in "
        "the units of the training data, not scaled"
    )


def _of_text(path: Path, facts: TaskFacts, header: bool | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Inputs and targets of a table of text."""
    cells = read_cells(path, header)
    chosen, rest = _columns(path, cells.dialect.names, cells.frame.shape[1], facts)
    x = np.stack([cells.numbers(column) for column in chosen], 1)
    if not rest:
        return x, None
    return x, cells.labels(rest[0]) if len(rest) == 1 else np.stack([cells.numbers(column) for column in rest], 1)


def _of_array(path: Path, values: np.ndarray, facts: TaskFacts) -> tuple[np.ndarray, np.ndarray | None]:
    """Inputs and targets of an array: a table, or inputs alone."""
    if len(facts.input_shape) != 1 or values.ndim != 2:
        return values, None  # such as images; their shape is checked later
    chosen, rest = _columns(path, None, values.shape[1], facts)
    return values[:, chosen], values[:, rest] if rest else None


def _columns(path: Path, names: Sequence[str] | None, n_columns: int, facts: TaskFacts) -> tuple[list[int], list[int]]:
    """The columns of the inputs and of the targets of a table; there may be no targets.

    Raises:
        ValueError: if the inputs cannot be determined.
    """
    n = math.prod(facts.input_shape)
    if names is not None and facts.inputs is not None and set(facts.inputs) <= set(names):
        chosen = [names.index(name) for name in facts.inputs]
    elif n_columns in (n, n + 1, n + facts.n_outputs):
        chosen = list(range(n))
    else:
        raise ValueError(
            f"{path} has {n_columns} columns, and {facts.name} was trained on {n} inputs: give these, and a column for "
            "the target, if there is one"
        )
    rest = [column for column in range(n_columns) if column not in chosen]
    # With any other number of columns, the targets cannot be determined.
    return chosen, rest if len(rest) in (1, facts.n_outputs) else []


def _numbers(path: Path, cells: np.ndarray) -> np.ndarray:
    if cells.dtype.kind in "biuf":
        return cells
    try:
        return cells.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: an input is not a number ({error})") from None


def _targets(path: Path, y: np.ndarray, facts: TaskFacts) -> Float[np.ndarray, "n outputs"]:
    """Targets in the form of the task."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if one_of(facts) and y.ndim == 1:
        return _of_classes(path, y, facts)
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or y.shape[1] != facts.n_outputs:
        raise ValueError(f"the targets of {path} have shape {y.shape}, and {facts.name} has {facts.n_outputs} outputs")
    return _numbers(path, y).astype(np.float32)


def _of_classes(path: Path, y: np.ndarray, facts: TaskFacts) -> Float[np.ndarray, "n outputs"]:
    names = class_names(facts)
    places = {name: place for place, name in enumerate(names)}
    found = np.empty(len(y), np.int64)
    for row, label in enumerate(y):
        name = _written(label)
        if name not in places:
            raise ValueError(
                f"{path}: the target of sample {row + 1} is {name!r}, not one of the classes {', '.join(names)}: "
                "correct it, or leave that column out"
            )
        found[row] = places[name]
    if facts.n_outputs > 1:
        return np.eye(len(names), dtype=np.float32)[found]
    low = -1.0 if facts.kind == "signs" else 0.0
    return np.where(found == 1, 1.0, low).astype(np.float32)[:, None]


def _written(label: object) -> str:
    """The name of a class: 2.0 in a table is the class 2."""
    if isinstance(label, float | np.floating) and float(label).is_integer():
        return str(int(label))
    return str(label).strip()
