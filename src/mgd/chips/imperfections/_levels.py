"""The levels of a converter."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, ScalarLike

# Codes are counted in float32, which holds whole numbers to here.
MOST_BITS = 24


def steps_of(bits: int, low: float, high: float) -> dict[str, float]:
    """From one level to the next, and the inverse, where 2^bits are evenly spaced from low to high, both included."""
    step = (high - low) / (2**bits - 1)
    return {"step": step, "per_step": inverse(step)}


def inverse(number: float) -> float:
    """What is multiplied by instead of dividing by a number: XLA does that with constants, in float32."""
    return float(np.float32(1) / np.float32(number))


class Levels(NamedTuple):
    """2^bits values, evenly spaced from `low` on.

    Attributes:
        bits: of the converter.
        low: the lowest level.
        step: from one level to the next: one LSB.
        per_step: its inverse.
    """

    bits: int
    low: ScalarLike
    step: ScalarLike
    per_step: ScalarLike

    def code(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The number of the level nearest to a value; beyond the ends, that of the end."""
        return self.saturate(jnp.round((value - self.low) * self.per_step))

    def saturate(self, code: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The nearest number that a level has."""
        return jnp.clip(code, 0, 2**self.bits - 1)

    def value(self, code: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The value of a level."""
        return jnp.asarray(self.low + code * self.step)

    def nearest(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The level nearest to a value."""
        return self.value(self.code(value))
