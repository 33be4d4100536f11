"""Sick runs, each with its right diagnosis first, and healthy ones with none."""

import csv
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd.chips.imperfections import CostNoise, ParameterRange, imperfect
from mgd.instruments import Simulated, opened
from mgd.results import diagnose, load_run
from mgd.runs import RunConfig, read_summary, start, task_given

XOR = mgd.datasets.parity(bits=2)
_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(240, 4))
KIND = np.argmax(X[:, :3] + 0.1 * _RNG.normal(size=(240, 3)), 1)


def table(folder: Path, x: np.ndarray, y: list, **more) -> dict:
    """A task of a file of these rows."""
    path = folder / "data.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"x{k}" for k in range(x.shape[1])), "y"])
        writer.writerows([*row, value] for row, value in zip(x.round(4), y, strict=True))
    return {**task_given(str(path)), **more}  # pyright: ignore[reportGeneralTypeIssues]


DATA = {
    "classes": lambda folder: table(folder, X, ["abc"[k] for k in KIND]),
    "values": lambda folder: table(folder, X, list((0.5 * X[:, 0] - 0.3 * X[:, 1]).round(4))),
    "far away": lambda folder: table(folder, X + 3000, ["abc"[k] for k in KIND], scaling="none"),
}


def run_of(folder: Path, settings: dict) -> Path:
    """A finished run of these settings."""
    settings = dict(settings)
    if settings["task"] in DATA:
        settings["task"] = DATA[settings["task"]](folder)
    return start(RunConfig.of(settings), folder / "run")


NOISY, LATE = {"cost-noise": 1.0}, {"delay": 4}
# By the cause that is to come first: settings of several tasks and sizes.
SICK = {
    "noise": [
        {"task": "parity", "imperfect": NOISY, "steps": 3000},
        {"task": "classes", "imperfect": NOISY, "steps": 3000},
        {"task": "nist7x7", "imperfect": {"cost-noise": 0.3}, "steps": 5000, "replicas": 2},
        {"task": "digits", "imperfect": {"cost-noise-relative": 0.3}, "steps": 2000},
        {"task": "nist7x7", "imperfect": {"flicker-noise": 0.5}, "steps": 3000},
    ],
    "levels": [
        {"task": "parity", "imperfect": {"dac-bits": 6}, "steps": 3000},
        {"task": "nist7x7", "imperfect": {"dac-bits": 8}, "steps": 3000},
        {"task": "digits", "imperfect": {"dac-bits": 8}, "steps": 2000},
        {"task": "classes", "imperfect": {"dac-bits": 5, "cost-noise": 1e-3}, "steps": 3000},
    ],
    "readout": [
        {"task": "parity", "imperfect": {"adc-bits": 4}, "steps": 3000},
        {"task": "parity", "imperfect": {"adc-bits": 12, "adc-range": 0.05}, "steps": 3000},
        {"task": "nist7x7", "imperfect": {"adc-bits": 5}, "steps": 3000},
        {"task": "digits", "imperfect": {"adc-bits": 16, "adc-range": 0.2}, "steps": 2000},
    ],
    "rate-high": [
        {"task": "nist7x7", "optimizer": "sgd", "learning_rate": 50.0, "steps": 5000},
        {"task": "parity", "optimizer": "sgd", "learning_rate": 500.0, "steps": 3000},
        {"task": "digits", "learning_rate": 10.0, "steps": 2000},
        {"task": "values", "learning_rate": 3.0, "steps": 2000},
    ],
    "rate-low": [
        {"task": "parity", "learning_rate": 1e-6, "steps": 3000},
        {"task": "nist7x7", "learning_rate": 1e-7, "steps": 5000},
        {"task": "values", "learning_rate": 1e-8, "steps": 3000},
        {"task": "digits", "learning_rate": 1e-8, "steps": 2000},
    ],
    "delay": [
        {"task": "parity", "imperfect": LATE, "steps": 3000},
        {"task": "nist7x7", "imperfect": {"delay": 2}, "steps": 3000},
        {"task": "classes", "imperfect": {"delay": 1}, "baseline": "two-sided", "steps": 2000},
        {"task": "digits", "imperfect": {"settling": 20.0}, "steps": 2000},
        {"task": "parity", "imperfect": {"delay": 1}, "tau_p": 3, "tau_x": 12, "tau_theta": 12, "steps": 3000},
    ],
    "saturated": [
        {"task": "far away", "hidden": (6,), "activation": "tanh", "steps": 2000},
        {"task": "far away", "hidden": (4, 4), "activation": "logistic", "steps": 2000},
    ],
    "limit": [
        {"task": "parity", "imperfect": {"parameter-range": 0.02}, "steps": 3000},
        {"task": "nist7x7", "imperfect": {"parameter-range": 0.01}, "steps": 3000},
        {"task": "classes", "imperfect": {"dac-bits": 12, "dac-range": 0.02}, "steps": 2000},
    ],
    "writes": [
        {"task": "nist7x7", "imperfect": {"dac-bits": 9, "dac-own-line": True}, "steps": 3000, "learning_rate": 1e-4},
        {"task": "parity", "imperfect": {"dac-bits": 6, "dac-own-line": True}, "steps": 3000, "learning_rate": 0.01},
    ],
}


