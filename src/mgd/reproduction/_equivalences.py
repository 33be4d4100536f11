"""Known methods as settings of one algorithm: identical step by step, and as training curves on XOR."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax import lax
from matplotlib.figure import Figure

from .._counter import Counter
from ..algorithm import Algorithm, TimeConstants, TwoSided, analog, discrete
from ..chips import mlp
from ..datasets import parity
from ..perturbations import Rademacher, Sequential, Sinusoid
from ..sweeps import Row, Run, Study, Work
from ._statistics import first_time, median, wilson

_P, _AVERAGED = 9, 36
_POINTS = 400  # evaluations of a run
# Settings, with the timesteps of 1250 measurements (of 1295 for averaged SPSA); all others are the task's defaults.
_TRAINED: Mapping[str, tuple[dict[str, Any], int]] = {
    "finite differences": ({"perturbation": "sequential", "tau_x": _P, "tau_theta": _P, "learning_rate": 3.0}, 1125),
    "coordinate descent": ({"perturbation": "sequential", "learning_rate": 0.2}, 625),
    "SPSA": ({"perturbation": "rademacher", "learning_rate": 0.5}, 625),
    "averaged SPSA": (
        {"perturbation": "rademacher", "tau_x": _AVERAGED, "tau_theta": _AVERAGED, "learning_rate": 3.0},
        1260,
    ),
    "lock-in": ({"algorithm": "analog", "perturbation": "sinusoid", "learning_rate": 0.2}, 1250),
}
_COLOURS = ("#E69F00", "#D55E00", "#0072B2", "#56B4E9", "#009E73")
# Of the identities: a large amplitude, so that the rounding of a cost is small beside its modulation.
_AMPLITUDE, _RATE, _TAU_HP, _HELD = 0.1, 0.5, 20.0, 2**20
_X, _Y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float), np.array([0.0, 1, 1, 0])


def _cells(quick: bool) -> Mapping[str, Run | Work]:
    cells: dict[str, Run | Work] = {}
    for name, (settings, every) in reversed(list(_TRAINED.items())):  # the longest first
        every = every // 5 if quick else every
        size = {"steps": _POINTS * every, "log_every": every, "replicas": 16 if quick else 64}
        cells[name.replace(" ", "-")] = Run({"task": "parity", "bits": 2, "engine": "measured", **settings, **size})
    return {**cells, "identities": Work(f"{__name__}:identities", {"chips": 8 if quick else 32})}


def identities(chips: int) -> xr.Dataset:
    """Changes of θ by the algorithm against those of a few lines of NumPy in double precision, on all of XOR.

    Args:
        chips: fresh 2-2-1 chips, all four patterns in front of each.
    """
    held, rate = {"tau_x": _HELD}, optax.sgd(_RATE)
    sequential, signs = Sequential(_AMPLITUDE), Rademacher(_AMPLITUDE)
    sweep, averaged = TimeConstants(tau_theta=_P, **held), TimeConstants(tau_theta=1000, **held)
    lock_in = TimeConstants(tau_theta=20, tau_hp=_TAU_HP, **held)

    def spsa(theta, codes):
        return _steps(theta, codes, lambda theta, s: (_cost(theta + s) - _cost(theta)) / s)

    def two_sided(theta, codes):
        return _steps(theta, codes, lambda theta, s: (_cost(theta + s) - _cost(theta - s)) / (2 * s))

    def averaged_spsa(theta, codes):
        return -_RATE * np.mean([(_cost(theta + s) - _cost(theta)) / s for s in codes], axis=0)

    cases: dict[str, tuple[Algorithm, int, Callable]] = {
        "finite differences": (
            discrete(perturbation=sequential, time_constants=sweep, optimizer=rate), _P, _finite_differences
        ),
        "coordinate descent": (discrete(perturbation=sequential, optimizer=rate), _P, _coordinate_descent),
        "SPSA": (discrete(perturbation=signs, optimizer=rate), 1, spsa),
        "SPSA, two-sided": (discrete(perturbation=signs, optimizer=rate, baseline=TwoSided()), 1, two_sided),
        "averaged SPSA": (discrete(perturbation=signs, time_constants=averaged, optimizer=rate), 1000, averaged_spsa),
        "lock-in": (analog(perturbation=Sinusoid(_AMPLITUDE), time_constants=lock_in, optimizer=rate), 100, _lock_in),
    }  # fmt: skip
    apart, angle = {}, np.zeros(chips)
    for name, (algorithm, steps, reference) in cases.items():
        start, ours, codes = (np.asarray(a, np.float64) for a in _ours(algorithm, steps, chips))
        theirs = np.array([reference(theta, code) for theta, code in zip(start, codes, strict=True)])
        apart[name] = float(abs(ours - theirs).max() / np.sqrt(np.mean(theirs**2)))
        if name == "averaged SPSA":
            true = np.array([_finite_differences(theta, None, 1e-6) for theta in start])
            cosine = (ours * true).sum(1) / (np.linalg.norm(ours, axis=1) * np.linalg.norm(true, axis=1))
            angle = np.degrees(np.arccos(cosine))
    names = np.array(list(apart), object)
    return xr.Dataset(
        {
            "difference": (
                "identity",
                list(apart.values()),
                {"long_name": "largest difference of a change of θ, over their r.m.s."},
            ),
            "angle": ("chip", angle, {"units": "degrees", "long_name": "averaged SPSA's change to the gradient"}),
        },
        {"identity": names, "chip": np.arange(chips)},
    )


def _ours(algorithm: Algorithm, steps: int, chips: int) -> tuple:
    """Fresh parameters, their change in so many timesteps of ask and tell, and the codes that were on them."""
    chip, samples = mlp((2, 2, 1)), parity(2).train
    x, y = jnp.asarray(samples.x), jnp.asarray(samples.y)

    def measure(probe, device):
        return chip.measure(probe.theta, probe.perturbation, x, y, key=probe.key)

    def one(key):
        theta = chip.init(key=key)
        state = algorithm.init(theta, key=jax.random.fold_in(key, 1))

        def code(m):
            return algorithm.perturbation(Counter(jnp.uint32(0), m), seed=state.seeds.perturbation, n_params=_P)

        last, _ = lax.scan(lambda state, _: (algorithm.step(state, measure)[0], None), state, length=steps)
        return theta, last.theta - theta, jax.vmap(code)(jnp.arange(steps, dtype=jnp.uint32))

    return eqx.filter_jit(jax.vmap(one))(jax.random.split(jax.random.key(0), chips))


def _cost(theta: np.ndarray) -> float:
    hidden = 1 / (1 + np.exp(theta[4:6] - _X @ theta[:4].reshape(2, 2).T))
    return float(np.mean((1 / (1 + np.exp(theta[8] - hidden @ theta[6:8])) - _Y) ** 2))


def _finite_differences(theta: np.ndarray, codes: object, amplitude: float = _AMPLITUDE) -> np.ndarray:
    return -_RATE * np.array([_cost(theta + amplitude * e) - _cost(theta) for e in np.eye(_P)]) / amplitude


def _coordinate_descent(theta: np.ndarray, codes: np.ndarray) -> np.ndarray:
    now = theta.copy()
    for i in codes.argmax(1):
        now[i] -= _RATE * _P * (_cost(now + _AMPLITUDE * np.eye(_P)[i]) - _cost(now)) / _AMPLITUDE
    return now - theta


def _steps(theta: np.ndarray, codes: np.ndarray, estimate: Callable) -> np.ndarray:
    now = theta
    for s in codes:
        now = now - _RATE * estimate(now, s)
    return now - theta


def _lock_in(theta: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """A lock-in amplifier a parameter: high-pass, mixer, low-pass; the filter's in-phase response divided out."""
    pole, take = _TAU_HP / (_TAU_HP + 1), 1 / 21
    turn = np.exp(-2j * np.pi * (0.05 + 0.4 * (np.arange(_P) + (3 - np.sqrt(5)) / 2) / _P))
    response = (pole * (1 - turn) / (1 - pole * turn)).real * (1 - 1 / _HELD)
    now, filtered, estimate, before = theta, 0.0, np.zeros(_P), None
    for reference in codes:
        cost = _cost(now + reference)
        filtered, before = pole * (filtered + cost - (cost if before is None else before)), cost
        estimate = (1 - take) * estimate + take * filtered * reference / (_AMPLITUDE**2 / 2 * response)
        now = now - _RATE * estimate
    return now - theta


