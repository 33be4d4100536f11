"""`mgd plan`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from ._settings import given_of, on_cluster, with_some_settings

if TYPE_CHECKING:
    from ..planning import Course

# What a plan leaves as it is given.
_SETTINGS = ("bits", "hidden", "channels", "order", "holdout", "data", "imperfect", "engine")


@click.command(epilog="Example: mgd plan hw1 nist7x7 --target 0.85")
@click.argument("chip", metavar="CHIP.toml|NAME", required=False)
@click.argument("task", metavar="TASK|DATA", required=False)
@click.option("--target", type=float, default=0.9, show_default=True, help="Mean score that the chips are to reach.")
@with_some_settings(_SETTINGS)
@click.option("--simulations", type=click.IntRange(min=4), default=30, show_default=True, help="At the most.")
@click.option("--seconds", type=float, default=180.0, show_default=True, help="Time for the search, about.")
@click.option("--chips", type=click.IntRange(min=2), default=32, show_default=True, help="Chips of a simulation.")
@click.option("--seed", type=click.IntRange(min=0, max=2**30), default=0, show_default=True, help="Of random numbers.")
@click.option("--search", type=click.IntRange(min=0), default=0, help="Trials of a search by Optuna, as a check.")
@click.option("--measure", type=click.IntRange(min=0), default=0, help="Measurements of the chip itself; 600 will do.")
@click.option("--gpu", metavar="NAME|FILE.toml", help="GPU to compare with, as it is quoted: v100, a100 or h100.")
@click.option("--workers", type=click.IntRange(min=1), help="Simulations at a time; by default one.")
@on_cluster
@click.option("--out", type=click.Path(path_type=Path), help="Folder; by default one of its own in plans.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
@click.option("--list", "listed", is_flag=True, help="List the chips that come with the package.")
def plan(
    chip: str | None,
    task: str | None,
    out: Path | None,
    as_json: bool,
    listed: bool,
    target: float,
    simulations: int,
    seconds: float,
    chips: int,
    seed: int,
    search: int,
    measure: int,
    gpu: str | None,
    workers: int | None,
    cluster: str | None,
    **settings: Any,
) -> None:
    """Choose the settings with which a chip learns TASK in the least hardware time, and say what to expect.

    CHIP is a chip file with a table [profile], or the name of a chip that comes with the package. After a stop or kill
    the same command continues. The settings are written to a file for mgd train.
    """
    if listed:
        _list_chips()
        return
    if chip is None or task is None:
        raise ValueError("give a chip and a task, as in mgd plan hw1 nist7x7, or --list")
    from ..planning import plan as planned
    from ..runs import task_given

    folder = out or Path("plans") / f"{Path(chip).stem}-{Path(task).stem}-{target:g}"
    with _shown() as on_course:
        made = planned(
            task_given(task),
            chip,
            target=target,
            simulations=simulations,
            seconds=seconds,
            chips=chips,
            seed=seed,
            search=search,
            measure=measure,
            gpu=gpu,
            workers=workers,
            cluster=cluster,
            out=folder,
            on_course=on_course,
            **given_of(settings),
        )
    if as_json:
        click.echo(json.dumps(made.as_dict()))
        return
    for line in made.lines():
        click.echo(line)
    click.echo(f"mgd train {quote(str(folder / 'plan.toml'))} trains such chips")


def _list_chips() -> None:
    from ..planning import chip_folder, chip_names, chip_of

    names = chip_names()
    for name in names:
        click.echo(f"{name:<{max(map(len, names))}}  {chip_of(name).profile.description}")
    click.echo(f"Those that are chip files are in {chip_folder()}, the others in mgd time --list.")


@contextmanager
def _shown() -> Iterator[Any]:
    """Shows how far a plan is: a bar on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    from ..timing import format_seconds

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[best]}")
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("facts of the task", best="")

        def on_course(course: "Course") -> None:
            best = "" if course.best is None else f"best {format_seconds(course.best[1])}"
            done = f"{course.simulations} of {course.of} simulations" if course.simulations else "facts of the task"
            bar.update(task, description=done, total=course.of, completed=course.simulations, best=best)

        yield on_course
