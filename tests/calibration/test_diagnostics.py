"""What a run tells of itself, against simulated chips whose gradient is known."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import install_import_hook

import mgd

with install_import_hook("mgd.calibration", "beartype.beartype"):
    from mgd.calibration import Diagnostics

SIGMA, AMPLITUDE = 1e-3, 0.02


@pytest.fixture(scope="module")
def gradient():
    """Of a 4-4-1 chip at one place, by jax.grad."""
    chip, task = mgd.chips.mlp((4, 4, 1)), mgd.datasets.parity(bits=4)
    theta, key = chip.init(key=jax.random.key(3)), jax.random.key(0)
    x, y = jnp.asarray(task.train.x, jnp.float32), jnp.asarray(task.train.y)
    cost = lambda theta: chip.measure(theta, jnp.zeros_like(theta), x, y, key=key)[0]
    return np.asarray(jax.grad(cost)(theta), np.float64)


def _run(gradient, *, t, windows, seed=0, sigma=SIGMA, noise: float | None = SIGMA, two_sided=False, tau_p=1, dead=()):
    """Windows of T random signs on the cost's first order, with noise on every measurement; and the true angles."""
    rng, g = np.random.default_rng(seed), gradient.copy()
    g[list(dead)] = 0
    diagnostics, along, squares = Diagnostics(g.size, noise, tau_p=tau_p, two_sided=two_sided), [], []
    for _ in range(windows):
        codes = np.repeat(rng.choice([-1.0, 1.0], (t, g.size)), tau_p, axis=0)
        signal = AMPLITUDE * codes @ g
        if two_sided:
            plus, minus = sigma * rng.standard_normal((2, t * tau_p))
            modulations, baselines = signal + (plus - minus) / 2, np.zeros(0)
        else:
            baselines = 0.3 + sigma * rng.standard_normal(1)
            modulations = signal + sigma * rng.standard_normal(t * tau_p) - (baselines - 0.3)
        estimates = modulations[:, None] * codes / (AMPLITUDE * t * tau_p)
        even = (np.arange(t * tau_p) // tau_p) % 2 == 0
        diagnostics.observe(modulations, baselines)
        diagnostics.window(estimates[even].sum(axis=0), estimates[~even].sum(axis=0))
        whole = estimates.sum(axis=0)
        along.append(float(whole @ g) / math.sqrt(float(g @ g)))
        squares.append(float(whole @ whole))
    return diagnostics, math.degrees(math.acos(min(1.0, np.mean(along) / math.sqrt(np.mean(squares)))))


def _true(gradient, *, t, per_measurement: float) -> float:
    """cos∠ = 1/√(1 + v), with the noise of one perturbation's C̃ in units of σ²."""
    p, signal = gradient.size, AMPLITUDE**2 * float(gradient @ gradient)
    v = (p - 1 + p * per_measurement * SIGMA**2 / signal) / t
    return math.degrees(math.acos(1 / math.sqrt(1 + v)))


@pytest.mark.parametrize(
    ("t", "two_sided", "tau_p", "per_measurement"),
    [(1, False, 1, 2.0), (3, False, 1, 2.0), (32, False, 1, 2.0), (32, True, 1, 0.5), (20, False, 4, 1.25)],
    ids=["one", "three", "remeasured", "two-sided", "held"],
)
@pytest.mark.quick("two-sided", "remeasured")
def test_the_angle_without_a_true_gradient_is_the_true_one(gradient, t, two_sided, tau_p, per_measurement):
    """Observed by halves, predicted by theory, seen with the gradient: a factor of two in any is 8° or more."""
    diagnostics, seen = _run(gradient, t=t, windows=2000, two_sided=two_sided, tau_p=tau_p)
    found, true = diagnostics.summary(), _true(gradient, t=t, per_measurement=per_measurement)
    assert abs(found["predicted_angle"] - true) < 4 * found["predicted_angle_error"] + 0.5
    assert abs(found["observed_angle"] - true) < 4 * found["observed_angle_error"] + 0.5
    assert found["observed_angle_error"] < 6
    assert found["predicted_angle_error"] < 4
    assert abs(seen - true) < 2


def test_the_signal_to_noise_ratio_is_that_of_the_chip(gradient):
    for two_sided, times in ((False, 2.0), (True, 0.5)):
        diagnostics, _ = _run(gradient, t=16, windows=1500, two_sided=two_sided)
        found = diagnostics.summary()
        truth = AMPLITUDE**2 * float(gradient @ gradient) / (times * SIGMA**2)
        assert abs(found["snr"] - truth) < 5 * found["snr_error"], (found, truth)
        assert found["snr_error"] < 0.2 * truth + 0.05


def test_without_a_calibration_the_noise_is_that_of_baselines(gradient):
    diagnostics, _ = _run(gradient, t=16, windows=1500, noise=None)
    found = diagnostics.summary()
    assert abs(found["noise_of_modulation"] / (math.sqrt(2) * SIGMA) - 1) < 0.15
    assert found["noise_is_bound"] == 1.0


def test_dead_parameters_are_named_and_others_are_not(gradient):
    strong = np.where(np.abs(gradient) < 0.5 * np.abs(gradient).mean(), np.abs(gradient).mean(), gradient)
    diagnostics, _ = _run(strong, t=1024, windows=2000, sigma=1e-4, noise=1e-4, dead=(3, 17))
    assert diagnostics.silent_parameters() == [3, 17]
    assert diagnostics.summary()["silent_parameters"] == 2
    assert any("2 of 25 parameters have not responded (3, 17)" in line for line in diagnostics.warnings())


def test_nothing_is_said_too_early(gradient):
    diagnostics, _ = _run(gradient, t=4, windows=8)
    assert "observed_angle" not in diagnostics.summary()
    assert "silent_parameters" not in diagnostics.summary()
    assert Diagnostics(3).summary() == {"measurements": 0, "windows": 0}
    assert Diagnostics(3).warnings() == []


def test_a_signal_under_the_noise_is_warned_of(gradient):
    loud, _ = _run(gradient, t=8, windows=100, sigma=20 * SIGMA, noise=20 * SIGMA)
    assert loud.warnings()[0].startswith("the signal is under the noise: C̃ has a root mean square of")
    clear, _ = _run(gradient, t=200, windows=300, sigma=1e-6, noise=1e-6)
    assert clear.warnings() == []


def test_an_angle_worse_than_predicted_is_warned_of(gradient):
    """As of costs that come late: what is measured belongs to another perturbation."""
    rng, diagnostics = np.random.default_rng(0), Diagnostics(25, 1e-6)
    for _ in range(200):
        codes = rng.choice([-1.0, 1.0], (200, 25))
        modulations = AMPLITUDE * np.roll(codes, 1, axis=0) @ gradient
        estimates = modulations[:, None] * codes / (AMPLITUDE * 200)
        diagnostics.observe(modulations, np.zeros(1))
        diagnostics.window(estimates[::2].sum(axis=0), estimates[1::2].sum(axis=0))
    (line,) = diagnostics.warnings()
    assert "farther from the gradient" in line
    assert "tau_p" in line


@pytest.mark.long
def test_drift_is_per_measurement_with_its_error():
    rng, scores = np.random.default_rng(1), []
    for _ in range(200):
        diagnostics = Diagnostics(2)
        for k in range(100):  # each a baseline and nine modulations: ten measurements
            diagnostics.observe(np.zeros(9), np.array([0.2 + 1e-4 * 10 * k + 0.01 * rng.standard_normal()]))
        found = diagnostics.summary()
        assert found["measurements"] == 1000
        scores.append((found["drift"] - 1e-4) / found["drift_error"])
    assert abs(np.mean(scores)) < 0.3
    assert 0.8 < np.std(scores) < 1.2


def test_the_summary_is_plain_json(gradient):
    diagnostics, _ = _run(gradient, t=16, windows=100)
    found = diagnostics.summary()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert all(type(value) is float for value in found.values())


@pytest.mark.parametrize("wrong", [{"n_params": 0}, {"noise": -1.0}, {"noise": math.nan}, {"tau_p": 0}, {"memory": 0}])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="must be 1 or more"):
        Diagnostics(**({"n_params": 3} | wrong))
