"""The folder of a generated circuit."""

from pathlib import Path


def new_folder(folder: str | Path) -> Path:
    """Makes a folder for what is generated.

    Raises:
        ValueError: if it has files.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not empty: give a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
