"""`mgd show`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._metric import METRICS, written
from ..runs import DEVICE

if TYPE_CHECKING:
    from ..runs import RunConfig


@click.command(epilog="Example: mgd show runs/*")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
def show(runs: tuple[Path, ...]) -> None:
    """Show RUN... as a table: settings and what they came to."""
    from rich.console import Console
    from rich.table import Table

    from ..runs import read_config, read_summary

    rows = {run: (read_config(run), read_summary(run)) for run in runs}
    alike = all(summary is None or summary.get("metric", "accuracy") == "accuracy" for _, summary in rows.values())
    score = "accuracy" if alike else "test score"
    table = Table("run", "task", "algorithm", "replicas", "steps", score, "solved", "measurements", "state", box=None)
    for run in runs:
        table.add_row(*_row(run, *rows[run], named=not alike))
    # Not cut to the width of a pipe.
    console = Console(width=None if Console().is_terminal else 200)
    console.print(table)
    for run in runs:
        if (run / DEVICE).exists():
            console.print(
                f"{run / DEVICE}: how its chips differ from the ideal, and theta as they apply it", markup=False
            )


def _row(run: Path, config: "RunConfig", summary: dict[str, Any] | None, *, named: bool) -> list[str]:
    from rich.markup import escape

    from ..runs import is_finished, read_header

    row = [
        escape(str(run)),
        config.task_name,
        config.method,
        str(config.replicas),
    ]
    if summary is None:
        header = read_header(run)
        step = header.step if header else 0
        return [*row, f"{step:,} of {config.steps:,}", "", "", "", "unfinished: mgd resume"]
    measurements = f"{summary['counts']['cost_measurements']:,}"
    solved = "" if summary.get("solved_accuracy") is None else f"{summary['solved_fraction']:.0%}"
    state = "finished" if is_finished(run) else "parameters damaged: mgd resume"
    return [*row, f"{summary['steps']:,}", _score(summary, named=named), solved, measurements, state]


def _score(summary: dict[str, Any], *, named: bool) -> str:
    """The mean score of a run's chips; of chips that only tell their cost, that."""
    metric = summary.get("metric", "accuracy")
    if metric is not None and summary[metric] is not None:
        return (f"{METRICS[metric]} " if named else "") + written(metric, summary[metric])
    return "" if summary["cost"] is None else f"cost {summary['cost']:.4g}"
