"""How long a window should be: training time and the largest learning rate against τ_θ, and batch by τ_θ/τ_x."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..sweeps import Row, Run, Study, Work
from ..theory import growth
from ._statistics import BOUND, first_time, in_words, median

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Lower than in the studies of noise: one sample at a time, at a fixed rate, is too noisy for much more.
THRESHOLD = 0.80
ENOUGH = 0.9  # of the chips must learn for a rate to be stable
N_PARAMS = 220
_FACTOR = 1.8
_BATCH, _HELD = 16, 100
_TAUS = {True: (1, 10, 100, 1000), False: (1, 3, 10, 30, 100, 300, 1000)}
_MEASURED = {True: (10,), False: (1, 3, 10)}
_HOLDS = {True: (1, 10, 100), False: (1, 2, 5, 10, 20, 50, 100)}
_CHIPS, _LOGS = {True: 8, False: 24}, {True: 100, False: 200}
# Windows of a run in units of 1 + (P − 1)/τ_θ, and about where the largest rate with the exact gradient is: the grids
# are laid about what the theory makes of it, and wide enough for the theory to be wrong.
_WINDOWS = {"window": {True: 300, False: 600}, "hold": {True: 800, False: 2000}}
_GUESS = {"window": 40.0, "hold": 3.0}


def grid(guess: float, below: int, above: int) -> list[float]:
    """Learning rates, powers of one factor, about a guess."""
    middle = round(math.log(guess, _FACTOR))
    return [float(f"{_FACTOR**k:.4g}") for k in range(middle - below, middle + above + 1)]


def cells(quick: bool) -> dict[str, Run | Work]:
    """The longest first, so that both cores end together."""
    chips, logs = _CHIPS[quick], _LOGS[quick]

    def cell(kind: str, tau_theta: int, tau_x: int, batch: int, engine: str) -> Work:
        slow = growth(N_PARAMS, tau_theta)
        rates = grid(_GUESS[kind] / slow, 3 if quick else 4, 2 if quick else 3)
        # A whole number of windows between two evaluations.
        n = logs * math.ceil(_WINDOWS[kind][quick] * slow / logs)
        settings = {"tau_theta": tau_theta, "tau_x": tau_x, "rates": rates, "chips_per_rate": chips, "windows": n}
        return Work("mgd.reproduction._sweep:sweep", {**settings, "logs": logs, "batch": batch, "engine": engine})

    return {
        **{f"measured-{tau}": cell("window", tau, tau, _BATCH, "measured") for tau in _MEASURED[quick]},
        **{f"hold-{tau}": cell("hold", _HELD, tau, 1, "sampled") for tau in _HOLDS[quick]},
        **{f"window-{tau}": cell("window", tau, tau, _BATCH, "sampled") for tau in _TAUS[quick]},
    }


def assemble(results: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """For each window or hold: its rates, how many chips learn with each, and how long the median one takes."""
    groups: dict[str, dict[int, xr.Dataset]] = {}
    for key, result in results.items():
        kind, tau = key.split("-")
        groups.setdefault(kind, {})[int(tau)] = result
    data = xr.merge([_group(kind, dict(sorted(by_tau.items()))) for kind, by_tau in groups.items()])
    chips = results["window-1"].sizes["chip"]
    return data.assign_attrs(
        threshold=THRESHOLD, enough=ENOUGH, n_params=N_PARAMS, chips=chips, tau_theta_of_hold=_HELD
    )


def _group(kind: str, by_tau: dict[int, xr.Dataset]) -> xr.Dataset:
    found = [judge(result) for result in by_tau.values()]
    dims, tau = (f"{kind}_tau", "rate_number"), f"{kind}_tau"
    values = {
        f"{kind}_rate": (dims, np.array([f["rates"] for f in found]), {"long_name": "learning rate"}),
        f"{kind}_yield": (dims, np.array([f["fractions"] for f in found]), {"long_name": "fraction that learn"}),
        f"{kind}_medians": (dims, np.array([f["medians"] for f in found]), {"units": "measurements"}),
        f"{kind}_largest": (tau, np.array([f["largest"] for f in found]), {"long_name": "largest stable rate"}),
        f"{kind}_best": (tau, np.array([f["best"] for f in found]), {"long_name": "fastest rate"}),
        f"{kind}_time": ((tau, "bound"), np.array([f["time"] for f in found]), {"units": "measurements"}),
    }
    return xr.Dataset(values, {tau: list(by_tau), "bound": BOUND})


def judge(result: xr.Dataset) -> dict:
    """The largest rate with which enough chips learn (NaN if there is none), and the fastest one.

    A chip has learnt if it is above the threshold for most of the last tenth of the run; too large a rate may take
    it there for a moment. The time is when it first is.
    """
    times = first_time(result.accuracy.values, result.cost_measurements.values, THRESHOLD)
    last = result.accuracy.values[..., -max(1, result.sizes["step"] // 10) :]
    fractions = (np.median(last, axis=-1) >= THRESHOLD).mean(axis=1)
    rates, medians = result.rate.values, np.median(times, axis=1)
    stable = np.flatnonzero(fractions >= ENOUGH)
    fastest = int(np.argmin(medians))
    return {
        "rates": rates,
        "fractions": fractions,
        "medians": medians,
        "largest": rates[stable[-1]] if len(stable) else np.nan,
        "best": rates[fastest] if np.isfinite(medians[fastest]) else np.nan,
        "time": median(times[fastest]),
    }


def fitted(data: xr.Dataset) -> tuple[float, float]:
    """The two constants of the theory: the largest rate without perturbation noise, and the windows it would take."""
    tau = data.window_tau.values
    slow = growth(N_PARAMS, tau)
    rate = np.exp(np.nanmean(np.log(data.window_largest.values * slow)))
    windows = data.window_time.values[:, 0] / (tau + 1) / slow
    return float(rate), float(np.exp(np.mean(np.log(windows[np.isfinite(windows)]))))


def draw(data: xr.Dataset) -> "Figure":
    """Largest rate and training time against τ_θ, with the theory; training time against τ_x."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    tau = np.geomspace(1, data.window_tau.values[-1], 200)
    rate, windows = fitted(data)
    theory = {"color": "0.5", "linestyle": "--", "linewidth": 1.2, "zorder": 1}
    left.plot(tau, rate / growth(N_PARAMS, tau), label=r"$\eta_\infty/(1+(P-1)/\tau_\theta)$", **theory)
    label = r"$\propto(\tau_\theta+1)(1+(P-1)/\tau_\theta)$"
    middle.plot(tau, windows * (tau + 1) * growth(N_PARAMS, tau), label=label, **theory)
    for kind, color, face in (("window", "C0", "C0"), ("measured", "C3", "white")):
        label = {"window": "sampled engine", "measured": "measured engine"}[kind]
        x, largest = data[f"{kind}_tau"].values, data[f"{kind}_largest"].values
        style = {"color": color, "mfc": face, "markersize": 5, "capsize": 2, "label": label}
        left.errorbar(x, largest, [0 * largest, (_FACTOR - 1) * largest], fmt="o" if face == color else "s", **style)
        _times(middle, data, kind, "o" if face == color else "s", style)
    _times(right, data, "hold", "o-", {"color": "C2", "markersize": 5, "capsize": 2})
    left.set(yscale="log", xlabel=r"window $\tau_\theta$ (timesteps)", ylabel=r"largest stable learning rate $\eta$")
    middle.set(xlabel=r"window $\tau_\theta$ (timesteps)", ylabel=f"measurements to {THRESHOLD:.0%}, best rate")
    to = rf"measurements to {THRESHOLD:.0%}, $\tau_\theta$ = {_HELD}"
    right.set(xlabel=rf"hold $\tau_x$ (timesteps), batch {_HELD}/$\tau_x$", ylabel=to)
    for letter, axes in zip("abc", (left, middle, right), strict=True):
        axes.set_title(letter, loc="left", fontweight="bold", fontsize=10)
        axes.set_xscale("log")
        axes.spines[["top", "right"]].set_visible(False)
        if axes is not right:
            axes.legend(frameon=False, fontsize=8)
    middle.set_yscale("log")
    right.set_ylim(bottom=0)
    right.yaxis.set_major_formatter(lambda value, _: f"{value / 1e3:.0f}k")
    figure.suptitle(f"NIST7x7 49-4-4 (P = {N_PARAMS}), Rademacher codes, {data.chips} chips a rate", fontsize=10)
    return figure


