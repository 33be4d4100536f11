"""Cells that do not take what is written."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ..._numbers import NUMBER, derived
from .._base import Traits
from ._checks import require, require_range
from ._kinds import AbstractDrive


class Broken(eqx.Module):
    """Which cells are broken, and where those sit."""

    mask: Bool[Array, " p"]
    value: Float[Array, " p"]


class StuckCells(AbstractDrive):
    r"""Some parameters are stuck at a value, whatever is written or perturbed.

    $$\theta_i \leftarrow v_i, \quad \tilde\theta_i \leftarrow 0 \qquad
      v_i = 0 \text{ with probability } f_\text{dead}, \quad
      v_i \sim \mathcal U(\text{low}, \text{high}) \text{ with probability } f_\text{stuck}$$

    For each piece, the stuck cells and their values are drawn once, independently for each cell.

    Args:
        stuck: f_stuck, the probability that a cell is stuck at some value.
        dead: f_dead, the probability that it is stuck at 0.
        low: the lowest value of a stuck cell, in the parameter's unit.
        high: the highest.

    Raises:
        ValueError: if a probability is not from 0 to 1, they sum to more than 1, or low is not below high.

    >>> StuckCells(dead=1.0).spread(3, key=jax.random.key(0)).value.tolist()
    [0.0, 0.0, 0.0]

    References:
        Chen et al., *RRAM defect modeling and failure analysis*, IEEE Trans. Computers 64, 180 (2015).
    """

    name: ClassVar[str] = "stuck-cells"
    place: ClassVar[int] = 1
    stuck: float = eqx.field(metadata=NUMBER, default=0.0)
    dead: float = eqx.field(metadata=NUMBER, default=0.0)
    low: float = eqx.field(metadata=NUMBER, default=-1.0)
    high: float = eqx.field(metadata=NUMBER, default=1.0)

    _derived: dict | None = eqx.field(init=False, default=None)

    def __check_init__(self):
        require(self.name, "stuck", self.stuck, low=0.0, high=1.0)
        require(self.name, "dead", self.dead, low=0.0, high=1.0)
        if self.stuck + self.dead > 1:
            raise ValueError(f"{self.name}: stuck + dead must be 1 or less, got {self.stuck!r} + {self.dead!r}")
        require_range(self.name, self.low, self.high)

    def _derive(self) -> dict[str, float]:
        return {"broken": self.stuck + self.dead}

    def spread(self, n_params: int, *, key: PRNGKeyArray) -> Broken:
        fate_key, value_key = jax.random.split(key)
        fate = jax.random.uniform(fate_key, (n_params,))
        value = jax.random.uniform(value_key, (n_params,), minval=self.low, maxval=self.high)
        return Broken(fate < derived(self)["broken"], jnp.where(fate < self.dead, 0.0, value))

    def drive(
        self, own: Broken, theta: Float[Array, " p"], perturbation: Float[Array, " p"], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
        return jnp.where(own.mask, own.value, theta), jnp.where(own.mask, 0.0, perturbation)

    def traits(self, inside: Traits) -> Traits:
        return inside


def symmetric(stuck: float = 0.0, dead: float = 0.0, end: float = 1.0) -> StuckCells:
    """Cells stuck between minus an end and that end, as settings have them."""
    return StuckCells(stuck, dead, -end, end)
