"""One cell of a study: computed in a process of its own, kept in a folder of its own."""

import json
import os
import shutil
import threading
from pathlib import Path

import xarray as xr

from .._errors import DivergedError, Interrupted, RunError
from .._locks import wait_for_lock
from ..runs import CONFIG, FILE, METRICS, is_finished, read_header, read_metrics, read_summary, replace_file
from ._study import Run, Work

_one_at_a_time = threading.Lock()
_RESULT, _DIVERGED = "result.zarr", "diverged.json"


def is_done(folder: Path) -> bool:
    """Whether a cell's result is there."""
    return (folder / _RESULT).exists() or (folder / _DIVERGED).exists() or is_finished(folder)


def fraction_done(cell: Run | Work, folder: Path) -> float:
    """How much of a cell is done, 0 … 1."""
    if is_done(folder):
        return 1.0
    if isinstance(cell, Work) or not (folder / FILE).exists():
        return 0.0
    try:
        header = read_header(folder)
    except (RunError, OSError):
        return 0.0
    return header.step / (_steps(cell) or 1) if header else 0.0


def _steps(cell: Run) -> int | None:
    from ..runs import resolve

    return resolve(cell.config()).steps


def compute_cell(cell: Run | Work, path: str) -> None:
    """Computes a cell, or goes on with it.

    Raises:
        DataError, RunError: as runs do.
    """
    folder = Path(path)
    if isinstance(cell, Work):
        beside = folder.with_name(folder.name + ".part")
        shutil.rmtree(beside, ignore_errors=True)
        write_zarr(cell.compute(), beside / _RESULT)
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
        return
    from ..runs import resume, start

    try:
        if (folder / CONFIG).exists():
            resume(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)  # nothing of a run was written yet
            start(cell.config(), folder)
    except Interrupted:
        os._exit(0)  # or this worker would begin the next cell
    except DivergedError as error:
        replace_file(folder / _DIVERGED, json.dumps({"step": error.step}).encode())


def compute_cell_in_turn(cell: Run | Work, path: str) -> None:
    """Computes a cell in a worker of a cluster, where a worker that an earlier command asked may still be at it.

    Raises:
        RunError: if this machine does not see the folder, or it has no locks.
        DataError, RunError: as runs do.
    """
    folder = Path(path)
    try:
        lock = os.open(folder.with_name(f"{folder.name}.lock"), os.O_CREAT | os.O_RDWR)
    except OSError as error:
        raise RunError(
            f"a worker cannot write to {folder.parent} ({error.strerror}): give an out that all machines share"
        ) from error
    try:
        with _one_at_a_time:  # whatever threads a worker has: JAX uses all of its cores
            wait_for_lock(lock)
            if not is_done(folder):
                compute_cell(cell, path)
    except OSError as error:
        raise RunError(f"{folder.parent} has no locks ({error.strerror}): give another out") from error
    finally:
        os.close(lock)


def write_zarr(data: xr.Dataset, path: Path) -> None:
    """Writes a dataset as Zarr; texts of variable length, for which the format has a specification."""
    texts = {name: values.astype(object) for name, values in data.variables.items() if values.dtype.kind == "U"}
    data.assign_coords({name: values for name, values in texts.items() if name in data.coords}).assign(
        {name: values for name, values in texts.items() if name not in data.coords}
    ).to_zarr(path, zarr_format=3, consolidated=False)


def read_result(cell: Run | Work, folder: Path) -> xr.Dataset:
    """What a computed cell came to.

    Raises:
        RunError: if it is damaged.
    """
    if isinstance(cell, Work):
        try:
            return xr.open_zarr(folder / _RESULT, consolidated=False).load()
        except Exception as error:
            raise RunError(f"{folder} is damaged: remove it, and give the command again") from error
    if (folder / _DIVERGED).exists():
        step = json.loads((folder / _DIVERGED).read_text(encoding="utf-8"))["step"]
        # One that diverged before its first evaluation has no metrics.
        history = read_metrics(folder) if (folder / METRICS).exists() else xr.Dataset()
        return history.assign_attrs(diverged=step)
    history = read_metrics(folder)
    summary = read_summary(folder) or {}
    kept = ("seconds", "solved_accuracy", "n_params", "engine", "held_out_accuracy_per_replica")
    return history.assign_attrs({name: summary[name] for name in kept if summary[name] is not None})
