"""A sweep computed in this process: which chips it trains, what is kept, and how it continues."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
import xarray as xr

import mgd
from mgd import MgdWarning, RunError
from mgd.runs import RunConfig, build_task, make_session, resolve
from mgd.sweeps import Course, Plan, compute, load_sweep, run, yields
from mgd.sweeps._sweep import _Work

VARY = {"cost-noise": [0.0, 0.01, 0.1]}
SETTINGS: dict[str, Any] = {
    "replicas": 3,
    "steps": 60,
    "engine": "measured",
    "tau_theta": 1,
    "tau_x": 1,
    "learning_rate": 1.0,
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A small sweep, and its folder."""
    folder = tmp_path_factory.mktemp("sweep") / "out"
    return mgd.sweep("parity", vary=VARY, out=folder, **SETTINGS), folder


def test_results_are_over_the_axes_and_the_chips(found):
    data, _ = found
    assert dict(data.score.sizes) == {"cost-noise": 3, "replica": 3}
    assert data["cost-noise"].values.tolist() == [0.0, 0.01, 0.1]
    assert data.score.attrs["metric"] == "accuracy"
    assert set(data.engine.values) == {"measured"}
    assert data.computed.values.all()
    assert (data.cost_measurements == 120).all()
    assert not data.diverged.any()


def test_a_point_is_the_run_of_its_settings_and_seed(found):
    data, _ = found
    one = data.sel({"cost-noise": 0.01})
    given = {"task": "parity", "imperfect": {"cost-noise": 0.01}, **SETTINGS, "seed": int(one.seed)}
    config = resolve(RunConfig.of(given))
    session = make_session(config, build_task(config))
    while not session.finished:
        session.advance()
    result = session.result()
    np.testing.assert_array_equal(one.score.values, np.asarray(result.score))
    np.testing.assert_array_equal(one.cost.values, np.asarray(result.cost))


def test_the_same_command_computes_nothing_and_more_values_only_what_is_missing(found, monkeypatch):
    data, folder = found
    asked = []
    again = mgd.sweep("parity", vary=VARY, out=folder, **SETTINGS)
    assert again.identical(data)
    monkeypatch.setattr("mgd.sweeps._compute.compute", lambda settings, **more: asked.append(settings) or 1 / 0)
    assert mgd.sweep("parity", vary=VARY, out=folder, **SETTINGS).identical(data)
    assert not asked
    with pytest.raises(ZeroDivisionError):
        mgd.sweep("parity", vary={"cost-noise": [0.01, 0.03]}, out=folder, **SETTINGS)
    ((point,),) = asked
    assert point.imperfect["cost-noise"] == 0.03
    assert load_sweep(folder).identical(data)


@pytest.mark.long
def test_results_do_not_depend_on_how_the_sweep_was_cut(found, tmp_path):
    data, _ = found
    mgd.sweep("parity", vary={"cost-noise": [0.1]}, out=tmp_path / "two", **SETTINGS)
    in_two = mgd.sweep("parity", vary=VARY, out=tmp_path / "two", **SETTINGS)
    assert in_two.identical(data)


@pytest.mark.as_shipped
@pytest.mark.parametrize(
    "settings", [{"engine": "fused"}, {"engine": "measured"}, {"engine": "sampled", "replicas": 1}]
)
@pytest.mark.enough("settings0")
@pytest.mark.long
def test_a_chip_has_the_same_bits_whatever_is_computed_beside_it(settings):
    vary = {"cost-noise": "1e-3..1e-1:5:log", "learning-rate": "0.1,0.5"}
    base = {"task": "parity", "steps": 100, "replicas": 3, "tau_theta": 4, "optimizer": "sgd"} | settings
    points = [point.settings for point in Plan.of(base, vary).points()]
    whole = compute(points).rows
    for k in (0, 7):
        alone = compute(points[k : k + 1]).rows
        assert alone.isel(point=0).identical(whole.isel(point=k))
    assert whole.engine.values[0] == settings["engine"]


