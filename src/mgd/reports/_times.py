"""The time that a run would take on chips, by their profiles."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

from ..timing import draw_times, format_joules, format_seconds, load_profile, profile_names, time_history
from ._figures import figure
from ._html import node, section, table

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

# A profile to copy, whose numbers are those of no chip.
_MADE_UP = "example"


def hardware_times(history: "xr.Dataset", profiles: Sequence[str | Path]) -> Element:
    """The section of the hardware time.

    Args:
        history: of the run.
        profiles: of chips; by default those of published ones.

    Raises:
        ValueError: if there is no such profile, or two have one name.
    """
    chosen = list(profiles) or [name for name in profile_names() if name != _MADE_UP]
    loaded = {profile.name: profile for profile in map(load_profile, chosen)}
    if len(loaded) < len(chosen):
        raise ValueError("two profiles have one name: give each once, and each another name")
    if int(history.cost_measurements[-1]) == 0:
        return section(
            "time", "Hardware time", node("p", "No cost was measured on a chip, so there is no time of one.")
        )
    timed = {name: time_history(history, profile) for name, profile in loaded.items()}
    takes = {name: each for name, each in timed.items() if float(each.seconds[-1]) > 0}

    def draw(drawn: "Figure") -> None:
        draw_times(drawn.subplots(), takes)
        drawn.legend(loc="outside lower center", frameon=False, ncols=2, fontsize=9)

    rows = []
    for name, each in timed.items():
        last = each.isel(step=-1)
        joules = format_joules(float(last.joules)) if "joules" in last else "not in the profile"
        shares = {str(event): float(last.shares.sel(event=event)) for event in each.event.values}
        ordered = sorted(shares, key=lambda event: -shares[event])
        most = ", ".join(f"{event} {shares[event]:.0%}" for event in ordered if shares[event] >= 0.005)
        rows.append((name, format_seconds(float(last.seconds)), joules, most))
    sources = [node("li", node("b", name), f": {one.description}. {one.source}") for name, one in loaded.items()]
    said = "The time and energy of one chip to the last logged step, from the counts and a profile of the chip."
    caption = "The score on the test set against hardware time: the mean over chips."
    drawn = figure("times", caption, draw) if takes else node("p", "No logged step takes time by these profiles.")
    return section(
        "time",
        "Hardware time",
        node("p", said, class_="note"),
        table(("profile", "time", "energy", "what takes it"), rows, numbers=(1, 2)),
        node("div", drawn, node("ul", *sources, class_="note"), class_="figures"),
    )
