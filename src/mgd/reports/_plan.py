"""The report of a plan: what to expect of its chips, and why it is as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import numpy as np

from .._errors import RunError
from ..planning import KeptPlan, read_plan
from ..results import flat_settings, written_setting
from ..runs import RunConfig
from ..sweeps import wilson
from ..timing import format_joules, format_seconds
from ._figures import figure
from ._html import Content, facts, node, section, table
from ._page import page
from ._repeated import cited, repeated_plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A share of less than half a percent is none.
_LEAST_SHARE = 0.005


def plan_page(folder: Path) -> Element:
    """The page of a plan; see `report`.

    Raises:
        RunError: if the plan is not made yet, or is damaged.
    """
    plan = read_plan(folder)
    try:
        config = RunConfig.of(dict(plan.settings))
    except ValueError as error:
        raise RunError(f"the plan in {folder} has settings that this version of mgd does not know: {error}") from error
    sections = [
        _expected(plan),
        _bounds(plan),
        _gains(plan),
        _choices(plan),
        _backprop(plan),
        _chip(plan),
        section("settings", "Settings", facts(_flat(config))),
        repeated_plan(plan, config),
        cited(plan.version),
    ]
    name, described = plan.profile.name, plan.profile.description
    chip = name if name == described else f"{name}: {described}"
    said = (
        f"{chip}. {plan.simulations} simulations by the {plan.engine} engine chose the settings. All "
        f"numbers are of {plan.chips} other chips."
    )
    if plan.stopped:
        said += " The time was over before the search had ended."
    return page(config.task_name, f"plan {folder.resolve().name}", said, _tiles(plan), sections)


def _tiles(plan: KeptPlan) -> list[tuple[str, str, str]]:
    there = sum(one is not None for one in plan.each)
    low, high = wilson(there, plan.chips)
    if plan.seconds is None:
        tiles = [(f"Mean score of {plan.target:g}", "not reached", f"best of all simulations: {plan.best:.4g}")]
    else:
        others = "" if plan.expected is None else " to ".join(map(_time, plan.expected))
        said = f"of hardware time; {plan.chips} other chips (95 %): {others}" if others else "of hardware time"
        tiles = [(f"Mean score of {plan.target:g} after", format_seconds(plan.seconds), said)]
    tiles += [
        ("Half of the chips after", _time(plan.interval[1]), _within(plan)),
        ("Chips that get there", f"{there:,} of {plan.chips:,}", f"95 % interval {low:.0%} to {high:.0%}"),
        ("Writes of a parameter", f"{plan.writes:,}", _worn(plan)),
    ]
    if plan.joules is not None:
        tiles.append(("Energy", format_joules(plan.joules), "of one chip"))
    return tiles


def _expected(plan: KeptPlan) -> Element:
    there = sorted(one for one in plan.each if one is not None)

    def draw(drawn: "Figure") -> None:
        panel = drawn.subplots()
        panel.step([0.0, *there], 100 * np.arange(len(there) + 1) / plan.chips, where="post")
        if plan.seconds is not None:
            panel.axvline(plan.seconds, color="0.5", linewidth=0.8, linestyle="--")
        panel.set(xlabel="hardware time (s)", ylabel="chips that got there (%)", xlim=(0, None), ylim=(0, 105))

    said = f"Half of the chips are there after {_time(plan.interval[1])}; {_within(plan)}."
    mean = "; dashed: their mean does" if plan.seconds is not None else ""
    caption = f"The share of chips whose own score reaches {plan.target:g}, against hardware time{mean}."
    shown = figure("passage", caption, draw) if there else node("p", "No chip got there.")
    return section("expected", "What to expect", node("p", said), node("div", shown, class_="figures"))


def _bounds(plan: KeptPlan) -> Element:
    told = {"Hardware time": ("event", plan.shares), "Error of the gradient G": ("part", plan.error)}
    content: list[Content] = []
    for title, (head, shares) in told.items():
        content += [node("h3", title), table((head, "share"), _percent(shares), numbers=(1,))]
    return section("bounds", "What bounds it", *content)


def _gains(plan: KeptPlan) -> Element:
    title = "What the next euro buys"
    if not plan.gains:
        return section("gains", title, node("p", "By the law, no single number of the chip would save time."))
    said = "Hardware time that a better chip saves, by the law, each with the settings that are best for that chip."
    return section(
        "gains", title, node("p", said, class_="note"), table(("better", "saves"), _percent(plan.gains), numbers=(1,))
    )


def _choices(plan: KeptPlan) -> Element:
    # Reasons are long, so they are a list and not a table, whose cells do not break.
    listed = [
        node("li", node("b", f"{name} = {written_setting(plan.settings[name])}"), f": {why}.")
        for name, why in plan.reasons.items()
    ]
    return section("choices", "Choices and reasons", node("ul", *listed))


def _backprop(plan: KeptPlan) -> Element:
    title, took = "Break-even with backprop", format_seconds(plan.backprop_seconds)
    if plan.seconds is None:
        said = f"Backprop on the machine that made the plan takes {took} to the target, which these chips do not reach."
        return section("backprop", title, node("p", said))
    ratio = plan.backprop_seconds / plan.seconds
    said = f"Backprop on the machine that made the plan takes {took}, {ratio:.2g} times the chip's time (measured)."
    content = [node("p", said)]
    if plan.gpu is not None:
        on_gpu = plan.gpu.said(plan.seconds)
        content.append(node("p", f"{on_gpu[:1].upper()}{on_gpu[1:]}."))
        content.append(node("p", f"Source: {plan.gpu.gpu.source}", class_="note"))
    return section("backprop", title, *content)


def _chip(plan: KeptPlan) -> Element:
    profile = plan.profile
    known = {f"time of {name}": format_seconds(value) for name, value in profile.seconds.model_dump().items()}
    if profile.joules is not None:
        known |= {f"energy of {name}": format_joules(value) for name, value in profile.joules.model_dump().items()}
    known["noise of a"] = profile.noise_of
    if profile.buffer is not None:
        known["buffer"] = f"{profile.buffer:,} samples"
    if profile.presentation_seconds is not None:
        known["a sample stays for"] = format_seconds(profile.presentation_seconds)
    if profile.endurance is not None:
        known["endurance"] = f"{profile.endurance:,} writes"
    if profile.overlap:
        known["overlap"] = "; ".join(" and ".join(group) for group in profile.overlap)
    said = "What one event takes, for the whole vector of parameters. "
    measured = [node("ul", *(node("li", f"{line}.") for line in plan.measured))] if plan.measured else []
    return section("chip", "Chip", node("p", said, f"Source: {profile.source}", class_="note"), facts(known), *measured)


def _flat(config: RunConfig) -> dict[str, str]:
    return {name: written_setting(value) for name, value in flat_settings(config).items()}


def _percent(shares: Mapping[str, float]) -> list[tuple[str, str]]:
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return [(name, f"{share:.0%}") for name, share in ordered if share >= _LEAST_SHARE]


def _within(plan: KeptPlan) -> str:
    low, _, high = map(_time, plan.interval)
    return f"10 % after {low}, 90 % after {high}"


def _worn(plan: KeptPlan) -> str:
    return "" if plan.endurance is None else f"{plan.writes / plan.endurance:.2g} of its endurance"


def _time(seconds: float | None) -> str:
    return "never" if seconds is None else format_seconds(seconds)