@pytest.mark.long
def test_chips_that_diverge_are_results(tmp_path):
    settings = SETTINGS | {"hidden": [3], "activation": "relu"}
    del settings["learning_rate"]
    data = mgd.sweep("parity", vary={"learning_rate": [0.1, 1e30]}, out=tmp_path / "out", **settings)
    assert data.diverged.sum("replica").values.tolist() == [0, 3]
    assert np.isnan(data.score.values[1]).all()
    assert not data.solved.values[1].any()
    assert not np.isnan(data.score.values[0]).any()


@pytest.mark.long
def test_a_design_has_points_and_what_was_varied_as_coordinates(tmp_path):
    settings = SETTINGS | {"algorithm": "backprop", "engine": "auto", "replicas": 2}
    for name in ("tau_theta", "tau_x", "learning_rate"):
        del settings[name]
    vary, folder = {"learning_rate": "0.1..1:log", "hidden": [2, 3]}, tmp_path / "out"
    few = mgd.sweep("parity", vary=vary, design="sobol:2", out=folder, **settings)
    many = mgd.sweep("parity", vary=vary, design="sobol:4", out=folder, **settings)
    assert dict(many.score.sizes) == {"point": 4, "replica": 2}
    assert many.isel(point=[0, 1]).identical(few)
    assert ((many.learning_rate > 0.1) & (many.learning_rate < 1)).all()


def test_logged_steps_say_when_the_task_was_solved():
    settings = {"task": "parity", "steps": 4000, "replicas": 4, "algorithm": "backprop", "log_every": 500}
    (point,) = Plan.of(settings, {"learning-rate": [5.0]}).points()
    rows = compute([point.settings]).rows.isel(point=0)
    assert rows.solved.any()
    steps = rows.solved_step.values[rows.solved.values]
    assert (steps % 500 == 0).all()
    assert np.isnan(rows.solved_step.values[~rows.solved.values]).all()


# --- the store ---


def test_a_folder_of_something_else_is_refused(found, tmp_path):
    _, folder = found
    with pytest.raises(RunError, match=re.escape(f"{folder} has another sweep: give another out")):
        mgd.sweep("parity", vary={"dac-bits": [3]}, out=folder, **SETTINGS)
    with pytest.raises(RunError, match="has another sweep"):
        mgd.sweep("parity", vary=VARY, out=folder, **{**SETTINGS, "steps": 61})
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="exists and is not a sweep: give another out"):
        mgd.sweep("parity", vary=VARY, out=tmp_path, **SETTINGS)
    with pytest.raises(RunError, match=re.escape("is not a sweep: it has no sweep.json")):
        load_sweep(tmp_path)


def test_results_of_another_version_are_refused(found, tmp_path):
    _, folder = found
    about = json.loads((folder / "sweep.json").read_text())
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "sweep.json").write_text(json.dumps(about | {"version": "0.0.1"}))
    with pytest.raises(RunError, match="was computed by another version of mgd"):
        mgd.sweep("parity", vary=VARY, out=tmp_path / "old", **SETTINGS)


