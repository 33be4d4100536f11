"""Runs as objects: what they answer is what was reported, finished or not; and what is refused."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

import mgd
from mgd.results import predict
from mgd.runs import RunConfig, start

IMPERFECT = {"activation-variation": 0.2, "stuck": 0.05, "drift": 1e-3, "dac-bits": 6, "dac-range": 3.0}
SCALING = {"how": "standard", "offset": [10.0, -3.0], "spread": [2.0, 0.5]}


def made(folder: Path, **settings: object) -> Path:
    with jax.numpy_dtype_promotion("standard"):
        return start(RunConfig.of(settings), folder)


@pytest.fixture(scope="module")
def parity(tmp_path_factory) -> Path:
    """Three chips that train on parity."""
    return made(tmp_path_factory.mktemp("loaded") / "run", task="parity", hidden=[2], steps=2000, replicas=3)


@pytest.fixture(scope="module")
def imperfect(tmp_path_factory) -> Path:
    """Three chips, each with a piece of its own."""
    folder = tmp_path_factory.mktemp("loaded") / "run"
    return made(folder, task="digits", hidden=[6], steps=1500, replicas=3, imperfect=IMPERFECT)


@pytest.fixture
def cut(imperfect, tmp_path) -> Path:
    """The same, as if it had been killed after its last checkpoint."""
    folder = tmp_path / "cut"
    shutil.copytree(imperfect, folder)
    for name in ("summary.json", "theta.safetensors", "device.safetensors", "SHA256SUMS"):
        (folder / name).unlink()
    return folder


def with_facts(run: Path, folder: Path, **changes: object) -> Path:
    """A copy of a run that says what its task is."""
    shutil.copytree(run, folder)
    facts = {"name": "mine", "kind": "classes", "classes": ["even", "odd"], "input_shape": [2], "n_outputs": 1}
    facts |= {"inputs": ["length", "width"], "scaling": SCALING, "offset": 0.0, "scale": 1.0}
    (folder / "task.json").write_text(json.dumps(facts | changes))
    (folder / "SHA256SUMS").unlink()  # which has the digest of the file that was there
    return folder


def test_what_it_answers_is_what_was_reported(imperfect):
    run, task = mgd.load_run(imperfect), mgd.datasets.digits()
    assert run.finished
    assert run.step == 1500
    for replica, reported in enumerate(run.summary["accuracy_per_replica"]):
        outputs = run.predict(task.test.x, replica=replica)
        assert np.mean(outputs.argmax(1) == task.test.y.argmax(1)) == pytest.approx(reported, abs=1e-6)
    assert run.best() == int(np.argmax(run.summary["accuracy_per_replica"]))
    np.testing.assert_array_equal(run.predict(task.test.x), run.predict(task.test.x, replica=run.best()))
    theta, device = run.piece(1)
    again = run.chip.respond(theta, jax.numpy.asarray(task.test.x), device=device, key=jax.random.key(0))
    np.testing.assert_allclose(run.predict(task.test.x, replica=1), again, rtol=1e-4, atol=1e-5)


def test_a_run_under_way_answers_by_its_last_checkpoint(imperfect, cut):
    whole, run = mgd.load_run(imperfect), mgd.load_run(cut)
    assert (run.finished, run.step, run.summary) == (False, 1500, None)
    assert run.theta.tobytes() == whole.theta.tobytes()
    due = whole.device_arrays()
    assert len(due) == 11
    for name, values in run.device_arrays().items():
        assert values.tobytes() == due.pop(name).tobytes()
    assert not due
    assert run.best() == whole.best()


def test_parameters_as_applied_are_those_of_the_run(imperfect):
    from safetensors.numpy import load_file

    due = load_file(imperfect / "device.safetensors")["theta_applied"]
    np.testing.assert_allclose(mgd.load_run(imperfect).applied(), due, atol=1e-6)
    assert np.abs(due - mgd.load_run(imperfect).theta).max() > 0.01


def test_inputs_are_given_in_the_units_of_the_training(parity, tmp_path):
    plain, run = mgd.load_run(parity), mgd.load_run(with_facts(parity, tmp_path / "scaled"))
    x = np.array([[0.0, 1.0], [1.0, 1.0]])
    np.testing.assert_array_equal(run.predict([10.0, -3.0] + x * [2.0, 0.5]), plain.predict(x))
    bytes_ = with_facts(parity, tmp_path / "bytes", scaling=None, offset=100.0, scale=0.01)
    np.testing.assert_allclose(mgd.load_run(bytes_).predict(np.array([[100, 200]], np.uint8)), plain.predict(x[:1]))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 3)), r"inputs have shape \(4, 3\), and parity was trained on inputs of shape \(n, 2\)"),
        (np.zeros(2), r"inputs have shape \(2,\)"),
        (np.zeros((0, 2)), "there are no samples"),
        (np.array([["a", "b"]]), "inputs must be numbers"),
    ],
)
def test_inputs_of_another_shape_are_refused(parity, x, message):
    with pytest.raises(ValueError, match=message):
        mgd.load_run(parity).predict(x)


@pytest.mark.parametrize("replica", [3, -1, "worst", 1.5, True])
def test_a_replica_that_is_not_there_is_refused(parity, replica):
    with pytest.raises(ValueError, match="has replicas 0 to 2: give one of them, best or all, got"):
        mgd.load_run(parity).predict([[0, 1]], replica=replica)


def test_another_chip_is_refused_with_both_sizes(parity):
    with pytest.raises(ValueError, match=r"have 9 parameters, and this chip has 13"):
        mgd.load_run(parity, chip=mgd.chips.mlp((2, 3, 1)))


def test_a_chip_that_is_given_is_the_one_that_answers(parity):
    chip = mgd.chips.mlp((2, 2, 1), activation="tanh")
    ours, theirs = mgd.load_run(parity).predict([[0, 1]]), mgd.load_run(parity, chip=chip).predict([[0, 1]])
    assert abs(ours - theirs).max() > 1e-3


def test_without_a_checkpoint_there_is_nothing_to_load(parity, tmp_path):
    folder = tmp_path / "begun"
    folder.mkdir()
    shutil.copy(parity / "config.toml", folder)
    with pytest.raises(mgd.RunError, match="has no checkpoint yet"):
        mgd.load_run(folder)


def test_a_checkpoint_of_another_version_is_named(parity, tmp_path, monkeypatch):
    shutil.copytree(parity, tmp_path / "run")
    (tmp_path / "run/summary.json").unlink()
    monkeypatch.setattr("mgd.runs._header.__version__", "9.9.9")
    with pytest.raises(mgd.RunError, match=r"was written by mgd .* and this is mgd 9\.9\.9"):
        mgd.load_run(tmp_path / "run")


@pytest.mark.parametrize("name", ["theta.safetensors", "device.safetensors", "summary.json", "config.toml"])
def test_a_harmed_file_is_named(imperfect, tmp_path, name):
    shutil.copytree(imperfect, tmp_path / "run")
    content = (tmp_path / "run" / name).read_bytes()
    (tmp_path / "run" / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(mgd.RunError, match=name):
        mgd.load_run(tmp_path / "run")


@pytest.mark.parametrize("changes", [{"scaling": {"how": "standard", "offset": [1.0], "spread": [1.0]}}, {"kind": 3}])
def test_task_facts_that_are_none_are_named(parity, tmp_path, changes):
    with pytest.raises(mgd.RunError, match=r"task.json is damaged"):
        mgd.load_run(with_facts(parity, tmp_path / "run", **changes))


# --- runs that a program in Python made


@pytest.fixture(scope="module")
def in_python(tmp_path_factory) -> tuple[Path, mgd.chips.AbstractChip, mgd.datasets.Task, mgd.Result]:
    """A run of Python's own chip and task."""
    x = np.random.default_rng(0).normal(size=(60, 3)) * [100.0, 1.0, 1.0]
    task = mgd.datasets.from_arrays(x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 1), scaling="standard")
    chip = mgd.chips.imperfect(mgd.chips.mlp((3, 4, 3)), mgd.chips.imperfections.ActivationVariation(0.2))
    folder = tmp_path_factory.mktemp("loaded") / "run"
    with jax.numpy_dtype_promotion("standard"):
        key = jax.random.key(0)
        result = mgd.train(chip, task, n_steps=1000, n_replicas=2, key=key, out=folder, progress=False)
    return folder, chip, task, result


