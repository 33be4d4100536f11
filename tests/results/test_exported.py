"""A run in one file: the readers of docs/take-away.md, which know nothing of mgd, come to what the run reported."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import safe_open

import mgd
from mgd.chips.imperfections import ActivationVariation, CostNoise
from mgd.results import LoadedRun, export
from mgd.results._exported import exported
from mgd.runs import RunConfig, TaskFacts, start

PAGE = (Path(__file__).parents[2] / "docs" / "take-away.md").read_text(encoding="utf-8")
IMPERFECT = {
    "perfect": {},
    "activation variation": {"activation-variation": 0.2},
    "all of the way in": {
        "activation-variation": 0.2,
        "stuck": 0.05,
        "cross-talk": 0.05,
        "parameter-range": 2.0,
        "drift": 1e-5,
        "dac-bits": 5,
        "dac-range": 3.0,
        "dac-own-line": True,
        "dac-finer-copy": True,
        "cost-noise": 1e-3,
    },
    "cells with soft bounds": {"dw-min": 0.01, "w-max": 1.5, "w-min": -1.5, "w-max-dtod": 0.2},
}


def block(title: str) -> str:
    """The Python block of the page below a comment."""
    found = re.search(rf"<!-- {title} -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def reader() -> str:
    """The eight lines, and the import that they need."""
    lines = block("reader of perceptrons").partition("# The reader:")[2].splitlines()[1:]
    lines = [line for line in lines if not line.startswith(("print(", "assert "))]
    while not lines[-1]:
        lines.pop()
    assert len(lines) == 8
    return "\n".join(lines)


def run_without_mgd(code: str, folder: Path) -> str:
    """What a program said that has NumPy alone."""
    guard = "import sys\nfor name in ('mgd', 'jax', 'safetensors'): sys.modules[name] = None\n"
    guard += "import json\nimport numpy as np\n"
    done = subprocess.run([sys.executable, "-c", guard + code], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", IMPERFECT)
@pytest.mark.enough("all of the way in")
@pytest.mark.long
def test_eight_lines_of_numpy_come_to_the_reported_accuracy(name, tmp_path):
    settings = {"task": "digits", "hidden": [6], "steps": 1500, "replicas": 2, "imperfect": IMPERFECT[name]}
    run = start(RunConfig.of(settings), tmp_path / "run")
    export(run, tmp_path / "digits.npz")
    test = mgd.datasets.digits().test
    np.savez(tmp_path / "samples.npz", x=test.x, target=test.y.argmax(1))
    code = "samples = np.load('samples.npz')\nx, target = samples['x'], samples['target']\n" + reader()
    reported = mgd.runs.read_summary(run)["accuracy_per_replica"][1]
    assert reported > 0.25  # it has learnt something: guessing is right in a tenth
    assert float(run_without_mgd(code + "\nprint(repr(float(accuracy)))", tmp_path)) == pytest.approx(
        reported, abs=1e-6
    )


@pytest.mark.long
def test_the_reader_takes_inputs_in_the_units_of_the_data(tmp_path):
    """Of a table of the user's own, scaled by its training samples: the file has what is subtracted and divided."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 50)
    x = np.array([300.0, -4.0, 0.02]) + rng.normal(size=(150, 3)) * [50.0, 1.0, 0.01] + np.outer(y, [150.0, -3.0, 0.03])
    lines = [f"{a!r},{b!r},{c!r},{'rgb'[k]}" for (a, b, c), k in zip(x.tolist(), y.tolist(), strict=True)]
    (tmp_path / "mine.csv").write_text("\n".join(["long,wide,thick,colour", *lines]))
    table = {"path": str(tmp_path / "mine.csv"), "scaling": "standard", "test_fraction": 0}
    run = start(RunConfig.of({"task": table, "hidden": [4], "steps": 2000, "replicas": 2}), tmp_path / "run")
    about = export(run, tmp_path / "digits.npz").about
    assert about["classes"] == ["b", "g", "r"]
    assert about["input_columns"] == ["long", "wide", "thick"]
    np.savez(tmp_path / "samples.npz", x=x, target=2 - y)
    code = "samples = np.load('samples.npz')\nx, target = samples['x'], samples['target']\n" + reader()
    reported = mgd.runs.read_summary(run)["accuracy_per_replica"][1]
    assert reported > 0.7
    assert float(run_without_mgd(code + "\nprint(repr(float(accuracy)))", tmp_path)) == pytest.approx(
        reported, abs=1e-6
    )
    again = mgd.results.predict(run, tmp_path / "mine.csv", replica=1)  # with its own names and classes
    assert again.assessments[0].score == pytest.approx(reported)
    assert set(again.answers[0]) == {"r", "g", "b"}


