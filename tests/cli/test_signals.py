"""Ctrl-C and SIGTERM keep what was done, and say how to go on."""

import signal
import time
from collections.abc import Callable

import pytest

from mgd.runs import read_header

LONG = (
    "--bits=2",
    "--hidden=2",
    "--learning-rate=0.5",
    "--tau-theta=7",
    "--replicas=2",
    "--steps=10000000000",
)


# As `mgd` is, but that each look of its at the training writes a checkpoint: so others see how far it is.
OFTEN = """
import sys
from mgd.runs import _execute
_execute.CHECKPOINT_SECONDS, _execute._CHECKPOINT_SHARE = 0.0, 0
from mgd.cli import main
main(sys.argv[1:])
"""


def _wait_until(true: Callable[[], object], process) -> None:
    end = time.monotonic() + 120
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def _step(run) -> int:
    header = read_header(run) if (run / "checkpoint.safetensors").exists() else None
    return header.step if header else -1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.quick("15")
def test_a_signal_checkpoints_and_says_how_to_resume(number, mgd_process, mgd_cli, tmp_path):
    run = tmp_path / "run"
    process = mgd_process("train", "parity", *LONG, "--out", run, python=("-c", OFTEN))
    _wait_until(lambda: _step(run) > 0, process)
    second = mgd_cli("resume", run)
    assert second.code == 2
    assert f"mgd: {run} is being written by another process" in second.err
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    step = _step(run)
    assert step > 0
    assert "Traceback" not in err
    assert err.splitlines()[-1] == f"mgd: stopped at step {step}; to continue: mgd resume {run}"
    assert (process.returncode, out) == (130, "")
    # It goes on from there.
    process = mgd_process("resume", run, python=("-c", OFTEN))
    _wait_until(lambda: _step(run) > step, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert f"mgd: stopped at step {_step(run)}; " in err


def test_ctrl_c_before_training_says_so_and_leaves_nothing(mgd_cli, monkeypatch, tmp_path):
    def build_task(config):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("mgd.runs._execute.build_task", build_task)
    said = mgd_cli("train", "parity", *LONG, "--out=run")
    assert (said.code, said.out) == (130, "")
    assert said.err.startswith("mgd: stopped"), repr(said.err)
    assert said.err.count("\n") == 1, repr(said.err)
    assert list((tmp_path / "here").iterdir()) == []
