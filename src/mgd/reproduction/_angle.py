"""Angle between G and the true gradient against the number of measurements."""

import math
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
import optax
import xarray as xr
from matplotlib.figure import Figure

from ..algorithm import Algorithm, TimeConstants, discrete
from ..chips import AbstractChip, cnn, mlp
from ..datasets import load
from ..engines import Data, Measured, Sampled, gradient_of, in_front
from ..perturbations import LFSR, Gaussian, Rademacher, Sequential, Sinusoid, Walsh
from ..sweeps import Row, Run, Study, Work
from ..theory import angle_after, perturbations_for
from ._statistics import student_half

_TITLES = {"parity": "4-bit parity, 4-4-1", "nist7x7": "NIST7x7, 49-4-4", "fashion-mnist": "Fashion-MNIST, CNN"}
_BATCH = {"parity": 8, "nist7x7": 64, "fashion-mnist": 100}
_AMPLITUDE = {"parity": 3e-3, "nist7x7": 1e-2, "fashion-mnist": 1e-3}
_SAMPLED = "Rademacher, sampled"
# Class, colour and marker.
_FAMILIES: Mapping[str, tuple[Any, str, str]] = {
    "Rademacher": (Rademacher, "#0072B2", "o"),
    "Gaussian": (Gaussian, "#56B4E9", "s"),
    "LFSR": (LFSR, "#009E73", "^"),
    "Walsh": (Walsh, "#D55E00", "D"),
    "sequential": (Sequential, "#E69F00", "v"),
    "sinusoid": (Sinusoid, "#CC79A7", "x"),
    _SAMPLED: (Rademacher, "#0072B2", "o"),
}
_LONG = 2**30  # timesteps: longer than any window here, and a power of two, so that dividing by it is exact
_GOAL = 15.0  # degrees


def _cells(quick: bool) -> Mapping[str, Run | Work]:
    """The long ones first, so that the cores end together."""
    cells = {}
    several = ("Rademacher", "Walsh", "sequential")

    def add(task: str, family: str, **settings: Any) -> None:
        cells[f"{task}-{family}"] = Work(
            "mgd.reproduction._angle:measured", {"task": task, "family": family, **settings}
        )

    for family in several[:1] if quick else (*several, "Gaussian", "LFSR"):
        longest = 316 if quick else 16384 if family in several else 4096
        add("fashion-mnist", family, longest=longest, seeds=2 if family == "Rademacher" and not quick else 1, data=None)
    times = [1000, 14378, 316_228] if quick else [1000, 3162, 14378, 31_623, 100_000, 316_228, 1_000_000]
    settings = {"task": "fashion-mnist", "times": times, "seeds": 2 if quick else 8, "data": None}
    cells["fashion-mnist-sampled"] = Work(f"{__name__}:sampled", settings)
    for task, seeds in (("nist7x7", 32), ("parity", 128)):
        for family in several if quick else list(_FAMILIES)[:-1]:
            add(task, family, longest=5623 if quick else 100_000, seeds=8 if quick else seeds)
    return cells


def measured(task: str, family: str, longest: int, seeds: int, data: str | None = None) -> xr.Dataset:
    """The angle along one long window in which every perturbation is measured; θ and the mini-batch are held.

    Args:
        task: which chip on which samples.
        family: of perturbations.
        longest: timesteps of the window.
        seeds: chips, each with parameters, a mini-batch and a code of its own.
        data: folder of the images.
    """
    chip, samples = _chip(task), _samples(task, data)
    algorithm = _algorithm(task, family, _LONG)
    engine = Measured(chip, algorithm, _BATCH[task])
    progress = engine.init(seeds, key=jax.random.key(0))
    shown = in_front(algorithm, samples, _BATCH[task], progress.state)
    true = [_gradient(chip, progress.state.theta[r], x, y) for r, (x, y) in enumerate(zip(*shown, strict=True))]
    times, angles, before = _times(longest, chip.n_params), [], 0
    for now in times:
        progress = engine.advance(samples, progress, now - before)
        before = now
        angles.append([_angle(g, t) for g, t in zip(np.asarray(progress.state.gradient), true, strict=True)])
    return _dataset(task, family, chip.n_params, times, np.array(angles))


