"""Data sets' files for the command line: where they are, and getting them."""

import os
from collections.abc import Mapping
from pathlib import Path

from ..rows import TASKS, TaskRow
from ._catalogue import Available, check_name
from ._files import FileSet, find, locate


def fetch(name: str, data: str | os.PathLike | None = None) -> Path:
    """Make sure that a task's files are on this computer and not corrupt; download them if they are missing.

    Args:
        name: `fashion-mnist` or `cifar10`, the tasks that have files.
        data: the folder to look in; nothing is then downloaded.

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
    TASKS.row(name)  # it may be of another package, which cannot be loaded
    rows, _ = TASKS.usable()
    file_sets = _file_sets(rows)
    if name not in file_sets:
        raise ValueError(f"{name} needs no files; those that do are {', '.join(file_sets)}")
    return locate(file_sets[name], data).folder


def available(data: str | os.PathLike | None = None) -> list[Available]:
    """Every task, with the place of its files. Nothing is downloaded or checked.

    Args:
        data: the folder to look in; if None, the places where loading looks.

    Returns:
        One record for each task, in the order of `names()`.

    Example:
        >>> from mgd.datasets import available
        >>> [task.name for task in available() if task.download_megabytes > 0]
        ['fashion-mnist', 'cifar10']
    """
    listed = []
    rows, _ = TASKS.usable()
    file_sets = _file_sets(rows)
    for name, row in rows.items():
        file_set = file_sets.get(name)
        found = find(file_set, data) if file_set else None
        megabytes = file_set.download_megabytes if file_set else 0.0
        listed.append(Available(name, row.line, found.folder if found else None, megabytes))
    return listed


def _file_sets(rows: Mapping[str, TaskRow]) -> dict[str, FileSet]:
    """Of each task that has files."""
    found = {name: row.file_set() for name, row in rows.items()}
    return {name: file_set for name, file_set in found.items() if file_set is not None}
