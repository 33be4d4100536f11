"""What is applied, measured and integrated, step by step, for each code family on a chip of three parameters."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax import lax
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..algorithm import TimeConstants, analog, discrete
from ..chips import mlp
from ..perturbations import AbstractPerturbation, Rademacher, Sequential, Sinusoid, Walsh
from ..sweeps import Row, Run, Study, Work

_AMPLITUDE = 0.05
_FAMILIES: Mapping[str, AbstractPerturbation] = {
    "sequential": Sequential(_AMPLITUDE),
    "Rademacher": Rademacher(_AMPLITUDE),
    "Walsh": Walsh(_AMPLITUDE),
    # Slow enough for the eye, and no frequency near a sum of two.
    "sinusoid": Sinusoid(_AMPLITUDE, 0.01, 0.13),
}
_ANALOG = [name for name in _FAMILIES if name != "sequential"]
_TAU_THETA, _TAU_HP = 80, 20.0
_LONG = 2**20  # timesteps: longer than any window here, and a power of two, so that dividing by it is exact
_THETA = (0.3, -0.5, 0.2)
_SAMPLE, _TARGET = (1.0, 0.4), 1.0
_SHOWN = 40  # timesteps of the quick signals
_COLOURS = ("#0072B2", "#D55E00", "#009E73")


def _cells(quick: bool) -> Mapping[str, Run | Work]:
    size = {"steps": 240, "seeds": 16} if quick else {"steps": 480, "seeds": 256}
    return {kind: Work(f"{__name__}:signals", {"kind": kind, **size}) for kind in ("discrete", "analog")}


def signals(kind: str, steps: int, seeds: int) -> xr.Dataset:
    """Signals of the first seed at every timestep, and the relative error of every seed's last G.

    Args:
        kind: "discrete" or "analog".
        steps: timesteps.
        seeds: codes drawn.
    """
    families = _ANALOG if kind == "analog" else list(_FAMILIES)
    of_families = [_follow(kind, _FAMILIES[name], steps, seeds) for name in families]
    data = xr.concat(of_families, xr.DataArray(np.array(families, object), dims="family", name="family"), join="exact")
    return data.expand_dims(kind=np.array([kind], object))


def _follow(kind: str, family: AbstractPerturbation, steps: int, seeds: int) -> xr.Dataset:
    """One family: ask and tell, measurement by measurement, with the parameters held."""
    chip, hold = mlp((2, 1)), optax.set_to_zero()
    if kind == "discrete":
        times = TimeConstants(tau_x=_LONG, tau_theta=_LONG)
        algorithm = discrete(perturbation=family, time_constants=times, optimizer=hold)
    else:
        times = TimeConstants(tau_x=_LONG, tau_theta=_TAU_THETA, tau_hp=_TAU_HP)
        algorithm = analog(perturbation=family, time_constants=times, optimizer=hold)
    theta, x, y = jnp.array(_THETA), jnp.array([_SAMPLE]), jnp.array([[_TARGET]])
    key = jax.random.key(0)  # the chip has no noise to draw

    def cost_at(perturbation):
        return chip.measure(theta, perturbation, x, y, key=key)[0]

    def measurement(state, _):
        probe, state = algorithm.ask(state)
        cost = cost_at(probe.perturbation)
        state, info = algorithm.tell(state, cost)
        return state, (probe.perturbation, cost, info.modulation, state.gradient)

    measurements = algorithm.counts(steps).cost_measurements

    @eqx.filter_jit
    def run(keys):
        def one(key):
            return lax.scan(measurement, algorithm.init(theta, key=key), length=measurements)[1]

        return jax.vmap(one)(keys), jax.value_and_grad(cost_at)(jnp.zeros_like(theta))

    # The baseline, where there is one, comes before the first timestep.
    traces, (baseline, true) = run(jax.vmap(jax.random.key)(jnp.arange(seeds)))
    perturbation, cost, modulation, estimate = (np.asarray(trace)[:, -steps:] for trace in traces)
    step = np.arange(1, steps + 1)
    if kind == "discrete":  # the mean over a window that would end here
        estimate = estimate * (_LONG / step[:, None]).astype(np.float32)
    error = np.linalg.norm(estimate[:, -1] - np.asarray(true), axis=-1) / np.linalg.norm(np.asarray(true))
    return xr.Dataset(
        {
            "perturbation": (("step", "parameter"), perturbation[0], {"units": "parameter's unit"}),
            "cost": ("step", cost[0], {"units": "cost"}),
            "modulation": ("step", modulation[0], {"units": "cost"}),
            "gradient_estimate": (("step", "parameter"), estimate[0], {"units": "cost/parameter"}),
            "gradient": ("parameter", np.asarray(true), {"units": "cost/parameter"}),
            "baseline": ((), float(baseline), {"units": "cost"}),
            "error": ("seed", error, {"long_name": "relative error of the last G"}),
        },
        {"step": ("step", step, {"units": "timesteps"}), "seed": np.arange(seeds), "parameter": [1, 2, 3]},
    )


def _assemble(results: Mapping[str, xr.Dataset]) -> xr.Dataset:
    data = xr.concat(results.values(), "kind", join="outer", fill_value=np.nan)
    return data.sel(family=np.array(list(_FAMILIES), object)).assign_attrs(
        amplitude=_AMPLITUDE, tau_theta=_TAU_THETA, tau_hp=_TAU_HP
    )


def _draw(data: xr.Dataset) -> Figure:
    figure = Figure(figsize=(11, 13.5), layout="constrained")
    halves: Any = figure.subfigures(2, 1, hspace=0.03)
    titles = {
        "discrete": "(a) discrete: baseline re-measured, G the mean so far",
        "analog": f"(b) analog: high-pass $\\tau_{{hp}}$ = {_TAU_HP:.0f}, low-pass $\\tau_\\theta$ = {_TAU_THETA}",
    }
    for half, (kind, title) in zip(halves, titles.items(), strict=True):
        half.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
        panels = half.subplots(4, 4, sharey="row", gridspec_kw={"height_ratios": (1.3, 0.9, 0.9, 1.5)})
        for column, family in enumerate(_FAMILIES):
            panels[0, column].set_title(family, fontsize=11)
            if kind == "analog" and family not in _ANALOG:
                _refuse(panels[:, column])
            else:
                _column(panels[:, column], data.sel(kind=kind, family=family))
        first = 1 if kind == "analog" else 0
        labels = (r"$\tilde\theta\,/\,\Delta\theta$", r"$C$", r"$\tilde C$  ($10^{-3}$)", r"$G$")
        for row, label in enumerate(labels):
            panels[row, first].set_ylabel(label, fontsize=11)
            panels[row, first].tick_params(labelleft=True)
        half.align_ylabels(panels[:, first])
    return figure


def _column(panels: ArrayLike, data: xr.Dataset) -> None:
    top, of_cost, of_modulation, bottom = np.asarray(panels)
    step, shown = data.step.values, slice(0, _SHOWN)
    lanes = 3.0 * np.arange(2, -1, -1)
    for i, (colour, lane) in enumerate(zip(_COLOURS, lanes, strict=True)):
        signal = data.perturbation.values[shown, i] / _AMPLITUDE
        top.axhline(lane, color="0.85", linewidth=0.7)
        top.step(step[shown], lane + signal, where="mid", color=colour, linewidth=1.1)
        bottom.plot(step, data.gradient_estimate.values[:, i], color=colour, linewidth=1.2)
        bottom.axhline(float(data.gradient[i]), color=colour, linestyle="--", linewidth=1)
    top.set_yticks(lanes, ["parameter 1", "2", "3"])
    of_cost.step(step[shown], data.cost.values[shown], where="mid", color="0.2", linewidth=1.1)
    of_cost.axhline(float(data.baseline), color="0.5", linestyle="--", linewidth=0.8)
    of_modulation.step(step[shown], 1e3 * data.modulation.values[shown], where="mid", color="0.2", linewidth=1.1)
    of_modulation.axhline(0, color="0.5", linestyle="--", linewidth=0.8)
    limit = 1.7 * float(abs(data.gradient).max())
    bottom.set(ylim=(-limit, limit), xlabel="timesteps")
    for panel in (top, of_cost, of_modulation):
        panel.set_xlim(0, _SHOWN)
    for panel in (top, of_cost):
        panel.tick_params(labelbottom=False)
    bottom.axvspan(0, _SHOWN, color="0.93", linewidth=0)  # the part that is shown above
    bottom.set_xlim(0, step[-1])
    for panel in (top, of_cost, of_modulation, bottom):
        panel.spines[["top", "right"]].set_visible(False)


def _refuse(panels: ArrayLike) -> None:
    for panel in np.asarray(panels):
        panel.set_axis_off()
    reason = (
        "refused:\nwhen one parameter steps\nback as the next steps up,\nthe high-pass gives one\nthe other's gradient"
    )
    panels = np.asarray(panels)
    panels[1].text(0.5, 0.2, reason, transform=panels[1].transAxes, ha="center", va="center", color="0.4", fontsize=9)


def _rows(data: xr.Dataset) -> list[Row]:
    steps, seeds, rows = data.sizes["step"], data.sizes["seed"], []
    theory = {
        "sequential": "theory: O(amplitude), as forward differences",
        "Rademacher": f"theory: √((P−1)/T) = {100 * np.sqrt(2 / steps):.1f} %",
        "Walsh": "theory: O(amplitude²), whole periods",
        "sinusoid": "theory: falls as 1/T, to O(amplitude²)",
    }
    for kind in ("discrete", "analog"):
        for family in _FAMILIES if kind == "discrete" else _ANALOG:
            error = 100 * data.error.sel(kind=kind, family=family).values
            low, high = np.quantile(error, (0.16, 0.84))
            published = (
                theory[family] if kind == "discrete" else "theory: what the low-pass lets through, falls with τ_θ"
            )
            ours = f"{np.sqrt(np.mean(error**2)):.2f} % (r.m.s.; 68 % of codes {low:.2f} … {high:.2f})"
            how = f"ask/tell, 2-1 chip (P = 3), one sample, θ held, {steps} timesteps, {seeds} seeds, Δθ = {_AMPLITUDE}"
            if kind == "analog":
                how += f", τ_θ = {_TAU_THETA}, τ_hp = {_TAU_HP:.0f}"
            rows.append(Row(f"relative error of G at the end: {kind}, {family}", published, ours, how))
    return rows


STUDIES = {"waveforms": Study(_cells, (0.5, 0.5), _assemble, _draw, _rows)}
