"""The chip of a file, calibrated: opened, measured for a task, and what was found kept beside the file."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from .._errors import Interrupted
from .._stops import stop_requested
from ..calibration import Calibration
from ..calibration import calibrate as measure
from ..datasets import Task
from ._at_hand import at_hand
from ._build import build_chip, build_cost, build_task
from ._chip_file import ChipFile, chip_settings, read_chip_file
from ._config import RunConfig, Settings
from ._presets import resolve
from ._served import simulated_piece
from ._table import Table
from ._task_table import task_given


def calibrate(
    path: str | Path,
    task: str | Mapping[str, Any],
    *,
    bits: int | None = None,
    data: str | None = None,
    batch: int | None = None,
    budget: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    simulate: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Calibration, Path]:
    """Measures the chip of a file for a task, and writes its properties and the settings with which to train it.

    It measures where a run with the same seed starts. However it ends, it leaves the chip in its safe state.

    Args:
        path: the chip file.
        task: the task whose samples are presented: its name, a file or folder of data, a function that makes it as
            "module:function", or a table such as [task] in settings.
        bits: the bits of parity; by default as many as the file's chip has inputs, or two.
        data: folder of the images.
        batch: samples over which a measurement is averaged; by default that of the task.
        budget: most measurements.
        seed: the seed of codes, samples and parameters.
        out: the file to write, or a folder for it; by default `calibration-SERIAL.toml` beside the chip file.
        simulate: whether to measure a simulated chip in this process, with the file's imperfections.
        on_progress: called with the measurements made, and the budget.

    Returns:
        The calibration, and its file.

    Raises:
        ValueError: if the file, a setting or the budget is wrong, or the file cannot be written there.
        DataError: if the task's files are not available.
        HardwareError: if the chip does not answer, answers wrongly, is in use, or its cost shows no response.
        Interrupted: if it was asked to stop.
    """
    path = Path(path)
    file, out = read_chip_file(path), _place(path, None if out is None else Path(out))
    given = task_given(task) if isinstance(task, str) else dict(task)
    config = _config(file, given, bits=bits, data=data, batch=batch, seed=seed, simulate=simulate)
    loaded = build_task(config)
    try:
        _check_fits(file, loaded)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if file.own is not None and config.instruments and file.instrument is None:  # a PyTorch module
        instrument = config.tables[0].load()
    else:
        instrument = simulated_piece(file, build_chip(config, loaded)) if simulate else file.load_instrument()
    with at_hand(instrument, config, loaded) as chip, stop_requested() as stop:

        def counted(done: int, total: int) -> None:
            if stop():
                raise Interrupted(
                    f"stopped after {done} measurements; the chip is in its safe state and nothing was written: "
                    f"mgd calibrate {path} --task {task if isinstance(task, str) else config.task_name} starts again",
                    step=0,
                )
            on_progress(done, total)

        found = measure(
            chip.instrument,
            loaded,
            batch=config.batch,
            key=jax.random.key(seed),
            budget=budget,
            cost=build_cost(config),
            start=chip.start,
            give_up_seconds=chip.give_up_seconds,
            on_progress=counted,
        )
    return found, _written(found, out)


def _check_fits(file: ChipFile, task: Task) -> None:
    """Raises: ValueError: if the file's chip has other inputs or outputs than the task."""
    Table.of({"kind": "any"} | file.shapes).check_fits(task.name, task.input_shape, task.n_outputs)


def _config(file: ChipFile, task: str | dict[str, Any], *, simulate: bool, **given: Any) -> Settings:
    """The settings of a run on this chip, as far as a calibration needs them."""
    inputs = file.inputs or ()
    if task == "parity" and given["bits"] is None and len(inputs) == 1:
        given["bits"] = inputs[0]
    chip = chip_settings([file], simulate=simulate)
    return resolve(RunConfig.of({"task": task, **{k: v for k, v in given.items() if v is not None}} | chip))


def _place(path: Path, out: Path | None) -> Path:
    """Where to write, found out before anything is measured."""
    place = path.parent if out is None else out
    folder = place if os.path.isdir(place) else place.parent
    if not os.path.isdir(folder):
        raise ValueError(f"the folder {folder} for the calibration does not exist: make it, or give another --out")
    return place


def _written(found: Calibration, out: Path) -> Path:
    try:
        return found.write(out)
    except OSError as error:
        raise ValueError(f"cannot write {out}: {error.strerror}: give another --out") from error
