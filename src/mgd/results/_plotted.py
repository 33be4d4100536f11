"""Learning curves of several runs, as a picture and as a table. Nothing here imports JAX."""

import csv
import io
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .._errors import MgdWarning, RunError
from .._metric import METRICS as MEASURES
from ..runs import AXES, METRICS, Curve, RunConfig, draw_curves, read_config, read_metrics, read_summary, replace_file
from ..timing import load_profile, time_history
from ._compared import differing, flat_settings, written_setting
from ._formats import check_picture, check_table

if TYPE_CHECKING:
    import xarray as xr

Along = Literal["measurements", "steps", "time"]
# The most settings in a legend; with more, it also names the runs.
_MOST_NAMED = 4


@dataclass(frozen=True, eq=False)
class _Run:
    folder: Path
    config: RunConfig
    history: "xr.Dataset"
    finished: bool


def plot(
    folders: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    along: Along = "measurements",
    profile: str | Path | None = None,
    within: float = 0.8,
    table: str | Path | None = None,
) -> list[Path]:
    """Draws learning curves: the median of each run's chips, and a band that contains most of them.

    Args:
        folders: run directories, finished or not; a run that was not evaluated yet is left out with a warning.
        out: the picture: a .png, .svg or .pdf file.
        along: the x-axis: cost measurements of one chip, timesteps, or hardware time.
        profile: the hardware profile, for the time: a name that `mgd time --list` prints, or a TOML file.
        within: the share of a run's chips that its band contains, about the median.
        table: a CSV file for the data of the picture, one line for each run, chip and logged step.

    Returns:
        The files that were written.

    Raises:
        ValueError: if neither file is given, one has another suffix, or `along` is "time" without a profile.
        RunError: if a run cannot be read, none was evaluated yet, or a file cannot be written.
    """
    picture, sheet = (None if path is None else Path(path) for path in (out, table))
    if picture is None and sheet is None:
        raise ValueError("give a file for the picture (-o), for the table (--csv), or both")
    if picture is not None:
        check_picture(picture)
    if sheet is not None:
        check_table(sheet)
    if along not in AXES:
        raise ValueError(f"along is one of {', '.join(AXES)}, got {along!r}")
    if not 0 < within <= 1:
        raise ValueError(f"within is a share of the chips, above 0 and at most 1, got {within!r}")
    if (along == "time") != (profile is not None):
        raise ValueError("hardware time needs a profile: give both along='time' and a profile, or neither")
    runs = _timed(_read([Path(folder) for folder in folders]), profile)
    labels = _labels(runs)
    contents: dict[Path, bytes] = {}
    if picture is not None:
        curves = [Curve(label, run.history) for label, run in zip(labels, runs, strict=True)]
        hardware = "" if profile is None else load_profile(profile).name
        contents[picture] = draw_curves(
            curves, along=along, within=within, title=_title(runs), format=picture.suffix[1:].lower(), hardware=hardware
        )
    if sheet is not None:
        contents[sheet] = _table(runs)
    for path, content in contents.items():
        try:
            replace_file(path, content)
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}") from error
    return list(contents)


def _read(folders: Sequence[Path]) -> list[_Run]:
    found = []
    for folder in folders:
        config = read_config(folder)
        if len(folders) > 1 and not os.path.lexists(folder / METRICS):
            warnings.warn(f"{folder} was not evaluated yet, and is left out", MgdWarning, stacklevel=3)
            continue
        found.append(_Run(folder, config, read_metrics(folder), read_summary(folder) is not None))
    if not found:
        raise RunError("none of these runs was evaluated yet: wait for their first checkpoints")
    return found


def _timed(runs: list[_Run], profile: str | Path | None) -> list[_Run]:
    if profile is None:
        return runs
    loaded = load_profile(profile)
    return [_Run(run.folder, run.config, time_history(run.history, loaded), run.finished) for run in runs]


def _labels(runs: Sequence[_Run]) -> list[str]:
    """A label for each run: the settings in which it differs, and its folder if these are many or none."""
    settings = [flat_settings(run.config) for run in runs]
    names = differing(settings)
    named = names if len(names) <= _MOST_NAMED else _telling(settings, names)
    labels = [", ".join(f"{name} {written_setting(one.get(name))}" for name in named) for one in settings]
    if not named or len(named) < len(names) or len(set(labels)) < len(labels):
        more = ", …" if named and len(named) < len(names) else ""
        labels = [f"{run.folder}{': ' * bool(named)}{label}{more}" for run, label in zip(runs, labels, strict=True)]
    return [label + _so_far(run) for label, run in zip(labels, runs, strict=True)]


def _telling(settings: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """The first settings that distinguish runs, each of which distinguishes more runs than those before it."""
    found: list[str] = []
    kinds = 1
    for name in names:
        distinct = len({tuple(str(one.get(each)) for each in (*found, name)) for one in settings})
        if distinct > kinds and len(found) < _MOST_NAMED:
            found, kinds = [*found, name], distinct
    return found


def _so_far(run: _Run) -> str:
    if run.finished:
        return ""
    of = "" if run.config.steps is None else f" of {run.config.steps:,}"
    return f" (to step {int(run.history.step[-1]):,}{of})"


def _title(runs: Sequence[_Run]) -> str:
    tasks = dict.fromkeys(str(run.history.attrs["task"]) for run in runs)
    chips = sorted({run.history.sizes["replica"] for run in runs})
    each = "one chip" if chips == [1] else f"{' or '.join(map(str, chips))} chips"
    return f"{', '.join(tasks)}: {each}" + (" a run" if len(runs) > 1 else "")


def _table(runs: Sequence[_Run]) -> bytes:
    settings = [flat_settings(run.config) for run in runs]
    names = differing(settings)
    measures = [name for name in (*MEASURES, "rmse", "cost") if any(name in run.history for run in runs)]
    counted = ["cost_measurements", *(["seconds"] if "seconds" in runs[0].history else [])]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["run", *(f"setting.{name}" for name in names), "replica", "step", *counted, *measures])
    for run, one in zip(runs, settings, strict=True):
        of_run = [str(run.folder), *(_cell(one.get(name)) for name in names)]
        along = [run.history[name].values.tolist() for name in counted]
        values = [run.history[name].values if name in run.history else None for name in measures]
        for place, replica in enumerate(run.history.replica.values.tolist()):
            for k, step in enumerate(run.history.step.values.tolist()):
                reached = ["" if of is None else f"{of[place, k]:.9g}" for of in values]
                rows.writerow([*of_run, replica, step, *(of[k] for of in along), *reached])
    return text.getvalue().encode()


def _cell(value: Any) -> str:
    if isinstance(value, list | Mapping):
        return written_setting(value)
    return "" if value is None else str(value)
