"""What tests of runs share: small settings, compiled once; a crash at will; and what must not differ by a bit."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr
from safetensors.numpy import load_file

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
def compile_once(compiled_once):
    """Every test here takes settings that others take too."""
    with jax.numpy_dtype_promotion("standard"):  # optax's own Adam mixes integers and floats
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


@pytest.fixture(scope="session")
def cache_env(tmp_path_factory) -> dict[str, str]:
    """The environment of a process that shares what it compiles with the others of this session."""
    return os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("jax")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
