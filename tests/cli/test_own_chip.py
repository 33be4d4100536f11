"""Chips that your own functions build, named in a chip file: every kind, every engine, and what is wrong with them."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mgd
from mgd.chips.imperfections import Imperfect

EXAMPLES = Path(__file__).parents[2] / "examples"
KINDS = """
import equinox as eqx, jax, jax.numpy as jnp
import mgd

class Net(eqx.Module):
    inward: jax.Array
    outward: jax.Array

    def __init__(self, n_inputs, n_neurons, n_outputs, key):
        a, b = jax.random.split(key)
        self.inward = jax.random.normal(a, (n_neurons, n_inputs + 1))
        self.outward = jax.random.normal(b, (n_outputs, n_neurons + 1))

    def __call__(self, x):
        hidden = jnp.tanh(self.inward @ jnp.append(x, 1.0))
        return jax.nn.sigmoid(self.outward @ jnp.append(hidden, 1.0))

class Rounded(Net):
    def __call__(self, x):
        step = lambda w: w + jax.lax.stop_gradient(jnp.round(w) - w)
        return jax.nn.sigmoid(step(self.outward) @ jnp.append(jnp.tanh(step(self.inward) @ jnp.append(x, 1.0)), 1.0))

class Coherent(eqx.Module):
    weights: jax.Array
    rescale: jax.Array
    mean: jax.Array

    def __init__(self, key):
        self.weights = jax.random.normal(key, (1, 2), jnp.complex64)
        self.rescale = jnp.ones(1, jnp.bfloat16)
        self.mean = jnp.array([0.25, 0.75])

    def __call__(self, x):
        light = self.weights @ (x - jax.lax.stop_gradient(self.mean)).astype(jnp.complex64)
        return self.rescale.astype(jnp.float32) * jnp.abs(light) ** 2

def net(inputs, outputs, key, neurons=3):
    return Net(inputs[0], neurons, outputs, key)

def rounded(inputs, outputs, key):
    return Rounded(inputs[0], 3, outputs, key)

def coherent(key):
    return Coherent(key)

def fixed(inputs, outputs):
    return Net(inputs[0], 3, outputs, jax.random.key(7))

def perceptron(task):
    return mgd.chips.mlp((*task.input_shape, 3, task.n_outputs), cost="mse")

def bowl(middle=3.0):
    return (lambda theta, x, y: jnp.sum((theta - middle) ** 2)), (lambda key: jnp.zeros(5))

def torch_net(inputs, outputs):
    import torch
    torch.manual_seed(0)
    layers = torch.nn.Linear(inputs[0], 3), torch.nn.Tanh(), torch.nn.Linear(3, outputs), torch.nn.Sigmoid()
    return torch.nn.Sequential(*layers)

def broken():
    raise OSError("the lab's disk is gone\\nand more of it")

def a_number():
    return 3

def one_too_many(inputs, outputs, key):
    return Net(inputs[0], 3, outputs + 1, key)

def of_images(key):
    return Net(64, 3, 1, key)

def two_costs():
    return (lambda theta, x, y: theta), (lambda key: jnp.zeros(2))

not_a_function = 3
"""
FEW = ("--steps=40", "--learning-rate=0.1", "--tau-theta=4", "--tau-x=4")


@pytest.fixture(scope="module")
def code(tmp_path_factory) -> Path:
    """A folder with a module of chips; in one process a module has one place."""
    folder = tmp_path_factory.mktemp("code")
    (folder / "own_chip_kinds.py").write_text(KINDS)
    return folder


@pytest.fixture(autouse=True)
def _own_state(monkeypatch, tmp_path):
    """No code was said to be run before."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def chip_file(code):
    """Writes a chip file beside the code."""

    def write(function: str, *more: str) -> Path:
        path = code / f"{function}.toml"
        path.write_text("\n".join(["[chip]", f'build = "own_chip_kinds:{function}"', *more, ""]))
        return path

    return write


