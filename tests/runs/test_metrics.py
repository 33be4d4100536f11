"""Metrics are read whole, also while a run replaces them."""

import pytest
import xarray as xr

from mgd import RunError
from mgd.runs import RunConfig, read_metrics
from mgd.runs._directory import write_config
from mgd.runs._metrics import write_metrics


@pytest.fixture
def folder(tmp_path):
    """A run directory without metrics."""
    (tmp_path / "run").mkdir()
    write_config(tmp_path / "run", RunConfig.of({"task": "parity"}))
    return tmp_path / "run"


def _history(*steps: int) -> xr.Dataset:
    return xr.Dataset({"cost": (("replica", "step"), [[1.0 + step for step in steps]])}, {"step": list(steps)})


def test_what_was_written_is_read_and_nothing_else_is_left(folder):
    write_metrics(folder, _history(0))
    write_metrics(folder, _history(0, 5))
    assert read_metrics(folder).identical(_history(0, 5))
    assert sorted(path.name for path in folder.iterdir()) == ["SHA256SUMS", "config.toml", "metrics.zarr"]


def test_metrics_replaced_while_they_are_read_are_read_again(folder, monkeypatch):
    write_metrics(folder, _history(0))
    read = []

    def open_and_be_late(path, **options):
        found = xr.Dataset.load(open_zarr(path, **options))
        read.append(found.step.values.tolist())
        if len(read) == 1:
            write_metrics(folder, _history(0, 5))
        return found

    open_zarr = xr.open_zarr
    monkeypatch.setattr(xr, "open_zarr", open_and_be_late)
    assert read_metrics(folder).identical(_history(0, 5))
    assert read == [[0], [0, 5]]


def test_leftovers_of_a_writer_that_was_killed_do_no_harm(folder):
    write_metrics(folder, _history(0))
    (folder / "metrics.zarr").rename(folder / "metrics.zarr.old")
    with pytest.raises(RunError, match=f"^{folder} has no metrics yet: wait for its first checkpoint, or continue"):
        read_metrics(folder)
    write_metrics(folder, _history(0, 5))
    assert read_metrics(folder).identical(_history(0, 5))
    assert not (folder / "metrics.zarr.old").exists()
