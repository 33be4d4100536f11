"""`mgd list`."""

import click

from ..datasets import DESCRIPTIONS
from ..engines import ENGINES
from ..runs import ALGORITHMS, BASELINES, IMPERFECTIONS, OPTIMIZERS, PERTURBATIONS, SCHEDULES

_TABLES = {
    "tasks": DESCRIPTIONS,
    "algorithms": ALGORITHMS,
    "perturbations": PERTURBATIONS,
    "baselines": BASELINES,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
    "engines": ENGINES,
    "imperfections": IMPERFECTIONS,
}


@click.command("list", epilog="Example: mgd list")
def list_names() -> None:
    """List tasks, algorithms, perturbations, baselines, optimizers, schedules, engines and imperfections."""
    width = max(len(name) for table in _TABLES.values() for name in table)
    for title, table in _TABLES.items():
        click.secho(title, bold=True)
        for name, line in table.items():
            click.echo(f"  {name:<{width}}  {line}")
