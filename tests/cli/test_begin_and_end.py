"""Where a run begins, when it ends, and how it goes on past its end."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

SMALL = ("--bits=2", "--hidden=2", "--learning-rate=0.5", "--steps=40")


@pytest.mark.long
def test_a_run_starts_with_the_parameters_of_another_or_of_a_file(train_small, mgd_cli):
    assert train_small("--out=twin", "--replicas=3").code == 0
    theta = load_file("twin/theta.safetensors")["theta"]
    np.save("mine.npy", theta[1])
    save_file({"theta": theta[1:2]}, "mine.safetensors")
    np.savez("mine.npz", theta=theta[1], other=theta)
    np.savetxt("mine.csv", theta[1:2], delimiter=",")
    still = ("train", "parity", *SMALL, "--replicas=2", "--learning-rate=1e-30", "--weight-decay=0")
    for number, start in enumerate(("twin:1", "mine.npy", "mine.safetensors", "mine.npz", "mine.csv")):
        said = mgd_cli(*still, f"--start={start}", f"--out=run{number}")
        assert said.code == 0, said.err
        np.testing.assert_allclose(
            load_file(f"run{number}/theta.safetensors")["theta"], np.stack([theta[1]] * 2), rtol=1e-6
        )
    for start, words in (
        ("twin", "start: twin has 3 chips, and this run has 2: choose one of them, as twin:0"),
        ("twin:3", "start: twin has 3 chips, counted from 0: there is no chip 3"),
        ("nothing.npy", "start: there is no nothing.npy"),
        ("config.toml", "is neither a run directory nor a file of parameters"),
    ):
        said = mgd_cli(*still, f"--start={start}")
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert words in said.err


def test_a_run_ends_early_and_goes_on_past_its_end(train_small, mgd_cli):
    said = train_small("--until-accuracy=0.1", "--log-every=10", "--out=run")
    assert "ended at step 0: the mean accuracy is" in said.out
    said = mgd_cli("resume", "run", "--steps=60")
    assert "60 steps" in said.out
    assert "ended at" not in said.out
    assert train_small("--log-every=10", "--steps=60", "--out=whole").code == 0
    assert (
        load_file("run/theta.safetensors")["theta"].tobytes() == load_file("whole/theta.safetensors")["theta"].tobytes()
    )
    said = mgd_cli("resume", "run", "--steps=50")
    assert said.err == "mgd: run has made 60 timesteps: give --steps more than that, got 50\n"
    assert "run is finished" in mgd_cli("resume", "run").err


def test_it_is_told_how_far_a_run_is_where_there_is_no_terminal(train_small, monkeypatch):
    monkeypatch.setenv("MGD_PROGRESS_SECONDS", "1e-9")
    said = train_small("--out=run")
    assert "step 40 of 40 (100%)" in said.err
    assert "steps/s" in said.err
    monkeypatch.setenv("MGD_PROGRESS_SECONDS", "0")
    assert train_small("--out=quiet").err == ""
    monkeypatch.setenv("MGD_PROGRESS_SECONDS", "often")
    said = train_small("--out=other")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "MGD_PROGRESS_SECONDS must be a number of seconds between two lines" in said.err
