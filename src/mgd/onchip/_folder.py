"""The folder of a generated circuit."""

from collections.abc import Mapping
from pathlib import Path

from .._errors import RunError


def check_new(folder: str | Path) -> None:
    """Raises: ValueError: if a folder for what is generated has files already."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not empty: give a new folder")


def write_new(folder: str | Path, contents: Mapping[str, str]) -> list[Path]:
    """Writes texts into a new folder, by their names in it, and returns the files.

    Raises:
        ValueError: if the folder has files.
        RunError: if it cannot be made or written.
    """
    check_new(folder)
    files = {Path(folder) / name: text for name, text in contents.items()}
    try:
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}: give another folder, or make room") from error
    return list(files)
