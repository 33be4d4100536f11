"""`mgd plot`."""

from pathlib import Path
from typing import Literal

import click

_WHERE = Path("plot.png")


@click.command(epilog="Example: mgd plot runs/parity-1 runs/parity-2 -o both.svg")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="The picture: .png, .svg or .pdf; by default plot.png."
)
@click.option(
    "--x",
    "along",
    type=click.Choice(("measurements", "steps", "time")),
    help="The x-axis; time is hardware time and needs --profile.",
)
@click.option("--profile", metavar="NAME|FILE.toml", help="Hardware profile, as for mgd time; x is then its time.")
@click.option(
    "--within",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.8,
    show_default=True,
    help="The share of a run's chips that its band contains.",
)
@click.option("--csv", "table", type=click.Path(path_type=Path), help="Write the curves to a .csv file.")
def plot(
    runs: tuple[Path, ...],
    out: Path | None,
    along: Literal["measurements", "steps", "time"] | None,
    profile: str | None,
    within: float,
    table: Path | None,
) -> None:
    """Draw the learning curves of RUN...: score and cost on the test set, as the median and a band of each run's chips.

    The legend names the settings in which the runs differ. A run need not be finished.
    """
    from ..results import plot as draw

    if out is None and table is None:
        out = _WHERE
    along = along or ("measurements" if profile is None else "time")
    for path in draw(runs, out, along=along, profile=profile, within=within, table=table):
        click.echo(f"written: {path}")
