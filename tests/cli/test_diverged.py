"""A run whose cost is not finite ends with exit code 3 and its last good checkpoint."""

import re

import numpy as np
import pytest
from safetensors.numpy import load_file

from mgd.runs import _execute, read_header


@pytest.fixture
def always_checkpoint(monkeypatch):
    monkeypatch.setattr(_execute, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(_execute, "_CHECKPOINT_SHARE", 0)


@pytest.mark.usefixtures("always_checkpoint")
def test_it_says_at_which_step_and_keeps_the_last_good_checkpoint(train_small, mgd_cli, tmp_path):
    said = train_small("--learning-rate=3e38", "--tau-theta=1", "--tau-x=1", "--out=run")
    assert said.code == 3
    last = said.err.splitlines()[-1]
    assert last.startswith("mgd: ")
    assert "NaN or infinite" in last
    run = tmp_path / "here" / "run"
    assert not (run / "summary.json").exists()
    step = read_header(run).step
    assert 0 < step <= int(re.search(r"step (\d+):", last)[1])
    again = mgd_cli("resume", run)
    assert (again.code, again.err.splitlines()[-1]) == (3, last)
    theta = load_file(run / "checkpoint.safetensors")["progress.state.theta"]
    assert np.isfinite(theta).all()


def test_parameters_that_are_not_finite_after_the_last_step_are_not_a_result(train_small):
    said = train_small("--learning-rate=3e38", "--tau-theta=1", "--tau-x=1", "--steps=2", "--out=run", "--json")
    assert said.code == 3, said.out