def convolutional(folder: Path) -> LoadedRun:
    """A run of two convolutional chips with neurons of their own, as it is after no step."""
    chip = mgd.chips.imperfect(mgd.chips.cnn((13, 12, 2), (3, 5), 4), ActivationVariation(0.3), CostNoise(0.1))
    keys = jax.random.split(jax.random.key(0), 2)
    theta = jnp.stack([chip.init(key=key) for key in keys])
    device = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(chip.fabricate(key=key) for key in keys))
    facts = TaskFacts("images", "classes", tuple("abcd"), (13, 12, 2), 4, offset=100.0, scale=0.02)
    settings = RunConfig.of({"task": "parity", "cost": "cross-entropy"})
    return LoadedRun(folder, settings, None, facts, 0, np.asarray(theta), chip, device, chip.groups)


@pytest.mark.long
def test_a_reader_of_convolutions_gives_the_same_outputs(tmp_path):
    from mgd.results._exported import _npz

    run = convolutional(tmp_path)
    (tmp_path / "images.npz").write_bytes(_npz(exported(run)))
    x = np.random.default_rng(0).integers(0, 256, (7, 13, 12, 2), np.uint8)
    np.save(tmp_path / "x.npy", x)
    code = block("reader of convolutions") + "\nnp.save('y.npy', outputs('images.npz', 1, np.load('x.npy')))"
    run_without_mgd(code, tmp_path)
    due = run.predict(x, replica=1)
    assert np.ptp(due) > 0.1
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), due, atol=1e-4)
    assert np.abs(run.predict(x, replica=0) - due).max() > 0.1  # the other chip is another


@pytest.fixture(scope="module")
def parity(tmp_path_factory) -> Path:
    """A finished run of three small chips."""
    with jax.numpy_dtype_promotion("standard"):
        settings = {"task": "parity", "hidden": [2], "steps": 200, "replicas": 3, "imperfect": {"drift": 1e-3}}
        return start(RunConfig.of(settings), tmp_path_factory.mktemp("exported") / "run")


@pytest.mark.long
def test_all_formats_say_the_same(parity, tmp_path):
    found = export(parity, tmp_path / "run.npz")
    export(parity, tmp_path / "run.safetensors")
    export(parity, tmp_path / "run.csv")
    with np.load(tmp_path / "run.npz", allow_pickle=False) as file:
        arrays = dict(file)
    about = json.loads(str(arrays.pop("about")))
    assert about == json.loads(json.dumps(found.about))
    with safe_open(tmp_path / "run.safetensors", "np") as file:
        assert json.loads(file.metadata()["about"]) == about
        others = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    assert others.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(others[name], values)
    lines = (tmp_path / "run.csv").read_text().splitlines()
    comments = [line for line in lines if line.startswith("#")]
    assert json.loads(comments[-1].removeprefix("# about: ")) == about
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    for name in ("theta", "theta_applied"):
        values = [float(row["value"]) for row in rows if row["array"] == name]
        np.testing.assert_array_equal(np.array(values, np.float32).reshape(3, 9), arrays[name])
    of_bias = {row["index"] for row in rows if row["group"] == "layers[0].bias"}
    assert of_bias == {"4", "5"}


@pytest.mark.long
def test_the_file_says_in_words_what_is_in_it(parity, tmp_path):
    about = export(parity, tmp_path / "run.npz", replica=2).about
    assert [group["name"] for group in about["groups"]] == [
        *("layers[0].weight", "layers[0].bias", "layers[1].weight", "layers[1].bias"),
    ]
    weight = {"name": "layers[0].weight", "start": 0, "stop": 4, "shape": [2, 2], "type": "float32"}
    assert about["groups"][0] == weight | {"says": "weights, one row for each neuron, as (outputs, inputs)"}
    assert "subtracted" in about["groups"][1]["says"]
    assert about["layers"][0]["bias_sign"] == -1
    assert any(line.startswith("drift: ") and "not later drift" in line for line in about["words"])
    assert (about["classes"], about["one_output_is_split_at"]) == (["even", "odd"], 0.5)
    assert about["score"] == [mgd.runs.read_summary(parity)["accuracy_per_replica"][2]]
    convolutions = exported(convolutional(tmp_path)).about
    assert [layer["bias_sign"] for layer in convolutions["layers"]] == [1, 1, -1]
    assert "added" in convolutions["groups"][1]["says"]


def test_a_network_of_ones_own_is_exported_by_its_arrays(tmp_path):
    import equinox as eqx

    chip = mgd.chips.from_module(lambda key: eqx.nn.Linear(3, 2, key=key))
    facts = TaskFacts("mine", "values", (), (3,), 2)
    theta = np.asarray(chip.init(key=jax.random.key(0)))[None]
    run = LoadedRun(tmp_path, RunConfig.of({"task": "parity"}), None, facts, 0, theta, chip, None, chip.groups)
    about = exported(run).about
    assert [(group["shape"], group["start"]) for group in about["groups"]] == [([2, 3], 0), ([2], 6)]
    assert about["layers"] == []
    assert any("Only your own chip knows" in line for line in about["words"])
