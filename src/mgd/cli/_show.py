"""`mgd show`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._metric import METRICS, written
from ..runs import DEVICE
from ._sweep import show_sweep

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..results import Described

# Columns that every table has.
_COMMON = {"task", "algorithm", "perturbation", "replicas", "steps"}
# In a pipe, no line is cut to a width.
_PIPE = 10_000
# Descriptions of the files of a run.
_FILES = {
    "config.toml": "every setting",
    "summary.json": "results",
    "metrics.zarr": "score and cost at each logged step",
    "theta.safetensors": "parameters",
    DEVICE: "random values and memory of its chips, and theta as they apply it",
    "checkpoint.safetensors": "the state from which it continues",
    "curve.png": "learning curves",
    "task.json": "facts of its task",
    "instrument.json": "facts of its real chips",
    "dropped.json": "which chips were dropped",
    "diagnostics.jsonl": "diagnostics",
    "guardian.log": "what the chip's guardian did when the trainer had been killed",
    "report.html": "report",
    "SHA256SUMS": "digests of the files that are written once",
}


@click.command(epilog="Example: mgd show runs/*")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list with everything about each run.")
def show(runs: tuple[Path, ...], as_json: bool) -> None:
    """Show RUN... as a table of their results and the settings in which they differ; for one run, show everything.

    Of a SWEEP, show a line for each point.
    """
    from ..sweeps import is_sweep

    if any(map(is_sweep, runs)):
        sweep, *others = runs
        if others:
            raise ValueError("a sweep is shown by itself: give one SWEEP")
        show_sweep(sweep, as_json)
        return
    from ..results import describe

    found = [describe(run) for run in runs]
    if as_json:
        click.echo(json.dumps([one.as_dict() for one in found]))
        return
    from rich.console import Console

    console = Console(width=None if Console().is_terminal else _PIPE, highlight=False)
    _print_table(console, found)
    if len(found) == 1:
        _print_all(console, found[0])
    for one in found:
        if DEVICE in one.files:
            console.print(f"{one.folder / DEVICE}: {_FILES[DEVICE]}", markup=False)


def _print_table(console: "Console", found: "list[Described]") -> None:
    """Settings that differ are columns, or a second table if the terminal is too narrow."""
    from ..results import differing, flat_settings

    settings = [flat_settings(one.settings) for one in found]
    names = [name for name in differing(settings) if name not in _COMMON]
    table = _table(found, settings, names)
    unbounded = console.options.update(max_width=_PIPE)
    if not names or console.measure(table, options=unbounded).maximum <= console.width:
        console.print(table)
        return
    console.print(_table(found, settings, []))
    console.print("\nsettings that differ", markup=False)
    console.print(_settings_in_lines(found, settings, names))


def _table(found: "list[Described]", settings: list[dict[str, Any]], names: list[str]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    from ..results import written_setting

    alike = all(one.summary is None or one.summary.get("metric", "accuracy") == "accuracy" for one in found)
    score = "accuracy" if alike else "test score"
    table = Table("run", "task", "algorithm", *map(escape, names), "replicas", "steps", box=None)
    for title in (score, "solved", "measurements", "state"):
        table.add_column(title)
    for one, given in zip(found, settings, strict=True):
        own = [escape(written_setting(given.get(name))) for name in names]
        table.add_row(*_row(one, own, named=not alike))
    return table


def _settings_in_lines(found: "list[Described]", settings: list[dict[str, Any]], names: list[str]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    from ..results import written_setting

    table = Table("setting", *(escape(str(one.folder)) for one in found), box=None)
    for name in names:
        table.add_row(escape(name), *(escape(written_setting(given.get(name))) for given in settings))
    return table


def _row(one: "Described", own: list[str], *, named: bool) -> list[str]:
    from rich.markup import escape

    config, summary = one.settings, one.summary
    row = [
        escape(str(one.folder)),
        escape(config.task_name),
        config.method,
        *own,
        str(config.replicas),
    ]
    if summary is None:
        return [*row, f"{one.step:,} of {config.steps:,}", "", "", "", one.state]
    measurements = f"{summary['counts']['cost_measurements']:,}"
    solved = "" if summary.get("solved_accuracy") is None else f"{summary['solved_fraction']:.0%}"
    return [*row, f"{summary['steps']:,}", _score(summary, named=named), solved, measurements, one.state]


def _score(summary: dict[str, Any], *, named: bool) -> str:
    """The mean score of a run's chips, or their mean cost if there are no outputs."""
    metric = summary.get("metric", "accuracy")
    if metric is not None and summary[metric] is not None:
        return (f"{METRICS[metric]} " if named else "") + written(metric, summary[metric])
    return "" if summary["cost"] is None else f"cost {summary['cost']:.4g}"


def _print_all(console: "Console", one: "Described") -> None:
    from ..results import flat_settings, written_fact, written_setting

    settings = {name: written_setting(value) for name, value in flat_settings(one.settings).items()}
    _section(console, "settings", settings)
    _section(console, "task", {name: written_fact(value) for name, value in (one.task or {}).items()})
    _section(console, "results", {name: written_fact(value) for name, value in (one.summary or {}).items()})
    for number, instrument in enumerate(one.instruments):
        title = "real chip" if len(one.instruments) == 1 else f"real chip {number}"
        _section(console, title, {name: written_fact(value) for name, value in instrument.items()})
    _section(console, "dropped", {f"chip {chip}": written_fact(what) for chip, what in one.dropped.items()})
    _section(console, "diagnostics", {name: written_fact(value) for name, value in (one.diagnostics or {}).items()})
    sizes = {name: f"{size:>12,} bytes  {_FILES.get(name, '')}".rstrip() for name, size in one.files.items()}
    _section(console, "files", sizes)


def _section(console: "Console", title: str, lines: dict[str, str]) -> None:
    if not lines:
        return
    console.print(f"\n{title}", markup=False)
    width = max(map(len, lines))
    for name, value in lines.items():
        console.print(f"  {name:<{width}}  {value}", markup=False, soft_wrap=True)
