"""A narrow input: what holding a sample saves in loads, and costs in measurements."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..sweeps import Row, Run, Study, Work
from ..theory import growth
from ._statistics import BOUND, first_time, in_words, median
from ._tau_theta import N_PARAMS, THRESHOLD, grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TAUS = {True: (1, 10, 100), False: (1, 3, 10, 30, 100, 300)}
_MEASURED = {True: (1,), False: (1, 3, 10)}  # beyond, the sampled engine; both at the last of these
_BOTH = 10
_GUESS = 2.6
# chips of each rate; windows of a run in units of 1 + (P − 1)/τ_θ; evaluations
_SIZE = {True: (6, 1500, 100), False: (16, 2500, 250)}


def cells(quick: bool) -> dict[str, Run | Work]:
    """The longest first, so that both cores end together. One sample at a time, used for one window: τ_θ = τ_x."""
    chips, windows, logs = _SIZE[quick]

    def cell(tau: int, engine: str) -> Work:
        rates = grid(_GUESS / growth(N_PARAMS, tau), 1 if quick else 2, 1)
        n = logs * math.ceil(windows * growth(N_PARAMS, tau) / logs)
        times = {"tau_theta": tau, "tau_x": tau, "rates": rates, "chips_per_rate": chips, "windows": n}
        return Work("mgd.reproduction._sweep:sweep", {**times, "logs": logs, "batch": 1, "engine": engine})

    measured = _MEASURED[quick]
    sampled = [tau for tau in _TAUS[quick] if tau not in measured or tau == _BOTH]
    return {
        **{f"measured-{tau}": cell(tau, "measured") for tau in measured},
        **{f"sampled-{tau}": cell(tau, "sampled") for tau in sampled},
    }


def assemble(results: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """For each τ_x and engine: its chips at the rate at which the median one is fastest."""
    found = []
    for key, result in results.items():
        engine, tau = key.split("-")
        best = _fastest(result)
        counted = {name: (("case", "point"), result[name].values[None]) for name in _COUNTED}
        values = {
            "accuracy": (("case", "chip", "point"), best.accuracy.values[None], {"units": "1"}),
            "learning_rate": ("case", [float(best.rate)], {"units": "cost⁻¹ weight²"}),
            **{f"{name}_to_threshold": (("case", "bound"), [median(_times(best, name))]) for name in _COUNTED},
        }
        coordinates = {"tau_x": ("case", [int(tau)]), "measured": ("case", [engine == "measured"]), **counted}
        found.append(xr.Dataset(values, {**coordinates, "bound": BOUND}))
    found.sort(key=lambda case: int(case.tau_x[0]))
    return xr.concat(found, "case").assign_attrs(threshold=THRESHOLD)


_COUNTED = {"cost_measurements": "cost measurements", "sample_loads": "sample loads"}


def _times(result: xr.Dataset, counted: str) -> np.ndarray:
    return first_time(result.accuracy.values, result[counted].values, THRESHOLD)


def _fastest(result: xr.Dataset) -> xr.Dataset:
    """The rate with the least median time, or where none has one, the highest median accuracy at the end."""
    medians = np.median(_times(result, "cost_measurements"), axis=1)
    if np.isfinite(medians).any():
        return result.isel(rate=int(np.argmin(medians)))
    return result.isel(rate=int(np.argmax(np.median(result.accuracy.values[..., -1], axis=1))))


def draw(data: xr.Dataset) -> "Figure":
    """Accuracy against sample loads and against measurements; and both, to the threshold, against τ_x."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.7), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    taus = sorted(set(data.tau_x.values))
    colors = dict(zip(taus, colormaps["viridis"](np.linspace(0, 0.9, len(taus))), strict=True))
    for k in range(data.sizes["case"]):
        case = data.isel(case=k)
        tau, check = int(case.tau_x), bool(~case.measured & ((data.tau_x == case.tau_x).sum() > 1))
        low, mid, high = (100 * case.accuracy.quantile(q, "chip").values for q in (0.25, 0.5, 0.75))
        for axes, name in ((left, "sample_loads"), (middle, "cost_measurements")):
            x, later = case[name].values, slice(1, None)  # the start has no place on a logarithmic axis
            style = {"color": colors[tau], "linestyle": ":" if check else "-", "linewidth": 1.5}
            label = rf"$\tau_x$ = {tau}" + (" (sampled)" if check else "")
            axes.plot(x[later], mid[later], label=label, **style)
            if not check:
                axes.fill_between(x[later], low[later], high[later], color=colors[tau], alpha=0.15, linewidth=0)
    _needed(right, data)
    for axes, name in ((left, "sample_loads"), (middle, "cost_measurements")):
        axes.axhline(100 * THRESHOLD, color="0.5", linewidth=0.8, linestyle="--")
        axes.set(xscale="log", xlabel=f"{_COUNTED[name]} per chip", ylabel="test accuracy (%)", ylim=(20, 95))
    left.set_xlim(left=10)
    middle.set_xlim(left=1e3)
    middle.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, 0.8))
    for letter, axes in zip("abc", (left, middle, right), strict=True):
        axes.set_title(letter, loc="left", fontweight="bold", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    n = data.sizes["chip"]
    title = (
        rf"NIST7x7 49-4-4 (P = 220), one sample at a time, $\tau_\theta$ = $\tau_x$; median and quartiles of {n} chips"
    )
    figure.suptitle(title, fontsize=10)
    return figure


def _needed(axes, data: xr.Dataset) -> None:
    """Loads and measurements to the threshold against τ_x."""
    for name, color in (("cost_measurements", "C0"), ("sample_loads", "C1")):
        for engine, fmt, face in (("measured", "s", "white"), ("sampled", "o", color)):
            there = (data.measured.values == (engine == "measured")) & np.isfinite(
                data[f"{name}_to_threshold"].values[:, 0]
            )
            if not there.any():
                continue
            middle, low, high = data[f"{name}_to_threshold"].values[there].T
            error = np.clip([middle - low, np.where(np.isfinite(high), high, middle) - middle], 0, None)
            label = f"{_COUNTED[name]}, {engine}"
            style = {"fmt": fmt, "color": color, "mfc": face, "markersize": 5, "capsize": 2, "label": label}
            axes.errorbar(data.tau_x.values[there], middle, error, **style)
    axes.set(xscale="log", xlabel=r"hold $\tau_x$ (timesteps)", ylabel=f"to {THRESHOLD:.0%}, median chip")
    if axes.has_data():  # nothing else has a place on a logarithmic axis
        axes.set_yscale("log")
        axes.legend(frameon=False, fontsize=8)


def rows(data: xr.Dataset) -> list[Row]:
    """Loads and measurements of the median chip at each τ_x."""
    made = []
    for k in range(data.sizes["case"]):
        case = data.isel(case=k)
        loads, measured = (
            in_words(case[f"{name}_to_threshold"].values) for name in ("sample_loads", "cost_measurements")
        )
        end = int(case.cost_measurements[-1])
        engine = "measured" if case.measured else "sampled"
        how = (
            f"{engine} engine, Rademacher, Δθ = 0.01, best rate of a grid (factor 1.8): "
            f"η = {case.learning_rate:.3g}; {data.sizes['chip']} chips (seed 0), {end:,} measurements"
        )
        ours = f"{THRESHOLD:.0%} after {loads} sample loads, {measured} measurements"
        if not np.isfinite(case.sample_loads_to_threshold[0]):
            ours = f"{THRESHOLD:.0%} not reached by most: median {case.accuracy[:, -1].median():.1%}"
        made.append(Row(f"NIST7x7, one sample at a time, τ_θ = τ_x = {int(case.tau_x)}", "—", ours, how))
    return made


STUDIES = {"tau-x": Study(cells, (1, 6), assemble, draw, rows)}