@pytest.mark.parametrize(("function", "n_params"), [("net", 13), ("fixed", 13), ("perceptron", 13), ("coherent", 5)])
@pytest.mark.enough("net-13")
@pytest.mark.long
def test_every_kind_of_chip_is_trained_and_predicts(mgd_cli, chip_file, function, n_params):
    said = mgd_cli("train", "parity", "--chip", chip_file(function), *FEW, "--replicas=2", "--out=run")
    assert (said.code, said.err) == (0, "")
    run = mgd.load_run("run")
    assert run.theta.shape == (2, n_params)
    answers = run.predict([[0, 0], [0, 1], [1, 0], [1, 1]], replica=1)[:, 0] > 0.5
    assert run.scores is not None
    assert np.isclose(run.scores[1], np.mean(answers == [0, 1, 1, 0]))
    shown = json.loads(mgd_cli("show", "run", "--json").out)[0]["settings"]["chip"]
    assert (shown["build"], shown["facts"]["n_params"]) == (f"own_chip_kinds:{function}", n_params)


@pytest.mark.long
def test_a_run_is_taken_up_to_the_bit(mgd_cli, chip_file):
    assert mgd_cli("train", "parity", "--chip", chip_file("net"), *FEW, "--out=run").code == 0
    before = mgd.load_run("run").theta
    said = mgd_cli("resume", "run", "--before", "40")
    assert (said.code, said.err) == (0, "")
    assert np.array_equal(mgd.load_run("run").theta, before)
    assert mgd_cli("resume", "run", "--steps", "60").code == 0
    assert not np.array_equal(mgd.load_run("run").theta, before)


