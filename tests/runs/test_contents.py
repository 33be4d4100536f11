"""What lies in a run directory."""

import json

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from safetensors import safe_open

from mgd import RunError
from mgd.runs import RunConfig, read_config, read_summary, resolve, start
from mgd.runs._build import build_algorithm
from mgd.runs._config import Settings


@pytest.fixture
def run(small, tmp_path):
    return start(small(), tmp_path / "run")


def test_the_directory_has_these_files_and_no_other(run):
    assert {p.name for p in run.iterdir()} == {
        "SHA256SUMS",
        "checkpoint-0.safetensors",
        "checkpoint.safetensors",
        "config.toml",
        "curve.png",
        "metrics.zarr",
        "summary.json",
        "task.json",
        "theta.safetensors",
    }


def test_summary(run, small):
    summary = json.loads((run / "summary.json").read_text())
    assert summary == read_summary(run)
    issue = "task engine n_params steps replicas accuracy accuracy_per_replica cost solved_fraction counts seconds"
    assert set(issue.split()) <= set(summary)
    assert (summary["task"], summary["engine"], summary["n_params"]) == ("parity", "measured", 9)
    assert (summary["steps"], summary["replicas"], summary["seed"]) == (60, 3, 5)
    assert len(summary["accuracy_per_replica"]) == 3
    assert summary["accuracy"] == pytest.approx(np.mean(summary["accuracy_per_replica"]))
    solved = np.mean([a >= summary["solved_accuracy"] for a in summary["accuracy_per_replica"]])
    assert summary["solved_fraction"] == pytest.approx(solved)
    assert 0 < summary["cost"] < 1
    # By hand: 60 steps, tau_x = 3, tau_theta = 7: a baseline where either begins.
    baselines = len(set(range(0, 60, 3)) | set(range(0, 60, 7)))
    assert summary["counts"]["cost_measurements"] == 60 + baselines
    assert summary["counts"]["parameter_writes"] == 60 // 7
    assert summary["counts"]["sample_loads"] == 20
    # One a step, and its removal for each baseline but the first, when there is none yet.
    assert summary["counts"]["perturbations"] == 60 + baselines - 1
    assert summary["counts"] == build_algorithm(resolve(small())).counts(60).as_dict()


def test_parameters_give_the_accuracy_of_the_summary(run, small):
    from mgd.engines import Data, evaluate
    from mgd.runs import build_task
    from mgd.runs._build import build_chip

    config = resolve(small())
    task = build_task(config)
    with safe_open(run / "theta.safetensors", "np") as file:
        theta, groups = file.get_tensor("theta"), json.loads(file.metadata()["groups"])
    chip = build_chip(config, task)
    assert theta.shape == (3, 9)
    assert sorted(i for a, b in groups.values() for i in range(a, b)) == list(range(9))
    assert {name: slice(*ends) for name, ends in groups.items()} == chip.groups
    accuracy, cost = evaluate(chip, theta, Data.of(task.test))
    summary = read_summary(run)
    assert np.asarray(accuracy).tolist() == summary["accuracy_per_replica"]
    assert float(np.mean(np.asarray(cost))) == summary["cost"]


def test_metrics(run):
    metrics = xr.open_zarr(run / "metrics.zarr", consolidated=False)
    assert set(metrics.sizes) == {"replica", "step"}
    assert metrics.accuracy.dims == metrics.cost.dims == ("replica", "step")
    assert metrics.step.values.tolist() == [0, 10, 20, 30, 40, 50, 60]
    assert metrics.replica.values.tolist() == [0, 1, 2]
    assert metrics.accuracy.dtype == np.float32
    assert metrics.accuracy.isel(step=-1).values.tolist() == read_summary(run)["accuracy_per_replica"]
    assert metrics.cost_measurements.dtype == np.int64
    counts = read_summary(run)["counts"]
    for name in ("cost_measurements", "parameter_writes", "sample_loads", "perturbations"):
        values = metrics[name].values
        assert values[0] == 0
        assert (np.diff(values) > 0).all()
        assert values[-1] == counts[name]


def test_picture(run):
    with Image.open(run / "curve.png") as image:
        image.load()
        assert image.format == "PNG"
        assert image.width > 600
        pixels = np.asarray(image.convert("RGB")).astype(float)
    assert pixels.std() > 5
    # The curves' own colours are there: blue lines and the red median.
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    assert ((red - blue) > 100).sum() > 100
    assert ((blue - red) > 20).sum() > 100
    assert green.min() < 100


def test_config_is_complete_and_gives_the_same_run(run, tmp_path, assert_same_run, monkeypatch):
    config = read_config(run)
    assert config == RunConfig.read(run / "config.toml")
    assert config.toml() == resolve(config).toml()
    with monkeypatch.context() as patch:  # complete: the presets, which may change, add nothing
        patch.setattr(
            "mgd.runs._execute.resolve", lambda given: Settings.of(given.model_dump(exclude_none=True, by_alias=True))
        )
        again = start(config, tmp_path / "again")
    assert (again / "config.toml").read_bytes() == (run / "config.toml").read_bytes()
    assert_same_run(run, again)


def test_another_seed_is_another_run(run, small, tmp_path):
    other = start(small(seed=6), tmp_path / "other")
    assert (other / "theta.safetensors").read_bytes() != (run / "theta.safetensors").read_bytes()


def test_log_every(small, tmp_path):
    folder = start(small(steps=25, log_every=10), tmp_path / "run")
    assert xr.open_zarr(folder / "metrics.zarr", consolidated=False).step.values.tolist() == [0, 10, 20, 25]


def test_settings_that_another_version_wrote_say_which(run):
    """Without digests, as they are where files were put back by hand."""
    (run / "SHA256SUMS").unlink()
    (run / "config.toml").write_text("new_setting = 3\n" + (run / "config.toml").read_text())
    with pytest.raises(RunError, match=r"unknown setting 'new_setting'(?!.*wrote it)"):
        read_config(run)
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | {"version": "99.0"}))
    with pytest.raises(RunError, match=r"mgd 99\.0 wrote it, and this is mgd .*: use that version \(pip install mgd=="):
        read_config(run)
