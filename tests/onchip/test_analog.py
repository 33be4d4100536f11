"""The analog circuit: what ngspice learns in one transient is what the algorithm learns in ever shorter timesteps."""

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mgd
from mgd.onchip import AnalogSpec, generate_analog

EXAMPLES = Path(__file__).parents[2] / "examples"
needs_ngspice = pytest.mark.skipif(shutil.which("ngspice") is None, reason="needs ngspice: apt-get install ngspice")


def simulated(deck: Path, table: str) -> np.ndarray:
    """The table that a deck writes: time, cost, parameters."""
    command = ["ngspice", "-n", "-b", deck.name]
    done = subprocess.run(command, cwd=deck.parent, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    return np.loadtxt(deck.parent / table, skiprows=1)


def bowl(theta: jax.Array) -> jax.Array:
    return jnp.sum((theta - jnp.array([1.0, -0.7])) ** 2)


def descent(spec: AnalogSpec, every: int) -> np.ndarray:
    """θ on the bowl after each so many timesteps, by the algorithm."""
    algorithm = spec.algorithm
    _, run_key = jax.random.split(jax.random.fold_in(jax.random.key(spec.seed), 0))

    def timestep(state, _):
        probe, state = algorithm.ask(state, slot=0)
        return algorithm.tell(state, bowl(probe.theta + probe.perturbation), slot=0)[0], None

    def piece(state, _):
        state, _ = jax.lax.scan(timestep, state, length=every)
        return state, state.theta

    start = algorithm.init(jnp.zeros(spec.parameters), key=run_key)
    return np.asarray(jax.lax.scan(piece, start, length=spec.steps // every)[1])


def trained(spec: AnalogSpec, n_steps: int) -> mgd.Result:
    xor = dataclasses.replace(mgd.datasets.parity(bits=2), order="sequential")
    run = {"n_steps": n_steps, "key": jax.random.key(spec.seed), "engine": "measured", "progress": False}
    return mgd.train(spec.network, xor, spec.algorithm, **run)


@needs_ngspice
def test_two_parameters_descend_to_their_targets_as_the_algorithm_does(tmp_path):
    spec = dataclasses.replace(AnalogSpec.read(EXAMPLES / "analog-bowl.toml"), steps=4000)
    generate_analog(spec, tmp_path / "learner")
    deck = Path(shutil.copy(EXAMPLES / "analog-bowl.cir", tmp_path))
    theta = simulated(deck, "bowl.txt")[:, 2:]
    np.testing.assert_allclose(theta[-1], [1, -0.7], atol=0.01)
    assert np.abs(theta - descent(spec, every=10)).max() < 0.002


@needs_ngspice
@pytest.mark.parametrize(
    "n_steps", [pytest.param(4_000, marks=pytest.mark.long), pytest.param(40_000, marks=pytest.mark.slow)]
)
def test_a_network_takes_the_path_that_the_algorithm_takes(tmp_path, n_steps):
    spec = AnalogSpec(layers=(2, 2, 1), steps=n_steps, seed=2)
    generate_analog(spec, tmp_path)
    last = simulated(tmp_path / "learn.cir", "learn.txt")[-1, 2:]
    moved = np.abs(last - spec.start()[0]).max()
    assert moved > 0.3
    assert np.abs(last - trained(spec.finer(16), 16 * n_steps).theta[0]).max() < 0.02 * moved


@needs_ngspice
@pytest.mark.slow
def test_xor_is_learnt_in_one_transient(tmp_path):
    spec = AnalogSpec(layers=(2, 2, 1), replica=1)
    generate_analog(spec, tmp_path)
    rows = simulated(tmp_path / "learn.cir", "learn.txt")
    assert rows[:40, 1].mean() > 0.2
    assert rows[-40:, 1].mean() < 0.01
    xor = mgd.datasets.parity(bits=2).train
    theta, device = jnp.asarray(rows[-1, 2:], jnp.float32), spec.network.fabricate(key=jax.random.key(0))
    answers = spec.network.respond(theta, jnp.asarray(xor.x), device=device, key=jax.random.key(0))
    assert np.array_equal(np.asarray(answers) > 0.5, xor.y > 0.5)


@needs_ngspice
def test_a_multiplier_of_ones_own_is_in_one_file(tmp_path):
    """One that saturates, as a differential pair does: it learns too, and not the same."""
    spec = dataclasses.replace(AnalogSpec.read(EXAMPLES / "analog-bowl.toml"), multiplier_gain=2.0)
    paths = []
    for name in ("ideal", "own"):
        generate_analog(spec, tmp_path / name / "learner")
        if name == "own":
            file = tmp_path / name / "learner" / "mgd_multiplier.sub"
            text = file.read_text()
            assert "V={gain}*V(a)*V(b)" in text
            file.write_text(text.replace("V={gain}*V(a)*V(b)", "V={gain}*0.2*tanh(V(a)/0.2)*V(b)"))
        deck = Path(shutil.copy(EXAMPLES / "analog-bowl.cir", tmp_path / name))
        paths.append(simulated(deck, "bowl.txt")[:, 2:])
    for path in paths:
        np.testing.assert_allclose(path[-1], [1, -0.7], atol=0.02)
    assert np.abs(paths[0] - paths[1]).max() > 0.05


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "parameters must be at least 1, or layers given, got 0"),
        ({"parameters": 2, "blanc": 1.0}, "unknown setting 'blanc': did you mean 'blank'?"),
        ({"parameters": 2, "layers": [2, 2, 1]}, "layers (2, 2, 1) have 9 parameters, got parameters = 2"),
        ({"layers": [2]}, "a perceptron needs at least two layer sizes, each 1 or more, got (2,)"),
        ({"layers": [2, 1.5]}, "layers must be a list of whole numbers, got (2, 1.5)"),
        ({"parameters": 2, "steps": 0}, "steps must be at least 1, got 0"),
        ({"parameters": 2, "amplitude": "1"}, "amplitude must be a finite number above 0, got '1'"),
        ({"parameters": 2, "learning_rate": float("inf")}, "learning_rate must be a finite number above 0, got inf"),
        ({"parameters": True}, "parameters must be a whole number, got True"),
        ({"parameters": 2, "seed": -1}, "seed must be from 0 to 2**32 - 1, got -1"),
        (
            {"parameters": 2, "tau_x": 4, "blank": 3.0},
            "blank must be at most half of tau_x = 4, or little is seen of a",
        ),
        ({"parameters": 2, "tau_theta": 0}, "tau_theta must be a whole number of timesteps from 1 to 2**31, got 0"),
        ({"parameters": 2, "tau_hp": 5.0}, "Sinusoid: the lowest frequency, 0.01 cycles per timestep, is below the"),
    ],
)
def test_what_cannot_be_built_is_refused(table, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        AnalogSpec.of(table)


def test_sines_in_step_with_the_samples_are_warned_of_with_what_helps(tmp_path):
    in_step = AnalogSpec(layers=(2, 2, 1), highest_frequency=0.055, tau_x=50)
    message = "two sines differ by a harmonic of the cycle of 4 samples, .* gradients: use tau_x = 48"
    with pytest.warns(mgd.MgdWarning, match=message):
        generate_analog(in_step, tmp_path / "in-step")
    generate_analog(dataclasses.replace(in_step, tau_x=48), tmp_path / "apart")


@pytest.mark.slow
def test_what_is_in_step_does_not_learn():
    """Of 16 starts, by the algorithm."""
    in_step = AnalogSpec(layers=(2, 2, 1), highest_frequency=0.055, tau_x=50)
    xor = dataclasses.replace(mgd.datasets.parity(bits=2), order="sequential")
    run = {"n_steps": 300_000, "n_replicas": 16, "key": jax.random.key(0), "engine": "measured", "progress": False}
    solved = [
        int(mgd.train(spec.network, xor, spec.algorithm, **run).solved.sum())
        for spec in (in_step, dataclasses.replace(in_step, tau_x=48))
    ]
    assert solved[0] <= 4
    assert solved[1] >= 9


def test_samples_that_do_not_fit_are_refused_before_anything_is_written(tmp_path):
    two = AnalogSpec(layers=(2, 2))
    x, y = np.zeros((5, 2)), np.zeros((5, 2))
    with pytest.raises(ValueError, match="samples must be given for 2 outputs: the default, parity, has one"):
        generate_analog(two, tmp_path)
    with pytest.raises(
        ValueError, match=r"samples must be \[n, 2\] inputs and \[n, 2\] targets .* \(5, 2\) and \(5, 1\)"
    ):
        generate_analog(two, tmp_path, samples=(x, y[:, :1]))
    with pytest.raises(ValueError, match="samples must be finite"):
        generate_analog(two, tmp_path, samples=(x + np.nan, y))
    with pytest.raises(ValueError, match="samples are for a network: give layers, or leave samples out"):
        generate_analog(AnalogSpec(parameters=2), tmp_path, samples=(x, y))
    assert not list(tmp_path.iterdir())
    generate_analog(two, tmp_path, samples=(x, y))
    with pytest.raises(ValueError, match="is not empty: give a new folder"):
        generate_analog(two, tmp_path, samples=(x, y))
