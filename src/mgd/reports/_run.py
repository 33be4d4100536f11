"""The report of a run: a section for each thing that its folder says of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

import numpy as np

from .._metric import METRICS, metric_in, written
from ..results import Described, describe, flat_settings, kept_findings, written_fact, written_setting
from ..runs import Curve, draw_panel, duration, read_diagnostics, read_metrics
from ..sweeps import wilson
from ..timing import EVENTS
from ._figures import figure
from ._gradient import gradient
from ._html import Content, facts, node, section, table
from ._page import page
from ._repeated import cited, repeated_run
from ._times import hardware_times

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

# The share of the chips that a band contains, and the chips that are listed.
_WITHIN, _MOST_CHIPS = 0.8, 64


def run_page(folder: Path, profiles: Sequence[str | Path]) -> Element:
    """The page of a run; see `report`."""
    one = describe(folder)
    history = read_metrics(folder)
    findings = _kept(one)
    sections = [
        *([_findings(findings)] if findings else []),
        _curves(one, history),
        hardware_times(history, profiles),
        gradient(read_diagnostics(folder), real=bool(one.instruments)),
        *([] if findings else [_no_findings(one)]),
        _counts(history),
        _chips(one, history),
        _settings(one),
        repeated_run(one),
        cited((one.summary or {}).get("version")),
    ]
    kind = f"run {one.folder.resolve().name} · {one.state.partition(':')[0]}"
    return page(str(history.attrs["task"]), kind, _said(one, history), _tiles(one, history), sections)


def _said(one: Described, history: "xr.Dataset") -> str:
    config, summary = one.settings, one.summary or {}
    chips = "One chip" if history.sizes["replica"] == 1 else f"{history.sizes['replica']:,} chips"
    if one.instruments:
        chips = chips.replace("chip", "real chip")
    given = config.python
    algorithm = summary.get("algorithm") or (given.algorithm if given is not None else config.algorithm)
    how = [f"algorithm {algorithm}"] if algorithm else []
    how += [f"perturbation {summary['perturbation']}"] if summary.get("perturbation") else []
    how += [f"engine {summary['engine']}"] if summary.get("engine") else []
    how += [f"seed {config.seed}"] if config.seed is not None else []
    ended = f" It ended at step {summary['steps']:,}: {summary['ended_by']}." if summary.get("ended_by") else ""
    so_far = "" if one.summary is not None else f" It is not finished: this is as of step {int(history.step[-1]):,}."
    return f"{chips}{', trained with ' * bool(how)}{', '.join(how)}.{ended}{so_far}"


def _tiles(one: Described, history: "xr.Dataset") -> list[tuple[str, str, str]]:
    summary, last, n = one.summary or {}, history.isel(step=-1), history.sizes["replica"]
    tiles: list[tuple[str, str, str]] = []
    metric = metric_in(history)
    values = last[metric or "cost"].values
    known = values[~np.isnan(values)]
    if len(known):
        least, middle, most = (_value(metric, value) for value in (known.min(), known.mean(), known.max()))
        each = f"mean of {len(known):,} chips; {least} to {most}" if n > 1 else ""
        tiles.append((f"Test {METRICS.get(metric or '', 'cost')}", middle, each))
    if metric is not None and (threshold := _threshold(one)) is not None:
        solved = round(summary["solved_fraction"] * n)
        low, high = wilson(solved, n)
        need = f"{METRICS[metric]} ≥ {f'{threshold:g}' if metric == 'r2' else f'{100 * threshold:g}%'}"
        interval = f"; 95 % interval {low:.0%} to {high:.0%}" if n > 1 else ""
        tiles.append(("Chips that solved it", f"{solved:,} of {n:,}", need + interval))
    steps = int(last.step)
    of = "" if one.summary is not None or one.settings.steps is None else f"of {one.settings.steps:,}"
    tiles.append(("Cost measurements", _short(int(last.cost_measurements)), "of each chip"))
    tiles.append(("Parameter writes", _short(int(last.parameter_writes)), "of each chip"))
    tiles.append(("Timesteps", _short(steps), of))
    if "n_params" in summary:
        tiles.append(("Parameters", _short(summary["n_params"]), ""))
    if "seconds" in summary:
        tiles.append(("Time of this run", duration(summary["seconds"]), "on the computer that made it"))
    return tiles


def _curves(one: Described, history: "xr.Dataset") -> Element:
    n = history.sizes["replica"]
    along = "measurements" if int(history.cost_measurements[-1]) > 0 else "steps"
    lines = "the only chip" if n == 1 else f"the median of {n:,} chips, with a band of {_WITHIN:.0%} of them"
    figures: list[Content] = []
    solved = _threshold(one)
    for name in (metric_in(history), "cost"):
        if name is None or bool(np.isnan(history[name].values).all()):
            continue

        def draw(drawn: "Figure", name: str = name) -> None:
            panel = drawn.subplots()
            draw_panel(panel, [Curve("", history)], name, along=along, within=_WITHIN)
            if name != "cost" and solved is not None:
                panel.axhline(solved if name == "r2" else 100 * solved, color="0.5", linewidth=0.8, linestyle="--")

        what = METRICS.get(name, name).capitalize()
        against = "cost measurements of one chip" if along == "measurements" else "timesteps"
        limit = "; dashed: solved" if name != "cost" and solved is not None else ""
        figures.append(figure(f"curve-{name}", f"{what} on the test set against {against}: {lines}{limit}.", draw))
    if not figures:
        figures = [node("p", "No evaluation gave a number.")]
    return section("curves", "Learning curves", node("div", *figures, class_="figures"))


def _kept(one: Described) -> list[Element]:
    """What the run has kept of what is wrong, an item for each."""
    listed = [node("li", f"{each.problem}: ", node("b", f"try {each.remedy}")) for each in kept_findings(one.folder)]
    listed += [node("li", text) for text in (one.summary or {}).get("warnings") or ()]
    return listed + [node("li", f"chip {chip} was dropped: {written_fact(what)}") for chip, what in one.dropped.items()]


def _findings(listed: Sequence[Element]) -> Element:
    return section("findings", "Findings", node("ol", *listed, class_="findings"))


def _no_findings(one: Described) -> Element:
    said = "This run has kept no findings. " if one.summary is not None else "This run is not finished. "
    command = node("code", f"mgd doctor {one.folder}")
    return section("findings", "Findings", node("p", said, command, " looks for what is wrong."))


def _counts(history: "xr.Dataset") -> Element:
    last, steps = history.isel(step=-1), max(1, int(history.step[-1]))
    names = dict.fromkeys(("cost_measurements", "parameter_writes", "sample_loads", *EVENTS.values()))
    rows = [
        (name.replace("_", " "), f"{int(last[name]):,}", f"{int(last[name]) / steps:.4g}")
        for name in names
        if name in last.coords
    ]
    note = node("p", "What the whole run did to each chip, exactly.", class_="note")
    return section("counts", "Counts", note, table(("event", "count", "each timestep"), rows, numbers=(1, 2)))


def _chips(one: Described, history: "xr.Dataset") -> Element:
    """What each chip came to, and who the real ones are."""
    metric, last = metric_in(history), history.isel(step=-1)
    held_out = (one.summary or {}).get(f"held_out_{metric}_per_replica") or []
    named = METRICS.get(metric or "", "")
    heads = ["chip", *([f"test {named}"] if metric else []), *([f"held-out {named}"] if held_out else []), "test cost"]
    rows = []
    for place, number in enumerate(history.replica.values.tolist()[:_MOST_CHIPS]):
        row = [str(number), *([_value(metric, last[metric].values[place])] if metric else [])]
        row += [_value(metric, held_out[place])] if held_out else []
        rows.append([*row, _value(None, last["cost"].values[place])])
    more = history.sizes["replica"] - len(rows)
    content: list[Content] = [table(heads, rows, numbers=range(1, len(heads)))]
    if more > 0:
        content.append(node("p", f"{more:,} more chips are in the run's metrics.zarr.", class_="note"))
    for number, instrument in enumerate(one.instruments):
        content.append(node("h3", "Real chip" if len(one.instruments) == 1 else f"Real chip {number}"))
        content.append(facts(_known(instrument)))
    return section("chips", "Chips", *content)


def _settings(one: Described) -> Element:
    settings = {name: written_setting(value) for name, value in flat_settings(one.settings).items()}
    task = _known(one.task or {})
    content: list[Content] = [facts(settings)]
    if task:
        content += [node("h3", "Task"), facts(task)]
    return section("settings", "Settings", *content)


def _known(of: Mapping[str, Any]) -> dict[str, str]:
    """Facts as people read them, without those that are not known."""
    return {name: _told(value) for name, value in of.items() if value not in (None, "", [], {})}


def _told(value: Any) -> str:
    """A fact; of many equal or ordered numbers, their ends."""
    numbers = value if isinstance(value, list) and all(isinstance(one, int | float) for one in value) else []
    if len(numbers) > 8:
        low, high = min(numbers), max(numbers)
        each = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        return f"{each} ({len(numbers):,} values)"
    return written_fact(value)


def _value(metric: str | None, value: float | None) -> str:
    if value is None or np.isnan(value):
        return "–"
    return f"{value:.4g}" if metric is None else written(metric, float(value))


def _threshold(one: Described) -> float | None:
    """The score from which a chip has solved the task; None if no chip is called so."""
    summary = one.summary or {}
    if summary.get("test_samples") != summary.get("test_samples_of"):  # measured on a part of the test samples
        return None
    return summary.get("solved_accuracy")


def _short(number: int) -> str:
    """A whole number in few letters; the table of counts has it in full.

    >>> _short(212_500), _short(1_234_567), _short(13_600_000_000)
    ('212,500', '1.235 million', '1.36e+10')
    """
    if number < 1_000_000:
        return f"{number:,}"
    return f"{number / 1e6:.4g} million" if number < 1_000_000_000 else f"{number:.4g}"
