"""What a run on a chip tells of itself, against simulated chips whose noise and gradient are known."""

import json
import math
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd import MgdWarning, perturbations
from mgd.algorithm import TwoSided
from mgd.chips.imperfections import CostNoise
from mgd.engines import Data, Instrumented, Options, Told
from mgd.instruments import Guarded, Simulated
from mgd.runs import figures_of, read_diagnostics
from mgd.runs._monitor import Monitor, all_warnings

SIGMA, AMPLITUDE, P = 0.002, 0.1, 9
TASK, IDEAL = mgd.datasets.parity(bits=2), mgd.chips.mlp((2, 2, 1))


def fresh_piece() -> Simulated:
    """The same piece each time: one that is used again draws its noise on from where it was."""
    return Simulated(mgd.chips.imperfect(IDEAL, CostNoise(SIGMA)), key=jax.random.key(3))


PIECE = fresh_piece()


@pytest.fixture(scope="module")
def gradient() -> np.ndarray:
    x, y = jnp.asarray(TASK.train.x, jnp.float32), jnp.asarray(TASK.train.y, jnp.float32)
    zero = jnp.zeros(P)
    return np.asarray(
        jax.grad(lambda t: IDEAL.measure(t, zero, x, y, key=jax.random.key(0))[0])(jnp.asarray(PIECE.start))
    )


def algorithm_of(family, *, rate: float = 1e-9, baseline=None, **times) -> mgd.Algorithm:
    """By default one that stays where it is, so that its gradient is known."""
    times = {"tau_p": 1, "tau_x": 1, "tau_theta": 1} | times
    more = {} if baseline is None else {"baseline": baseline}
    return mgd.discrete(
        perturbation=family, optimizer=optax.sgd(rate), time_constants=mgd.TimeConstants(**times), **more
    )


def watched(algorithm, steps: int, monitor: Monitor, *, batch: int = 4) -> None:
    engine = Instrumented(
        Guarded(fresh_piece()),
        algorithm,
        PIECE.start,  # pyright: ignore[reportArgumentType]
        cost=IDEAL.loss,
        batch=batch,
        options=Options(watch=monitor.watch),
    )
    engine.advance(Data.of(TASK.train), engine.init(1, key=jax.random.key(1)), steps)


def angle(v: float) -> float:
    return math.degrees(math.acos(1 / math.sqrt(1 + v)))


RANDOM, WALSH = perturbations.Rademacher(amplitude=AMPLITUDE), perturbations.Walsh(amplitude=AMPLITUDE)
SEQUENTIAL = perturbations.Sequential(amplitude=AMPLITUDE)
# Each with T, what other parameters add, σ_m²/σ², σ_n²/σ², and the share of the gradient's power that is in C̃.
CASES = {
    "random": (algorithm_of(RANDOM, tau_x=20, tau_theta=20), 20, P - 1, 2, 2, 1),
    "one a window": (algorithm_of(RANDOM), 1, P - 1, 2, 2, 1),
    "three a window": (algorithm_of(RANDOM, tau_x=3, tau_theta=3), 3, P - 1, 2, 2, 1),
    "held": (algorithm_of(RANDOM, tau_p=4, tau_x=40, tau_theta=40), 10, P - 1, 1.25, 2, 1),
    "two-sided": (algorithm_of(RANDOM, baseline=TwoSided(), tau_x=20, tau_theta=20), 20, P - 1, 0.5, 0.5, 1),
    "walsh": (algorithm_of(WALSH, tau_x=160, tau_theta=16), 16, 0, 1, 2, 1),
    "sequential": (algorithm_of(SEQUENTIAL, tau_x=90, tau_theta=9), 9, 0, 2, 2, 1 / P),
    "blocks": (
        algorithm_of(perturbations.Block(RANDOM, n_blocks=3), tau_x=30, tau_theta=30),
        30,
        P - 3,
        2,
        2,
        None,
    ),
}


