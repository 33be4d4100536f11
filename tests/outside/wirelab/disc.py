"""Points in a disc, or beside it."""

import numpy as np

from mgd.datasets import from_arrays
from mgd.rows import TaskRow

_TRAIN, _TEST = 2_000, 500


def disc():
    """Is a point of the square within 0.8 of its middle? About half of them are."""
    x = np.random.default_rng(1).uniform(-1, 1, (_TRAIN + _TEST, 2))
    inside = (np.hypot(*x.T) < 0.8).astype(int)
    train, test = (x[:_TRAIN], inside[:_TRAIN]), (x[_TRAIN:], inside[_TRAIN:])
    return from_arrays(*train, test=test, name="disc", classes=("beside", "inside"), solved_accuracy=0.9)


ROW = TaskRow(
    "points in a disc or beside it, 2 inputs, 2 classes",
    disc,
    inputs=(2,),
    outputs=2,
    samples=_TRAIN,
    chip={"hidden": [8], "replicas": 4},
)
