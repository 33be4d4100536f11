"""Strict settings for every test: shapes and types checked, no silent promotion, warnings are errors."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

with install_import_hook("mgd", "beartype.beartype"):
    import mgd.algorithm
    import mgd.chips
    import mgd.datasets
    import mgd.engines
    import mgd.instruments
    import mgd.networks
    import mgd.perturbations

    for package in (mgd.datasets, mgd.instruments):  # their modules load lazily, and must load under the hook
        for name in package.__all__:
            getattr(package, name)

from mgd.runs import _execute  # noqa: E402 (after its parts are under the hook)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the real images; tests that need them are skipped, by name, where there is none."""
    named = os.environ.get("MGD_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no image data: set MGD_DATA (looked in {folder})")
    return folder


def _once_a_setting(build: Callable) -> Callable:
    """The same object for the same settings, so that what was compiled is used again; neither holds any state."""
    made = {}

    @functools.wraps(build)
    def call(config, *rest):
        key = config.model_copy(update={"steps": 1, "seed": 0, "replicas": 1, "log_every": None, "instrument": None})
        if key not in made:
            made[key] = build(config, *rest)
        return made[key]

    return call


_BUILDERS = {name: _once_a_setting(getattr(_execute, name)) for name in ("build_chip", "build_algorithm", "build_task")}


@pytest.fixture
def compiled_once(monkeypatch):
    """Runs of the same settings share what was compiled."""
    for name, build in _BUILDERS.items():
        monkeypatch.setattr(_execute, name, build)