@pytest.mark.filterwarnings("ignore:the signal is under the noise")  # with one parameter at a time, it is near it
@pytest.mark.parametrize("name", CASES)
@pytest.mark.enough("walsh")
@pytest.mark.long
def test_signal_and_angles_are_those_of_the_chip(name, gradient, tmp_path):
    algorithm, t, crosstalk, of_mean, of_one, share = CASES[name]
    monitor = Monitor(P, algorithm, SIGMA)
    monitor.begin(tmp_path, 0)
    steps = max(2000, 400 * algorithm.interval)
    watched(algorithm, steps, monitor)
    monitor.write(tmp_path, steps, {"recoveries": 0, "skipped": 0})
    (found,) = read_diagnostics(tmp_path)
    assert found["measurements"] == algorithm.counts(steps).cost_measurements
    assert found["windows"] == steps // algorithm.interval
    if share is None:  # of three blocks of three, each in turn
        share = 1 / 3
    # Second orders are a few hundredths of the power here.
    signal = share * AMPLITUDE**2 * float(gradient @ gradient)
    snr = signal / (of_one * SIGMA**2)
    assert abs(found["snr"] - snr) < 5 * found["snr_error"] + 0.1 * snr
    assert found["snr_error"] < 0.3 * snr + 0.05
    true = angle((crosstalk + P * of_mean * SIGMA**2 / signal) / t)
    assert abs(found["predicted_angle"] - true) < 4 * found["predicted_angle_error"] + 2
    assert abs(found["observed_angle"] - true) < 4 * found["observed_angle_error"] + 2
    assert found["observed_angle_error"] < 8
    if name != "two-sided":  # which has no baseline
        assert abs(found["drift"]) < 4 * found["drift_error"]
    assert "warnings" not in found or snr < 1.2


@pytest.mark.long
def test_halves_that_know_of_each_other_are_not_compared(tmp_path):
    """Half a period of a Walsh code, blocks that do not fill a window, and a low-pass: no angle, and why."""
    half = algorithm_of(WALSH, tau_x=8, tau_theta=8)
    uneven = algorithm_of(perturbations.Block(RANDOM, n_blocks=3), tau_x=8, tau_theta=8)
    for algorithm, why in ((half, "whole number of periods"), (uneven, "whole number"), (mgd.analog(), "low-pass")):
        monitor = Monitor(P, algorithm, 1e-6)
        watched(algorithm, 400, monitor)
        monitor.write(tmp_path, 400, {})
        found = read_diagnostics(tmp_path)[-1]
        assert "observed_angle" not in found
        assert why in found["no_observed_angle"]
        assert found["snr"] >= 0


@pytest.mark.slow
def test_behind_a_high_pass_the_noise_is_what_the_filter_leaves(tmp_path):
    """2a²/(1 + a) of σ², seen where there is nothing but noise."""
    times = mgd.TimeConstants(tau_p=1, tau_x=3, tau_theta=10, tau_hp=3.0)
    tiny = mgd.analog(
        perturbation=perturbations.Rademacher(amplitude=1e-6), optimizer=optax.sgd(1e-9), time_constants=times
    )
    monitor = Monitor(P, tiny, SIGMA)
    watched(tiny, 3000, monitor)
    found = monitor.figures()
    assert abs(found["modulation_rms"] / found["noise_of_modulation"] - 1) < 0.12
    assert found["snr"] < 0.1


@pytest.mark.long
def test_an_amplitude_far_below_the_noise_is_warned_of_once(tmp_path):
    algorithm = algorithm_of(perturbations.Rademacher(amplitude=1e-3), tau_x=10, tau_theta=10)
    monitor = Monitor(P, algorithm, SIGMA)
    watched(algorithm, 2000, monitor)
    with pytest.warns(MgdWarning, match=r"the signal is under the noise: .* SNR 0\S*: raise the amplitude") as told:
        monitor.write(tmp_path, 2000, {})
    assert len(told) == 1
    watched(algorithm, 2000, monitor)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monitor.write(tmp_path, 4000, {})
    first, second = read_diagnostics(tmp_path)
    assert first["warnings"] == all_warnings(tmp_path) == [str(told[0].message)]
    assert "warnings" not in second


