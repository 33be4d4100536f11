"""A task by its name on the command line."""

import os

from ._catalogue import check_name
from ._cifar10 import cifar10
from ._digits import digits
from ._fashion_mnist import fashion_mnist
from ._nist7x7 import nist7x7
from ._parity import parity
from ._task import Task
from ._yin_yang import yin_yang


def load(name: str, *, bits: int | None = None, data: str | os.PathLike | None = None) -> Task:
    """The task of that name, with its default sizes.

    Args:
        name: one of `names()`.
        bits: inputs of parity (2 if None); other tasks take none.
        data: folder of the files of fashion-mnist or cifar10; other tasks take none.

    Returns:
        The task.

    Raises:
        ValueError: if no task is called that, or it does not take what was given.
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
    if bits is not None and name != "parity":
        raise ValueError(f"bits is for parity only, got bits={bits} for {name}: leave it out")
    if name == "parity":
        make = {"parity": lambda: parity(2 if bits is None else bits)}
    else:
        make = {"nist7x7": nist7x7, "yin-yang": yin_yang, "digits": digits}
    if name in make:
        if data is not None:
            raise ValueError(f"{name} needs no files, got data={os.fspath(data)!r}: leave it out")
        return make[name]()
    return {"fashion-mnist": fashion_mnist, "cifar10": cifar10}[name](data)
