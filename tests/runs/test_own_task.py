"""Runs on data of one's own: what is kept, what is chosen, and what is refused."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from mgd import DataError, RunError
from mgd.results import load_run
from mgd.runs import RunConfig, TaskTable, read_config, read_task_facts, resolve, resume, start, task_given
from mgd.runs._build import build_chip, build_task

N = 60
X = np.random.default_rng(0).normal(size=(N, 3)).round(3)
LABELS = np.where(X[:, 0] > 0, "warm", "cold")
QUICK = {"hidden": [2], "steps": 60, "log_every": 10, "tau_x": 3, "tau_theta": 7, "batch": 1, "learning_rate": 0.3}


@pytest.fixture
def table(tmp_path) -> Path:
    path = tmp_path / "my data.csv"
    lines = [f"{a},{b},{c},{label}" for (a, b, c), label in zip(X, LABELS, strict=True)]
    path.write_text("\n".join(["left,middle,right,state", *lines]) + "\n")
    return path


@pytest.fixture(autouse=True)
def own_state(tmp_path, monkeypatch):
    """Which code was said to be run is remembered for this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def config(path: Path, **more) -> RunConfig:
    task = {"path": str(path)} | {name: more.pop(name) for name in list(more) if name in TaskTable.model_fields}
    return RunConfig.of(QUICK | more | {"task": task})


@pytest.mark.long
def test_a_run_has_what_its_data_were_and_what_a_reader_of_its_chip_needs(table, tmp_path):
    run = start(config(table, scaling="standard"), tmp_path / "run")
    kept = tomllib.loads((run / "config.toml").read_text())["task"]
    assert kept["path"] == str(table)
    assert kept["facts"] | {"sha256": ""} == {
        "sha256": "",
        "kind": "classes",
        "samples": 48,
        "input_shape": [3],
        "outputs": 2,
    }
    facts = json.loads((run / "task.json").read_text())
    task = build_task(resolve(read_config(run)))
    assert task.scaling is not None
    assert facts == {
        "name": "my-data",
        "kind": "classes",
        "classes": ["cold", "warm"],
        "input_shape": [3],
        "n_outputs": 2,
        "inputs": ["left", "middle", "right"],
        "scaling": {"how": "standard", "offset": task.scaling.offset.tolist(), "spread": task.scaling.spread.tolist()},
        "offset": 0.0,
        "scale": 1.0,
    }


def test_data_are_read_once(table, tmp_path, monkeypatch):
    import mgd.datasets

    read, real = [], mgd.datasets.from_file
    monkeypatch.setattr(mgd.datasets, "from_file", lambda path, **settings: read.append(path) or real(path, **settings))
    start(config(table), tmp_path / "run")
    assert read == [str(table)]


def test_data_that_moved_are_found_at_their_new_place(table, tmp_path, killed):
    def kill(session):
        raise killed

    with pytest.raises(killed):
        start(config(table), tmp_path / "run", on_progress=kill)
    moved = table.rename(tmp_path / "moved.csv")
    with pytest.raises(DataError, match=r"there is no file .*my data.csv"):
        resume(tmp_path / "run")
    settings, sums = tmp_path / "run/config.toml", tmp_path / "run/SHA256SUMS"
    settings.write_text(settings.read_text().replace(str(table), str(moved)))
    sums.write_text("".join(line for line in sums.read_text().splitlines(True) if "config.toml" not in line))
    assert resume(tmp_path / "run") == tmp_path / "run"


def test_the_digest_is_that_of_the_file(table, tmp_path):
    import hashlib

    found = resolve(config(table)).task
    assert isinstance(found, TaskTable)
    assert found.facts is not None
    assert found.facts.sha256 == hashlib.sha256(table.read_bytes()).hexdigest()


def test_a_run_of_a_named_task_has_its_facts_too(small, tmp_path):
    facts = read_task_facts(start(small(), tmp_path / "run"))
    assert facts is not None
    assert (facts.name, facts.classes, facts.inputs, facts.scaling) == ("parity", ("even", "odd"), None, None)


