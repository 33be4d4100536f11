"""The run directory: what lies in it, and how it is written."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xarray as xr

from .._errors import RunError
from ._checkpoint import replace_file
from ._config import RunConfig

CONFIG, SUMMARY, METRICS, THETA, CURVE = "config.toml", "summary.json", "metrics.zarr", "theta.safetensors", "curve.png"


def create_directory(out: Path | None, config: RunConfig) -> Path:
    """Makes a run directory and puts the settings into it.

    Args:
        out: where; None for the first free `runs/TASK-N`.
        config: resolved settings.

    Raises:
        RunError: if it exists and is not empty, or cannot be made.
    """
    try:
        if out is None:
            number = 1
            while (folder := Path("runs") / f"{config.task}-{number}").exists():
                number += 1
        else:
            folder = out
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise RunError(
                    f"{folder} exists and is not empty: give another --out, or go on with it: mgd resume {folder}"
                )
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / CONFIG, config.toml().encode())
    except OSError as error:
        raise RunError(f"cannot make the run directory {error.filename or out}: {error.strerror}") from error
    return folder


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
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is damaged ({error}): mgd resume {folder} writes it again") from error


def write_metrics(folder: Path, history: xr.Dataset) -> None:
    """Puts the metrics of a run in place of the last, as Zarr."""
    beside = folder / (METRICS + ".part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        history.to_zarr(beside, zarr_format=3, consolidated=False)
    except OSError:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    shutil.rmtree(folder / METRICS, ignore_errors=True)
    beside.rename(folder / METRICS)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keeps a second process from writing to the same run.

    Raises:
        RunError: if another process is writing.
    """
    import fcntl

    with (folder / CONFIG).open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(f"{folder} is being written by another process: wait for it or stop it") from error
        yield
