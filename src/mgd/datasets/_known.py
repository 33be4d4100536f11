"""Suffixes of files that can be data. Nothing here imports JAX."""

import os
from pathlib import Path

from .._errors import DataError
from .._input import nearest

TEXT = (".csv", ".tsv", ".txt", ".dat")
KNOWN = (*TEXT, ".npz", ".npy")


def check_there(path: Path) -> None:
    """Raises: DataError: if there is nothing at this path; the message has a file with a similar name."""
    if os.path.lexists(path):
        return
    beside = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    raise DataError(f"there is no file {path}{nearest(path.name, beside)}")