@pytest.mark.long
def test_without_a_calibration_baselines_of_one_sample_tell_the_noise(tmp_path):
    """Of the same sample they differ by noise alone; of others they accuse nobody."""
    same = algorithm_of(perturbations.Rademacher(amplitude=1e-3), tau_x=100, tau_theta=10)
    monitor = Monitor(P, same)
    watched(same, 2000, monitor, batch=1)
    found = monitor.figures()
    assert found["noise_is_bound"] == 1
    assert abs(found["noise_of_modulation"] / (math.sqrt(2) * SIGMA) - 1) < 0.2
    with pytest.warns(MgdWarning, match="its noise is at most 0.00"):
        monitor.write(tmp_path, 2000, {})
    others = algorithm_of(RANDOM)
    monitor = Monitor(P, others)
    watched(others, 400, monitor, batch=1)
    assert monitor.figures()["snr"] < 1
    monitor.write(tmp_path, 2000, {})  # and no warning, which would be an error here


def test_late_costs_are_warned_of(tmp_path, gradient):
    """C̃ of the perturbation before: by itself a fair signal, and a wrong angle."""
    algorithm = algorithm_of(RANDOM, tau_x=100, tau_theta=100)
    monitor, rng = Monitor(P, algorithm, 1e-6), np.random.default_rng(0)
    for _ in range(300):
        codes = rng.choice([-1.0, 1.0], (100, P))
        late = AMPLITUDE * np.roll(codes, 1, axis=0) @ gradient
        parts = late[:, None] * codes / (AMPLITUDE * 100)
        told = Told(*(jnp.asarray(a, jnp.float32) for a in (late, parts[::2].sum(0), parts.sum(0))), jnp.bool(True))  # pyright: ignore[reportCallIssue]
        monitor.watch(told, 100, np.full(1, 0.25, np.float32))
    with pytest.warns(MgdWarning, match="farther from the gradient than noise"):
        monitor.write(tmp_path, 30_000, {})


def told_of(rng, *, still: bool = False, signal: float = 0.0) -> Told:
    """A window of ten timesteps, of noise and a signal; or of nothing at all."""
    ones = np.ones(P, np.float32)
    modulations, even, odd = rng.normal(size=10), *(signal * ones + rng.normal(size=P) for _ in range(2))
    numbers = (0 * each if still else each for each in (modulations, even, even + odd))
    return Told(*(each.astype(np.float32) for each in numbers), True)  # pyright: ignore[reportCallIssue]


def test_a_readout_that_stuck_meanwhile_is_warned_of_and_again_when_it_sticks_again(tmp_path):
    monitor, rng = Monitor(P, algorithm_of(RANDOM, tau_x=10, tau_theta=10)), np.random.default_rng(0)
    baseline = np.full(1, 0.25, np.float32)

    def windows(n: int, *, still: bool = False) -> None:
        for _ in range(n):
            monitor.watch(told_of(rng, still=still, signal=3.0), 10, baseline)

    windows(20)
    windows(12, still=True)
    windows(20)
    with pytest.warns(MgdWarning, match=r"did not change at all in 120 timesteps in a row .* and then it did again"):
        monitor.write(tmp_path, 1, {})
    windows(20)
    monitor.write(tmp_path, 2, {})  # and no warning, which would be an error here
    windows(7, still=True)
    with pytest.warns(MgdWarning, match=r"did not change at all in the last 70 timesteps"):
        monitor.write(tmp_path, 3, {})
    assert [line.get("kinds") for line in read_diagnostics(tmp_path)] == [["still"], None, ["still"]]


