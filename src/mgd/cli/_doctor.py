"""`mgd doctor`."""

import json
from contextlib import nullcontext
from pathlib import Path

import click


@click.command(epilog="Example: mgd doctor runs/parity-1")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of the findings, and nothing else.")
def doctor(run: Path, as_json: bool) -> None:
    """Say why RUN does not learn, and what to try.

    A simulated chip is measured once more, at the start of the run and as of its last checkpoint; the run itself is not
    changed. For a run on a real chip, the diagnostics that it kept are read.
    """
    from rich.console import Console

    from ..results import diagnose

    console = Console(stderr=True)
    with console.status(f"{run}: measuring") if console.is_terminal else nullcontext():
        found = diagnose(run)
    if as_json:
        click.echo(json.dumps([one.as_dict() for one in found]))
        return
    if not found:
        click.echo(f"{run}: nothing is wrong")
    for number, one in enumerate(found, 1):
        click.echo(f"{number}. {one.problem}")
        click.echo(f"   try {one.remedy}")
