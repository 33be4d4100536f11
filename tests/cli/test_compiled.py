"""The folder of compiled programs: it saves time, and nothing that is wrong with it costs more than time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mgd.cli import _compiled

COMPUTE = """
import warnings
from mgd.cli import _compiled, _main
warnings.showwarning = _main._show_warning
_compiled.keep_compiled()
import jax
print(jax.jit(lambda x: x * 3 + 1)(2.0))
"""


def run(tmp_path: Path, *command: str, **more: str) -> subprocess.CompletedProcess:
    names = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "PYTHONWARNINGS")
    env = {name: value for name, value in os.environ.items() if name not in names}
    env |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), **more}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=env, cwd=tmp_path)


def computes(tmp_path: Path, **more: str) -> None:
    done = run(tmp_path, "-c", COMPUTE, **more)
    assert (done.returncode, done.stdout, done.stderr) == (0, "7.0\n", "")


def entries(tmp_path: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (tmp_path / "cache/mgd/compiled").rglob("*-cache")}


@pytest.mark.slow
def test_a_run_outlives_entries_cut_short_and_writes_them_anew(tmp_path):
    train = ("-m", "mgd", "train", "parity", "--bits=2", "--steps=20", "--replicas=2", "--json")
    first = run(tmp_path, *train)
    whole = entries(tmp_path)
    assert len(whole) > 5
    for k, (path, content) in enumerate(whole.items()):
        path.write_bytes(content[: len(content) // 2] if k % 2 else b"")
    second = run(tmp_path, *train)
    assert first.returncode == second.returncode == 0
    assert "cache" not in first.stderr + second.stderr
    theta = [(tmp_path / f"runs/parity-{n}/theta.safetensors").read_bytes() for n in (1, 2)]
    assert theta[0] == theta[1]
    assert set(entries(tmp_path)) == set(whole)
    assert min(map(len, entries(tmp_path).values())) > 100


@pytest.mark.parametrize("asked", ["", "error"])
@pytest.mark.quick("error")
def test_what_cannot_be_read_is_compiled_whatever_is_asked_of_warnings(tmp_path, asked):
    more = {"PYTHONWARNINGS": asked} if asked else {}
    computes(tmp_path, **more)
    for path in entries(tmp_path):
        path.unlink()
        path.mkdir()
    computes(tmp_path, **more)


@pytest.mark.long
def test_a_folder_that_cannot_be_made_or_written_is_done_without(tmp_path):
    (tmp_path / "cache").write_text("a file, and no folder")
    computes(tmp_path)
    (tmp_path / "cache").unlink()
    folder = tmp_path / "cache/mgd/compiled" / _compiled._processor()
    folder.parent.mkdir(parents=True)
    folder.symlink_to("/proc/self/task")  # in which not even root can write
    computes(tmp_path)


@pytest.mark.long
def test_a_folder_of_the_users_own_stays(tmp_path):
    own = {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "own"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    computes(tmp_path, **own)
    assert list((tmp_path / "own").iterdir())
    assert not (tmp_path / "cache").exists()
    for path in (tmp_path / "own").iterdir():
        path.write_bytes(b"")
    computes(tmp_path, **own)
    assert [path.read_bytes() for path in (tmp_path / "own").iterdir()] == [b""] * len(
        list((tmp_path / "own").iterdir())
    )


def test_whoever_imports_mgd_has_jax_as_they_set_it_up(tmp_path):
    code = "import mgd, mgd.cli, jax; mgd.train; print(jax.config.jax_compilation_cache_dir)"
    assert run(tmp_path, "-c", code).stdout == "None\n"


def test_the_oldest_entries_go_when_there_are_many(tmp_path, monkeypatch):
    for k in range(10):
        (tmp_path / f"{k}-cache").write_bytes(b"x" * 10)
        os.utime(tmp_path / f"{k}-cache", (k, k))
    _compiled._make_room(tmp_path)
    assert len(list(tmp_path.iterdir())) == 10
    monkeypatch.setattr(_compiled, "_MOST_BYTES", 99)
    _compiled._make_room(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{k}-cache" for k in range(6, 10)]
