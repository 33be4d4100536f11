"""The report of a sweep: its points, drawn and in a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

from .._metric import METRICS, written
from ..results import written_fact, written_setting
from ..sweeps import about_sweep, draw_sweep, load_sweep, table_of, varied_in
from ._figures import figure
from ._html import Content, facts, node, section, table
from ._page import page
from ._repeated import cited, repeated_sweep

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

# The share of the chips that a band contains; points that are listed; values that have a line each in one figure.
_WITHIN, _MOST_POINTS, _MOST_LINES = 0.8, 400, 9


def sweep_page(folder: Path) -> Element:
    """The page of a sweep; see `report`."""
    about, data = about_sweep(folder), load_sweep(folder)
    lines = table_of(data)
    names = varied_in(data)
    chips = data.sizes["replica"]
    each = "one chip" if chips == 1 else f"{chips:,} chips"
    varied = ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
    said = f"{each.capitalize()} at each point. What was varied: {varied}."
    sections = [
        _results(data, lines, names),
        _points(lines, names),
        _settings(about),
        repeated_sweep(about, data),
        cited(about["version"]),
    ]
    return page(str(about["task"]), f"sweep {folder.resolve().name}", said, _tiles(data, lines, names), sections)


def _tiles(data: "xr.Dataset", lines: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[tuple[str, str, str]]:
    chips = len(lines) * data.sizes["replica"]
    missing = int(data["computed"].size) - len(lines)
    left = f"{missing:,} more are not computed yet" if missing else f"{data.sizes['replica']:,} chips each"
    tiles = [("Points", f"{len(lines):,}", left), ("Chips", f"{chips:,}", "")]
    scored = [line for line in lines if line["score"] is not None and line["metric"]]
    if scored and len({line["metric"] for line in scored}) == 1:
        metric = scored[0]["metric"]
        for what, pick in {"Best": max, "Worst": min}.items():
            line = pick(scored, key=lambda line: line["score"])
            where = ", ".join(f"{name} {written_setting(line[name])}" for name in names)
            tiles.append((f"{what} median {METRICS[metric]}", written(metric, line["score"]), where))
    judged = [line for line in lines if line["yield"] is not None]
    if judged:
        line = max(judged, key=lambda line: line["yield"])
        tiles.append(("Best yield", f"{line['yield']:.0%}", f"95 % interval {_interval(line)}"))
    if diverged := sum(line["diverged"] for line in lines):
        tiles.append(("Diverged", f"{diverged:,}", f"of {chips:,} chips"))
    return tiles


def _results(data: "xr.Dataset", lines: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Element:
    # Of chips that all learn, or none of which does, a figure shows nothing; the table says it.
    some = len({line["yield"] for line in lines} - {None}) > 1
    shown = ["score" if bool(data["score"].notnull().any()) else "cost", *(["yield"] if some else [])]
    named = {"score": "score on the test set", "yield": "share of chips that solved the task", "cost": "test cost"}
    bands = {"yield": "its 95 % interval (Wilson's)"}
    figures: list[Content] = []

    def add(caption: str, **given: Any) -> None:
        def draw(drawn: "Figure") -> None:
            draw_sweep(drawn, data, within=_WITHIN, **given)

        figures.append(figure(f"figure-{len(figures)}", caption, draw))

    grid = "point" not in data.dims
    if grid and len(names) == 2:
        x, y = names
        for value in shown:
            middle = "" if value == "yield" else "median "
            add(f"The {middle}{named[value]}, over {x} and {y}.", x=x, y=y, value=value)
    # Lines between names say little; where there is nothing else, they are at least beside each other.
    along = [name for name in names if data[name].dtype.kind in "if"] or names
    for x in along:
        other = next(name for name in names if name != x) if grid and len(names) == 2 else None
        hue = other if other is not None and data.sizes[other] <= _MOST_LINES else None
        rest = [name for name in names if name not in (x, hue)]
        pooled = f" Chips of all values of {', '.join(rest)} are pooled." if rest else ""
        for value in shown:
            what = "The share of chips that solved the task" if value == "yield" else f"The median {named[value]}"
            band = bands.get(value, f"{_WITHIN:.0%} of the chips about it")
            each = f", a line for each {hue}" if hue else ""
            add(f"{what} against {x}{each}, with {band}.{pooled}", x=x, y=value, hue=hue)
    return section("results", "Results", node("div", *figures, class_="figures"))


def _points(lines: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Element:
    metrics = {line["metric"] for line in lines}
    score = METRICS.get(next(iter(metrics)), "score") if len(metrics) == 1 else "score"
    heads = [*names, f"median {score}", "80 % of chips", "yield", "95 % interval", "diverged", "measurements", "writes"]
    rows = []
    for line in lines[:_MOST_POINTS]:
        row = [written_setting(line[name]) for name in names]
        if line["score"] is None:
            row += ["–", "–"]
        else:
            middle, low, high = (written(line["metric"], line[name]) for name in ("score", "score_low", "score_high"))
            row += [middle, f"{low} to {high}"]
        row += ["–", "–"] if line["yield"] is None else [f"{line['yield']:.0%}", _interval(line)]
        rows.append([*row, *(f"{line[name]:,}" for name in ("diverged", "cost_measurements", "parameter_writes"))])
    content: list[Content] = [table(heads, rows, numbers=range(len(names), len(heads)))]
    if len(lines) > len(rows):
        more = f"These are the first {len(rows):,} of {len(lines):,} points; mgd show --json lists all."
        content.append(node("p", more, class_="note"))
    content.append(node("p", "Measurements and writes are those of each chip.", class_="note"))
    return section("points", "Points", *content)


def _settings(about: Mapping[str, Any]) -> Element:
    shared = {name: written_fact(value) for name, value in {**about["settings"], **about["imperfect"]}.items()}
    said = "What all points share; all other settings have their defaults."
    return section("settings", "Settings", node("p", said, class_="note"), facts(shared | {"design": about["design"]}))


def _interval(line: Mapping[str, Any]) -> str:
    return f"{line['yield_low']:.0%} to {line['yield_high']:.0%}"