def _assemble(results: Mapping[str, xr.Dataset]) -> xr.Dataset:
    histories = []
    for name in _TRAINED:
        history = results[name.replace(" ", "-")]
        measurements = ("point", history.cost_measurements.values, {"units": "cost measurements"})
        history = (
            history[["accuracy", "cost"]].rename(step="point").drop_vars(["point", *history.coords], errors="ignore")
        )
        histories.append(history.assign(measurements=measurements))
    settings = xr.DataArray(np.array(list(_TRAINED), object), dims="setting", name="setting")
    curves: Any = xr.concat(histories, settings, combine_attrs="drop")
    return curves.assign(results["identities"].data_vars)


def _draw(data: xr.Dataset) -> Figure:
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    n = data.sizes["replica"]
    for name, colour in zip(_TRAINED, _COLOURS, strict=True):
        of = data.sel(setting=name).isel(point=slice(1, None))
        x, solved = of.measurements.values, (of.accuracy.values >= 1).sum(0)
        left.plot(x, np.median(of.cost.values, axis=0), color=colour, linewidth=1.5)
        right.plot(x, 100 * solved / n, color=colour, linewidth=1.5, label=name)
    for k, (name, colour) in enumerate(zip(_TRAINED, _COLOURS, strict=True)):
        of = data.sel(setting=name).isel(point=-1)
        solved = int((of.accuracy.values >= 1).sum())
        low, high = (100 * x for x in wilson(solved, n))
        right.plot([1.12**k * float(of.measurements) * 1.1] * 2, [low, high], color=colour, linewidth=2.5, alpha=0.8)
    left.set(yscale="log", ylabel="median cost over the four patterns")
    right.set(ylim=(0, 101), ylabel=f"chips that solve XOR (%), of {n}")
    right.annotate("95 %", (1, 0.02), xycoords="axes fraction", ha="right", color="0.4", fontsize=8)
    for panel in (left, right):
        panel.set(xscale="log", xlabel="cost measurements per chip")
        panel.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    return figure


