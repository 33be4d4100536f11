"""A run that is killed and resumed ends as the unbroken one, to the bit."""

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mgd import Interrupted, RunError
from mgd.runs import _directory, _execute, _generations, resume, start

ANALOG = {"algorithm": "analog", "tau_theta": 8, "tau_x": 8, "tau_hp": 20.0, "learning_rate": 0.05}
VARIANTS = {
    "discrete": {},
    "lfsr, baseline once a hold, momentum": {
        "perturbation": "lfsr",
        "tau_x": 11,
        "tau_theta": 4,
        "tau_p": 2,
        "optimizer": "momentum",
    },
    "gaussian, adam, one replica": {
        "perturbation": "gaussian",
        "optimizer": "adam",
        "learning_rate": 0.02,
        "replicas": 1,
    },
    "sequential in blocks, two-sided": {
        "perturbation": "sequential",
        "blocks": 3,
        "tau_theta": 9,
        "baseline": "two-sided",
        "batch": 2,
    },
    "walsh, discrete, high-pass": {"perturbation": "walsh", "tau_theta": 16, "baseline": "high-pass", "tau_x": 6},
    "analog": {**ANALOG, "perturbation": "rademacher"},
    "analog, sinusoid, adam": {**ANALOG, "tau_theta": 23, "perturbation": "sinusoid", "optimizer": "adam"},
}


@pytest.mark.usefixtures("always_checkpoint", "ragged")
@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.quick("discrete")
def test_killed_in_the_middle_of_windows_and_resumed_is_the_unbroken_run(
    changes, small, tmp_path, monkeypatch, killed, assert_same_run
):
    config = small(**changes)
    with monkeypatch.context() as patch:  # unbroken: in pieces as long as they come, no checkpoint between
        patch.undo()
        patch.setattr(_execute, "CHECKPOINT_SECONDS", 1e9)
        whole = start(config, tmp_path / "whole")
    broken, at = tmp_path / "broken", []

    def kill_after(step: int):
        def on_progress(session):
            if session.snapshot.step > step:
                raise killed

        return on_progress

    with pytest.raises(killed):
        start(config, broken, on_progress=kill_after(8))
    at.append(_generations.read_header(broken).step)
    for step in (22, 39):
        with pytest.raises(killed):
            resume(broken, on_progress=kill_after(step))
        at.append(_generations.read_header(broken).step)
    assert at == sorted(at)
    assert at[-1] > 30
    assert any(step % config.tau_theta for step in at), "no kill fell into an integration window"
    resume(broken)
    assert_same_run(broken, whole)


BY_WINDOWS = {
    "sampled": {"engine": "sampled", "tau_x": 7, "tau_theta": 7, "optimizer": "adam", "batch": 2},
    "backprop": {"algorithm": "backprop", "tau_x": None, "tau_theta": None, "schedule": "cosine", "batch": 2},
}


@pytest.mark.usefixtures("always_checkpoint", "ragged")
@pytest.mark.parametrize("changes", BY_WINDOWS.values(), ids=BY_WINDOWS)
@pytest.mark.long
def test_a_run_by_whole_windows_killed_and_resumed_is_the_unbroken_run(
    changes, small, tmp_path, monkeypatch, killed, assert_same_run
):
    config = small(**changes)
    with monkeypatch.context() as patch:
        patch.undo()
        patch.setattr(_execute, "CHECKPOINT_SECONDS", 1e9)
        whole = start(config, tmp_path / "whole")
    broken, at = tmp_path / "broken", []

    def kill_after(step: int):
        def on_progress(session):
            if session.snapshot.step > step:
                raise killed

        return on_progress

    for step in (8, 22, 39):
        go_on = partial(resume, broken) if at else partial(start, config, broken)
        with pytest.raises(killed):
            go_on(on_progress=kill_after(step))
        at.append(_generations.read_header(broken).step)
    assert at == sorted(at)
    assert at[-1] > 30
    if config.tau_theta:
        assert not any(step % config.tau_theta for step in at), f"put down inside a window: {at}"
    resume(broken)
    assert_same_run(broken, whole)


