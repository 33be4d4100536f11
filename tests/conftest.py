"""Strict settings for every test: shapes and types checked, no silent promotion, warnings are errors."""

import os
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
    import mgd.networks
    import mgd.perturbations

    for name in mgd.datasets.__all__:  # its modules load lazily, and must load under the hook
        getattr(mgd.datasets, name)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the real images; tests that need them are skipped, by name, where there is none."""
    named = os.environ.get("MGD_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no image data: set MGD_DATA (looked in {folder})")
    return folder
