"""Data sets' files for the command line: where they are, and getting them."""

import os
from pathlib import Path

from . import _cifar10, _fashion_mnist
from ._catalogue import DESCRIPTIONS, Available, check_name
from ._files import find, locate

_FILE_SETS = {file_set.name: file_set for file_set in (_fashion_mnist.FILES, _cifar10.FILES)}


def fetch(name: str, data: str | os.PathLike | None = None) -> Path:
    """Make sure that a task's files are on this computer, and not corrupt; fetch them if they are not there.

    Args:
        name: `fashion-mnist` or `cifar10`, the tasks that have files.
        data: the folder to look in; nothing is fetched then.

    Returns:
        The folder the files are in.

    Raises:
        ValueError: if no task is called that, or it has no files.
        DataError: if the files are not in `data`, cannot be fetched, or are corrupt.

    Example:
        >>> from mgd.datasets import fetch
        >>> fetch("parity")
        Traceback (most recent call last):
        ValueError: parity needs no files; those that do are fashion-mnist, cifar10
    """
    check_name(name)
    if name not in _FILE_SETS:
        raise ValueError(f"{name} needs no files; those that do are {', '.join(_FILE_SETS)}")
    return locate(_FILE_SETS[name], data).folder


def available(data: str | os.PathLike | None = None) -> list[Available]:
    """Every task, with where its files are. Nothing is fetched or checked.

    Args:
        data: the folder to look in; if None, the places that loading looks in.

    Returns:
        One record a task, in the order of `names()`.

    Example:
        >>> from mgd.datasets import available
        >>> [task.name for task in available() if task.download_megabytes > 0]
        ['fashion-mnist', 'cifar10']
    """
    listed = []
    for name, description in DESCRIPTIONS.items():
        file_set = _FILE_SETS.get(name)
        found = find(file_set, data) if file_set else None
        megabytes = file_set.download_megabytes if file_set else 0.0
        listed.append(Available(name, description, found.folder if found else None, megabytes))
    return listed