@pytest.mark.parametrize("resets", [True, False])
def test_windows_of_noise_alone_are_warned_of_and_stop_a_run_that_is_to_stop(tmp_path, resets):
    algorithm, n = algorithm_of(RANDOM, tau_x=10, tau_theta=10), 1
    if not resets:  # a window of a low-pass is four of its constants, here of two chunks
        times = mgd.TimeConstants(tau_p=1, tau_x=10, tau_theta=5, tau_hp=10.0)
        algorithm, n = mgd.analog(perturbation=RANDOM, time_constants=times), 2
    monitor, rng = Monitor(P, algorithm, stop_unlearnt=64), np.random.default_rng(0)
    default = Monitor(P, algorithm)
    for k in range(400 * n):
        baseline = rng.normal(size=1).astype(np.float32)
        monitor.watch(told_of(rng, signal=3.0 * (k < 20 * n)), 10, baseline)
        default.watch(told_of(rng), 10, baseline)
        if k == 60 * n:
            assert monitor.unlearnt == default.unlearnt == ""
    assert re.match(r"nothing was learnt in the last [1-9]\d+ windows, which have no more in common", monitor.unlearnt)
    assert default.unlearnt == ""
    with pytest.warns(MgdWarning, match="check the detector, or raise the amplitude or tau_theta"):
        default.write(tmp_path, 4000, {})
    assert read_diagnostics(tmp_path)[0]["kinds"] == ["unlearnt"]


def test_a_run_that_is_taken_up_in_the_middle_of_a_window_leaves_that_window_out(tmp_path):
    algorithm = algorithm_of(RANDOM, tau_x=10, tau_theta=10)
    (tmp_path / "diagnostics.jsonl").write_text('{"step": 3, "warnings": ["old"]}\n{"step": 4, "ti')
    monitor = Monitor(P, algorithm, SIGMA)
    monitor.begin(tmp_path, 5)
    none = jnp.zeros(P, jnp.float32)
    for n, step in ((5, 10), (10, 20), (10, 30)):
        monitor.watch(Told(jnp.ones(10), none + 1, none + step, jnp.bool(True)), n, np.zeros(1, np.float32))
    monitor.write(tmp_path, 30, {})
    monitor.write(tmp_path, 30, {})
    before, first, second = read_diagnostics(tmp_path)
    assert (before["step"], first["windows"], first["measurements"]) == (3, 2, 28)
    assert first["restarted"]
    assert "restarted" not in second
    assert all_warnings(tmp_path)[0] == "old"


def test_it_keeps_no_more_of_a_long_run_than_of_a_short_one():
    algorithm = algorithm_of(RANDOM)
    monitor = Monitor(P, algorithm, SIGMA)
    told = Told(jnp.ones(1), jnp.ones(P), jnp.ones(P), jnp.bool(True))
    sizes = []
    for _ in range(4):
        for _ in range(2000):
            monitor.watch(told, 1, np.zeros(1, np.float32))
        sizes.append((len(monitor._waiting) <= 512, len(monitor.diagnostics._tally.baselines)))
    assert sizes == [(True, 512)] * 4
    assert monitor.figures()["measurements"] == 16_000


def test_the_file_is_plain_json(tmp_path):
    monitor = Monitor(P, algorithm_of(RANDOM))
    monitor.write(tmp_path, 0, {"recoveries": 1, "skipped": 2})
    line = json.loads((tmp_path / "diagnostics.jsonl").read_text())
    assert (line["step"], line["recoveries"], line["skipped"], line["windows"]) == (0, 1, 2, 0)


@pytest.mark.parametrize(
    ("diagnostics", "shown"),
    [
        ({}, ""),
        ({"snr": 0.2, "noise_is_bound": 0.0}, "SNR 0.2"),
        ({"snr": 0.2, "noise_is_bound": 1.0, "predicted_angle": 90.0}, ""),
        ({"snr": 12.0, "noise_is_bound": 1.0, "predicted_angle": 80.0}, "SNR ≥ 12, predicted angle 80°"),
        ({"observed_angle": 61.0, "observed_angle_error": 2.0}, "observed angle 61°"),
        ({"observed_angle": 61.0, "observed_angle_error": 20.0}, ""),
        ({"observed_angle": 90.0, "observed_angle_error": 5.0}, ""),
    ],
)
def test_figures_are_shown_where_they_say_something(diagnostics, shown):
    assert figures_of(diagnostics) == shown
