"""`mgd list`."""

from collections.abc import Mapping

import click

from .._input import printable
from ..engines import ENGINES
from ..rows import FAMILIES, IMPERFECTIONS, OPTIMIZERS, TASKS, Table
from ..runs import ALGORITHMS, BASELINES, SCHEDULES

# What can be chosen, in the order in which it is listed.
_TABLES: Mapping[str, Table | Mapping[str, str]] = {
    "tasks": TASKS,
    "algorithms": ALGORITHMS,
    "perturbations": FAMILIES,
    "baselines": BASELINES,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
    "engines": ENGINES,
    "imperfections": IMPERFECTIONS,
}


@click.command("list", epilog="Example: mgd list")
def list_names() -> None:
    """List tasks, algorithms, perturbations, baselines, optimizers, schedules, engines, imperfections and instruments.

    The list includes additions of other packages, by entry points, with the package's name. Additions that cannot be
    used are left out, and named with the reason.
    """
    tables, left_out = {}, []
    for title, table in _TABLES.items():
        tables[title], troubles = table.lines() if isinstance(table, Table) else (table, [])
        left_out += troubles
    tables["instruments"], troubles = _instruments()
    width = max(len(name) for table in tables.values() for name in table)
    for title, table in tables.items():
        click.secho(title, bold=True)
        for name, line in table.items():
            click.echo(printable(f"  {name:<{width}}  {line}"))
    for trouble in left_out + troubles:
        click.echo(f"mgd: left out: {printable(trouble)}", err=True)


def _instruments() -> tuple[dict[str, str], list[str]]:
    """As `Table.lines`."""
    from ..instruments import available

    found = available()
    troubles = [f"the kind of instrument {kind.name!r} {kind.missing}" for kind in found if kind.broken]
    sources = {kind.name: f" [{kind.distribution} {kind.version}]" for kind in found if kind.distribution != "mgd"}
    return {kind.name: kind.line + sources.get(kind.name, "") for kind in found if not kind.broken}, troubles
