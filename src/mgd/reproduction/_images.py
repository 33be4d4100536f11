"""Fashion-MNIST and CIFAR-10 on the published convolutional networks, to 1e7 measurements."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from ._study import Row, Run, Study, Work

TASKS = ("fashion-mnist", "cifar10")
TITLES = {"fashion-mnist": "Fashion-MNIST, 14,378 parameters", "cifar10": "CIFAR-10, 26,154 parameters"}
PUBLISHED = {
    "fashion-mnist": {1: "83.4–86.1 % by τ_θ (2H)", 1000: "86.1 % (2H)", "backprop": "88.6 % (2H)"},
    "cifar10": {1: "60.7 % (2H)", 1000: "60.7 % (2H)", "backprop": "68 % (2H)"},
}
_BATCH = 100
_HELD_OUT = 1000
# Chosen on the samples held out, never on the test set.
_RATES = {
    "fashion-mnist": {1: 0.0003, 10: 0.003, 100: 0.02, 1000: 0.1, "backprop": 0.1},
    "cifar10": {1: 0.0003, 10: 0.003, 100: 0.02, 1000: 0.1, "backprop": 0.1},
}
# Measurements to which each window is simulated, and chips: what two cores can do in the time said.
_FULL = {1: (100_000, 2), 10: (1_000_000, 1), 100: (10_000_000, 1), 1000: (10_000_000, 3)}
_QUICK = {100: (20_000, 1), 1000: (100_000, 1)}
_UPDATES = {"fashion-mnist": 24_000, "cifar10": 30_000}
_CHECKED = 50_000


def cells(task: str, quick: bool) -> Mapping[str, Run | Work]:
    """A sampled run for each window; for the full version backprop, and what compares the engines."""
    common = {"task": task, "batch": _BATCH, "holdout": _HELD_OUT, "schedule": "cosine"}

    def windows(tau: int, measurements: int, chips: int, engine: str, **more) -> Run:
        steps = measurements * tau // (tau + 1) // tau * tau
        return Run(
            {
                **common,
                "engine": engine,
                "tau_x": tau,
                "tau_theta": tau,
                "steps": steps,
                "replicas": chips,
                "learning_rate": _RATES[task][tau],
                **more,
            }
        )

    found: dict[str, Run | Work] = {}
    for tau, (measurements, chips) in (_QUICK if quick else _FULL).items():
        found[f"tau-{tau}"] = windows(tau, measurements, chips, "sampled")
    updates = 300 if quick else _UPDATES[task]
    found["backprop"] = Run(
        {
            **common,
            "algorithm": "backprop",
            "steps": updates,
            "replicas": 1 if quick else 3,
            "learning_rate": _RATES[task]["backprop"],
        }
    )
    n, chips = (3_000, 2) if quick else (_CHECKED, 3)
    # A short run of its own, with a constant rate, on both engines: other chips, the same settings.
    for tau in (100,) if quick else (100, 1000):
        check = {"schedule": "constant", "log_every": n // tau // 5 * tau}
        found[f"measured-{tau}"] = windows(tau, n, chips, "measured", seed=1, **check)
        found[f"sampled-{tau}"] = windows(tau, n, 3 * chips, "sampled", seed=2, **check)
    return found


def assemble(task: str, results: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Accuracy of every chip at every logged step, cell after cell."""
    parts = {}
    for name, history in results.items():
        axis = f"{name}/step"
        parts[f"{name}/accuracy"] = (("replica", axis), _padded(history.accuracy.values))
        for count in ("cost_measurements", "inferences", "parameter_writes"):
            parts[f"{name}/{count}"] = ((axis,), history[count].values)
        held_out = history.attrs.get("held_out_accuracy_per_replica", [])
        parts[f"{name}/held_out"] = (("replica",), _padded(np.array([held_out], float).T)[:, 0])
    attrs = {"task": task, "batch": _BATCH, "unit": "accuracy 0 … 1; one measurement is the cost of a batch of images"}
    attrs |= {f"{name}/seconds": history.attrs.get("seconds", float("nan")) for name, history in results.items()}
    attrs |= {
        f"{name}/diverged": history.attrs["diverged"]
        for name, history in results.items()
        if "diverged" in history.attrs
    }
    return xr.Dataset(parts, attrs=attrs)


_MOST_CHIPS = 9


def _padded(values: np.ndarray) -> np.ndarray:
    """Chips along the first axis, up to a common number, with NaN for none."""
    rest = _MOST_CHIPS - len(values)
    return np.concatenate([values, np.full((rest, *values.shape[1:]), np.nan)])


def _chips(values: np.ndarray) -> np.ndarray:
    return (
        values[~np.isnan(values).all(axis=tuple(range(1, values.ndim)))]
        if values.ndim > 1
        else values[~np.isnan(values)]
    )


def _windows(data: xr.Dataset) -> list[int]:
    return sorted(
        int(name[4:].split("/")[0]) for name in data if str(name).startswith("tau-") and str(name).endswith("/accuracy")
    )


