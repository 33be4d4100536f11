"""The run directory: what lies in it, and how it is written."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import RunError
from .._locks import lock_file
from ._config import RunConfig
from ._replace import replace_file

if TYPE_CHECKING:
    import xarray as xr

DIAGNOSTICS = "diagnostics.jsonl"
CONFIG, SUMMARY, METRICS, THETA, CURVE = "config.toml", "summary.json", "metrics.zarr", "theta.safetensors", "curve.png"
DEVICE = "device.safetensors"


def check_out(out: Path | None) -> None:
    """Refuses, before anything is computed, a place where a run directory cannot be.

    Raises:
        RunError: if it is a file, or a directory that is not empty.
    """
    if out is None or not out.exists():
        return
    if not out.is_dir():
        raise RunError(f"{out} is a file: give a directory as --out")
    if (out / CONFIG).exists():
        raise RunError(f"{out} is a run already: give another --out, or go on with it: mgd resume {out}")
    if any(out.iterdir()):
        raise RunError(f"{out} exists and is not empty: give another --out")


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
                raise RunError(f"{out} is a file: give a directory as --out") from None
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
        replace_file(folder / CONFIG, config.toml().encode())
    except OSError as error:
        folder.rmdir()
        raise RunError(f"cannot write to {folder}: {error.strerror}") from error


def read_config(folder: Path) -> RunConfig:
    """The settings of a run directory.

    Raises:
        RunError: if it is none.
    """
    if not (folder / CONFIG).is_file():
        raise RunError(f"{folder} is not a run directory: it has no {CONFIG}")
    try:
        return RunConfig.read(folder / CONFIG)
    except ValueError as error:
        raise RunError(str(error)) from error


def read_summary(folder: Path) -> dict[str, Any] | None:
    """The summary of a finished run; None if it is not finished.

    Raises:
        RunError: if it is damaged.
    """
    path = folder / SUMMARY
    if not path.exists():
        return None
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        summary = None
    if not isinstance(summary, dict) or not {"task", "accuracy", "counts", "solved_fraction"} <= summary.keys():
        raise RunError(f"{path} is damaged: mgd resume {folder} writes it again")
    return summary


def read_diagnostics(folder: Path) -> list[dict[str, Any]]:
    """What a run on a chip told of itself at each checkpoint; empty for others. A line cut short is left out."""
    path, found = folder / DIAGNOSTICS, []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def is_finished(folder: Path) -> bool:
    """Whether a run has a whole summary."""
    try:
        return read_summary(folder) is not None
    except RunError:
        return False


def write_metrics(folder: Path, history: "xr.Dataset") -> None:
    """Puts the metrics of a run in place of the last, as Zarr."""
    beside, before = folder / (METRICS + ".part"), folder / (METRICS + ".old")
    for leftover in (beside, before):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        history.to_zarr(beside, zarr_format=3, consolidated=False)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    # Moved away whole, so that what stands at the path never lacks a part: Zarr reads a missing one as zeros.
    if (folder / METRICS).exists():
        (folder / METRICS).rename(before)
    beside.rename(folder / METRICS)
    shutil.rmtree(before, ignore_errors=True)


def read_metrics(folder: Path) -> "xr.Dataset":
    """The metrics of a run so far, finished or not: accuracy and cost over (replica, step), with the counts.

    Raises:
        RunError: if it is not a run directory, or has no metrics that can be read.
    """
    read_config(folder)
    import xarray as xr

    path = folder / METRICS
    for _ in range(10):
        try:
            found = path.stat().st_ino
            history = xr.open_zarr(path, consolidated=False).load()
            if path.stat().st_ino == found:
                return history
        except FileNotFoundError:
            # Being replaced, or not there; a run just begun has none.
            time.sleep(0.05)
        except Exception as error:
            raise RunError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    raise RunError(f"{folder} has no metrics yet: wait for its first checkpoint, or go on with it: mgd resume {folder}")


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
