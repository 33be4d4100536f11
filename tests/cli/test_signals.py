"""Ctrl-C and SIGTERM keep what was done, and say how to go on."""

import signal
import time

import pytest

from mgd.runs._generations import read_header

LONG = (
    "--bits=2",
    "--hidden=2",
    "--learning-rate=0.5",
    "--tau-theta=7",
    "--replicas=2",
    "--steps=10000000000",
)


def _wait_for(process, path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def _wait_for_training(process, run) -> None:
    """Until the process has written to the run, and then a little."""
    before = (run / "checkpoint.safetensors").stat().st_mtime_ns
    end = time.monotonic() + 60
    while (run / "checkpoint.safetensors").stat().st_mtime_ns == before:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(1.5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_checkpoints_and_says_how_to_resume(number, mgd_process, mgd_cli, tmp_path):
    run = tmp_path / "run"
    process = mgd_process("train", "parity", *LONG, "--out", run)
    _wait_for(process, run / "checkpoint.safetensors")
    second = mgd_cli("resume", run)
    assert second.code == 2
    assert f"mgd: {run} is being written by another process" in second.err
    time.sleep(1.5)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    step = read_header(run).step
    assert step > 0
    assert "Traceback" not in err
    assert err.splitlines()[-1] == f"mgd: stopped at step {step}; to continue: mgd resume {run}"
    assert (process.returncode, out) == (130, "")
    # It goes on from there.
    process = mgd_process("resume", run)
    time.sleep(0.1)
    _wait_for_training(process, run)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert read_header(run).step > step


def test_ctrl_c_before_training_says_so_and_leaves_nothing(mgd_cli, monkeypatch, tmp_path):
    def build_task(config):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("mgd.runs._execute.build_task", build_task)
    said = mgd_cli("train", "parity", *LONG, "--out=run")
    assert (said.code, said.out) == (130, "")
    assert said.err.startswith("mgd: stopped"), repr(said.err)
    assert said.err.count("\n") == 1, repr(said.err)
    assert list((tmp_path / "here").iterdir()) == []