def test_two_sweeps_on_one_store_are_refused(found):
    _, folder = found
    code = (
        "import sys, fcntl, os\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)\n"
        "print(1, flush=True)\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        other.stdout.readline()
        with pytest.raises(RunError, match="is being written by another process"):
            mgd.sweep("parity", vary=VARY, out=folder, **SETTINGS)
        other.communicate("\n")


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    put, full = xr.Dataset.to_zarr, []

    def write(self, *arguments, **more):
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        full.append(1)
        return put(self, *arguments, **more)

    monkeypatch.setattr(xr.Dataset, "to_zarr", write)
    folder = tmp_path / "out"
    with pytest.raises(
        RunError, match="the disk is full; the points that are computed are kept: correct that, and give"
    ):
        mgd.sweep("parity", vary=VARY, out=folder, **SETTINGS)
    monkeypatch.undo()
    assert load_sweep(folder).computed.sum() == 1
    assert len(list((folder / "parts").iterdir())) == 1


@pytest.mark.long
def test_a_damaged_part_is_computed_again(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    monkeypatch.setattr("mgd.sweeps._store.Store.compact", lambda self, order: None)
    data = mgd.sweep("parity", vary=VARY, out=folder, **SETTINGS)
    part = sorted((folder / "parts").iterdir())[0]
    for chunk in (part / "score" / "c").rglob("*"):
        if chunk.is_file():
            chunk.unlink()
    monkeypatch.undo()
    with pytest.warns(MgdWarning, match="is damaged: its points are computed again"):
        again = mgd.sweep("parity", vary=VARY, out=folder, **SETTINGS)
    assert again.identical(data)
    assert not list((folder / "parts").iterdir())
    shutil.rmtree(folder / "sweep.zarr")
    with pytest.raises(RunError, match=r"has no points yet: wait for the first$"):
        load_sweep(folder)


def _flip_setting(folder):
    text = (folder / "sweep.json").read_text()
    (folder / "sweep.json").write_text(text.replace('"grid"', '"grip"'))


def _pipe(folder):
    chunk = next(path for path in (folder / "sweep.zarr" / "score" / "c").rglob("*") if path.is_file())
    chunk.unlink()
    os.mkfifo(chunk)


def _of_another(folder):
    group = folder / "sweep.zarr" / "zarr.json"
    said = json.loads(group.read_text())
    said["attributes"]["sweep"] = "another"
    group.write_text(json.dumps(said))


HARMED = {
    "a flip": (_flip_setting, r"sweep.json is damaged \(its digest is not that of its contents\): restore it"),
    "no JSON": (
        lambda folder: (folder / "sweep.json").write_text("[1"),
        r"sweep.json is damaged \(invalid JSON: EOF while parsing a list at line 1 column 2\): restore it$",
    ),
    "other JSON": (lambda folder: (folder / "sweep.json").write_text("{}"), r"sweep.json is damaged \(the setting"),
    "a pipe": (_pipe, r"sweep.zarr is damaged \(it contains something that is not a file\): remove it, and"),
    "another sweep's": (_of_another, "sweep.zarr is that of another sweep: restore it, or remove it"),
}


@pytest.mark.parametrize("harm", HARMED)
def test_what_is_harmed_is_named(found, tmp_path, harm):
    make, words = HARMED[harm]
    store = tmp_path / "copy"
    shutil.copytree(found[1], store)
    make(store)
    with pytest.raises(RunError, match=words) as raised:
        load_sweep(store)
    assert "\n" not in str(raised.value)


def test_what_a_killed_process_left_is_cleared(found, tmp_path):
    data, folder = found
    store = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(folder), str(store)], check=True)
    (store / "sweep.zarr").rename(store / "sweep.zarr.old")  # between the two renames
    for name, age in (("dead", 3600), ("alive", 0)):
        (store / "parts" / f"{name}.new").mkdir(parents=True)
        os.utime(store / "parts" / f"{name}.new", (time.time() - age, time.time() - age))
    (store / "sweep.zarr.new").mkdir()
    assert mgd.sweep("parity", vary=VARY, out=store, **SETTINGS).identical(data)
    assert sorted(path.name for path in store.iterdir()) == ["parts", "sweep.json", "sweep.zarr"]
    assert [path.name for path in (store / "parts").iterdir()] == ["alive.new"]  # a worker may be writing it


@pytest.mark.long
def test_a_sweep_that_is_killed_continues(found, tmp_path, cache_env):
    data, _ = found
    code = (
        "import mgd, sys\n"
        "from mgd.sweeps import plan_of, run\n"
        "from pathlib import Path\n"
        f"plan = plan_of('parity', {VARY!r}, None, {SETTINGS!r})\n"
        "run(plan, Path(sys.argv[1]), workers=1, on_course=lambda c: print(c.computed, flush=True))\n"
    )
    folder = tmp_path / "out"
    for least in (1, 2):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True, env=cache_env
        ) as process:
            while int(process.stdout.readline()) < 1:
                pass
            process.kill()
        assert load_sweep(folder).computed.sum() >= least
    assert mgd.sweep("parity", vary=VARY, out=folder, **SETTINGS).identical(data)


# --- course and bad input ---


