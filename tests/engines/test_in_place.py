"""One very large chip: the same run as the measured engine's, in the memory of its parameters."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import mgd
from mgd._train import Session
from mgd.algorithm import TimeConstants, TwoSided, analog, discrete
from mgd.engines import Data, Measured
from mgd.engines.simulated import _in_place
from mgd.perturbations import Rademacher, Walsh

KEY = jax.random.key(4)
RNG = np.random.default_rng(0)
TASK = mgd.datasets.from_arrays(RNG.random((32, 40), np.float32), np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 32)])
SIGNS = Rademacher(0.02)
ALGORITHMS = {
    "every step": discrete(perturbation=SIGNS),
    "windows": discrete(perturbation=SIGNS, time_constants=TimeConstants(2, 3, 4)),
    "two-sided": discrete(perturbation=SIGNS, baseline=TwoSided(), modulation_limit=0.001),
    "momentum": discrete(perturbation=SIGNS, optimizer=optax.sgd(0.1, momentum=0.9)),
    "analog": analog(perturbation=SIGNS, time_constants=TimeConstants(1, 6, 5, 20.0)),
}


@pytest.fixture
def small_pieces(monkeypatch):
    """Chips of any size are large, and pieces small, so that layers have several and a rest."""
    monkeypatch.setattr("mgd.chips._network._HUGE", 1)
    monkeypatch.setattr("mgd.networks._pieces._PIECE", 130)
    monkeypatch.setattr("mgd.networks._pieces._DRAWN", 100)


@pytest.mark.parametrize(("name", "batch"), [*((name, 1) for name in ALGORITHMS), ("every step", 8)])
@pytest.mark.quick("every step-1")
def test_it_is_the_measured_run(name, batch, monkeypatch, small_pieces):
    algorithm, data, chip = (
        ALGORITHMS[name],
        Data.of(TASK.train),
        mgd.chips.mlp((40, 21, 3), cost="mse", init="uniform"),
    )
    assert _in_place.serves(chip, algorithm)
    engine = _in_place.InPlace(chip, algorithm, batch)
    found = engine.init(1, key=KEY)
    start = np.asarray(found.state.theta)
    for n in (1, 0, 11, 18):
        found = engine.advance(data, found, n)
    accuracy, cost = engine.evaluate(found, data)
    monkeypatch.setattr("mgd.chips._network._HUGE", 10**9)
    whole = Measured(mgd.chips.mlp((40, 21, 3), cost="mse", init="uniform"), algorithm, batch)
    expected = whole.init(1, key=KEY)
    assert np.array_equal(start, expected.state.theta)
    expected = whole.advance(data, expected, 30)
    assert np.abs(expected.state.theta - start).max() > 1e-3
    np.testing.assert_allclose(found.state.theta, expected.state.theta, rtol=0, atol=3e-5)
    assert int(found.state.clock.step) == 30
    kept = engine.keeps_gradient
    assert kept == (name in ("windows", "analog"))
    assert found.state.gradient.shape == ((1, 927) if kept else (1, 0))
    np.testing.assert_allclose(cost, whole.evaluate(expected, data)[1], rtol=1e-4)
    assert accuracy.shape == (1,)


@pytest.mark.parametrize("init", ["uniform", "glorot"])
@pytest.mark.enough("glorot")
@pytest.mark.long
def test_fresh_parameters_are_drawn_in_pieces(init, monkeypatch, small_pieces):
    pieces = mgd.chips.mlp((40, 21, 3), cost="mse", init=init).init(key=KEY)
    with jax.threefry_partitionable(False):
        other = mgd.chips.mlp((40, 21, 3), cost="mse", init=init).init(key=KEY)
    monkeypatch.setattr("mgd.chips._network._HUGE", 10**9)
    whole = mgd.chips.mlp((40, 21, 3), cost="mse", init=init).init(key=KEY)
    # From −1 to 1 the arithmetic is exact; otherwise XLA may contract a product and a sum in one of the programs.
    np.testing.assert_allclose(pieces, whole, rtol=0, atol=0 if init == "uniform" else 1e-7)
    with jax.threefry_partitionable(False):
        assert np.array_equal(other, mgd.chips.mlp((40, 21, 3), cost="mse", init=init).init(key=KEY))


@pytest.mark.long
def test_a_session_takes_it_for_one_large_chip_and_for_no_other(small_pieces):
    chip = mgd.chips.mlp((40, 21, 3), cost="mse", init="uniform")

    def engine(algorithm=ALGORITHMS["every step"], **more):
        return type(Session(chip, TASK, algorithm, n_steps=5, key=KEY, **more)._engine)

    assert engine() is _in_place.InPlace
    assert engine(n_replicas=2) is engine(discrete(perturbation=Walsh(0.02))) is Measured
    result = mgd.train(chip, TASK, ALGORITHMS["every step"], n_steps=20, key=KEY)
    assert result.theta.shape == (1, 927)
    with pytest.raises(ValueError, match=r"^chips in place are trained one at a time, got n_replicas = 2$"):
        _in_place.InPlace(chip, ALGORITHMS["every step"]).init(2, key=KEY)


@pytest.mark.long
def test_amplitudes_that_float32_cannot_see_are_warned_of(small_pieces):
    algorithm = discrete(perturbation=Rademacher(1e-9))
    with pytest.warns(mgd.MgdWarning, match=r"^an amplitude of 1e-09 changes the cost"):
        mgd.train(mgd.chips.mlp((40, 21, 3), cost="mse", init="uniform"), TASK, algorithm, n_steps=5, key=KEY)


@pytest.mark.parametrize(("settings", "most"), [({}, 1.3), ({"optimizer": "momentum"}, 2.3)])
@pytest.mark.slow
def test_peak_memory_grows_as_the_parameters_do(settings, most):
    """Each parameter more takes its four bytes, and those of its momentum, and little else."""
    peaks = []
    for hidden in (2000, 5000):
        command = [
            sys.executable,
            str(Path(__file__).parents[2] / "benchmarks/large.py"),
            json.dumps({"hidden": hidden, "steps": 2, **settings}),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        peaks.append(json.loads(done.stdout))
    fewer, more = peaks
    assert more["n_params"] - fewer["n_params"] > 2e7
    assert (more["bytes"] - fewer["bytes"]) / (more["n_params"] - fewer["n_params"]) < 4 * most
