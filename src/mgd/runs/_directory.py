"""The run directory: what lies in it, and how it is written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import RunError
from .._locks import lock_file
from .._version import __version__
from ._config import RunConfig
from ._contents import CONFIG, SUMMARY, THETA, damaged, put_first, read_bytes, read_json
from ._header import FILE, unpack_header

if TYPE_CHECKING:
    import numpy as np


def check_out(out: Path | None) -> None:
    """Refuses, before anything is computed, a place where a run directory cannot be.

    Raises:
        RunError: if it is a file, or a directory that is not empty.
    """
    try:
        found = None if out is None else os.listdir(out)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        if os.path.lexists(out or ""):
            raise RunError(f"{out} is a file: give a directory as out") from None
        return  # what it was to be in is, which making it will tell
    except OSError as error:
        raise RunError(f"cannot make the run directory {out}: {error.strerror}") from error
    if found and CONFIG in found:
        raise RunError(f"{out} is a run already: give another out, or continue it: mgd resume {out}")
    if found:
        raise RunError(f"{out} exists and is not empty: give another out")


def make_directory(out: Path | None, task: str) -> Path:
    """Makes a run directory.

    Args:
        out: where; None for the first free `runs/TASK-N`.
        task: names it.

    Raises:
        RunError: if it cannot be made.
    """
    numbered = (Path("runs") / f"{task}-{number}" for number in count(1))
    for folder in [out] if out is not None else numbered:
        try:
            folder.mkdir(parents=True, exist_ok=out is not None)
            return folder
        except FileExistsError:
            if out is not None:
                raise RunError(f"{out} is a file: give a directory as out") from None
        except OSError as error:
            raise RunError(f"cannot make the run directory {folder}: {error.strerror}") from error
    raise AssertionError("unreachable: numbers do not end")


def write_config(folder: Path, config: RunConfig) -> None:
    """Puts the settings into a fresh run directory, which makes it a run.

    Raises:
        RunError: if another process was there first, or it cannot be written.
    """
    check_out(folder)
    try:
        put_first(folder, CONFIG, config.toml().encode())
    except OSError as error:
        with suppress(OSError):
            (folder / CONFIG).unlink(missing_ok=True)
            folder.rmdir()
        raise RunError(f"cannot write to {folder}: {error.strerror}") from error


def read_config(folder: str | Path) -> RunConfig:
    """The settings of a run directory.

    Raises:
        RunError: if it is not one.
    """
    folder = Path(folder)
    if read_bytes(folder, CONFIG) is None:
        raise RunError(f"{folder} is not a run directory: it has no {CONFIG}")
    try:
        return RunConfig.read(folder / CONFIG)
    except ValueError as error:
        raise RunError(f"{error}{_of_another_version(folder)}") from error


def _of_another_version(folder: Path) -> str:
    """What to do about settings that another version wrote; empty if this one did, or nobody knows."""
    try:
        version = (read_summary(folder) or {}).get("version") or unpack_header(folder / FILE).version
    except RunError:
        return ""
    if version == __version__:
        return ""
    return f"; mgd {version} wrote it, and this is mgd {__version__}: use that version (pip install mgd=={version})"


def read_summary(folder: str | Path) -> dict[str, Any] | None:
    """The summary of a finished run; None if it is not finished.

    Raises:
        RunError: if it is damaged.
    """
    return read_json(Path(folder), SUMMARY)


def read_theta(folder: Path) -> "np.ndarray":
    """The parameters that a run came to, over (replica, p).

    Raises:
        RunError: if they are damaged or missing.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = read_bytes(folder, THETA)
    if content is None:
        raise damaged(folder, THETA, "it is missing")
    try:
        return load(content)["theta"]
    except (SafetensorError, KeyError, ValueError) as error:
        raise damaged(folder, THETA, str(error)) from None


def is_finished(folder: Path) -> bool:
    """Whether a run has a complete summary, and its parameters."""
    try:
        return read_summary(folder) is not None and read_theta(folder).size > 0
    except RunError:
        return False


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keeps a second process from writing to the same run.

    Raises:
        RunError: if another process is writing, or the file system has no locks.
    """
    try:
        directory = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise RunError(f"cannot open {folder}: {error.strerror}") from error
    try:
        try:
            taken = lock_file(directory)
        except OSError as error:
            raise RunError(
                f"{folder} is on a file system without locks ({error.strerror or error}), so two processes could write "
                "to one run unnoticed: keep it on a local disk, by another --out"
            ) from error
        if not taken:
            raise RunError(f"{folder} is being written by another process: wait for it or stop it")
        yield
    finally:
        os.close(directory)
