"""Files that are whole or as they were."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Puts content at a path so that a reader, or a power cut, sees all of it or the file as it was."""
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