def test_a_folder_is_named_by_the_data(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert start(config(table)) == Path("runs/my-data-1")


@pytest.mark.long
def test_stopped_and_resumed_it_is_the_unbroken_run(table, tmp_path, killed, monkeypatch, ragged, always_checkpoint):
    whole = start(config(table), tmp_path / "whole")
    steps = []

    def kill(session):
        steps.append(session.snapshot.step)
        if session.snapshot.step > 20:
            raise killed

    with pytest.raises(killed):
        start(config(table), tmp_path / "broken", on_progress=kill)
    assert 20 < steps[-1] < 60
    resume(tmp_path / "broken")
    assert (tmp_path / "broken/theta.safetensors").read_bytes() == (whole / "theta.safetensors").read_bytes()


def test_data_that_changed_are_refused_in_one_line(table, tmp_path, killed):
    def kill(session):
        raise killed

    with pytest.raises(killed):
        start(config(table), tmp_path / "run", on_progress=kill)
    was = table.read_text()
    table.write_text(was.replace(str(X[5, 0]), "9.0"))
    with pytest.raises(
        DataError, match=r"my data.csv has changed since this run began .SHA-256 .*: put it back"
    ) as error:
        resume(tmp_path / "run")
    assert "\n" not in str(error.value)
    table.write_text(was)
    assert resume(tmp_path / "run") == tmp_path / "run"


def test_a_harmed_or_missing_task_file_is_one_line_and_made_again(table, tmp_path):
    run = start(config(table), tmp_path / "run")
    facts = (run / "task.json").read_bytes()
    (run / "task.json").write_text("{}")
    with pytest.raises(RunError, match=r"task.json is damaged .*: mgd resume .* writes it again"):
        read_task_facts(run)
    resume(run)
    assert (run / "task.json").read_bytes() == facts
    (run / "task.json").unlink()
    assert read_task_facts(run) is None
    assert load_run(run).task.classes == ("cold", "warm")  # from the data


def test_paths_in_a_settings_file_are_relative_to_it(table, tmp_path, monkeypatch):
    (tmp_path / "settings.toml").write_text('hidden = [2]\nsteps = 9\n\n[task]\npath = "my data.csv"\n')
    monkeypatch.chdir("/")
    found = RunConfig.read(tmp_path / "settings.toml").task
    assert isinstance(found, TaskTable)
    assert found.path == str(table)
    changed = RunConfig.read(tmp_path / "settings.toml", {"task": {"scaling": "min-max"}}).task
    assert isinstance(changed, TaskTable)
    assert (changed.path, changed.scaling) == (str(table), "min-max")


def test_identity_is_of_the_data_and_not_of_where_they_lie(table, tmp_path):
    other = tmp_path / "other" / "my data.csv"
    other.parent.mkdir()
    other.write_bytes(table.read_bytes())
    first, second = (resolve(config(path)).identity() for path in (table, other))
    assert first == second
    other.write_text(other.read_text() + "1,1,1,warm\n")
    assert resolve(config(other)).identity() != first


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give path, the file or folder of your data, or build"),
        ({"path": "a.csv", "build": "m:f"}, "not both"),
        ({"path": "a.csv", "inptus": "a"}, "unknown setting 'inptus': did you mean 'inputs'"),
        ({"path": "a.csv", "kind": "class"}, "kind: .*'classes'.* got 'class'"),
        ({"path": "a.csv", "test": "b.csv", "test_fraction": 0.1}, "leave test_fraction out"),
        ({"path": "a.csv", "test_fraction": 1.5}, "test_fraction: .*less than 1, got 1.5"),
        ({"build": "m:f", "scaling": "standard"}, "a whole task: leave out scaling"),
        ({"path": "a.csv", "inputs": 1.5}, "inputs: .*got 1.5"),
    ],
)
def test_tables_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        RunConfig.of({"task": settings})
    assert "\n" not in str(error.value)


