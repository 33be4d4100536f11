"""The levels of a converter."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

# Codes are counted in float32, which holds whole numbers to here.
MOST_BITS = 24


class Levels(NamedTuple):
    """2^bits values, evenly spaced from low to high, both included."""

    bits: int
    low: float
    high: float

    @property
    def step(self) -> float:
        """From one level to the next: one LSB."""
        return (self.high - self.low) / (2**self.bits - 1)

    def code(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The number of the level nearest to a value; beyond the ends, that of the end."""
        return self.saturate(jnp.round((value - self.low) / self.step))

    def saturate(self, code: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The nearest number that a level has."""
        return jnp.clip(code, 0, 2**self.bits - 1)

    def value(self, code: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The value of a level."""
        return self.low + code * self.step

    def nearest(self, value: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The level nearest to a value."""
        return self.value(self.code(value))
