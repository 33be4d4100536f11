"""`mgd show`."""

from pathlib import Path

import click


@click.command(epilog="Example: mgd show runs/*")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
def show(runs: tuple[Path, ...]) -> None:
    """Show RUN... as a table: settings and what they came to."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "run", "task", "algorithm", "replicas", "steps", "accuracy", "solved", "measurements", "state", box=None
    )
    for run in runs:
        table.add_row(*_row(run))
    # Not cut to the width of a pipe.
    console = Console(width=None if Console().is_terminal else 200)
    console.print(table)


def _row(run: Path) -> list[str]:
    from rich.markup import escape

    from ..runs._directory import is_finished, read_config, read_summary
    from ..runs._generations import read_header

    config, summary = read_config(run), read_summary(run)
    row = [
        escape(str(run)),
        config.task,
        config.method,
        str(config.replicas),
    ]
    if summary is None:
        header = read_header(run)
        step = header.step if header else 0
        return [*row, f"{step:,} of {config.steps:,}", "", "", "", "unfinished: mgd resume"]
    accuracy = "" if summary["accuracy"] is None else f"{summary['accuracy']:.1%}"
    measurements = f"{summary['counts']['cost_measurements']:,}"
    solved = "" if summary["solved_fraction"] is None else f"{summary['solved_fraction']:.0%}"
    state = "finished" if is_finished(run) else "parameters damaged: mgd resume"
    return [*row, f"{summary['steps']:,}", accuracy, solved, measurements, state]
