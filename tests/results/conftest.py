import jax
import pytest


@pytest.fixture(autouse=True)
def mixed_types():
    """Optax's own Adam mixes integers and floats."""
    with jax.numpy_dtype_promotion("standard"):
        yield