def test_what_is_given_on_the_command_line_is_a_name_a_path_or_a_function(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert task_given("parity") == "parity"
    assert task_given("mine.csv") == {"path": str(tmp_path / "mine.csv")}
    (tmp_path / "pets").mkdir()
    assert task_given("pets") == {"path": str(tmp_path / "pets")}
    assert task_given("lab.tasks:make") == {"build": "lab.tasks:make", "folder": str(tmp_path)}
    with pytest.raises(ValueError, match="did you mean parity"):
        task_given("pairity")


@pytest.mark.parametrize(
    ("targets", "kind", "cost", "output", "hidden"),
    [
        (np.arange(N) % 3, "classes", "cross-entropy", None, 8),
        (X[:, 0] * 2.0, "values", "mse", "linear", 8),
        (np.where(X[:, 0] > 0, 1, -1), "signs", "mse", "linear", 8),
    ],
)
def test_settings_follow_from_sizes_and_kind(tmp_path, targets, kind, cost, output, hidden):
    np.savez(tmp_path / "a.npz", x=X, y=targets)
    settings = resolve(RunConfig.of({"task": {"path": str(tmp_path / "a.npz")}}))
    assert isinstance(settings.task, TaskTable)
    assert settings.task.facts is not None
    assert (settings.task.facts.kind, settings.cost, settings.output) == (kind, cost, output)
    assert settings.hidden == (hidden,)
    assert (settings.optimizer, settings.steps, settings.batch) == ("adam", 100_000, 24)
    chip = build_chip(settings, build_task(settings))
    assert chip.n_params == 3 * 8 + 8 + 8 * settings.task.facts.outputs + settings.task.facts.outputs


def test_many_inputs_have_a_hidden_layer_of_32(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=(N, 50)), y=np.arange(N) % 3)
    assert resolve(RunConfig.of({"task": {"path": str(tmp_path / "a.npz")}})).hidden == (32,)


@pytest.mark.long
def test_values_have_their_own_measure(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=X.sum(1))
    run = start(config(tmp_path / "a.npz"), tmp_path / "run")
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["metric"], summary["accuracy"], summary["solved_fraction"]) == ("r2", None, 0.0)


FUNCTION = """
import numpy as np
from mgd.datasets import from_arrays

def make():
    return from_arrays(np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2)

def number():
    return 3

def fails():
    raise RuntimeError("no data today")
"""


def test_functions_that_make_no_task(tmp_path):
    (tmp_path / "own_task_wrong.py").write_text(FUNCTION)
    wrong = {
        "number": "must return a mgd.datasets.Task, as from_arrays does, got a int",
        "fails": "it raised RuntimeError: no data today",
        "mkae": "has no function 'mkae': did you mean 'make'",
    }
    for name, message in wrong.items():
        with pytest.raises(ValueError, match=message):
            resolve(RunConfig.of({"task": {"build": f"own_task_wrong:{name}", "folder": str(tmp_path)}}))


def test_a_function_is_run_again_only_by_whoever_ran_it(tmp_path, killed, monkeypatch):
    (tmp_path / "own_task_made.py").write_text(FUNCTION)

    def kill(session):
        raise killed

    task = {"build": "own_task_made:make", "folder": str(tmp_path)}
    with pytest.raises(killed):
        start(RunConfig.of(QUICK | {"task": task}), tmp_path / "run", on_progress=kill)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of-another"))
    with pytest.raises(ValueError, match=r"names code that was not run here before: 'own_task_made:make'.*--run-code"):
        resume(tmp_path / "run")
    with pytest.raises(ValueError, match="names code that was not run here before"):
        build_task(resolve(read_config(tmp_path / "run")))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert resume(tmp_path / "run") == tmp_path / "run"


def test_order_is_a_setting_of_any_task(small, tmp_path):
    shuffled, sequential = (start(small(**more), tmp_path / str(len(more))) for more in ({}, {"order": "sequential"}))
    thetas = {(run / "theta.safetensors").read_bytes() for run in (shuffled, sequential)}
    assert len(thetas) == 2
    assert build_task(resolve(read_config(sequential))).order == "sequential"
