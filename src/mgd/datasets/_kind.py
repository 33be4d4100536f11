"""The kind of the targets, which decides how outputs are judged."""

import numpy as np
from jaxtyping import Float

KINDS = {
    "classes": "one row a sample with the class's column largest, or one column from 0 to 1",
    "signs": "-1 or 1 in every column",
    "labels": "from 0 to 1 in every column",
    "values": "any numbers",
}


def kind_of(y: Float[np.ndarray, "n outputs"]) -> str:
    """The kind inferred from targets.

    >>> kind_of(np.array([[1.0, 0.0], [0.0, 1.0]])), kind_of(np.array([[1.0, 1.0], [0.0, 1.0]]))
    ('classes', 'labels')
    >>> kind_of(np.array([[-1.0], [1.0]])), kind_of(np.array([[0.3], [1.0]]))
    ('signs', 'values')
    """
    high, one_column = y == 1, y.shape[1] == 1
    for low, several in ((0, "labels"), (-1, "signs")):
        if (high | (y == low)).all():
            if one_column:
                return "classes" if low == 0 else "signs"
            return "classes" if (high.sum(1) == 1).all() else several
    return "values"


def check_kind(kind: str, y: Float[np.ndarray, "n outputs"], whose: str) -> None:
    """Raises: ValueError: if the kind is unknown, or these targets do not match it."""
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r} of targets: choose one of {', '.join(KINDS)}")
    if kind == "values" or (kind == "classes" and y.shape[1] > 1):
        return
    fits = (np.abs(y) == 1) if kind == "signs" else (y >= 0) & (y <= 1)
    if not fits.all():
        row, column = np.argwhere(~fits)[0]
        raise ValueError(
            f"targets of the kind {kind!r} are {KINDS[kind]}, and {whose} target [{row}, {column}] is "
            f'{y[row, column]:g}: give kind="values" if targets are numbers'
        )


def metric_of(kind: str, n_outputs: int) -> str:
    """The name of the measure that judges the outputs."""
    if kind == "values":
        return "r2"
    return "label_accuracy" if kind == "labels" or (kind == "signs" and n_outputs > 1) else "accuracy"
