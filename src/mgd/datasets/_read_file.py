"""Reads files and folders of data, each with its reader, and the test samples beside them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .._errors import DataError
from ._array_files import read_npy, read_npz
from ._columns import Columns
from ._image_folder import class_folders, read_image_folder
from ._known import KNOWN, TEXT, check_there
from ._source import Source
from ._text_table import read_text_table

_NAMED = 3


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Puts the name of the file before the message of an error."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


@dataclass(frozen=True)
class Choice:
    """The parts of a file that the user chose."""

    inputs: Columns | None
    targets: Any
    header: bool | None

    def check_none(self, folder: Path) -> None:
        """Raises: ValueError: if something is chosen in a folder without columns and keys."""
        for name in ("inputs", "targets", "header"):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} is for tables, and {folder} has none: leave it out")

    def for_test(self, path: Path) -> "Choice":
        """The same choice for a test file.

        Raises:
            ValueError: if the targets are in another file, which is that of training.
        """
        beside = isinstance(self.targets, os.PathLike) or str(self.targets).endswith(".npy")
        if beside and path.is_file():
            raise ValueError(
                f"targets = {os.fspath(self.targets)!r} are for training: put x.npy, y.npy, x_test.npy and "
                "y_test.npy into one folder, and give that folder"
            )
        return self


def read_source(path: Path, choice: Choice, test: Path | None) -> Source:
    """Inputs and targets of a file or folder, with the test samples.

    Raises:
        DataError: if it cannot be read, or its data are invalid.
        ValueError: if there is no such column or key, or there are two test sets.
    """
    source = _read(path, choice)
    if test is None:
        return source
    if source.test is not None:
        raise ValueError(f"{path} already has a test set: leave test out, got {os.fspath(test)!r}")
    return _with_test(source, _read(test, choice.for_test(test), like=source))


def _read(path: Path, choice: Choice, *, like: Source | None = None) -> Source:
    """Inputs and targets of a file or folder."""
    if path.is_dir():
        return _read_folder(path, choice, like)
    suffix = path.suffix.lower()
    check_there(path)
    if suffix not in KNOWN:
        raise DataError(
            f"{path} has an unknown format: give {', '.join(KNOWN)} or a folder; for other data, give your own "
            'function that returns a Task, as build = "module:function" in [task]'
        )
    if suffix in TEXT:
        with named(path):
            return read_text_table(path, choice.inputs, choice.targets, choice.header)
    if choice.header is not None:
        raise ValueError(f"header is for tables of text, and {path} is not one: leave it out")
    if suffix == ".npz":
        return read_npz(path, choice.inputs, choice.targets)
    targets = choice.targets
    with named(path):
        return read_npy(path, choice.inputs, Path(targets) if isinstance(targets, os.PathLike) else targets)


def _read_folder(folder: Path, choice: Choice, like: Source | None) -> Source:
    """Inputs and targets of a folder, in any of its layouts."""
    if (folder / "x.npy").is_file() and (folder / "y.npy").is_file():
        choice.check_none(folder)
        first = read_npy(folder / "x.npy", None, folder / "y.npy")
        if not ((folder / "x_test.npy").is_file() and (folder / "y_test.npy").is_file()):
            return first
        return _with_test(first, read_npy(folder / "x_test.npy", None, folder / "y_test.npy"))
    for suffix in KNOWN:
        train, test = (folder / f"{name}{suffix}" for name in ("train", "test"))
        if train.is_file():
            first = _read(train, choice)
            return first if not test.is_file() else _with_test(first, _read(test, choice))
    train, test = folder / "train", folder / "test"
    if class_folders(folder) or (train.is_dir() and class_folders(train)):
        choice.check_none(folder)
    if train.is_dir() and class_folders(train):
        first = read_image_folder(train)
        return first if not test.is_dir() else _with_test(first, read_image_folder(test, like=first))
    if class_folders(folder):
        return read_image_folder(folder, like=like)
    there = sorted(each.name for each in folder.iterdir() if not each.name.startswith("."))
    listed = ", ".join(there[:_NAMED]) + (", …" if len(there) > _NAMED else "")
    raise DataError(
        f"{folder} has no data that mgd can read ({f'it has {listed}' if there else 'it is empty'}): put x.npy and "
        "y.npy into it, or train.csv, or a folder of PNG or JPEG images for each class; or give one of its files"
    )


def _with_test(train: Source, test: Source) -> Source:
    return replace(train, test=test, files=(*train.files, *test.files))
