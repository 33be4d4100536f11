"""`mgd reproduce`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from ..reproduction import STUDIES
from ._settings import on_cluster


@click.command(epilog="Example: mgd reproduce angle --quick")
@click.argument("study", required=False, metavar="ID")
@click.option("--list", "list_studies", is_flag=True, help="List the studies.")
@click.option("--quick", is_flag=True, help="A small version, in about a minute.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the results; by default reproductions/ID.")
@click.option("--workers", type=click.IntRange(min=1), help="Number of processes; by default one for each core.")
@on_cluster
@click.option("--data", type=click.Path(path_type=str), help="Folder of the images.")
def reproduce(
    study: str | None,
    list_studies: bool,
    quick: bool,
    out: Path | None,
    workers: int | None,
    cluster: str | None,
    data: str | None,
) -> None:
    """Compute the published result ID: data (Zarr), figure (PNG, SVG) and rows of the table.

    After a stop or kill, the same command continues it.
    """
    if list_studies:
        width = max(map(len, STUDIES))
        for name, line in STUDIES.items():
            click.echo(f"{name:<{width}}  {line}")
        return
    if study is None:
        raise ValueError(f"which study? choose {', '.join(STUDIES)}, or --list")
    from ..reproduction import reproduce as compute
    from ..reproduction import study_named

    minutes = study_named(study).minutes[0 if quick else 1]
    about = f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
    click.echo(f"{study}: about {'a minute' if minutes <= 1 else about} on two cores", err=True)
    with _progress() as on_progress:
        folder, rows = compute(
            study, out, quick=quick, data=data, workers=workers, cluster=cluster, on_progress=on_progress
        )
    for row in rows:
        click.echo(f"| {row.what} | {row.published} | {row.ours} | {row.how} |")
    click.echo(f"figure: {folder / 'figure.png'}", err=True)


@contextmanager
def _progress() -> Iterator[Callable[[int, int, float], None]]:
    """A bar over all cells on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console, left = Console(stderr=True), TimeRemainingColumn(compact=True)
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), left
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=1.0)

        def on_progress(done: int, total: int, share: float) -> None:
            bar.update(task, description=f"{done} of {total} cells", completed=share)

        yield on_progress
