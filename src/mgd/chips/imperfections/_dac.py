"""A converter that sets the parameters."""

from dataclasses import replace
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..._numbers import NUMBER, derived
from .._base import AbstractChip, Traits
from ._checks import require_range, require_truth, require_whole
from ._kinds import AbstractImperfection
from ._levels import MOST_BITS, Levels, steps_of
from ._write import Store


class DAC(AbstractImperfection):
    r"""Parameters are set by digital-to-analog converters, whose registers hold one of 2^bits levels each.

    $$\theta \leftarrow \theta + q \left\lfloor \frac{\Delta}{q} \right\rceil \quad\text{or}\quad
      \theta + q \left\lfloor \frac{\Delta}{q} + u \right\rfloor, \; u \sim \mathcal U(0, 1), \qquad
      q = \frac{\text{high} - \text{low}}{2^\text{bits} - 1}$$

    Without a finer copy, rounding to the nearest level loses a change of less than q/2; stochastic rounding keeps it on
    average. Values beyond an end stop there, as on a real chip.

    With a finer copy, which a host keeps that trains a real chip, the copy takes the whole of each update, and the
    register has the level nearest to it.

    The perturbation passes the same converter, which rounds the sum of both: a perturbation of less than q/2 has no
    effect. On a line of its own it is not rounded.

    Args:
        bits: the number of bits of each converter.
        low: the lowest level, in the parameter's unit.
        high: the highest.
        stochastic: whether writes are rounded stochastically.
        own_line: whether the perturbation has its own line past the converter.
        finer_copy: whether the host keeps θ itself; nothing is then rounded stochastically.

    Raises:
        ValueError: if bits is not from 1 to 24, low is not below high, or it is both stochastic and a copy.

    >>> store = lambda theta, delta, *, key: theta + delta
    >>> theta, key = jnp.array([0.0, 1.0]), jax.random.key(0)
    >>> DAC(2, 0.0, 3.0).write(None, theta, theta + 0.4, store=store, key=key).tolist()
    [0.0, 2.0]
    >>> [line.tolist() for line in DAC(2, 0.0, 3.0).enter(None, theta, theta + 0.6, key=key)]
    [[0.0, 1.0], [1.0, 2.0]]

    References:
        Gupta et al., *Deep learning with limited numerical precision*, ICML (2015), arXiv:1502.02551.
    """

    name: ClassVar[str] = "dac"
    side: ClassVar[str] = "in"
    place: ClassVar[int] = 8
    bits: int = eqx.field(static=True)
    low: float = eqx.field(metadata=NUMBER)
    high: float = eqx.field(metadata=NUMBER)
    stochastic: bool = eqx.field(static=True, default=False)
    own_line: bool = eqx.field(static=True, default=False)
    finer_copy: bool = eqx.field(static=True, default=False)

    _derived: dict | None = eqx.field(init=False, default=None)

    def __check_init__(self):
        require_whole(self.name, "bits", self.bits, low=1, high=MOST_BITS)
        require_range(self.name, self.low, self.high)
        require_truth(self.name, "stochastic", self.stochastic)
        require_truth(self.name, "own_line", self.own_line)
        require_truth(self.name, "finer_copy", self.finer_copy)
        if self.finer_copy and self.stochastic:
            raise ValueError(f"{self.name}: with a finer copy, writes are not rounded stochastically: leave one out")

    @property
    def lsb(self) -> float:
        """From one level to the next."""
        return steps_of(self.bits, self.low, self.high)["step"]

    def _derive(self) -> dict[str, float]:
        return steps_of(self.bits, self.low, self.high)

    def make(self, chip: AbstractChip, *, key: PRNGKeyArray) -> tuple[None, Any]:
        return None, chip.fabricate(key=key)

    def enter(
        self, own: None, theta: Float[Array, " p"], perturbation: Float[Array, " p"], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
        levels = Levels(self.bits, self.low, **derived(self))
        level = levels.nearest(theta)
        return level, perturbation if self.own_line else levels.nearest(theta + perturbation) - level

    def leave(
        self, own: None, theta: Float[Array, " p"], cost: Float[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], None]:
        return cost, own

    def write(
        self, own: None, theta: Float[Array, " p"], delta: Float[Array, " p"], *, store: Store, key: PRNGKeyArray
    ) -> Float[Array, " p"]:
        if self.finer_copy:
            return store(theta, jnp.clip(theta + delta, self.low, self.high) - theta, key=key)
        round_key, inner_key = jax.random.split(key)
        levels = Levels(self.bits, self.low, **derived(self))
        steps, u = delta * levels.per_step, jax.random.uniform(round_key, theta.shape)
        steps = jnp.floor(steps + u) if self.stochastic else jnp.round(steps)
        level = levels.value(levels.saturate(levels.code(theta) + steps))
        return store(theta, level - theta, key=inner_key)

    def traits(self, inside: Traits) -> Traits:
        return inside if self.own_line else replace(inside, coarse=(*inside.coarse, self.name))


def symmetric(bits: int, end: float, stochastic: bool = False, own_line: bool = False, finer_copy: bool = False) -> DAC:
    """Levels from minus an end to that end, as settings have them."""
    return DAC(bits, -end, end, stochastic, own_line, finer_copy)
