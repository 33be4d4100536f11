"""Repeats a run from the recording of its chip, without the chip."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .._errors import RunError
from .._train import Session
from ..instruments import Replay, opened
from ._begun import start_of
from ._build import build_task
from ._directory import is_finished, read_config, read_theta
from ._hardware import hardware_of, recordings
from ._presets import resolve


@dataclass(frozen=True)
class Replayed:
    """What a replay came to.

    Attributes:
        measurements: that were made again, a chip.
        same: whether the parameters at its end are those of the run, to the bit.
        largest: the largest difference of a parameter.
    """

    measurements: int
    same: bool
    largest: float


def replay(folder: str | Path, *, on_progress: Callable[[Session], None] = lambda session: None) -> Replayed:
    """Repeats the training of a recorded run, with the recorded answers of its chip.

    It writes nothing. A query that is not in the recording is an error: the program, the settings or the recording have
    then changed.

    Args:
        folder: the directory of a run that was recorded, never interrupted, and is finished.
        on_progress: called about twice a second.

    Raises:
        RunError: if the run was not recorded, is not finished, or was resumed.
        DataError: if a recording cannot be read.
        HardwareError: if the recording has another exchange at some position, which the message gives.
    """
    folder = Path(folder)
    config = resolve(read_config(folder))
    if config.record is None or not config.instruments:
        raise RunError(f"{folder} was not recorded: give --record FILE to mgd train, with --chip")
    if not is_finished(folder):
        raise RunError(f"{folder} is not finished: continue it first: mgd resume {folder}")
    with ExitStack() as stack:
        chips = []
        for chip in range(len(config.instruments)):
            first, *more = recordings(config, chip)
            if more:
                raise RunError(
                    f"{folder} was interrupted: {first} ends where it was stopped, and {more[0]} continues from "
                    "other saved costs; only an uninterrupted run can be replayed"
                )
            chips.append(stack.enter_context(opened(Replay(first))))
        session = hardware_of(config, build_task(config), chips, start=start_of(config, folder)).session
        while not session.finished:
            session.advance()
            on_progress(session)
        found, due = np.asarray(session.snapshot.progress.state.theta), read_theta(folder)
        counts = session.algorithm.counts(session.snapshot.step)
    if found.shape != due.shape:
        raise RunError(
            f"{folder} has parameters of shape {due.shape}, and its replay {found.shape}: the recording "
            f"belongs to another run"
        )
    largest = float(np.abs(found - due).max())
    return Replayed(counts.cost_measurements, found.tobytes() == due.tobytes(), largest)
