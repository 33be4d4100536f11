"""A run, a sweep or a plan as one file. Nothing here imports JAX."""

import errno
from collections.abc import Sequence
from pathlib import Path

from .._errors import RunError
from ..planning import is_plan
from ..results import check_report
from ..runs import replace_file
from ..sweeps import is_sweep
from ._html import written

_NAME = "report.html"


def report(folder: str | Path, out: str | Path | None = None, *, profiles: Sequence[str | Path] = ()) -> Path:
    """Writes what a run, a sweep or a plan came to as one HTML file, which loads nothing and can be read anywhere.

    It has the results, the curves, the hardware time, what is known of the gradient, the counts, the settings, how to
    repeat it, and how to cite it; that of a plan has what to expect, what bounds it, and the reasons. All of that is
    read from the folder. Nothing is computed again, so the same folder gives the same file. A run or a sweep need not
    be finished.

    Args:
        folder: a run directory, or the folder of a sweep or a plan.
        out: the file, .html; by default report.html in the folder. A file that is there is replaced.
        profiles: the hardware profiles of a run's times, as for `load_profile`; by default those of published chips.

    Returns:
        The file.

    Raises:
        ValueError: if the file has another suffix or no folder, or there is no such profile.
        RunError: if the folder is none of these, has no results yet, or is damaged, or if the file cannot be written.

    >>> import tempfile, mgd
    >>> settings = mgd.runs.RunConfig.of({"task": "parity", "steps": 50, "replicas": 2})
    >>> run = mgd.runs.start(settings, Path(tempfile.mkdtemp()) / "run")
    >>> report(run).name
    'report.html'
    """
    folder = Path(folder)
    out = folder / _NAME if out is None else Path(out)
    of_sweep = is_sweep(folder)
    if out.parent != folder:
        check_report(out)
    if of_sweep:
        from ._sweep import sweep_page

        if profiles:
            raise ValueError(f"{folder} is a sweep, whose report has no hardware times: leave profile out")
        content = written(sweep_page(folder))
    elif is_plan(folder):
        from ._plan import plan_page

        if profiles:
            raise ValueError(f"{folder} is a plan, which has a profile of its own: leave profile out")
        content = written(plan_page(folder))
    else:
        from ._run import run_page

        content = written(run_page(folder, profiles))
    check_report(out)
    try:
        replace_file(out, content)
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
        raise RunError(f"cannot write {out}: {reason}; give another file") from error
    return out