# What is wrong with these is warned of when they begin.
BEGIN = pytest.mark.filterwarnings("ignore:inputs saturate", "ignore:the chip remembers")


@BEGIN
@pytest.mark.parametrize(
    ("cause", "number"),
    [
        pytest.param(cause, k, marks=pytest.mark.slow if k else ())
        for cause, kinds in SICK.items()
        for k in range(len(kinds))
    ],
)
@pytest.mark.long
def test_the_right_cause_comes_first(cause, number, tmp_path):
    found = diagnose(run_of(tmp_path, SICK[cause][number]))
    assert found, "nothing was found"
    assert found[0].name == cause, [str(one) for one in found]
    assert re.search(r"\d", found[0].problem)
    assert re.search(r"\d", found[0].remedy)
    json.dumps([one.as_dict() for one in found])


HEALTHY = {
    "xor": {"task": "parity", "replicas": 4},
    "xor, just begun": {"task": "parity", "steps": 150},
    "nist7x7": {"task": "nist7x7"},
    "nist7x7, just begun": {"task": "nist7x7", "steps": 300},
    "values": {"task": "values"},
    "values, just begun": {"task": "values", "steps": 100},
    "classes": {"task": "classes"},
    "classes, just begun": {"task": "classes", "steps": 100},
    "digits": {"task": "digits", "steps": 20_000},
    "digits, just begun": {"task": "digits", "steps": 200},
    "digits with noise that is averaged": {
        "task": "digits",
        "imperfect": {"cost-noise": 0.003},
        "steps": 60_000,
        "tau_theta": 256,
        "tau_x": 16,
    },
    "imperfect": {
        "task": "nist7x7",
        "steps": 60_000,
        "imperfect": {"activation-variation": 0.2, "cost-noise": 5e-4, "dac-bits": 12, "adc-bits": 14},
    },
    "imperfect, just begun": {
        "task": "nist7x7",
        "steps": 300,
        "amplitude": 0.02,
        "imperfect": {"activation-variation": 0.2, "dac-bits": 12, "dac-finer-copy": True, "cost-noise": 1e-5},
    },
    "a parameter range, just begun": {"task": "parity", "imperfect": {"parameter-range": 2.0}, "steps": 200},
    "soft bounds, just begun": {"task": "parity", "imperfect": {"dw-min": 1e-3}, "steps": 200},
    "stuck cells, just begun": {"task": "nist7x7", "imperfect": {"stuck": 0.3, "dead": 0.2}, "steps": 300},
    "late, and held, just begun": {
        "task": "parity",
        "imperfect": {"delay": 1},
        "batch": 4,
        "steps": 128,
        "learning_rate": 0.01,
        "tau_p": 3,
        "tau_x": 96,
        "tau_theta": 96,
    },
    "analog, just begun": {"task": "parity", "algorithm": "analog", "steps": 500},
    "walsh, just begun": {"task": "nist7x7", "perturbation": "walsh", "steps": 512},
    "two-sided, just begun": {"task": "parity", "baseline": "two-sided", "steps": 150},
    "backprop, just begun": {"task": "nist7x7", "algorithm": "backprop", "steps": 3},
    "yin-yang, just begun": {"task": "yin-yang", "steps": 200},
    "rectifiers, just begun": {"task": "classes", "hidden": (8,), "activation": "relu", "steps": 100},
}


# Those that take long to train.
LEARNT = ("nist7x7", "digits", "digits with noise that is averaged", "imperfect", "values", "classes")


@BEGIN
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LEARNT else ()) for name in HEALTHY]
)
@pytest.mark.enough("nist7x7, just begun", "xor")
@pytest.mark.long
def test_nothing_is_wrong_with_a_healthy_run(name, tmp_path):
    folder = run_of(tmp_path, HEALTHY[name])
    assert [str(one) for one in diagnose(load_run(folder))] == []
    assert read_summary(folder)["diagnosis"] is None  # pyright: ignore[reportOptionalSubscript]


