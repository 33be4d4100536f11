"""A task by its name on the command line."""

import os

from ..rows import TASKS
from ._catalogue import check_name
from ._task import Task


def load(name: str, *, bits: int | None = None, data: str | os.PathLike | None = None) -> Task:
    """The task of that name, with its default sizes.

    Args:
        name: one of `names()`.
        bits: inputs of parity (2 if None); our other tasks take none.
        data: folder of the files of fashion-mnist or cifar10; our other tasks take none.

    Returns:
        The task.

    Raises:
        ValueError: if no task has that name, or it does not take the given arguments.
        DataError: if its files cannot be found, fetched or read.

    Example:
        >>> from mgd.datasets import load
        >>> load("parity", bits=3).train.x.shape
        (8, 3)
        >>> load("pairity")
        Traceback (most recent call last):
        ValueError: no task is called 'pairity'; did you mean parity? The tasks are parity, nist7x7, ...
    """
    check_name(name)
    takes = TASKS.row(name).takes
    if bits is not None and "bits" not in takes:
        takers = ", ".join(name for name, row in TASKS.own.items() if "bits" in row.takes)
        raise ValueError(f"bits is for {takers} only, got bits={bits} for {name}: leave it out")
    if data is not None and "data" not in takes:
        raise ValueError(f"{name} needs no files, got data={os.fspath(data)!r}: leave it out")
    given = {"bits": bits, "data": data}
    return TASKS.build(name, lambda row: row.build(**{key: value for key, value in given.items() if value is not None}))