def _times(axes: "Axes", data: xr.Dataset, kind: str, fmt: str, style: dict) -> None:
    middle, low, high = data[f"{kind}_time"].values.T
    there = np.isfinite(middle)
    error = np.clip([middle - low, np.where(np.isfinite(high), high, middle) - middle], 0, None)[:, there]
    axes.errorbar(data[f"{kind}_tau"].values[there], middle[there], error, fmt=fmt, **style)


def rows(data: xr.Dataset) -> list[Row]:
    """What is found at each τ_θ and τ_x, and how it stands to the theory."""
    rate, _ = fitted(data)
    how = (
        f"Rademacher, Δθ = 0.01, {data.chips} chips (seed 0) at each of {data.sizes['rate_number']} rates "
        f"(factor {_FACTOR}); {THRESHOLD:.0%} of 4,028 test images"
    )
    ratio = data.window_largest.values * growth(N_PARAMS, data.window_tau.values) / rate
    made = [
        Row(
            "NIST7x7, largest stable rate against the theory",
            "η_max = η_∞/(1 + (P − 1)/τ_θ) (theory)",
            f"found/theory from {np.nanmin(ratio):.2f} to {np.nanmax(ratio):.2f} with η_∞ = {rate:.3g} fitted; "
            f"{ratio[-1]:.2f} at the longest window: we find an earlier saturation",
            "the theory has isotropic noise: it asks the trace of the curvature of short windows, where stability "
            "asks its largest eigenvalue of long ones, and has no noise from the choice of samples",
        )
    ]
    for kind, engine in (("window", "sampled"), ("measured", "measured")):
        for tau in data[f"{kind}_tau"].values:
            here = data.sel({f"{kind}_tau": tau})
            eta, time = float(here[f"{kind}_largest"]), here[f"{kind}_time"].values
            against = f"{eta / (rate / growth(N_PARAMS, tau)):.2f} of the theory's"
            fastest = f"{in_words(time)} measurements at η = {here[f'{kind}_best']:.3g}"
            ours = f"largest rate {eta:.3g} (to × {_FACTOR}), {against}; {fastest}"
            published = "η_max ∝ 1/(1 + (P − 1)/τ_θ) (theory)"
            made.append(Row(f"NIST7x7, τ_θ = τ_x = {tau}", published, ours, f"{engine} engine, batch {_BATCH}, {how}"))
    for tau in data.hold_tau.values:
        here = data.sel(hold_tau=tau)
        ours = f"{in_words(here.hold_time.values)} measurements at η = {here.hold_best:.3g}"
        what = f"NIST7x7, τ_θ = {_HELD}, τ_x = {tau}: {_HELD // tau} samples a window"
        made.append(Row(what, "batch = τ_θ/τ_x", ours, f"sampled engine, one sample a measurement, {how}"))
    return made


STUDIES = {"tau-theta": Study(cells, (1, 8), assemble, draw, rows)}
