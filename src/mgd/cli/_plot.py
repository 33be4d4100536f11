"""`mgd plot`."""

from pathlib import Path
from typing import Any

import click

_WHERE = Path("plot.png")
_AXES = click.Choice(("measurements", "steps", "time"))


@click.command(epilog="Example: mgd plot runs/parity-1 runs/parity-2 -o both.svg")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="The picture: .png, .svg or .pdf; by default plot.png."
)
@click.option(
    "--x",
    "along",
    metavar="measurements|steps|time|NAME",
    help="The x-axis; time is hardware time and needs --profile. Of a sweep, a setting.",
)
@click.option("--y", metavar="NAME", help="Of a sweep: score, cost, yield or solved_step; or a setting, for a map.")
@click.option("--hue", metavar="NAME", help="Of a sweep: the setting that has a line for each of its values.")
@click.option("--value", metavar="NAME", help="Of a sweep: what a map shows in colours; the score by default.")
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
    along: str | None,
    profile: str | None,
    within: float,
    table: Path | None,
    **of_sweep: str | None,
) -> None:
    """Draw the learning curves of RUN...: score and cost on the test set, as the median and a band of each run's chips.

    The legend names the settings in which the runs differ. A run need not be finished. Of a SWEEP, draw what its chips
    came to: lines over a setting, or a map over two.
    """
    from ..sweeps import is_sweep

    given = {name: value for name, value in of_sweep.items() if value is not None}
    if any(map(is_sweep, runs)):
        sweep, *others = runs
        if others or profile is not None or table is not None:
            raise ValueError("a sweep is drawn by itself: give one SWEEP, without --profile and --csv")
        from ..sweeps import plot_sweep

        click.echo(f"written: {plot_sweep(sweep, out or _WHERE, x=along, within=within, **given)}")
        return
    if given:
        raise ValueError(f"--{next(iter(given))} is for a sweep, and {next(iter(runs))} is none: leave it out")
    _draw_runs(runs, out, along, profile, within, table)


def _draw_runs(
    runs: tuple[Path, ...], out: Path | None, along: Any, profile: str | None, within: float, table: Path | None
) -> None:
    from ..results import plot as draw

    if along is not None:
        context = click.get_current_context()
        parameter = next(each for each in context.command.params if each.name == "along")
        along = _AXES.convert(along, parameter, context)
    if out is None and table is None:
        out = _WHERE
    along = along or ("measurements" if profile is None else "time")
    for path in draw(runs, out, along=along, profile=profile, within=within, table=table):
        click.echo(f"written: {path}")
