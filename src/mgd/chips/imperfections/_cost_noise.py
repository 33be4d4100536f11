"""White noise on the cost."""

import math
from dataclasses import replace
from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from ..._normal import normal
from ..._numbers import NUMBER
from .._base import Traits
from ._checks import require
from ._kinds import AbstractReadout


class CostNoise(AbstractReadout):
    r"""White noise on every measured cost, baselines included.

    $$C \leftarrow C + \sigma_C\, \mathcal N(0, 1)$$

    Args:
        sigma: σ_C, in the cost's unit; 0 for none.

    Raises:
        ValueError: if it is negative or not finite.

    >>> import jax
    >>> CostNoise(0.1).read(None, jax.numpy.float32(1), key=jax.random.key(0))[0].shape
    ()

    References:
        McCaughan et al., APL Mach. Learn. 1, 026118 (2023); the published program leaves C₀ without noise.
    """

    name: ClassVar[str] = "cost-noise"
    place: ClassVar[int] = 1
    sigma: float = eqx.field(metadata=NUMBER)

    def __check_init__(self):
        require(self.name, "sigma", self.sigma, low=0.0)

    def start(self, *, key: PRNGKeyArray) -> None:
        return None

    def read(self, memory: None, cost: Float[Array, ""], *, key: PRNGKeyArray) -> tuple[Float[Array, ""], None]:
        return cost + normal(self.sigma, key=key), memory

    def traits(self, inside: Traits) -> Traits:
        return replace(inside, cost_noise=math.hypot(inside.cost_noise, self.sigma))