@pytest.mark.long
def test_a_chip_of_pythons_is_given_again(in_python):
    folder, chip, task, result = in_python
    run = mgd.load_run(folder, chip=chip)
    assert run.task.scaling is not None
    found = predict(folder, chip=chip, task=task, replica="all")
    assert [one.score for one in found.assessments] == pytest.approx(result.accuracy.tolist())
    x = np.array([[120.0, 0.3, -1.0]])
    theta, device = result.piece(1)
    due = chip.respond(theta, jax.numpy.asarray(task.scaling(x)), device=device, key=jax.random.key(0))
    np.testing.assert_allclose(run.predict(x, replica=1), due, rtol=1e-4, atol=1e-5)
    assert mgd.results.export(folder, folder.parent / "mine.npz", chip=chip).about["classes"] == ["0", "1", "2"]


@pytest.mark.long
def test_without_its_chip_or_task_it_is_said_what_to_give(in_python):
    folder, chip, _, _ = in_python
    assert mgd.load_run(folder).theta.shape == (2, 31)
    for asked in (
        lambda: mgd.load_run(folder).predict([[0.0, 0.0, 0.0]]),
        lambda: mgd.results.export(folder, "mine.npz"),
    ):
        with pytest.raises(ValueError, match="was made in Python, and is not in its settings: give it"):
            asked()
    with pytest.raises(
        ValueError, match=r"the task of .* was made in Python: give it as task=, or give a file of samples"
    ):
        predict(folder, chip=chip)