def sampled(task: str, times: list[int], seeds: int, data: str | None = None) -> xr.Dataset:
    """The angle of Rademacher codes by the law of the sampled engine, a window of its own for each time."""
    chip, samples, angles = _chip(task), _samples(task, data), []
    for now in times:
        algorithm = _algorithm(task, _SAMPLED, now)
        engine = Sampled(chip, algorithm, _BATCH[task])
        states, estimate, of_time = engine.init(seeds, key=jax.random.key(0)).state, eqx.filter_jit(engine.estimate), []
        for r, (x, y) in enumerate(zip(*in_front(algorithm, samples, _BATCH[task], states), strict=True)):
            state = jax.tree.map(lambda leaf, r=r: leaf[r], states.with_clock(None)).with_clock(states.clock)
            g, _ = estimate(state, None, samples, jax.random.fold_in(jax.random.key(now), r))
            of_time.append(_angle(np.asarray(g), _gradient(chip, state.theta, x, y)))
        angles.append(of_time)
    return _dataset(task, _SAMPLED, chip.n_params, times, np.array(angles))


def _chip(task: str) -> AbstractChip:
    if task == "fashion-mnist":
        return cnn((28, 28, 1), (16, 32, 32))
    return mlp((4, 4, 1)) if task == "parity" else mlp((49, 4, 4), init="glorot", cost="mse")


def _samples(task: str, data: str | None) -> Data:
    return Data.of(load(task, bits=4 if task == "parity" else None, data=data).train)


def _algorithm(task: str, family: str, window: int) -> Algorithm:
    return discrete(
        perturbation=_FAMILIES[family][0](_AMPLITUDE[task]),
        time_constants=TimeConstants(tau_x=window, tau_theta=window),
        optimizer=optax.set_to_zero(),
    )


@eqx.filter_jit
def _gradient(chip: AbstractChip, theta, x, y):
    return gradient_of(chip, theta, None, x, y, key=jax.random.key(0))[0]


def _times(longest: int, n_params: int) -> list[int]:
    """Four a decade, and one period of the sequential and of the Walsh code."""
    spaced = {round(10 ** (k / 4)) for k in range(math.floor(4 * math.log10(longest) + 1e-9) + 1)}
    periods = {n_params, 1 << n_params.bit_length()}
    return sorted({*spaced, longest, *(n for n in periods if n <= longest)})


def _angle(estimate: np.ndarray, true) -> float:
    """In degrees; a right angle if nothing was seen yet."""
    estimate, true = np.asarray(estimate, np.float64), np.asarray(true, np.float64)
    norms = np.linalg.norm(estimate) * np.linalg.norm(true)
    return float(np.degrees(np.arccos(np.clip(estimate @ true / norms, -1, 1)))) if norms > 0 else 90.0


def _dataset(task: str, family: str, n_params: int, times: list[int], angles: np.ndarray) -> xr.Dataset:
    coordinates = {
        "task": np.array([task], object),
        "family": np.array([family], object),
        "measurements": ("measurements", times, {"units": "perturbed cost measurements"}),
        "seed": np.arange(angles.shape[1]),
    }
    dims = ("task", "family", "measurements", "seed")
    angle = (dims, angles[None, None], {"units": "degrees"})
    return xr.Dataset({"angle": angle, "n_params": ("task", [n_params])}, coordinates)


def _assemble(results: Mapping[str, xr.Dataset]) -> xr.Dataset:
    angle = xr.merge([result[["angle"]] for result in results.values()], join="outer", compat="no_conflicts")
    tasks = {str(result.task.values[0]): int(result.n_params[0]) for result in results.values()}
    names = [name for name in _FAMILIES if name in angle.family.values]
    data = angle.sel(task=np.array(list(_TITLES), object), family=np.array(names, object))
    return data.assign(n_params=("task", [tasks[task] for task in _TITLES]))


