"""Which files are read as data, and which a task of one's own has. Nothing here imports JAX."""

import os
from pathlib import Path
from typing import Any

from .._errors import DataError
from .._input import nearest

TEXT = (".csv", ".tsv", ".txt", ".dat")
KNOWN = (*TEXT, ".npz", ".npy")


def check_there(path: Path) -> None:
    """Raises: DataError: if there is nothing at this path; with the file beside it that may have been meant."""
    if os.path.lexists(path):
        return
    beside = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    raise DataError(f"there is no file {path}{nearest(path.name, beside)}")


def files_of(path: str | os.PathLike, test: str | os.PathLike | None, targets: Any) -> list[Path]:
    """The files that data at these places are read from, in the order of their names.

    Raises:
        DataError: if there are none.
    """
    places = [Path(path), *([] if test is None else [Path(test)])]
    if isinstance(targets, os.PathLike) or (isinstance(targets, str) and targets.endswith(".npy")):
        places.append(Path(path).parent / targets)
    found = []
    for place in places:
        check_there(place)
        inside = sorted(each for each in place.rglob("*") if each.is_file()) if place.is_dir() else [place]
        found += [each for each in inside if not any(part.startswith(".") for part in each.relative_to(place).parts)]
    if not found:
        raise DataError(f"there is nothing in {path}")
    return found
