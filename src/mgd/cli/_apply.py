"""`mgd apply`."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._metric import METRICS, written
from ._at_once import answer_at_once
from ._replica import replica_option
from ._words import WholeNumber

if TYPE_CHECKING:
    from ..results import Applied


@click.command("apply", epilog="Example: mgd apply runs/nist7x7-1 --chip examples/virtual-chip.toml")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--chip",
    required=True,
    type=click.Path(path_type=Path),
    help="TOML file of the chip, with a table [instrument].",
)
@replica_option("best")
@click.option(
    "--test-samples",
    type=WholeNumber(min=1),
    help="How many test samples to use; by default the number in the chip's file.",
)
@click.option("--keep", is_flag=True, help="Leave the chip with these parameters, not in its safe state.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def apply_run(run: Path, chip: Path, replica: int | str, test_samples: int | None, keep: bool, as_json: bool) -> None:
    """Set a real chip to the parameters of RUN, read them back, and evaluate the chip.

    Parameters outside the chip's limits are refused before any is sent. The chip is left in its safe state; with --keep
    and without an error, it is left with the parameters.
    """
    answer_at_once()
    from rich.console import Console

    from ..results import apply

    console = Console(stderr=True)
    with console.status(f"{chip}: setting parameters and evaluating") if console.is_terminal else nullcontext():
        found = apply(run, chip, replica=replica, test_samples=test_samples, keep=keep)
    if as_json:
        click.echo(json.dumps(found.as_dict()))
        return
    _print(found)


def _print(found: "Applied") -> None:
    run = found.run
    so_far = "" if run.finished else f" at step {run.step:,} (it is not finished)"
    click.echo(f"{run.folder}, chip {found.replica} of {run.n_replicas}{so_far}, on {found.identity}")
    back = "read back as they were set" if found.read_back else "not read back: this chip does not support that"
    click.echo(f"  {run.theta.shape[1]:,} parameters, {back}")
    of = f"{found.shown:,} of {found.samples:,} test samples" if found.shown < found.samples else "the test samples"
    if found.metric is not None:
        here = "unknown" if found.score is None else written(found.metric, found.score)
        own = "" if found.reported is None else f"; the run's own chip had {written(found.metric, found.reported)}"
        click.echo(f"  {METRICS[found.metric]} {here} on {of}{own}")
    cost = "could not be measured" if found.cost is None else f"{found.cost:.4g}"
    click.echo(f"  cost {cost}" + (f" on {of}" if found.metric is None else ""))
    click.echo("  left with these parameters" if found.kept else "  left in its safe state")