def _curve(data: xr.Dataset, task: str, family: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Times, mean angle, half of its 95 % interval, and the number of seeds."""
    if family not in data.family.values:
        return np.zeros(0), np.zeros(0), np.zeros(0), 0
    angle = data.angle.sel(task=task, family=family).dropna("measurements", how="all").dropna("seed", how="all")
    n = angle.sizes["seed"]
    half = student_half(angle.std("seed", ddof=min(1, n - 1)).values, n)
    return angle.measurements.values, angle.mean("seed").values, half, n


def _draw(data: xr.Dataset) -> Figure:
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for panel, task, n_params in zip(panels, _TITLES, data.n_params.values, strict=True):
        longest = 1
        for family, (_, colour, marker) in _FAMILIES.items():
            times, mean, half, n = _curve(data, task, family)
            if n == 0:
                continue
            longest = max(longest, times[-1])
            fill = "none" if family == _SAMPLED else colour
            line = "none" if family == _SAMPLED else "-"
            style = {"color": colour, "marker": marker, "markersize": 4, "markerfacecolor": fill, "linestyle": line}
            panel.errorbar(times, mean, half, linewidth=1.1, elinewidth=0.8, label=family, **style)
        times = np.geomspace(1, longest, 200)
        panel.plot(
            times, angle_after(int(n_params), times), "k--", linewidth=1.3, label="theory, random signs", zorder=5
        )
        panel.axhline(_GOAL, color="0.6", linewidth=0.8, linestyle=":")
        panel.axvline(n_params, color="0.6", linewidth=0.8, linestyle=":")
        panel.annotate("T = P", (n_params, 88), (3, 0), textcoords="offset points", color="0.4", fontsize=8, va="top")
        panel.annotate("15°", (1, _GOAL), (2, 2), textcoords="offset points", color="0.4", fontsize=8)
        panel.set(xscale="log", xlabel="perturbed cost measurements T", ylim=(0, 90), yticks=range(0, 91, 15))
        panel.set_title(f"{_TITLES[task]} (P = {n_params:,})", fontsize=11)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("angle between G and the gradient (degrees)")
    entries: dict = {}
    for panel in panels:
        handles, labels = panel.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    order = [name for name in (*_FAMILIES, "theory, random signs") if name in entries]
    figure.legend([entries[name] for name in order], order, loc="outside lower center", ncols=len(order), frameon=False)
    return figure


def _rows(data: xr.Dataset) -> list[Row]:
    rows = []
    for task, n_params in zip(_TITLES, (int(n) for n in data.n_params), strict=True):
        order = 1 << n_params.bit_length()
        for family, at in (("Rademacher", n_params), (_SAMPLED, n_params), ("Walsh", order), ("sequential", n_params)):
            times, mean, half, n = _curve(data, task, family)
            if at not in times:
                continue
            k = list(times).index(at)
            expected = f"{angle_after(n_params, at):.1f}°" if "Rademacher" in family else "0° + O(Δθ)"
            of = "T = P" if at == n_params else "one period"
            ours = f"{mean[k]:.3g}°" + (f" ± {half[k]:.2g}° (95 %)" if n > 1 else "")
            what = f"{_TITLES[task]}: angle at {of} = {at:,}, {family}"
            rows.append(Row(what, f"theory: {expected}", ours, _how(task, family, n)))
        family = _SAMPLED if task == "fashion-mnist" else "Rademacher"
        times, mean, half, n = _curve(data, task, family)
        low, middle, high = (_crossing(times, angle) for angle in (mean - half, mean, mean + half))
        ours = f"{middle:,.0f} ({low:,.0f} … {high:,.0f}, 95 %)" if math.isfinite(high) else f"not by {times[-1]:,}"
        expected = f"theory: {perturbations_for(n_params, _GOAL):,.0f}"
        what = f"{_TITLES[task]}: measurements to {_GOAL:.0f}°, {family}"
        rows.append(Row(what, expected, ours, _how(task, family, n) + "; interpolated in log T"))
    return rows


def _how(task: str, family: str, n: int) -> str:
    engine, seeds = "sampled" if family == _SAMPLED else "measured", f"{n} seed{'s' * (n > 1)}"
    return f"{engine}, {seeds}, θ and one batch of {_BATCH[task]} held, Δθ = {_AMPLITUDE[task]:g}"


def _crossing(times: np.ndarray, angle: np.ndarray) -> float:
    """Where a mean angle first falls to the goal, between two times as a power law."""
    k = int(np.argmax(angle <= _GOAL))
    if k == 0:
        return math.inf
    y, x = np.log(angle[k - 1 : k + 1]), np.log(times[k - 1 : k + 1])
    return float(np.exp(np.interp(math.log(_GOAL), y[::-1], x[::-1])))


STUDIES = {"angle": Study(_cells, (1, 8), _assemble, _draw, _rows)}
