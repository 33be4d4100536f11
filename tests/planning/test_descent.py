"""The terms of the law that plans rest on, each beside a simulation of what it says."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd.algorithm import Remeasured, TimeConstants, TwoSided
from mgd.chips import AbstractChip
from mgd.chips.imperfections import Delay, Settling
from mgd.datasets import Task
from mgd.engines import Data, Measured
from mgd.perturbations import Rademacher, Walsh
from mgd.theory import Landscape, Windows, events_of, late_of, noise_of_writes, rate_of, variance_of, windows_to

EXACT = {"pulse": 0.0, "noise": 0.0}
LAND = Landscape(
    n_params=9,
    spread=2.0,
    gradient=1.0,
    trace=3.0,
    largest=1.0,
    quadratic=4.0,
    cubic=0.0,
    cost=0.1,
    exponent=1.5,
    flow=10.0,
    scatter=0.0,
)


def close(measured: np.ndarray, expected: float, errors: float = 4.5, share: float = 0.0) -> None:
    """Whether the mean of independent values is this, within so many standard errors and a share that is left out."""
    error = measured.std(ddof=1) / len(measured) ** 0.5
    assert abs(measured.mean() - expected) < errors * error + share * expected, (measured.mean(), expected, error)


def landscape_of(chip: AbstractChip, theta: jax.Array, task: Task, samples: int) -> tuple[Landscape, np.ndarray]:
    """What the cost of these samples is like, by JAX, and the mean gradient."""
    x, y = jnp.asarray(task.train.x, jnp.float32), jnp.asarray(task.train.y)

    def cost(theta, k):
        return chip.measure(theta, jnp.zeros_like(theta), x[k][None], y[k][None], key=jax.random.key(0))[0]

    @jax.jit
    @jax.vmap
    def facts(k):
        return cost(theta, k), jax.grad(cost)(theta, k), jax.hessian(cost)(theta, k)

    costs, each, curves = (np.asarray(one, np.float64) for one in facts(jnp.arange(samples)))
    mean, squares = each.mean(0), (curves**2).sum((1, 2)) - np.einsum("kii,kii->k", curves, curves)
    steady = np.einsum("kii->k", curves) ** 2
    land = dataclasses.replace(
        LAND,
        spread=float(((each - mean) ** 2).sum(1).mean()),
        gradient=float((mean**2).sum()),
        scatter=float(costs.var()),
        trace=float(steady.mean() ** 0.5),
        quadratic=float((steady + 2 * squares).mean() ** 0.5),
    )
    return land, mean


CASES = {
    "one sample": (Rademacher, Remeasured, 16, 1, 0.0),
    "samples": (Rademacher, Remeasured, 4, 8, 0.0),
    "noise": (Rademacher, Remeasured, 4, 4, 0.02),
    "two-sided": (Rademacher, TwoSided, 1, 16, 0.02),
    "walsh": (Walsh, Remeasured, 2, 8, 0.0),
    "walsh, noise": (Walsh, Remeasured, 16, 1, 0.02),
}


@pytest.mark.enough("walsh, noise", "noise", "samples")
@pytest.mark.long
@pytest.mark.parametrize("case", CASES)
def test_the_variance_of_a_window_is_that_of_simulated_windows(case):
    family, baseline, held, shown, noise = CASES[case]
    chip, task, amplitude = mgd.chips.mlp((2, 2, 1)), mgd.datasets.parity(2), 1e-3 if not noise else 2e-2
    theta = chip.init(key=jax.random.key(3))
    land, mean = landscape_of(chip, theta, task, 4)
    noisy = mgd.chips.imperfect(chip, mgd.chips.imperfections.CostNoise(noise)) if noise else chip
    window = held * shown
    algorithm = mgd.discrete(
        perturbation=family(amplitude=amplitude),
        baseline=baseline(),
        optimizer=optax.sgd(1.0),
        time_constants=TimeConstants(tau_x=held, tau_theta=window),
    )
    # Samples are drawn at random; a task that shows each in turn would have less variance than the law says.
    many = task.train.subset(np.random.default_rng(0).integers(0, 4, 4096))
    engine, n = Measured(noisy, algorithm), 2048
    progress = engine.init(n, key=jax.random.key(1), start=np.tile(np.asarray(theta), (n, 1)))
    progress = engine.advance(Data.of(many), progress, window)
    gradient = np.asarray(theta, np.float64) - np.asarray(progress.state.theta, np.float64)
    squares = ((gradient - mean) ** 2).sum(1)
    windows = Windows(held, shown, 1, 1, baseline is TwoSided, 16 if family is Walsh else 0)
    # The law leaves out how codes follow one another within a period, while samples change.
    share = 0.06 if case == "walsh" else 0.0
    close(squares, float(variance_of(land, windows, noise=noise, amplitude=amplitude)), share=share)


def bowl() -> AbstractChip:
    """A chip whose costs have a slope and a height of their own for each sample, and one curvature, all of order 1."""
    rng = np.random.default_rng(0)
    slopes, curves = rng.standard_normal((3, 9)).astype(np.float32), rng.standard_normal((9, 9)).astype(np.float32) / 4
    curves = curves + curves.T + np.eye(9, dtype=np.float32) / 4

    def cost(theta, x, target):
        each = x @ (slopes[1:] @ theta + jnp.array([2.0, 1.0]))
        return jnp.mean(each) + slopes[0] @ theta + theta @ curves @ theta / 2

    return mgd.chips.from_function(cost, init=lambda key: jnp.zeros(9))


# Family, baseline, n, K, τ_p, delay, settling, samples that differ, Δ.
LATE = {
    "delay": (Rademacher, Remeasured, 4, 2, 3, 1, 0.0, 1, 0.3),
    "delay, samples": (Rademacher, Remeasured, 4, 4, 3, 2, 0.0, 4, 1.0),
    "settling": (Rademacher, Remeasured, 4, 4, 2, 0, 1.5, 4, 1.0),
    "delay beyond a presentation": (Rademacher, Remeasured, 1, 8, 4, 3, 1.0, 4, 1.0),
    "walsh": (Walsh, Remeasured, 16, 1, 3, 2, 0.5, 4, 0.1),
    "two-sided": (Rademacher, TwoSided, 2, 4, 2, 2, 0.7, 4, 0.1),
    "two-sided, turned round": (Rademacher, TwoSided, 4, 2, 2, 1, 0.0, 1, 0.1),
}


@pytest.mark.enough("walsh", "settling", "delay, samples")
@pytest.mark.long
@pytest.mark.parametrize("case", LATE)
def test_the_law_of_late_costs_is_that_of_simulated_windows(case):
    family, baseline, held, shown, tau_p, delay, settling, samples, amplitude = LATE[case]
    chip, task, theta = bowl(), mgd.datasets.parity(2), jnp.zeros(9)
    land, mean = landscape_of(chip, theta, task, samples)
    late = mgd.chips.imperfect(chip, Settling(settling), Delay(delay))
    window, rate = held * shown * tau_p, 1e-5
    algorithm = mgd.discrete(
        perturbation=family(amplitude=amplitude),
        baseline=baseline(),
        optimizer=optax.sgd(rate),
        time_constants=TimeConstants(tau_p=tau_p, tau_x=held * tau_p, tau_theta=window),
    )
    many = task.train.subset(np.random.default_rng(0).integers(0, samples, 4096))
    engine, n = Measured(late, algorithm), 2048
    progress = engine.init(n, key=jax.random.key(1), start=np.tile(np.asarray(theta), (n, 1)))
    progress = engine.advance(Data.of(many), progress, window)  # the second window has one before it
    before = np.asarray(progress.state.theta, np.float64)
    progress = engine.advance(Data.of(many), progress, window)
    gradient = (before - np.asarray(progress.state.theta, np.float64)) / rate
    windows = Windows(held, shown, 1, tau_p, baseline is TwoSided, 16 if family is Walsh else 0)
    windows = windows._replace(late=late_of(held, tau_p, baseline is TwoSided, delay=delay, settling=settling))
    seen = float(windows.late.seen)
    # Of the 16 signs of a Walsh code, no two are the same one, so a sign and the next agree in -1/15 of the cases less.
    code = (1 - seen) / 15 if family is Walsh else 0.0
    close(gradient @ mean / land.gradient, seen - code)
    squares = ((gradient / seen - mean) ** 2).sum(1)
    expected = float(variance_of(land, windows, noise=0.0, amplitude=amplitude))
    close(squares, expected, share=0.1 if family is Walsh else 0.0)


@pytest.mark.parametrize("baseline", [Remeasured, TwoSided])
@pytest.mark.parametrize(("held", "shown", "batch", "tau_p"), [(1, 1, 1, 1), (4, 3, 2, 1), (8, 1, 5, 2), (1, 6, 1, 3)])
def test_events_of_a_window_are_those_that_a_run_counts(baseline, held, shown, batch, tau_p):
    times = TimeConstants(tau_p=tau_p, tau_x=held * tau_p, tau_theta=held * shown * tau_p)
    counts = mgd.discrete(baseline=baseline(), time_constants=times).counts(1000 * times.tau_theta, batch=batch)
    windows = Windows(held, shown, batch, tau_p, baseline is TwoSided, 0)
    events = events_of(windows)
    for event, name in mgd.timing.EVENTS.items():
        assert getattr(counts, name) == pytest.approx(1000 * events[event], abs=1), event


@pytest.mark.parametrize(("pulse", "noise"), [(0.0, 0.0), (0.1, 0.0), (0.0, 0.003)])
def test_noise_keeps_the_cost_above_a_floor_of_a_quarter_of_rate_times_variance(pulse, noise):
    rng, rate, spread, curvature = np.random.default_rng(0), 0.05, 0.3, 1.0
    theta, floors = np.zeros((200, 9)), []
    for step in range(1200):
        gradient = curvature * theta + spread * rng.standard_normal(theta.shape)
        wanted = -rate * gradient
        if pulse:
            wanted = pulse * np.floor(wanted / pulse + rng.random(theta.shape))
        theta = theta + wanted + noise * rng.standard_normal(theta.shape)
        if step >= 400:
            floors.append(curvature / 2 * (theta**2).sum(1))
    variance = 9 * spread**2
    writes = noise_of_writes(dataclasses.replace(LAND, gradient=0.0), variance, pulse=pulse, noise=noise)
    floor = (max(rate * variance, writes.rounding) + writes.white / rate) / 4
    # The floor is of small rates and of pulses much larger than a change: here what is left out comes to a tenth.
    assert np.mean(floors) == pytest.approx(floor, rel=0.12)


@pytest.mark.parametrize("noise", [0.0, 0.003, 0.01])
def test_the_rate_is_the_one_with_the_fewest_windows(noise):
    variance = 5.0
    writes = noise_of_writes(LAND, variance, pulse=noise / 10, noise=noise)
    windows = Windows(4, 1, 1, 1, False, 0)
    calm = dataclasses.replace(LAND, largest=0.0, trace=0.0)
    with np.errstate(divide="ignore"):
        best = float(rate_of(calm, windows, variance, writes))
    rates = best * np.geomspace(0.5, 2, 401)
    counts = windows_to(LAND, variance, rates, writes)
    assert rates[np.argmin(counts)] == pytest.approx(best, rel=0.01)


def test_a_floor_above_the_target_is_never_passed():
    exact = noise_of_writes(LAND, 1.0, **EXACT)
    assert windows_to(LAND, 1.0, 4 * LAND.cost, exact) == np.inf
    assert windows_to(LAND, 1e-12, 1.0, exact) == pytest.approx(LAND.flow)
