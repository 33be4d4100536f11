"""How good the estimates of the gradient were, as far as a run kept that."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element

import numpy as np

from ..runs import figures_of
from ._figures import figure
from ._html import Content, node, section, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# By their names in diagnostics, as people read them; those with an error have it beside.
_FIGURES = {
    "observed_angle": "observed angle between G and the gradient (°)",
    "predicted_angle": "angle that noise and window predict (°)",
    "snr": "signal to noise of C̃",
    "modulation_rms": "root mean square of C̃",
    "noise_of_modulation": "noise of C̃",
    "drift": "drift of the baseline, each timestep",
    "silent_parameters": "parameters that do not respond",
    "windows": "windows seen",
    "measurements": "measurements seen",
    "skipped": "measurements without a reading",
    "measured_again": "measurements repeated",
    "recoveries": "times the chip was opened again",
}
_BOUNDED = {"snr": "≥ ", "noise_of_modulation": "≤ "}


def gradient(lines: Sequence[dict[str, Any]], *, real: bool) -> Element:
    """The section of the gradient's quality.

    Args:
        lines: the diagnostics that the run kept.
        real: whether it is a run on real chips.
    """
    title = "Gradient quality"
    if not lines:
        why = "It has kept no diagnostics yet." if real else "Runs of simulated chips keep no diagnostics."
        return section("gradient", title, node("p", why))
    chips = sorted({line.get("chip", 0) for line in lines})
    by_chip = {chip: [line for line in lines if line.get("chip", 0) == chip] for chip in chips}
    figures = [_drawn(by_chip, name) for name in ("angle", "snr")]
    content: list[Content] = [node("div", *figures, class_="figures")]
    last = {chip: of[-1] for chip, of in by_chip.items()}
    if len(chips) == 1 and (said := figures_of(lines[-1])):
        content.append(node("p", f"At the last checkpoint: {said}."))
    heads = ["", *(["at the last checkpoint"] if len(chips) == 1 else [f"chip {chip}" for chip in chips])]
    rows = [
        [label, *(_written(line, name) for line in last.values())]
        for name, label in _FIGURES.items()
        if any(name in line for line in last.values())
    ]
    content.append(table(heads, rows, numbers=range(1, len(heads))))
    if why := next((line["no_observed_angle"] for line in last.values() if "no_observed_angle" in line), None):
        content.append(node("p", f"No angle was observed: {why}.", class_="note"))
    return section("gradient", title, *content)


def _drawn(by_chip: Mapping[int, Sequence[dict[str, Any]]], what: str) -> Element | None:
    """The angles, or signal over noise, against timesteps; None where what says something is not more than a point."""
    names = ("observed_angle", "predicted_angle") if what == "angle" else ("snr",)
    known = {
        (chip, name): points
        for chip, lines in by_chip.items()
        for name in names
        if len(points := [line for line in lines if _says_something(line, name)]) > 1
    }
    if not known:
        return None

    def draw(drawn: "Figure") -> None:
        panel = drawn.subplots()
        for (chip, name), points in known.items():
            steps, values, errors = (
                np.array([line.get(key, 0.0) for line in points], float) for key in ("step", name, f"{name}_error")
            )
            # Of many chips, what is dashed is told by its colour.
            label = f"chip {chip}" if len(by_chip) > 1 else name.replace("_", " ")
            colour = f"C{list(by_chip).index(chip) % 9}"
            if name == "predicted_angle":
                panel.plot(steps, values, color=colour, linestyle="--", label=label if len(by_chip) == 1 else "")
            else:
                panel.errorbar(steps, values, errors, color=colour, marker="o", markersize=3, label=label)
        panel.set(xlabel="timesteps", ylabel="angle (°)" if what == "angle" else "signal over noise")
        panel.set_xlim(left=0)
        panel.set_ylim(0, 92 if what == "angle" else None)
        panel.locator_params(axis="x", nbins=5)
        panel.grid(color="0.92", linewidth=0.8)
        panel.spines[["top", "right"]].set_visible(False)
        if len(known) > 1:
            panel.legend(frameon=False, fontsize=9)

    predicted = any(name == "predicted_angle" for _, name in known)
    dashed = "; dashed: as noise and the length of the window predict it" if predicted else ""
    caption = {
        "angle": f"The angle between G and the gradient, as observed, with one standard error{dashed}.",
        "snr": "Signal over noise of C̃, with one standard error; a lower bound where the noise was not calibrated.",
    }
    return figure(f"gradient-{what}", caption[what], draw)


def _says_something(line: Mapping[str, Any], name: str) -> bool:
    """Whether a number is known well enough to be drawn, by the rule of `figures_of`."""
    only = {key: line[key] for key in (name, f"{name}_error", "noise_is_bound") if key in line}
    return figures_of(only) != ""


def _written(line: dict[str, Any], name: str) -> str:
    value, error = line.get(name), line.get(f"{name}_error")
    if value is None:
        return "–"
    bound = _BOUNDED.get(name, "") if line.get("noise_is_bound") else ""
    known = f"{value:,.0f}" if value % 1 == 0 else f"{value:,.4g}"
    return f"{bound}{known}" + (f" ± {error:.2g}" if error else "")