@pytest.mark.usefixtures("always_checkpoint", "ragged")
@pytest.mark.long
def test_killed_before_any_write_or_rename_and_resumed_is_the_unbroken_run(
    small, tmp_path, monkeypatch, killed, assert_same_run
):
    config = small(steps=9, log_every=4)
    whole = start(config, tmp_path / "whole")
    count = _kill_at(monkeypatch, killed, at=None)
    start(config, tmp_path / "counted")
    total = count()
    assert total > 15
    # The first checkpoint, the middle, and each of the last (theta, picture, summary and their renames).
    for at in (3, *range(total - 7, total, 3)):
        broken = tmp_path / f"broken-{at}"
        _kill_at(monkeypatch, killed, at=at)
        with pytest.raises(killed):
            start(config, broken)
        _kill_at(monkeypatch, killed, at=None)
        resume(broken)
        assert_same_run(broken, whole)
        assert not list(broken.glob("*.part")), at


def _kill_at(monkeypatch, killed, at: int | None):
    """Counts what changes the disk under our control, and dies just before the one of that number."""
    made = 0

    def counted(original):
        def call(*args, **kwargs):
            nonlocal made
            if made == at:
                raise killed
            made += 1
            return original(*args, **kwargs)

        return call

    for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "rename"), (shutil, "rmtree")):
        original = getattr(owner, "_mgd_" + name, None) or getattr(owner, name)
        monkeypatch.setattr(owner, "_mgd_" + name, original, raising=False)
        monkeypatch.setattr(owner, name, counted(original))
    return lambda: made


DRIVER = """
import sys
from mgd.runs import _execute
import mgd._train
_execute.CHECKPOINT_SECONDS, _execute._CHECKPOINT_SHARE, mgd._train._CHUNK_SECONDS = 0.0, 0, 0.02
from mgd.cli import main
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_kill_9_at_random_moments_and_resumed_is_the_unbroken_run(small, tmp_path, cache_env, assert_same_run):
    config = small(steps=600_000, log_every=50_000)
    whole = start(config, tmp_path / "whole")
    broken = tmp_path / "broken"
    (tmp_path / "config.toml").write_text(config.toml())
    rng = np.random.default_rng(7)
    command, at = ["train", str(tmp_path / "config.toml"), "--out", str(broken)], [0]
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, *command], stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=cache_env
        )
        goal = at[-1] + int(rng.integers(20, 20_000))
        _wait_until(lambda goal=goal: _step(broken) > goal, process)
        process.kill()
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, errors.decode()
        at.append(_step(broken))
        command = ["resume", str(broken)]
    assert at == sorted(set(at))
    assert any(step % 7 and step % 3 for step in at), f"no kill fell into a window: {at}"
    resume(broken)
    assert_same_run(broken, whole)


def _step(folder: Path) -> int:
    if not (folder / "config.toml").exists():
        return -1
    header = _generations.read_header(folder)
    return header.step if header else -1


def _wait_until(true, process, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_request_to_stop_keeps_the_last_step_and_the_handlers_come_back(small, tmp_path, assert_same_run):
    config = small()
    whole = start(config, tmp_path / "whole")
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    stopped, steps = tmp_path / "stopped", []

    def stop(session):
        steps.append(session.snapshot.step)
        if session.snapshot.step > 20:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match=f"mgd resume {stopped}") as raised:
        start(config, stopped, on_progress=stop)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert raised.value.step == steps[-1] == _generations.read_header(stopped).step
    resume(stopped)
    assert_same_run(stopped, whole)


def test_a_second_request_to_stop_stops_at_once(small, tmp_path):
    def stop(session):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        start(small(), tmp_path / "run", on_progress=stop)
    assert _generations.read_header(tmp_path / "run").step == 0


def test_a_run_has_one_writer(small, tmp_path):
    folder = start(small(steps=10), tmp_path / "run")
    with (
        _directory.only_writer(folder),
        pytest.raises(RunError, match="is being written by another process"),
        _directory.only_writer(folder),
    ):
        pass
    with _directory.only_writer(folder):
        pass


def test_two_runs_that_start_at_once_do_not_take_the_same_directory(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made, first = _execute.make_directory, []

    def late(out, task):
        if not first:  # another process comes first, after this one has looked
            first.append(made(out, task))
            _directory.write_config(first[0], small(seed=1))
        return made(out, task)

    monkeypatch.setattr(_execute, "make_directory", late)
    folder = start(small(seed=2, steps=10))
    assert folder != first[0]
    assert _directory.read_config(first[0]).seed == 1
    first.clear()
    with pytest.raises(RunError, match="is a run already"):
        start(small(seed=2, steps=10), tmp_path / "same")
    assert _directory.read_config(tmp_path / "same").seed == 1


def test_resuming_a_finished_run_changes_nothing(small, tmp_path):
    folder = start(small(steps=10), tmp_path / "run")
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}
    assert resume(folder) == folder
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()} == before
