"""`mgd sweep`."""

import json
from pathlib import Path
from shlex import quote
from typing import Any

import click

from ._settings import given_of, on_cluster, with_settings

# Points whose settings take seconds to check.
_MANY = 5_000
# In a pipe, no line is cut to a width.
_PIPE = 10_000


@click.command(epilog="Example: mgd sweep nist7x7 --vary dac-bits=3..10 --replicas 50")
@click.argument("task", metavar="TASK|DATA|SWEEP.toml")
@click.option(
    "--vary",
    multiple=True,
    metavar="NAME=VALUES",
    help="A setting and its values: 3..10, 1e-4..1e-2:5:log or 1,2,5; may be given again.",
)
@click.option(
    "--design", metavar="DESIGN", help="grid for all combinations; sobol:N or random:N for N points of the ranges."
)
@with_settings
@click.option("--chip", type=click.Path(path_type=Path), help="TOML file of the chip, which is simulated.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; by default one of its own in sweeps.")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Processes; by default one for each core if it is worth it."
)
@on_cluster
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list with a line for each point, and nothing else.")
def sweep(
    task: str,
    vary: tuple[str, ...],
    design: str | None,
    chip: Path | None,
    out: Path | None,
    workers: int | None,
    cluster: str | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Train chips at every combination of the settings that --vary names.

    Names are those of settings: learning-rate, tau-theta, hidden (4,8,16x8), … and the imperfections that mgd list
    names. SWEEP.toml is the file of a run with a table [vary].

    After a stop or kill the same command continues, and one with more values computes only what is missing.
    """
    from ..runs import chip_settings, read_chip_file, task_given
    from ..sweeps import given_in, load_sweep, plan_of, run, shown, table_of

    described = None if chip is None else chip_settings([read_chip_file(chip)], simulate=True)
    named = task if task.endswith(".toml") else task_given(task)
    plan = plan_of(named, given_in(vary), design, given_of(settings), described)
    if (n := plan.design.count(plan.axes)) >= _MANY:
        click.echo(f"the settings of {n:,} points are checked", err=True)
    folder = out or Path("sweeps") / f"{plan.base.task_name}-{plan.identity()[:8]}"
    with shown(lines=True) as on_course:
        run(plan, folder, workers=workers, cluster=cluster, on_course=on_course)
    lines = table_of(load_sweep(folder))
    if as_json:
        click.echo(json.dumps(lines))
        return
    for line in said_of(lines):
        click.echo(line)
    where = quote(str(folder))
    click.echo(f"mgd show {where} has every point; mgd plot {where} draws them")


def said_of(lines: list[dict[str, Any]]) -> list[str]:
    """The best and the worst point, by their median score, or how many there are if none has one."""
    from .._metric import METRICS, written

    scored = [line for line in lines if line["score"] is not None and line["metric"]]
    said = [f"{len(lines):,} points of {lines[0]['chips']:,} chips each"]
    if len({line["metric"] for line in scored}) == 1:
        metric = scored[0]["metric"]
        best, worst = (pick(scored, key=lambda line: line["score"]) for pick in (max, min))
        for what, line in {"best": best, "worst": worst}.items():
            if what == "best" or line["score"] < best["score"]:
                where = ", ".join(f"{name}={_named(value)}" for name, value in values_of(line).items())
                score = f"median {METRICS[metric]} {written(metric, line['score'])}{_yield(line)}"
                said.append(f"  {what}: {where}: {score}")
    if diverged := sum(line["diverged"] for line in lines):
        said.append(f"  {diverged:,} chips diverged")
    return said


def show_sweep(folder: Path, as_json: bool) -> None:
    """Prints a line for each point of a sweep that is computed."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from .._metric import METRICS, written
    from ..sweeps import load_sweep, table_of

    lines = table_of(load_sweep(folder))
    if as_json:
        click.echo(json.dumps(lines))
        return
    metrics = {line["metric"] for line in lines}
    score = METRICS.get(next(iter(metrics)), "score") if len(metrics) == 1 else "score"
    diverged = any(line["diverged"] for line in lines)
    table = Table(*map(escape, values_of(lines[0])), f"median {score}", "80 % of chips", "yield", "95 %", box=None)
    if diverged:
        table.add_column("diverged")
    for line in lines:
        row = [escape(_named(value)) for value in values_of(line).values()]
        if line["score"] is None:
            row += ["", ""]
        else:
            middle, low, high = (written(line["metric"], line[name]) for name in ("score", "score_low", "score_high"))
            row += [middle, f"{low} … {high}"]
        known = line["yield"] is not None
        row += [f"{line['yield']:.0%}", f"{line['yield_low']:.0%} … {line['yield_high']:.0%}"] if known else ["", ""]
        table.add_row(*row, *([str(line["diverged"])] if diverged else []))
    console = Console(width=None if Console().is_terminal else _PIPE, highlight=False)
    console.print(table)
    console.print(f"{len(lines):,} points of {lines[0]['chips']:,} chips each", markup=False)


def values_of(line: dict[str, Any]) -> dict[str, Any]:
    """What was varied, of the line of a point."""
    names = list(line)
    return {name: line[name] for name in names[: names.index("score")]}


def _yield(line: dict[str, Any]) -> str:
    if line["yield"] is None:
        return ""
    return f"; solved by {line['yield']:.0%} of its chips (95 %: {line['yield_low']:.0%} to {line['yield_high']:.0%})"


def _named(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
