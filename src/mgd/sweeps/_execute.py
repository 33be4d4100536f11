"""Computes a study into a folder, cell by cell on all cores or on a cluster, and goes on where it was left."""

import hashlib
import io
import json
import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from .._errors import Interrupted, RunError
from .._stops import not_for_children, stop_requested
from .._version import __version__
from ..clusters import Cluster, there
from ..runs import only_writer, replace_file
from ._cell import compute_cell, compute_cell_in_turn, fraction_done, is_done, read_result, write_zarr
from ._study import Row, Run, Study, Work

STUDY, DATA, ROWS = "study.json", "data.zarr", "rows.json"

OnProgress = Callable[[int, int, float], None]


def execute(
    study: Study,
    cells: Mapping[str, Run | Work],
    folder: str | Path,
    *,
    title: Mapping[str, Any],
    workers: int | None = None,
    cluster: str | None = None,
    on_progress: OnProgress = lambda done, total, share: None,
) -> list[Row]:
    """Computes the cells of a study, several at a time, then its data (Zarr), figure (PNG and SVG) and rows.

    Results of an earlier call are used again, up to the last checkpoint.

    Args:
        study: the evaluation of the cells' results.
        cells: the cells to compute, by name.
        folder: the folder; it is made if it does not exist.
        title: plain values that identify the study: a folder has only one.
        workers: cells computed at a time; None for one for each core. On a cluster, as of `sweep`.
        cluster: as of `sweep`.
        on_progress: called about once a second with cells done, all cells, and the share of all work done.

    Raises:
        ValueError: if there is no such cluster.
        RunError: if the folder contains something else, or cannot be written; or the cluster does not answer.
        Interrupted: if it was asked to stop.
    """
    folder = Path(folder)
    on = None if cluster is None else Cluster.of(cluster, workers)
    _claim(folder, title, cells)
    with only_writer(folder):
        try:
            _compute(cells, folder, workers or len(os.sched_getaffinity(0)), on, on_progress)
            return _finish(study, cells, folder)
        except OSError as error:
            reason = error.strerror or str(error).splitlines()[0]
            raise RunError(
                f"cannot write to {folder}: {reason}; finished cells are kept: correct that, and give the command again"
            ) from error


def _claim(folder: Path, title: Mapping[str, Any], cells: Mapping[str, Run | Work]) -> None:
    """Makes the folder this study's, or finds that it is."""
    plain = {key: [type(cell).__name__, *_identity(cell)] for key, cell in sorted(cells.items())}
    digest = hashlib.sha256(json.dumps(plain).encode()).hexdigest()
    mine = {**title, "version": __version__, "cells": digest}
    path = folder / STUDY
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        if found != mine:
            raise RunError(f"{folder} has another study, or other settings: give another --out, or remove it")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder} exists and is not a study: give another --out")
    try:
        (folder / "cells").mkdir(parents=True, exist_ok=True)
        replace_file(path, (json.dumps(mine, indent=2) + "\n").encode())
    except OSError as error:
        raise RunError(f"cannot make the folder {folder}: {error.strerror}") from error


def _identity(cell: Run | Work) -> list[str]:
    if isinstance(cell, Run):
        return [cell.config().identity()]
    return [cell.function, json.dumps({k: v for k, v in cell.settings.items() if k != "data"}, sort_keys=True)]


@dataclass(frozen=True)
class _Place:
    """Where cells are computed.

    Attributes:
        submit: begins a cell in a folder.
        answering: made around a look at what is done; it raises RunError if the place is gone.
    """

    submit: Callable[[Run | Work, str], Future]
    answering: Callable[[], AbstractContextManager[None]] = nullcontext


def _compute(
    cells: Mapping[str, Run | Work], folder: Path, workers: int, cluster: Cluster | None, on_progress: OnProgress
) -> None:
    """Every cell that is not there yet, several at a time."""
    todo = {name: cell for name, cell in cells.items() if not is_done(folder / "cells" / name)}
    total = len(cells)
    on_progress(total - len(todo), total, _share(cells, folder))
    if not todo:
        return
    opened = _processes(folder, min(workers, len(todo))) if cluster is None else _on(cluster)
    with opened as place, stop_requested() as stop:
        waiting = {place.submit(cell, str((folder / "cells" / name).resolve())) for name, cell in todo.items()}
        while waiting and not stop():
            with place.answering():
                done, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
            on_progress(total - len(waiting), total, _share(cells, folder))
        if waiting:
            n = sum(is_done(folder / "cells" / name) for name in cells)
            raise Interrupted(f"stopped with {n} of {total} cells done; continue with the same command", step=n)


@contextmanager
def _processes(folder: Path, workers: int) -> Iterator[_Place]:
    """Processes of this machine, each on a core of its own."""
    cores = sorted(os.sched_getaffinity(0))
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_settle, initargs=(cores, workers, os.getpid()))

    def submit(cell: Run | Work, path: str) -> Future:
        with not_for_children():  # which start here; this process is asked, and asks them
            return pool.submit(compute_cell, cell, path)

    try:
        yield _Place(submit)
        pool.shutdown()
    except BrokenProcessPool:
        raise RunError(
            f"a worker of {folder} died (out of memory?); finished cells are kept: give the command again, "
            "with --workers 1 if memory is short"
        ) from None
    finally:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()  # after an error or a stop: a training run writes its checkpoint and ends
        pool.shutdown(cancel_futures=True)


@contextmanager
def _on(cluster: Cluster) -> Iterator[_Place]:
    """Workers of a cluster, which see the folder of the study."""
    with cluster.opened() as client:
        pool = client.get_executor(pure=False)
        try:
            yield _Place(
                lambda cell, path: pool.submit(compute_cell_in_turn, cell, path),
                lambda: there(client, cluster.text, "cells"),
            )
        finally:
            pool.shutdown(wait=False)


def _settle(cores: list[int], workers: int, parent: int) -> None:
    """Gives a worker its cores, before JAX counts them, and lets it end if its parent does."""
    number = int(multiprocessing.current_process().name.rpartition("-")[2])  # they are numbered as they start
    os.sched_setaffinity(0, cores[number % workers :: workers])

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _share(cells: Mapping[str, Run | Work], folder: Path) -> float:
    return sum(fraction_done(cell, folder / "cells" / name) for name, cell in cells.items()) / max(1, len(cells))


def _finish(study: Study, cells: Mapping[str, Run | Work], folder: Path) -> list[Row]:
    """Data, figure and rows from the cells' results; rows last, which says that all is there."""
    data = study.assemble({name: read_result(cell, folder / "cells" / name) for name, cell in cells.items()})
    shutil.rmtree(folder / DATA, ignore_errors=True)
    write_zarr(data, folder / DATA)
    # Read back, so that the figure can be drawn again from what is on disk.
    data = xr.open_zarr(folder / DATA, consolidated=False).load()
    figure = study.draw(data)
    for kind in ("png", "svg"):
        content = io.BytesIO()
        figure.savefig(content, format=kind, dpi=140)
        replace_file(folder / f"figure.{kind}", content.getvalue())
    rows = study.rows(data)
    replace_file(folder / ROWS, (json.dumps([asdict(row) for row in rows], indent=2) + "\n").encode())
    return rows
