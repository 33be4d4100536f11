"""`mgd time`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._metric import METRICS, metric_in, written

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

    from ..timing import Profile

_MOST_ROWS = 12


@click.command("time", epilog="Example: mgd time runs/parity-1 --profile hw1 --profile hw2")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--profile", "profiles", multiple=True, metavar="NAME|FILE.toml", help="Profile of the chip; may be given again."
)
@click.option("--figure", type=click.Path(path_type=Path), help="Draw the score against time: a .png or .svg file.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with every logged step, and nothing else.")
@click.option("--list", "listed", is_flag=True, help="List the profiles that come with the package.")
def time(run: Path | None, profiles: tuple[str, ...], figure: Path | None, as_json: bool, listed: bool) -> None:
    """Show the time and energy that RUN would take on a chip, from its counts and the chip's profile.

    Times are for one chip, from the start of the run to each logged step; RUN need not be finished.
    """
    from ..timing import profile_names

    if listed:
        _list_profiles()
        return
    if run is None:
        raise ValueError("give a run directory, as in mgd time runs/parity-1 --profile hw1, or --list")
    if not profiles:
        raise ValueError(f"give --profile: {', '.join(profile_names())}, or the path of a TOML file")
    loaded = _load(profiles)
    if figure is not None:
        from ..timing import check_figure

        check_figure(figure)
    from ..runs import read_metrics
    from ..timing import time_history

    history = read_metrics(run)
    loaded = [_of_whole_chip(profile, run) for profile in loaded]
    timed = {profile.name: time_history(history, profile) for profile in loaded}
    if figure is not None:
        from ..timing import draw_score

        chips = history.sizes["replica"]
        whose = "one chip" if chips == 1 else f"mean of {chips} chips"
        draw_score(timed, figure, title=f"{history.attrs['task']} ({whose}), to step {int(history.step[-1]):,}")
    if as_json:
        click.echo(json.dumps({"run": str(run), "profiles": [_as_json(p, timed[p.name]) for p in loaded]}))
        return
    from rich.console import Console

    # Not cut to the width of a pipe.
    console = Console(width=None if Console().is_terminal else 200, highlight=False)
    if len(loaded) == 1:
        _print_steps(console, loaded[0], timed[loaded[0].name])
    else:
        _print_summary(console, timed)
    if figure is not None:
        console.print(f"picture: {figure}", markup=False)


def _list_profiles() -> None:
    from ..timing import load_profile, profile_folder, profile_names

    names = profile_names()
    for name in names:
        click.echo(f"{name:<{max(map(len, names))}}  {load_profile(name).description}")
    click.echo(f"They are in {profile_folder()}: copy example.toml for your own chip.")


def _load(names: tuple[str, ...]) -> "list[Profile]":
    """Raises: ValueError: if one is not available, or two would have the same name in a table."""
    from ..timing import load_profile

    loaded = {}
    for name in names:
        profile = load_profile(name)
        if profile.name in loaded:
            raise ValueError(f"two profiles are named {profile.name!r}: give each once, and each another name")
        loaded[profile.name] = profile
    return list(loaded.values())


def _of_whole_chip(profile: "Profile", run: Path) -> "Profile":
    """Raises: ValueError: if it gives the time of one parameter, and how many there are is not known yet."""
    if not profile.one_by_one:
        return profile
    from ..runs import read_summary

    summary = read_summary(run)
    if summary is None:
        raise ValueError(
            f"{profile.name} has one_by_one, and {run} says how many parameters it has when it is finished"
        )
    return profile.whole(summary["n_params"])


def thin(steps: list[int]) -> list[int]:
    """The places of about ten of the logged steps: first and last, and one or two a decade between.

    >>> thin([0, 1, 2, 3])
    [0, 1, 2, 3]
    """
    if len(steps) <= _MOST_ROWS:
        return list(range(len(steps)))
    decades = len(str(steps[-1]))
    goals = [digit * 10**k for k in range(decades) for digit in ((1, 3) if decades <= 5 else (1,))]
    after = (next((place for place, step in enumerate(steps) if step >= goal), 0) for goal in goals)
    return sorted({0, *after, len(steps) - 1})


def _print_steps(console: "Console", profile: "Profile", timed: "xr.Dataset") -> None:
    from rich.table import Table

    from ..timing import EVENTS, format_joules, format_seconds

    energies = "joules" in timed
    console.print(f"{profile.name}: {profile.description}", markup=False)
    console.print(f"source: {profile.source}", markup=False)
    table = Table(box=None)
    for title in ("step", "measurements", _measure(timed), "time", *(["energy"] if energies else [])):
        table.add_column(title, justify="right")
    for place in thin(timed.step.values.tolist()):
        row = timed.isel(step=place)
        cells = [
            f"{int(row.step):,}",
            f"{int(row.cost_measurements):,}",
            _score(row) or "",
            format_seconds(float(row.seconds)),
        ]
        table.add_row(*cells, *([format_joules(float(row.joules))] if energies else []))
    console.print(table)
    last = timed.isel(step=-1)
    shares = Table("event", "count", "each", "share of the time", box=None)
    hidden = {event for group in profile.overlap for event in group}
    for event, count in EVENTS.items():
        each, share = getattr(profile.seconds, event), float(last.shares.sel(event=event))
        behind = " (overlapped)" if event in hidden and share == 0 and each > 0 else ""
        shares.add_row(event, f"{int(last[count]):,}", format_seconds(each), f"{share:.1%}{behind}")
    console.print(shares)
    if "published_seconds" in timed:
        step = format_seconds(profile.published_step_seconds or 0)
        total = format_seconds(float(last.published_seconds))
        console.print(f"published formula: {int(last.step):,} steps × {step} = {total}")
    if not energies:
        console.print("no energies in this profile")


def _print_summary(console: "Console", timed: "dict[str, xr.Dataset]") -> None:
    from rich.markup import escape
    from rich.table import Table

    from ..timing import format_joules, format_seconds

    any_of = next(iter(timed.values())).isel(step=-1)
    measurements, score = f"{int(any_of.cost_measurements):,}", _score(any_of)
    console.print(f"step {int(any_of.step):,}: {measurements} measurements, {_measure(any_of)} {score or 'unknown'}")
    table = Table("profile", "time", "energy", "most of it", "published formula", box=None)
    for name, history in timed.items():
        last = history.isel(step=-1)
        most = last.shares.idxmax("event").item()
        table.add_row(
            escape(name),
            format_seconds(float(last.seconds)),
            format_joules(float(last.joules)) if "joules" in last else "no energies in this profile",
            f"{most}, {float(last.shares.max()):.0%}",
            format_seconds(float(last.published_seconds)) if "published_seconds" in last else "",
        )
    console.print(table)


def _measure(history: "xr.Dataset") -> str:
    """What a history's chips are judged by, for people; the cost where it has nothing else."""
    return METRICS.get(metric_in(history) or "", "cost")


