"""Files that are whole or as they were."""

import errno
import os
from pathlib import Path


def replace_file(path: Path, content: bytes, *, before: Path | None = None) -> None:
    """Replaces a file so that a reader, even after a power cut, finds either the old or the new content, and all of it.

    Args:
        path: the path of the file.
        content: its new content.
        before: where to move the old file, if it is to be kept. Between the two renames it is only there.

    Raises:
        OSError: if it cannot be written; the file is then unchanged.
    """
    if path.is_dir():
        raise OSError(errno.EISDIR, f"{path.name} is a folder and must be a file (remove it)")
    beside = path.with_name(path.name + ".part")
    beside.unlink(missing_ok=True)  # whatever it is: what is there is never written into
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            path.replace(before)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
