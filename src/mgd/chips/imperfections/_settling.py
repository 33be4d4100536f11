"""A cost that has not settled when it is read."""

import math
from dataclasses import replace
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ..._numbers import NUMBER, derived, is_zero
from .._base import Traits
from ._checks import require
from ._kinds import AbstractReadout


class Settled(eqx.Module):
    """The cost at the end of the last measurement, once there is one."""

    cost: Float[Array, ""]
    empty: Bool[Array, ""]


class Settling(AbstractReadout):
    r"""The cost approaches its final value with one time constant, and is read before it arrives.

    $$C_n = C_{\infty,n} + (C_{n-1} - C_{\infty,n})\, e^{-1/\tau}, \qquad C_0 = C_{\infty,0}$$

    Args:
        tau: τ, in the time of one measurement; 0 if it settles at once.

    Raises:
        ValueError: if it is negative or not finite.

    >>> import jax
    >>> settling, key = Settling(1.0), jax.random.key(0)
    >>> _, memory = settling.read(settling.start(key=key), jnp.float32(0), key=key)
    >>> round(settling.read(memory, jnp.float32(1), key=key)[0].item(), 3)
    0.632

    References:
        Jabri and Flower, *Weight perturbation*, IEEE Trans. Neural Networks 3, 154 (1992).
    """

    name: ClassVar[str] = "settling"
    place: ClassVar[int] = 0
    mixes_samples: ClassVar[bool] = True
    tau: float = eqx.field(metadata=NUMBER)

    _derived: dict | None = eqx.field(init=False, default=None)

    def __check_init__(self):
        require(self.name, "tau", self.tau, low=0.0)

    def _derive(self) -> dict[str, float]:
        return {"left": math.exp(-1 / self.tau) if self.tau else 0.0}

    def start(self, *, key: PRNGKeyArray) -> Settled:
        return Settled(jnp.float32(0), jnp.bool(True))

    def read(self, memory: Settled, cost: Float[Array, ""], *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Settled]:
        if is_zero(self.tau):
            return cost, memory
        remaining = jnp.where(memory.empty, 0.0, (memory.cost - cost) * derived(self)["left"])
        cost = cost + remaining
        return cost, Settled(cost, jnp.bool(False))

    def traits(self, inside: Traits) -> Traits:
        return replace(inside, remembers=(*inside.remembers, self.name)) if not is_zero(self.tau) else inside