@pytest.mark.long
def test_chips_of_several_designs_are_not_taken_for_one(tmp_path):
    chip = mgd.chips.imperfect(mgd.chips.mlp((2, 2, 1)), mgd.chips.imperfections.CrossTalk(0.1))
    task, settings = mgd.datasets.parity(bits=2), {"n_steps": 20, "n_replicas": 2, "key": jax.random.key(0)}
    folder = tmp_path / "run"
    mgd.train(
        chip, task, mgd.discrete(), out=folder, progress=False, vary={"cross-talk.coupling": [0.1, 0.4]}, **settings
    )
    with pytest.raises(ValueError, match=r"chips of .* differ in cross-talk\.coupling, so one chip is not the design"):
        mgd.load_run(folder, chip=chip)
    assert mgd.load_run(folder).theta.shape == (2, 9)


# --- data of a file


def test_predictions_of_all_are_as_reported(imperfect, parity):
    for folder in (imperfect, parity):
        found = predict(folder, replica="all")
        assert [one.score for one in found.assessments] == pytest.approx(found.run.summary["accuracy_per_replica"])
        assert found.answers.shape == found.outputs.shape[:2]


FILES = {
    "names in another order": ("d.csv", "width,length,kind\n-2.5,10,odd\n-3,12,even\n"),
    "names and no targets": ("d.csv", "length,width\n10,-2.5\n12,-3\n"),
    "no names": ("d.csv", "# mine\n10,-2.5,odd\n12,-3,even\n"),
    "semicolons": ("d.txt", "length;width;kind\n10;-2.5;odd\n12;-3;even\n"),
    "tabs": ("d.tsv", "length\twidth\n10\t-2.5\n12\t-3\n"),
}


