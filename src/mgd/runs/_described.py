"""All that there is of a run directory, read without its program. Nothing here imports JAX."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._errors import RunError
from ._config import RunConfig
from ._contents import DROPPED, INSTRUMENT, TASK, read_json
from ._diagnostics import read_diagnostics
from ._directory import is_finished, read_config, read_summary
from ._generations import read_header


@dataclass(frozen=True)
class Described:
    """What a run directory says of its run.

    Attributes:
        folder: the run directory.
        settings: of the run.
        summary: what it came to; None if it is not finished.
        step: timesteps that were made, as of its last checkpoint.
        whole: whether a finished run has its parameters.
        task: what is known of its task; None in runs of before that was kept.
        instruments: the chips on a bench that it was made on, and what is known of them.
        dropped: chips of a fleet that were given up, by number: at which step, and why.
        diagnostics: what a run on a chip told of itself at its last checkpoint.
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
        """Finished, unfinished or damaged, and what is to be done."""
        if self.summary is None:
            return "unfinished: mgd resume"
        return "finished" if self.whole else "parameters damaged: mgd resume"

    def as_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
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
    """All that there is of a run, finished or not.

    Raises:
        RunError: if it is not a run directory, or one of its files is damaged.
    """
    folder = Path(folder)
    settings, summary = read_config(folder), read_summary(folder)
    header = read_header(folder) if summary is None else None
    told = read_diagnostics(folder)
    return Described(
        folder=folder,
        settings=settings,
        summary=summary,
        step=summary["steps"] if summary is not None else header.step if header else 0,
        whole=summary is None or is_finished(folder),
        task=read_json(folder, TASK),
        instruments=read_json(folder, INSTRUMENT) or [],
        dropped=read_json(folder, DROPPED) or {},
        diagnostics=told[-1] if told else None,
        files=_sizes(folder),
    )


def _sizes(folder: Path) -> dict[str, int]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        return {entry.name: _size(Path(entry.path)) for entry in entries}
    except OSError as error:
        raise RunError(f"cannot read {folder}: {error.strerror}") from error


def _size(path: Path) -> int:
    """Of a file, or of all files below a folder."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    return sum(_size(below) for below in path.iterdir())
