"""How fresh parameters are drawn."""

from collections.abc import Sequence
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

Initialisation = Literal["uniform", "glorot"]


def initialise(
    how: str,
    shape: Sequence[int],
    inputs: int,
    outputs: int,
    *,
    key: PRNGKeyArray,
    bias: bool = False,
) -> Float[Array, "*shape"]:
    """Draws one array of weights or biases.

    Args:
        how: "uniform": weights and biases from U(−1, 1), for small networks whose neurons must start apart;
            "glorot": weights from U(−r, r), r = √(6/(inputs + outputs)), biases zero (Glorot and Bengio,
            AISTATS 2010).
        shape: of the array.
        inputs: fan-in of the layer.
        outputs: fan-out of the layer.
        key: what is drawn with.
        bias: whether the array holds biases.

    Raises:
        ValueError: if the name is unknown.
    """
    low, high = bounds(how, inputs, outputs)
    if bias and how == "glorot":
        return jnp.zeros(shape, jnp.float32)
    return jax.random.uniform(key, shape, jnp.float32, low, high)


def bounds(how: str, inputs: int, outputs: int) -> tuple[float, float]:
    """Between what the weights of a layer are drawn.

    Raises:
        ValueError: if the name is unknown.
    """
    if how == "uniform":
        return -1.0, 1.0
    if how == "glorot":
        limit = (6.0 / (inputs + outputs)) ** 0.5
        return -limit, limit
    known = ", ".join(get_args(Initialisation))
    raise ValueError(f"unknown initialisation {how!r}: choose one of {known}")