def _score(row: "xr.Dataset") -> str | None:
    """The mean of it over the chips."""
    metric = metric_in(row)
    value = _number(row[metric or "cost"].mean("replica"))
    return None if value is None else written(metric, value) if metric else f"{value:.4g}"


def _number(value: Any) -> float | None:
    """A JSON number; None for NaN, which JSON does not have."""
    number = float(value)
    return None if number != number else number


def _as_json(profile: "Profile", timed: "xr.Dataset") -> dict[str, Any]:
    last = timed.isel(step=-1)
    rows = [
        {
            "step": int(row.step),
            "cost_measurements": int(row.cost_measurements),
            **{name: _number(row[name].mean("replica")) for name in (metric_in(timed) or "cost",)},
            "seconds": float(row.seconds),
            "joules": float(row.joules) if "joules" in row else None,
        }
        for row in (timed.isel(step=place) for place in range(timed.sizes["step"]))
    ]
    return {
        "profile": profile.name,
        "source": profile.source,
        "steps": rows,
        "seconds": float(last.seconds),
        "joules": float(last.joules) if "joules" in last else None,
        "shares": {str(event): float(last.shares.sel(event=event)) for event in timed.event.values},
        "published_seconds": float(last.published_seconds) if "published_seconds" in last else None,
    }
