"""A full disk ends a run with one line, and its last good checkpoint stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from mgd import RunError
from mgd.runs import _generations, resume, start

LIMITED = """
import resource, sys
from mgd.runs import _execute
_execute.CHECKPOINT_SECONDS, _execute._CHECKPOINT_SHARE = 0.0, 0
limit, *arguments = sys.argv[1:]
made = []
write = _execute.write_checkpoint
def write_checkpoint(folder, snapshot, settings):
    if snapshot.step >= 20:  # from here on nothing larger fits
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    write(folder, snapshot, settings)
_execute.write_checkpoint = write_checkpoint
from mgd.cli import main
main(arguments)
"""


@pytest.mark.usefixtures("always_checkpoint")
@pytest.mark.long
def test_a_file_that_does_not_fit(small, tmp_path, cache_env, assert_same_run):
    config = small()
    whole = start(config, tmp_path / "whole")
    (tmp_path / "config.toml").write_text(config.toml())
    run = tmp_path / "run"
    command = [sys.executable, "-c", LIMITED, "200", "train", str(tmp_path / "config.toml"), "--out", str(run)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=cache_env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"mgd: cannot write to {run}: File too large; the last good checkpoint is kept")
    assert f"mgd resume {run}" in last
    assert 0 < _generations.read_header(run).step < 20
    assert not list(run.glob("*.part"))
    resume(run)
    assert_same_run(run, whole)


@pytest.fixture
def tiny_disk(tmp_path):
    """A real file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("no mount command")
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.usefixtures("always_checkpoint", "ragged")
@pytest.mark.parametrize("free", [0, 3000, 12_000, 40_000])
@pytest.mark.quick("3000")
def test_a_full_disk(free, small, tiny_disk, tmp_path, assert_same_run):
    config = small()
    whole = start(config, tmp_path / "whole")
    run, ballast = tiny_disk / "run", tiny_disk / "ballast"

    def fill(session):
        if session.snapshot.step >= 15 and not ballast.exists():
            _fill(ballast, free)

    with pytest.raises(RunError, match="No space left on device; the last good checkpoint is kept") as raised:
        start(config, run, on_progress=fill)
    assert "\n" not in str(raised.value)
    assert f"mgd resume {run}" in str(raised.value)
    assert _generations.read_header(run).step > 0
    assert not list(run.glob("*.part"))
    with pytest.raises(RunError, match="No space left on device"):
        resume(run)
    ballast.unlink()
    resume(run)
    assert_same_run(run, whole)


def _fill(path: Path, free: int) -> None:
    """Fills the disk up to that many bytes."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            pass
        file.truncate(max(0, file.tell() - free))


def test_a_disk_that_is_full_from_the_start_leaves_no_directory(small, tiny_disk):
    _fill(tiny_disk / "ballast", 0)
    with pytest.raises(RunError, match=r"cannot write to .*run: No space left on device"):
        start(small(), tiny_disk / "run")
    assert [p.name for p in tiny_disk.iterdir()] == ["ballast"]


def test_a_full_disk_without_a_named_directory(small, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mgd.runs._contents.replace_file", full)
    with pytest.raises(RunError, match="runs/parity-1: No space left on device"):
        start(small())