def draw(data: xr.Dataset) -> Figure:
    """Accuracy against measurements, a line for each window; the measured engine as points."""
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    for colour, tau in zip(("#d62728", "#ff7f0e", "#2ca02c", "#1f77b4"), reversed(_windows(data)), strict=False):
        x, y = data[f"tau-{tau}/cost_measurements"].values, 100 * _chips(data[f"tau-{tau}/accuracy"].values)
        shown = x > 0
        axes.plot(x[shown], y.mean(0)[shown], color=colour, label=f"τ_θ = {tau}, sampled ({len(y)} chips)")
        if len(y) > 1:
            axes.fill_between(x[shown], y.min(0)[shown], y.max(0)[shown], color=colour, alpha=0.2, linewidth=0)
        if f"measured-{tau}/accuracy" in data:
            x, y = (
                data[f"measured-{tau}/cost_measurements"].values,
                100 * _chips(data[f"measured-{tau}/accuracy"].values),
            )
            for line in y:
                axes.plot(x[1:], line[1:], "o", color=colour, markersize=3.5, markerfacecolor="white")
            axes.plot(
                [], [], "o", color=colour, markersize=3.5, markerfacecolor="white", label=f"τ_θ = {tau}, measured"
            )
    backprop = 100 * _chips(data["backprop/accuracy"].values)[:, -1].mean()
    axes.axhline(backprop, color="0.3", linestyle="--", linewidth=1)
    axes.annotate(
        "backprop",
        (1, backprop),
        (-4, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        color="0.3",
        fontsize=9,
    )
    axes.axhline(10, color="0.7", linewidth=0.8, linestyle=":")
    axes.set(
        xscale="log",
        xlabel=f"cost measurements (each of a batch of {data.attrs['batch']} images)",
        ylabel="accuracy on the official test set (%)",
        ylim=(0, 100),
        title=TITLES[data.attrs["task"]],
    )
    axes.set_xlim(left=900)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def _percent(values: np.ndarray) -> str:
    """Mean and 95 % interval of the mean over chips, in per cent; of one chip, its value."""
    from scipy.stats import t

    values = 100 * values[~np.isnan(values)]
    if len(values) < 2:
        return f"{values.mean():.1f} % (1 chip)"
    half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"({values.mean():.1f} ± {half:.1f}) %"


def rows(data: xr.Dataset) -> list[Row]:
    """Accuracy at each power of ten, by window; backprop; and whether the engines agree."""
    task = data.attrs["task"]
    published, rates, table = PUBLISHED[task], _RATES[task], []
    for tau in _windows(data):
        x, y = data[f"tau-{tau}/cost_measurements"].values, _chips(data[f"tau-{tau}/accuracy"].values)
        how = (
            f"sampled engine, {len(y)} chips, seed 0, batch {_BATCH} held for the window, SGD, η = {rates[tau]:g}, "
            f"cosine, {data.attrs[f'tau-{tau}/seconds']:.0f} s on one core"
        )
        for goal in (10**4, 10**5, 10**6, 10**7):
            if goal > 1.02 * x[-1]:
                continue
            k = int(np.abs(np.log(np.maximum(x, 1) / goal)).argmin())
            said = published.get(tau, "–") if goal == 10**7 else "–"
            table.append(Row(f"τ_θ = {tau}, {x[k]:,} measurements, official test", said, _percent(y[:, k]), how))
        table.append(
            Row(
                f"τ_θ = {tau}, the end, last 1,000 training images held out",
                "–",
                _percent(data[f"tau-{tau}/held_out"].values),
                how,
            )
        )
    y = _chips(data["backprop/accuracy"].values)
    updates = int(data["backprop/parameter_writes"].values[-1])
    how = f"{len(y)} chips, seed 0, {updates:,} updates of {_BATCH} images, SGD, η = {rates['backprop']:g}, cosine"
    table.append(Row("backprop, official test", str(published["backprop"]), _percent(y[:, -1]), how))
    table.append(Row("backprop, held out", "–", _percent(data["backprop/held_out"].values), how))
    return table + _agreement(data)


def _agreement(data: xr.Dataset) -> list[Row]:
    """Whether the measured engine's accuracy lies in the sampled engine's 95 % prediction interval."""
    from scipy.stats import t

    table = []
    for name in data:
        if not (str(name).startswith("measured-") and str(name).endswith("/accuracy")):
            continue
        tau = str(name)[9:].split("/")[0]
        measured = 100 * _chips(data[name].values)[:, -1]
        sampled = 100 * _chips(data[f"sampled-{tau}/accuracy"].values)[:, -1]
        n, m = len(sampled), len(measured)
        half = t.ppf(0.975, n - 1) * sampled.std(ddof=1) * np.sqrt(1 / n + 1 / m)
        inside = abs(measured.mean() - sampled.mean()) <= half
        x = int(data[f"measured-{tau}/cost_measurements"].values[-1])
        ratio = data.attrs[f"measured-{tau}/seconds"] / m / (data.attrs[f"sampled-{tau}/seconds"] / n)
        table.append(
            Row(
                f"measured engine's mean at {x:,} measurements, τ_θ = {tau}",
                f"sampled: {sampled.mean():.1f} ± {half:.1f} %",
                f"{measured.mean():.1f} %: {'inside' if inside else 'OUTSIDE'}",
                f"{m} chips measured, {n} sampled (95 % prediction interval); {ratio:.0f}× the time a chip",
            )
        )
    return table


STUDIES = MappingProxyType(
    {
        task: Study(
            cells=partial(cells, task),
            minutes=(2, 60),
            assemble=partial(assemble, task),
            draw=draw,
            rows=rows,
        )
        for task in TASKS
    }
)
