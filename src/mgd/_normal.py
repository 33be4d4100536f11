"""Normal numbers of a size that is data."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

# Where the inverse error function is finite, as `jax.random.normal` has it.
_LOWEST = np.nextafter(np.float32(-1), np.float32(0))
_ROOT = np.float32(np.sqrt(2))


def normal(sigma: Any, *, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "*shape"]:
    """`sigma * jax.random.normal(key, shape)`, to the bit as XLA computes it where sigma is a constant.

    It multiplies both constants, σ and √2, before anything else; with σ an argument of the program it does not.
    """
    uniform = jax.random.uniform(key, shape, jnp.float32, _LOWEST, 1.0)
    return (jnp.asarray(sigma, jnp.float32) * _ROOT) * lax.erf_inv(uniform)
