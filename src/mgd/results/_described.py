"""The contents of a run directory. Nothing here imports JAX."""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._errors import MgdWarning, RunError
from ..runs import (
    DIAGNOSTICS,
    DROPPED,
    INSTRUMENT,
    TASK,
    RunConfig,
    is_finished,
    read_config,
    read_diagnostics,
    read_header,
    read_json,
    read_summary,
)


@dataclass(frozen=True)
class Described:
    """The description of a run.

    Attributes:
        folder: the run directory.
        settings: the settings of the run.
        summary: the results; None if the run is not finished.
        step: timesteps made, as of the last checkpoint.
        whole: whether the parameters of a finished run can be read.
        task: the facts of its task; None if an older version wrote the run, which did not store them.
        instruments: the real chips of the run, and the facts that are known of each.
        dropped: chips of a fleet that were given up, by number: at which step, and why.
        diagnostics: the diagnostics of a run on a chip at its last checkpoint.
        files: their sizes in bytes, by name.
    """

    folder: Path
    settings: RunConfig
    summary: dict[str, Any] | None
    step: int
    whole: bool
    task: dict[str, Any] | None
    instruments: list[dict[str, Any]]
    dropped: dict[str, Any]
    diagnostics: dict[str, Any] | None
    files: dict[str, int]

    @property
    def state(self) -> str:
        """Finished, unfinished or damaged, with the command that helps."""
        if self.summary is None:
            return "unfinished: mgd resume"
        return "finished" if self.whole else "parameters damaged: mgd resume"

    def as_dict(self) -> dict[str, Any]:
        """This description in types of JSON."""
        return {
            "run": str(self.folder),
            "finished": self.summary is not None,
            "state": self.state,
            "step": self.step,
            "settings": self.settings.model_dump(exclude_none=True, mode="json", by_alias=True),
            "summary": self.summary,
            "task": self.task,
            "instruments": self.instruments,
            "dropped": self.dropped,
            "diagnostics": self.diagnostics,
            "files": self.files,
        }


def describe(folder: str | Path) -> Described:
    """The description of a run, finished or not.

    Raises:
        RunError: if it is not a run directory, or one of its files is damaged.
    """
    folder = Path(folder)
    settings, summary = read_config(folder), read_summary(folder)
    header = read_header(folder) if summary is None else None
    diagnostics, instruments = read_diagnostics(folder), read_json(folder, INSTRUMENT) or []
    step = summary["steps"] if summary is not None else header.step if header else 0
    if settings.instruments and step:
        _warn_of_missing(folder, step, instruments, diagnostics)
    return Described(
        folder=folder,
        settings=settings,
        summary=summary,
        step=step,
        whole=summary is None or is_finished(folder),
        task=read_json(folder, TASK),
        instruments=instruments,
        dropped=read_json(folder, DROPPED) or {},
        diagnostics=diagnostics[-1] if diagnostics else None,
        files=_sizes(folder),
    )


def _warn_of_missing(
    folder: Path, step: int, instruments: list[dict[str, Any]], diagnostics: list[dict[str, Any]]
) -> None:
    """Of what every run on a chip has, and nothing can write again."""
    until = diagnostics[-1]["step"] if diagnostics else 0
    if not instruments:
        why = f"{folder / INSTRUMENT} is missing, so what it said of the chip is not shown"
    elif until < step:
        why = f"{folder / DIAGNOSTICS} ends at step {until:,} of {step:,}, so what came later is not shown"
    else:
        return
    warnings.warn(f"{why}: restore it if you can", MgdWarning, stacklevel=3)


def _sizes(folder: Path) -> dict[str, int]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        return {entry.name: _size(Path(entry.path)) for entry in entries}
    except OSError as error:
        raise RunError(f"cannot read {folder}: {error.strerror}") from error


def _size(path: Path) -> int:
    """The size of a file, or of all files in a folder."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    return sum(_size(below) for below in path.iterdir())
