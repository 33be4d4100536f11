"""What tests of runs share: small settings, compiled once; a crash at will; and what must not differ by a bit."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr
from safetensors.numpy import load_file

from mgd.cli import main
from mgd.runs import RunConfig, _execute

SMALL = {
    "task": "parity",
    "bits": 2,
    "hidden": [2],
    "algorithm": "discrete",
    "learning_rate": 0.5,
    "weight_decay": 3e-4,
    "tau_x": 3,
    "tau_theta": 7,
    "steps": 60,
    "log_every": 10,
    "replicas": 3,
    "seed": 5,
}


@pytest.fixture(autouse=True)
def mixed_types():
    """Optax's own Adam mixes integers and floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def small() -> Callable[..., RunConfig]:
    """Settings of a run of a second, some of them changed."""
    return lambda **changes: RunConfig.of(SMALL | changes)


@pytest.fixture
def always_checkpoint(monkeypatch):
    """A checkpoint after every piece."""
    monkeypatch.setattr(_execute, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(_execute, "_CHECKPOINT_SHARE", 0)


@pytest.fixture
def ragged(monkeypatch):
    """Pieces of 1 to 12 steps, so that they end anywhere in a window."""

    def pace(self, n, seconds):
        self._chunk = int(np.random.default_rng(self.snapshot.step).integers(1, 13))

    monkeypatch.setattr(_execute.Session, "_pace", pace)


class Killed(BaseException):
    """Stands for kill -9: nothing catches it, and no clean-up that waits for an OSError sees it."""


@pytest.fixture
def killed() -> type[Killed]:
    return Killed


@pytest.fixture
def assert_same_run() -> Callable[[Path, Path], None]:
    """Asserts that two run directories came to the same parameters, summary and metrics, to the bit."""

    def check(one: Path, other: Path) -> None:
        first, second = (load_file(run / "theta.safetensors")["theta"] for run in (one, other))
        assert first.dtype == np.float32
        assert first.tobytes() == second.tobytes()
        assert (one / "theta.safetensors").read_bytes() == (other / "theta.safetensors").read_bytes()
        one_summary, other_summary = (json.loads((run / "summary.json").read_text()) for run in (one, other))
        assert one_summary.pop("seconds") > 0
        assert other_summary.pop("seconds") > 0
        assert one_summary == other_summary
        metrics = [xr.open_zarr(run / "metrics.zarr", consolidated=False).load() for run in (one, other)]
        assert metrics[0].sizes["step"] > 2
        xr.testing.assert_identical(*metrics)
        for name in ("accuracy", "cost"):
            assert metrics[0][name].values.tobytes() == metrics[1][name].values.tobytes()

    return check


@pytest.fixture
def trainer_env(cache_env, tmp_path) -> dict[str, str]:
    """Processes that share what they compile, and have locks of their own."""
    return cache_env | {"XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def mgd(capsys, tmp_path, monkeypatch) -> Iterator[Callable[..., subprocess.CompletedProcess]]:
    """Runs a command to its end, in this process: a process for each would import and compile the same anew."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    jax.config.update("jax_numpy_dtype_promotion", "standard")  # in a fleet's threads as well

    def run(*arguments: object) -> subprocess.CompletedProcess:
        capsys.readouterr()
        words = [str(argument) for argument in arguments]
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert isinstance(ended.value.code, int | None)
        return subprocess.CompletedProcess(words, ended.value.code or 0, *capsys.readouterr())

    yield run
    jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture
def begin(trainer_env):
    """Starts a command; it is killed at the end of the test, if it has not ended."""
    started: list[subprocess.Popen] = []

    def start(*arguments: object) -> subprocess.Popen:
        command = [sys.executable, "-m", "mgd", *map(str, arguments)]
        # What is killed must not be writing to what the others read.
        env = trainer_env | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1e9"}
        process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def wait_for() -> Callable[..., None]:
    """Waits until something is so."""

    def wait(condition, seconds: float = 100.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.01)

    return wait
