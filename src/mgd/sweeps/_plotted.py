"""Pictures of a sweep: a line with its interval over chips for one axis, a map for two."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .._errors import RunError
from .._input import nearest
from .._metric import METRICS
from ..results import check_picture
from ..runs import replace_file
from ._rows import axis_of
from ._store import load_sweep
from ._yields import wilson

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# What can be drawn of each point.
RESULTS = {
    "score": "score on the test set",
    "cost": "cost on the test set",
    "yield": "share of chips that solved the task",
    "solved_step": "timesteps until the task was solved",
}
_COLOURS = 10
# Cells of a map that an SVG or PDF has as shapes; more are a picture within it, which is smaller.
_MOST_SHAPES = 1000


def plot_sweep(
    folder: str | Path | xr.Dataset,
    out: str | Path,
    *,
    x: str | None = None,
    y: str | None = None,
    hue: str | None = None,
    value: str | None = None,
    within: float = 0.8,
) -> Path:
    """Draws a sweep. What is not on an axis of the picture is pooled.

    Args:
        folder: of the sweep, or what `mgd.sweep` returned.
        out: the picture: a .png, .svg or .pdf file.
        x: the setting along x; by default the first that was varied.
        y: "score", "cost", "yield" or "solved_step" for lines; another setting for a map in colours. By default a map
            if two settings were varied, and lines otherwise.
        hue: the setting that has a line for each of its values.
        value: what the colours of a map are: as y for lines; by default the score.
        within: the share of the chips that a band contains, about the median; that of a yield is Wilson's 95 %.

    Returns:
        The file that was written.

    Raises:
        ValueError: if a name is none of the sweep, or is used twice.
        RunError: if there is no sweep, or the picture cannot be written.
    """
    out = Path(out)
    check_picture(out)
    if not 0 < within <= 1:
        raise ValueError(f"within is a share of the chips, above 0 and at most 1, got {within!r}")
    data = folder if isinstance(folder, xr.Dataset) else load_sweep(folder)
    axes = varied_in(data)
    x = _setting(x or axes[0], axes, "x")
    if y is None:
        others = [name for name in axes if name not in (x, hue)]
        y = others[0] if others and hue is None and "point" not in data.dims else "score"
    y = y if y in RESULTS else _setting(y, axes, "y", also=tuple(RESULTS))
    if hue is not None and (y not in RESULTS or value is not None):
        raise ValueError("a map in colours has no hue: give --y " + ", ".join(RESULTS) + ", or leave hue out")
    hue = None if hue is None else _setting(hue, axes, "hue")
    if value is not None and value not in RESULTS:
        raise ValueError(f"unknown value {value!r}{nearest(value, RESULTS)}; choose {', '.join(RESULTS)}")
    if value is not None and y in RESULTS:
        raise ValueError("value is what a map shows in colours: give another setting as y, or leave value out")
    used = [name for name in (x, y, hue) if name is not None]
    if len(set(used)) < len(used):
        raise ValueError(f"x, y and hue must differ, got {', '.join(used)}")
    content = _drawn(data, x, y, hue, value or "score", within, out.suffix[1:].lower())
    try:
        replace_file(out, content)
    except OSError as error:
        raise RunError(f"cannot write {out}: {error.strerror}") from error
    return out


def _drawn(data: xr.Dataset, x: str, y: str, hue: str | None, value: str, within: float, format: str) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.2), layout="constrained")
    draw_sweep(figure, data, x=x, y=y, hue=hue, value=value, within=within)
    if y in RESULTS:
        band = "Wilson's 95 % intervals" if y == "yield" else f"bands: {within:.0%} of the chips"
        said = f"lines: {'shares' if y == 'yield' else 'medians'}, {band}"
    else:
        said = "medians over chips" if value != "yield" else "shares of chips"
    chips = data.sizes["replica"]
    figure.suptitle(f"{data.attrs.get('task', 'sweep')}: {chips:,} chips a point; {said}", fontsize=10)
    content = io.BytesIO()
    figure.savefig(content, format=format, dpi=130)
    return content.getvalue()


def draw_sweep(
    figure: "Figure", data: xr.Dataset, *, x: str, y: str, hue: str | None = None, value: str = "score", within: float
) -> None:
    """Draws the panel of `plot_sweep`: lines if y is a result, a map if it is a setting."""
    panel = figure.subplots()
    if y in RESULTS:
        _lines(panel, data, x, y, hue, within)
    else:
        _map(figure, panel, data, x, y, value)


def _lines(panel: "Axes", data: xr.Dataset, x: str, y: str, hue: str | None, within: float) -> None:
    kinds: list[Any] = [None] if hue is None else list(dict.fromkeys(data[hue].values.tolist()))
    ticks = _ticks(data, x)
    for number, kind in enumerate(kinds):
        found = []
        for tick in ticks:
            chips = _chips(data, y, {x: tick} | ({} if hue is None else {hue: kind}))
            found.append(_summary(chips, y, within, percent=_is_share(data, y)))
        low, middle, high = np.array(found).T
        colour = f"C{number % _COLOURS}"
        places = _places(panel, ticks)
        label = "" if hue is None else f"{hue} = {_named(kind)}"
        if hue is None and "point" in data.dims:  # neighbours were drawn with other values of all else
            panel.vlines(places, low, high, color=colour, alpha=0.35, linewidth=1.5)
            panel.plot(places, middle, color=colour, marker="o", markersize=4, linestyle="")
            continue
        panel.plot(places, middle, color=colour, marker="o", markersize=4, linewidth=1.8, label=label)
        panel.fill_between(places, low, high, color=colour, alpha=0.18, linewidth=0)
    panel.set(xlabel=x, ylabel=_label(data, y))
    if _is_share(data, y):
        panel.set_ylim(0, 102)
    if hue is not None:
        panel.legend(frameon=False, fontsize=9)
    panel.grid(color="0.92", linewidth=0.8)
    panel.spines[["top", "right"]].set_visible(False)


def _map(figure: Any, panel: "Axes", data: xr.Dataset, x: str, y: str, value: str) -> None:
    across, up = _ticks(data, x), _ticks(data, y)
    colours = np.full((len(up), len(across)), np.nan)
    for row, of_y in enumerate(up):
        for column, of_x in enumerate(across):
            chips = _chips(data, value, {x: of_x, y: of_y})
            colours[row, column] = _summary(chips, value, 1.0, percent=_is_share(data, value))[1]
    edges = np.arange(len(across) + 1), np.arange(len(up) + 1)
    many = colours.size > _MOST_SHAPES
    drawn = panel.pcolormesh(*edges, colours, cmap="viridis", rasterized=many)
    panel.set_xticks(np.arange(len(across)) + 0.5, [_named(tick) for tick in across])
    panel.set_yticks(np.arange(len(up)) + 0.5, [_named(tick) for tick in up])
    if len(across) > 8:
        panel.tick_params(axis="x", rotation=45)
    panel.set(xlabel=x, ylabel=y)
    figure.colorbar(drawn, ax=panel, label=_label(data, value))


def _chips(data: xr.Dataset, name: str, at: dict[str, Any]) -> np.ndarray:
    """A result of all chips at these values; of points that are computed."""
    # Variables, which have the same coordinates here, and are not aligned at every cell of a map.
    wanted = data["computed"].variable
    for axis, value in at.items():
        wanted = wanted & (data[axis].variable == value)
    variable = data["solved" if name == "yield" else name].variable.transpose(*wanted.dims, "replica")
    return variable.values[wanted.values].ravel()


def _summary(chips: np.ndarray, name: str, within: float, *, percent: bool) -> tuple[float, float, float]:
    """The lower end, the middle and the upper end of what is drawn."""
    if not len(chips):
        return np.nan, np.nan, np.nan
    if name == "yield":
        solved = int(np.nansum(chips))
        low, high = wilson(solved, len(chips))
        return 100 * low, 100 * solved / len(chips), 100 * high
    # A chip that never solved it has no such step, and is later than all others; one that diverged has no score.
    values = np.where(np.isnan(chips), np.inf, chips) if name == "solved_step" else chips[~np.isnan(chips)]
    if not len(values):
        return np.nan, np.nan, np.nan
    ends = np.quantile(values, [0.5 - within / 2, 0.5, 0.5 + within / 2], method="inverted_cdf")
    low, middle, high = (100 if percent else 1) * np.where(np.isfinite(ends), ends, np.nan)
    return float(low), float(middle), float(high)


def varied_in(data: xr.Dataset) -> list[str]:
    """The settings that were varied."""
    dims = [str(name) for name in data["computed"].dims]
    return dims if dims != ["point"] else [str(name) for name in data.coords if name not in ("replica", "point")]


def _setting(name: str, axes: list[str], what: str, also: tuple[str, ...] = ()) -> str:
    for known in axes:
        if known.replace("-", "_") in (name.replace("-", "_"), axis_of(name)):
            return known
    choices = [*axes, *also]
    raise ValueError(f"unknown {what} {name!r}{nearest(name, choices)}; choose {', '.join(choices)}")


def _ticks(data: xr.Dataset, name: str) -> list[Any]:
    values = list(dict.fromkeys(data[name].values.tolist()))
    return sorted(values) if all(isinstance(value, int | float) for value in values) else values


def _places(panel: "Axes", ticks: list[Any]) -> list[float]:
    """Where the values of a setting are drawn: numbers where they belong, texts side by side."""
    if all(isinstance(tick, int | float) for tick in ticks):
        steps = np.diff(ticks)
        even = len(ticks) < 3 or steps.max() <= 2.5 * steps.min()
        if not even and min(ticks) > 0:
            panel.set_xscale("log")
        return [float(tick) for tick in ticks]
    panel.set_xticks(range(len(ticks)), [_named(tick) for tick in ticks])
    return [float(place) for place in range(len(ticks))]


def _label(data: xr.Dataset, name: str) -> str:
    if name != "score":
        return RESULTS[name] + (" (%)" if name == "yield" else "")
    metric = data["score"].attrs.get("metric", "")
    return f"test {METRICS.get(metric, 'score')}" + (" (%)" if metric != "r2" else "")


def _is_share(data: xr.Dataset, name: str) -> bool:
    """Whether it is drawn in per cent."""
    return name == "yield" or (name == "score" and data["score"].attrs.get("metric") != "r2")


def _named(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value).replace("$", r"\$")  # it is no formula