def _rows(data: xr.Dataset) -> list[Row]:
    rows, chips = [], data.sizes["chip"]
    for name in data.identity.values:
        published = "[P23]: the same method; theory: 0, to float32 rounding of costs"
        how = f"ask/tell against NumPy in float64, XOR 2-2-1, four patterns at once, {chips} chips, Δθ = {_AMPLITUDE}"
        ours = f"{float(data.difference.sel(identity=name)):.1e}"
        rows.append(Row(f"{name}: largest difference of a change of θ, over their r.m.s.", published, ours, how))
    angle, expected = data.angle.values, np.degrees(np.arctan(np.sqrt((_P - 1) / 1000)))
    half = 1.96 * angle.std(ddof=1) / np.sqrt(chips)
    ours = f"{angle.mean():.1f}° ± {half:.1f}° (95 %)"
    how = f"ask/tell, {chips} chips, Δθ = {_AMPLITUDE}; gradient by differences in float64"
    rows.append(Row("averaged SPSA, τ_θ = 1000: angle to the gradient", f"theory: {expected:.1f}°", ours, how))
    n = data.sizes["replica"]
    for name, (settings, _) in _TRAINED.items():
        of = data.sel(setting=name)
        solved = int((of.accuracy.values[:, -1] >= 1).sum())
        low, high = (100 * x for x in wilson(solved, n))
        times = median(first_time(of.accuracy.values, of.measurements.values, 1.0))
        middle, first, last = (f"{time:,.0f}" if np.isfinite(time) else "never" for time in times)
        ours = f"{100 * solved / n:.0f} % ({low:.0f} … {high:.0f} %, Wilson 95 %); median {middle} ({first} … {last})"
        steps = ", ".join(
            f"{key} = {settings[key]}" for key in ("tau_x", "tau_theta", "learning_rate") if key in settings
        )
        how = f"measured, {n} chips, seed 0, {float(of.measurements[-1]):,.0f} measurements, {steps}; else the defaults"
        rows.append(Row(f"{name}: XOR 2-2-1 solved, and median measurements to it", "[P23]: trains", ours, how))
    return rows


STUDIES = {"equivalences": Study(_cells, (1, 3), _assemble, _draw, _rows)}