def test_the_course_is_told_from_the_cost_to_the_end(tmp_path):
    seen = []
    run(
        Plan.of({"task": "parity", **SETTINGS}, VARY),
        tmp_path / "out",
        workers=1,
        on_course=lambda course: seen.append(Course(**vars(course))),
    )
    first, last = seen[0], seen[-1]
    assert (first.points, first.missing, first.chip_steps, first.programs) == (3, 3, 3 * 3 * 60, 2)
    assert first.left is None
    assert (last.computed, last.made, last.left) == (3, first.chip_steps, 0.0)
    assert [course.computed for course in seen] == sorted(course.computed for course in seen)


def test_a_batch_has_no_more_chips_than_lanes_take_without_delay(monkeypatch):
    monkeypatch.setattr("mgd.sweeps._sweep._MOST_CHIPS", 7)
    points = list(Plan.of({"task": "parity", **SETTINGS}, {"cost-noise": [0.001, 0.01, 0.1, 0.2, 0.3, 0.4]}).points())
    work = _Work(points, Course(6, 6, 6 * 3 * 60, 0), lambda course: None)
    first = work.next_batch(1)
    work.note(first, 1.0, 1e-6, counted=False)
    assert (len(first), len(work.next_batch(1))) == (1, 7 // 3)


def test_bad_input_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="workers must be a whole number of at least 1, got 0"):
        mgd.sweep("parity", vary=VARY, workers=0, **SETTINGS)
    with pytest.raises(ValueError, match="the point holdout=4: holdout must leave samples to train on"):
        mgd.sweep("parity", vary={"holdout": [4]}, **SETTINGS)


def test_without_dask_there_is_one_process(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=re.escape('several workers need Dask: pip install "mgd[sweep]"')):
        mgd.sweep("parity", vary=VARY, workers=2, **SETTINGS)


def test_a_file_says_all(tmp_path):
    lines = [f"{name} = {json.dumps(value)}" for name, value in SETTINGS.items()]
    file = tmp_path / "sweep.toml"
    file.write_text("\n".join(['task = "parity"', *lines, "[vary]", "cost-noise = [0.0, 0.01, 0.1]", ""]))
    plan = mgd.sweeps.plan_of(str(file), {}, None, {})
    assert [dict(point.values) for point in plan.points()] == [{"cost-noise": value} for value in (0.0, 0.01, 0.1)]
    assert plan.identity() == Plan.of({"task": "parity", **SETTINGS}, VARY).identity()
    file.write_text('task = "parity"\nvary = 3\n')
    with pytest.raises(ValueError, match=re.escape(f"{file}: vary must be a table, [vary]")):
        mgd.sweeps.plan_of(str(file), {}, None, {})


@pytest.mark.long
def test_your_own_chip_and_data_may_vary(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import mgd\n\ndef build(inputs, outputs, neurons=2):\n    return mgd.chips.mlp((*inputs, neurons, outputs))\n"
    )
    lines = [f"{a / 20},{b / 20},{int(a > b)}" for a in range(8) for b in range(5)]
    (tmp_path / "mine.csv").write_text("\n".join(["a,b,c", *lines]))
    monkeypatch.chdir(tmp_path)
    data = mgd.sweep(
        {"path": "mine.csv"},
        vary={"chip.neurons": [2, 3], "test_fraction": [0.2, 0.5]},
        chip={"build": "mine:build"},
        algorithm="backprop",
        replicas=2,
        steps=50,
    )
    assert dict(data.score.sizes) == {"chip.neurons": 2, "test_fraction": 2, "replica": 2}
    assert (data.n_params == xr.DataArray([12, 17], dims="chip.neurons")).all()
    assert data.attrs["task"] == "mine"


def test_yields_have_wilson_s_interval(found):
    data, folder = found
    shares = yields(folder)
    assert dict(shares.sizes) == {"cost-noise": 3}
    np.testing.assert_array_equal(shares.fraction, data.solved.mean("replica"))
    assert (shares.low <= shares.fraction).all()
    assert (shares.fraction <= shares.high).all()
    with pytest.raises(ValueError, match="confidence must be between 0 and 1, got 2"):
        yields(folder, confidence=2)