@pytest.mark.parametrize("name", FILES)
def test_tables_are_read_as_they_come(parity, tmp_path, name):
    run = with_facts(parity, tmp_path / "run")
    file, text = FILES[name]
    (tmp_path / file).write_text(text)
    found = predict(run, tmp_path / file, replica=1)
    due = mgd.load_run(parity).predict([[0, 1], [1, 0]], replica=1)
    np.testing.assert_allclose(found.outputs[0], due, rtol=1e-6)
    assert (found.targets is not None) == ("odd" in text)
    if found.targets is not None:
        assert found.targets.tolist() == [[1.0], [0.0]]
        assert found.assessments[0].samples == 2


def test_arrays_are_read_with_targets_or_without(parity, tmp_path):
    x = np.array([[10.0, -2.5], [12.0, -3.0]])
    run = with_facts(parity, tmp_path / "run", classes=["0", "1"])
    np.savez(tmp_path / "both.npz", x=x, y=np.array([1, 0]))
    np.savez(tmp_path / "alone.npz", X=x)
    np.save(tmp_path / "table.npy", np.column_stack([x, [1.0, 0.0]]))
    found = [predict(run, tmp_path / name, replica=0) for name in ("both.npz", "alone.npz", "table.npy")]
    for one in found:
        np.testing.assert_array_equal(one.outputs, found[0].outputs)
    assert [one.targets is None for one in found] == [False, True, False]
    assert found[2].targets.tolist() == found[0].targets.tolist() == [[1.0], [0.0]]


REFUSED = {
    "columns": ("d.csv", "1,2,3,4,5\n", "has 5 columns, and mine was trained on 2 inputs"),
    "class": (
        "d.csv",
        "length,width,kind\n10,-3,green\n",
        "the target of sample 1 is 'green', not one of the classes even",
    ),
    "text": ("d.csv", "length,width\n10,-3\n11,wide\n", "line 3, column 'width' is 'wide', and must be a finite"),
    "empty cell": ("d.csv", "length,width\n10,-3\n,-2\n", "line 3, column 'length' is empty"),
    "empty file": ("d.csv", "", "is empty"),
    "suffix": ("d.parquet", "x", r"the format of .* is unknown: give a file that ends in \.csv"),
    "no array": ("d.npy", "nothing", "is not an array of numbers in NumPy's format"),
    "no archive": ("d.npz", "nothing", "is not an NPZ file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_files_that_cannot_be_answered_are_named(parity, tmp_path, name):
    file, text, message = REFUSED[name]
    run = with_facts(parity, tmp_path / "run")
    (tmp_path / file).write_text(text)
    with pytest.raises((ValueError, mgd.DataError), match=message):
        predict(run, tmp_path / file)


def test_inputs_in_other_units_are_refused_with_both(parity, tmp_path):
    run = with_facts(parity, tmp_path / "run")
    scaled = np.random.default_rng(0).normal(size=(50, 2))
    np.save(tmp_path / "millimetres.npy", [10.0, -3.0] + scaled * [2.0, 0.5] * 1000)
    np.save(tmp_path / "right.npy", [10.0, -3.0] + scaled * [2.0, 0.5])
    with pytest.raises(ValueError, match=r"in other units .* standard deviation .* and in the training mean -3 and"):
        predict(run, tmp_path / "millimetres.npy")
    assert predict(run, tmp_path / "right.npy").outputs.shape == (1, 50, 1)
    images = with_facts(parity, tmp_path / "images", scaling=None, offset=0.0, scale=1 / 255)
    np.save(tmp_path / "unit.npy", np.random.default_rng(0).random((4, 2)))
    with pytest.raises(ValueError, match=r"numbers from 0.* to 0.*, and mine was trained on bytes from 0 to 255"):
        predict(images, tmp_path / "unit.npy")