ENGINES = {
    "measured": ("--engine=measured",),
    "sampled": ("--engine=sampled",),
    "backprop": ("--algorithm=backprop",),
    "imperfect": ("--imperfect", "cost-noise=0.001,dac-bits=8,dac-range=5.0"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("function", ["net", "coherent"])
@pytest.mark.long
def test_every_engine_trains_it(mgd_cli, chip_file, engine, function):
    few = FEW[:2] if engine == "backprop" else FEW
    said = mgd_cli("train", "parity", "--chip", chip_file(function), *few, *ENGINES[engine], "--out=run")
    if (engine, function) == ("sampled", "coherent"):  # bfloat16 has steps, and is not taken for what has none
        assert said.code == 2
        assert "not the slope of this chip's cost in module.rescale" in said.err
        return
    assert said.code == 0, said.err
    run = mgd.load_run("run")
    chip = run.model()
    assert run.theta.shape == (1, chip.n_params)
    assert not np.allclose(run.theta[0], chip.init(key=jax.random.key(0)))
    if function == "coherent":
        perfect: Any = chip
        while isinstance(perfect, Imperfect):
            perfect = perfect.chip
        trained = perfect.network(jnp.asarray(run.theta[0])).module
        assert (trained.weights.dtype, trained.rescale.dtype) == (jnp.complex64, jnp.bfloat16)
        assert np.array_equal(trained.mean, [0.25, 0.75])
        assert np.any(trained.weights.imag != 0)


def test_the_fused_engine_refuses_it_by_name(mgd_cli, chip_file):
    said = mgd_cli("train", "parity", "--chip", chip_file("net"), *FEW, "--engine=fused")
    assert (said.code, said.out) == (2, "")
    assert "does not cover a Net network" in said.err


@pytest.mark.long
def test_a_gradient_that_is_not_the_slope_is_refused_through_the_file_too(mgd_cli, chip_file):
    said = mgd_cli("train", "parity", "--chip", chip_file("rounded"), *FEW, "--engine=sampled")
    assert (said.code, said.out) == (2, "")
    assert "jax.grad is not the slope of this chip's cost in " in said.err
    declared = chip_file("rounded", "[chip.traits]", 'coarse = ["rounded weights"]')
    assert "a chip with rounded weights" in mgd_cli("train", "parity", "--chip", declared, *FEW, "--engine=sampled").err


@pytest.mark.long
def test_names_of_arrays_say_what_is_trained(mgd_cli, chip_file):
    some = chip_file("net", 'trainable = ["out*"]')
    assert mgd_cli("train", "parity", "--chip", some, *FEW, "--out=run").code == 0
    run = mgd.load_run("run")
    assert dict(run.groups) == {"module.outward": slice(0, 4)}


@pytest.mark.long
def test_a_chip_that_only_tells_its_cost_predicts_nothing(mgd_cli, chip_file):
    more = ("[chip.arguments]", "middle = 1.0")
    said = mgd_cli("train", "parity", "--chip", chip_file("bowl", *more), "--steps=400", "--out=run")
    assert said.code == 0
    assert np.allclose(mgd.load_run("run").theta, 1.0, atol=0.1)
    assert mgd_cli("resume", "run", "--steps=500").code == 0
    said = mgd_cli("predict", "run")
    assert (said.code, said.out) == (2, "")
    assert "the chip of run gives only a cost and no outputs" in said.err


@pytest.mark.long
def test_code_that_a_run_names_must_be_said_to_run(mgd_cli, chip_file, monkeypatch, tmp_path):
    assert mgd_cli("train", "parity", "--chip", chip_file("net"), *FEW, "--out=run").code == 0
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of another"))
    for command in (("predict", "run"), ("resume", "run", "--steps=50")):
        said = mgd_cli(*command)
        assert (said.code, said.out) == (2, "")
        assert "names code that was not run here before: 'own_chip_kinds:net'" in said.err
    shown = mgd_cli("show", "run")
    assert shown.code == 0
    assert not re.search(r"^ +(activation|init|hidden) ", shown.out, re.MULTILINE)
    assert mgd_cli("resume", "run", "--run-code", "--steps=50").code == 0
    assert mgd_cli("predict", "run").code == 0


@pytest.mark.long
def test_code_that_changed_is_told_and_another_chip_is_refused(mgd_cli, monkeypatch):
    source = Path("own_chip_changing.py")
    source.write_text(KINDS)
    Path("chip.toml").write_text('[chip]\nbuild = "own_chip_changing:net"\n')
    assert mgd_cli("train", "parity", "--chip", "chip.toml", *FEW, "--out=run").code == 0

    def changed(text: str, steps: int):
        source.write_text(text)
        monkeypatch.delitem(sys.modules, "own_chip_changing")
        return mgd_cli("resume", "run", "--steps", steps)

    said = changed(KINDS + "# of no matter\n", 60)
    assert said.code == 0
    assert "its chip gives the same costs, and the run continues" in said.err
    assert "what it answers may be another chip's" in mgd_cli("predict", "run").err
    said = changed(KINDS.replace("jnp.tanh(", "0.5 * jnp.tanh("), 80)
    assert (said.code, said.out) == (2, "")
    assert "own_chip_changing.py has changed, and run was begun on another chip: at its start" in said.err


BAD = {
    "no module": (('build = "no_such_lab:chip"',), "build = 'no_such_lab:chip': there is no module 'no_such_lab'"),
    "no function": (('build = "own_chip_kinds:nett"',), "has no function 'nett': did you mean 'net'?"),
    "not callable": (('build = "own_chip_kinds:not_a_function"',), "has no function 'not_a_function'"),
    "no colon": (('build = "own_chip_kinds"',), 'must name a module and a function in it, as "my_lab:chip"'),
    "raises": (('build = "own_chip_kinds:broken"',), "'own_chip_kinds:broken' raised OSError: the lab's disk is gone"),
    "something else": (('build = "own_chip_kinds:a_number"',), "must return an mgd.chips.AbstractChip", "got a int"),
    "outputs": (
        ('build = "own_chip_kinds:one_too_many"',),
        "outputs have shape (2,), and the task has targets of shape (1,)",
    ),
    "inputs": (('build = "own_chip_kinds:of_images"',), "for one input of shape (2,) its module raised"),
    "cost": (('build = "own_chip_kinds:two_costs"',), "its cost has shape (2,)", "its chip raised"),
    "argument": (('build = "own_chip_kinds:net"', "arguments = {neuron = 3}"), "did you mean 'neurons'?"),
    "trainable": (('build = "own_chip_kinds:net"', 'trainable = ["inwards"]'), "did you mean 'inward'?"),
    "trainable of a pair": (('build = "own_chip_kinds:bowl"', 'trainable = ["x"]'), "trainable is for an Equinox"),
    "cost of a pair": (('build = "own_chip_kinds:bowl"', 'cost = "mse"'), "a cost of its own: leave cost out"),
    "traits": (('build = "own_chip_kinds:net"', "traits = {cost_nois = 1}"), "chip.traits.cost_nois"),
    "two networks": (('build = "own_chip_kinds:net"', "hidden = [3]"), "hidden is of our own networks"),
    "no build": (("arguments = {neurons = 3}",), "chip.arguments is for a chip that a function builds: give build"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.quick("raises", "outputs", "no module")
def test_what_is_wrong_is_one_line(mgd_cli, code, name):
    lines, *words = BAD[name]
    (code / "bad.toml").write_text("\n".join(["[chip]", *lines, ""]))
    said = mgd_cli("train", "parity", "--chip", code / "bad.toml", *FEW)
    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    assert any(word in said.err for word in words), said.err


def test_options_of_our_networks_do_not_go_with_it(mgd_cli, chip_file):
    said = mgd_cli("train", "parity", "--chip", chip_file("net"), "--hidden=3")
    assert (said.code, said.out) == (2, "")
    assert "makes a whole chip, and hidden is of our own networks" in said.err


@pytest.mark.long
def test_a_settings_file_names_task_and_chip(mgd_cli, code):
    (code / "both.toml").write_text('task = "parity"\nsteps = 20\n\n[chip]\nbuild = "own_chip_kinds:net"\n')
    assert mgd_cli("train", code / "both.toml", "--out=run").code == 0
    assert mgd.load_run("run").theta.shape == (1, 13)
    assert mgd_cli("train", "run/config.toml", "--out=again").code == 0
    assert np.array_equal(mgd.load_run("again").theta, mgd.load_run("run").theta)


@pytest.mark.slow
def test_it_is_calibrated_in_simulation_and_is_no_real_chip(mgd_cli, chip_file):
    chip = chip_file("net")
    said = mgd_cli("calibrate", chip, "--simulate", "--task=parity", "--out=found.toml")
    assert said.code == 0, said.err
    said = mgd_cli("chip", "check", chip_file("fixed", "inputs = [2]", "outputs = 1"))
    assert (said.code, said.out) == (2, "")
    assert "returns a simulated chip: this needs a real one" in said.err


@pytest.mark.long
def test_a_torch_module_is_an_instrument(mgd_cli, chip_file):
    pytest.importorskip("torch")
    chip = chip_file("torch_net", "inputs = [2]", "outputs = 1")
    said = mgd_cli("train", "parity", "--chip", chip, "--steps=200", "--out=run")
    assert said.code == 0, said.err
    assert mgd.load_run("run").settings.instruments[0]["kind"] == "torch"
    assert mgd_cli("resume", "run", "--steps=250").code == 0
    assert "which has no model" in mgd_cli("predict", "run").err
    assert "13 parameters" in mgd_cli("chip", "check", chip).out
    two = chip_file("torch_net", "[instrument]", 'kind = "torch"', 'module = "own_chip_kinds:torch_net"')
    assert "[instrument] names another" in mgd_cli("train", "parity", "--chip", two).err
    chip = chip_file("torch_net")
    assert "engine is for simulated chips" in mgd_cli("train", "parity", "--chip", chip, "--engine=sampled").err


@pytest.mark.parametrize(
    ("name", "task", "accuracy"),
    [("mesh", "mesh:task", 0.9), ("spiking", "parity", 1.0), ("fibre", "fibre:task", None)],
)
@pytest.mark.quick("fibre-fibre:task-None")
@pytest.mark.enough("fibre-fibre:task-None")
def test_the_examples_are_learnt(mgd_cli, monkeypatch, name, task, accuracy):
    monkeypatch.syspath_prepend(EXAMPLES)
    chip, more = EXAMPLES / f"{name}.toml", ("--amplitude=0.2",) if name == "spiking" else ()
    assert mgd_cli("train", task, "--chip", chip, "--steps=20000", *more, "--out=run").code == 0
    assert mgd_cli("resume", "run", "--steps=20500").code == 0
    said, run = mgd_cli("predict", "run"), mgd.load_run("run")
    if accuracy is None:
        assert run.history["cost"].values[0, -1] < 1e-3
        assert (said.code, "gives only a cost" in said.err) == (2, True)
    else:
        assert run.scores is not None
        assert run.scores[0] >= accuracy
        assert said.out.startswith(f"run: chip 0 of 1\naccuracy {run.scores[0]:.1%} on ")