def trained(folder: Path, chip, task=XOR, *, n_steps: int = 500, **more):
    mgd.train(chip, task, n_steps=n_steps, key=jax.random.key(0), out=folder / "run", progress=False, **more)
    return folder / "run"


CLASSES = mgd.datasets.from_arrays(X.astype(np.float32), KIND, name="mine")
SIGNS = mgd.datasets.from_arrays(X.astype(np.float32), np.sign(X[:, :1]).astype(np.float32), name="signs")


class Softmax(mgd.chips.AbstractCost):
    """Of one output: the logarithm of 1."""

    def __call__(self, outputs, target):
        return -jnp.sum(target * jax.nn.log_softmax(outputs), axis=-1)


def steps(theta, x, y):
    """A chip with levels of its own."""
    return jnp.mean((jax.nn.sigmoid(x @ jnp.round(theta * 4)[:2, None]) - y) ** 2)


def unplugged(theta, x, y):
    return 0.25 + 0.0 * jnp.sum(theta)


OWN = {
    "softmax of one output": (mgd.chips.mlp((2, 3, 1), output="linear", cost=Softmax()), XOR, "constant"),
    "unplugged": (mgd.chips.from_function(unplugged, init=lambda key: jnp.ones(5)), XOR, "constant"),
    "levels of its own": (
        mgd.chips.from_function(steps, init=lambda key: jnp.array([0.05, 0.03, -0.06])),
        *(XOR, "levels"),
    ),
    "signs of a logistic function": (mgd.chips.mlp((4, 3, 1)), SIGNS, "targets"),
    "a range that is too narrow": (imperfect(mgd.chips.mlp((2, 2, 1)), ParameterRange(-0.01, 0.01)), XOR, "limit"),
    "noise": (imperfect(mgd.chips.mlp((4, 6, 3)), CostNoise(relative=2.0)), CLASSES, "noise"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", OWN)
@pytest.mark.quick("unplugged")
@pytest.mark.enough("signs of a logistic function")
def test_chips_of_python_are_diagnosed_too(name, tmp_path):
    chip, task, cause = OWN[name]
    folder = trained(tmp_path, chip, task)
    assert diagnose(folder, chip=chip, task=task)[0].name == cause


@pytest.mark.long
def test_without_its_chip_a_run_of_python_is_refused_in_one_line(tmp_path):
    chip = mgd.chips.mlp((2, 2, 1))
    folder = trained(tmp_path, chip, n_steps=20)
    with pytest.raises(ValueError, match=r"the chip of .* was made in Python.*chip=…$"):
        diagnose(folder)
    with pytest.raises(ValueError, match=r"the task of .* was made in Python.*task=…$"):
        diagnose(folder, chip=chip)
    assert diagnose(folder, chip=chip, task=XOR) == []


@pytest.mark.long
def test_chips_that_differ_are_refused_in_one_line(tmp_path):
    chip = mgd.chips.mlp((2, 2, 1))
    more = {"n_replicas": 2, "vary": {"learning_rate": [0.1, 0.2]}}
    folder = trained(tmp_path, chip, n_steps=20, algorithm=mgd.discrete(optimizer=optax.sgd(0.1)), **more)
    with pytest.raises(ValueError, match=r"^the chips of this run differ in learning_rate: .*$"):
        diagnose(folder, chip=chip, task=XOR)


@pytest.mark.long
def test_a_run_warns_of_the_first_cause_at_its_end_and_keeps_it(tmp_path):
    with pytest.warns(mgd.MgdWarning, match=r"100% of the targets are out of reach|% of the targets are out of reach"):
        trained(tmp_path, mgd.chips.mlp((4, 3, 1)), SIGNS, algorithm=mgd.discrete(optimizer=optax.sgd(0.01)))
    assert read_summary(tmp_path / "run")["diagnosis"]["name"] == "targets"  # pyright: ignore[reportOptionalSubscript]


@pytest.mark.long
def test_a_run_on_a_real_chip_is_read_from_its_diagnostics(tmp_path):
    chip = Simulated(imperfect(mgd.chips.mlp((2, 2, 1)), CostNoise(0.5)), key=jax.random.key(3))
    times = mgd.TimeConstants(tau_x=256, tau_theta=64)
    with opened(chip, alone=False) as guarded, pytest.warns(mgd.MgdWarning, match="under the noise"):
        folder = trained(tmp_path, guarded, n_steps=4096, algorithm=mgd.discrete(time_constants=times))
    (first, *_) = diagnose(folder)
    assert first.name == "noise"
    assert "SNR" in first.problem
    assert first.remedy == "raise the amplitude, or lengthen tau_theta"
