"""`mgd report`."""

from pathlib import Path

import click


@click.command(epilog="Example: mgd report runs/parity-1")
@click.argument("folder", metavar="RUN|SWEEP|PLAN", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="A .html file; by default report.html in the folder."
)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    metavar="NAME|FILE.toml",
    help="Hardware profile for a run's times, as for mgd time; may be given again. By default, published chips.",
)
def report(folder: Path, out: Path | None, profiles: tuple[str, ...]) -> None:
    """Write what RUN, SWEEP or PLAN came to as one HTML file, which loads nothing: for a wiki, a notebook, a mail.

    It has results, curves, hardware time, quality of the gradient, counts, settings, and how to repeat and cite it; of
    a plan, what to expect and why. All is read from the folder, and nothing is computed again. Runs and sweeps need not
    be finished.
    """
    from ..reports import report as write

    click.echo(f"written: {write(folder, out, profiles=profiles)}")
