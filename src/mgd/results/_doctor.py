"""Why a run does not learn."""

from pathlib import Path

from ..chips import AbstractChip
from ..datasets import Task
from ..diagnosis import Finding
from ..diagnosis import diagnose as causes_of
from ..runs import read_config, read_diagnostics, session_of
from ._kept import warned
from ._loaded import LoadedRun


def diagnose(
    run: str | Path | LoadedRun, *, chip: AbstractChip | None = None, task: Task | None = None
) -> list[Finding]:
    """The causes for which a run does not learn, the one that explains most first; none if nothing is wrong.

    The chip is simulated once more, at the start of the run and as of its last checkpoint: with its noise, converters
    and delays, for some hundred timesteps and a few updates. The run itself is not changed. A run on real chips is not
    measured again: the diagnostics that it kept are read.

    Args:
        run: a run directory, or a loaded run.
        chip: the chip of a run of `mgd.train`, which the run directory does not contain.
        task: its task, likewise.

    Raises:
        ValueError: if chip or task is missing, or is given for a run whose settings describe it, or if the chips of the
            run differ in numbers (`vary`).
        RunError: if it is not a run directory, one of its files is damaged, or there is no checkpoint yet.
        DataError: if the task's files cannot be read.

    >>> import tempfile, mgd
    >>> settings = mgd.runs.RunConfig.of({"task": "parity", "steps": 2000, "learning_rate": 1e-6})
    >>> run = mgd.runs.start(settings, Path(tempfile.mkdtemp()) / "run")
    >>> [finding.name for finding in diagnose(run)]
    ['rate-low']
    """
    folder = run.folder if isinstance(run, LoadedRun) else Path(run)
    config = read_config(folder)
    if config.instruments or (config.python is not None and config.python.behind_io):
        return warned(read_diagnostics(folder))
    return causes_of(session_of(folder, chip, task))
