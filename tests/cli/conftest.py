"""What tests of the command line share: commands called in this process, and processes where that matters."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import pytest

import mgd.cli

# Told in full, so that no test leans on a default; after a task, before what a test adds.
SMALL = ("--bits=2", "--hidden=2", "--learning-rate=0.5", "--tau-theta=7", "--tau-x=3", "--steps=40", "--replicas=2")


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


@pytest.fixture
def mgd_cli(capsys, tmp_path, monkeypatch) -> Callable[..., Said]:
    """Calls a command in this process, in an empty folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("MGD_DATA", raising=False)

    def call(*arguments: object) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_, jax.numpy_dtype_promotion("standard"):
            mgd.cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert isinstance(exit_.value.code, int | None)
        return Said(exit_.value.code or 0, out, err)

    return call


@pytest.fixture
def train_small(mgd_cli) -> Callable[..., Said]:
    """`mgd train parity` with small settings, and what a test adds to them."""
    return lambda *more: mgd_cli("train", "parity", *SMALL, *more)


@pytest.fixture
def mgd_process(cache_env, tmp_path) -> Callable[..., subprocess.Popen]:
    """Starts `python -m mgd`, or another program of Python, in a folder of its own."""

    def start(*arguments: object, cwd: Path = tmp_path, python: tuple = ("-m", "mgd")) -> subprocess.Popen:
        command = [sys.executable, *python, *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=cache_env, cwd=cwd)

    return start


@pytest.fixture(scope="session")
def finished(tmp_path_factory, cache_env) -> tuple[Path, Said]:
    """A finished run, and what `mgd train --json` said, as a process."""
    folder = tmp_path_factory.mktemp("finished")
    command = [sys.executable, "-m", "mgd", "train", "parity", *SMALL, "--out", str(folder / "run"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=cache_env)
    return folder / "run", Said(done.returncode, done.stdout, done.stderr)
