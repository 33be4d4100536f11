"""White noise on the cost."""

import math
from dataclasses import replace
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from ..._normal import normal
from ..._numbers import NUMBER, is_zero
from .._base import Traits
from ._checks import require
from ._kinds import AbstractReadout


class CostNoise(AbstractReadout):
    r"""White noise on every measured cost, baselines included.

    $$C \leftarrow C + \sqrt{\sigma_C^2 + (\rho\, C)^2}\; \mathcal N(0, 1)$$

    The relative part is proportional to the cost as it is at each measurement, as is the noise of a source or of an
    amplifier whose gain fluctuates; so it becomes smaller while the chip learns.

    Args:
        sigma: σ_C, in the cost's unit; 0 for none.
        relative: ρ, in parts of the cost; 0 for none.

    Raises:
        ValueError: if one is negative or not finite.

    >>> import jax
    >>> CostNoise(0.1).read(None, jax.numpy.float32(1), key=jax.random.key(0))[0].shape
    ()
    >>> CostNoise(relative=0.1).read(None, jax.numpy.float32(0), key=jax.random.key(0))[0].item()
    0.0

    References:
        McCaughan et al., APL Mach. Learn. 1, 026118 (2023); the published program leaves C₀ without noise.
    """

    name: ClassVar[str] = "cost-noise"
    place: ClassVar[int] = 1
    sigma: float = eqx.field(metadata=NUMBER, default=0.0)
    relative: float = eqx.field(metadata=NUMBER, default=0.0)

    def __check_init__(self):
        require(self.name, "sigma", self.sigma, low=0.0)
        require(self.name, "relative", self.relative, low=0.0)

    def start(self, *, key: PRNGKeyArray) -> None:
        return None

    def read(self, memory: None, cost: Float[Array, ""], *, key: PRNGKeyArray) -> tuple[Float[Array, ""], None]:
        if is_zero(self.relative):
            return cost + normal(self.sigma, key=key), memory
        # The slope of a cost is that of what is measured on average.
        part = self.relative * lax.stop_gradient(cost)
        return cost + normal(jnp.sqrt(self.sigma * self.sigma + part * part), key=key), memory

    def traits(self, inside: Traits) -> Traits:
        return replace(
            inside,
            cost_noise=math.hypot(inside.cost_noise, self.sigma),
            relative_noise=math.hypot(inside.relative_noise, self.relative),
        )
