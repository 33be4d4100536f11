"""Noise on every write."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..._normal import normal
from ..._numbers import NUMBER, is_zero
from .._base import Traits
from ._checks import require
from ._kinds import AbstractMemory
from ._write import Store


class UpdateNoise(AbstractMemory):
    r"""Independent noise on each parameter at each write.

    $$\theta \leftarrow \theta + \Delta + \sigma_\theta\, \xi, \qquad \xi_i \sim \mathcal N(0, 1)$$

    Args:
        sigma: σ_θ, in the parameter's unit; 0 for none.

    Raises:
        ValueError: if it is negative or not finite.

    >>> store = lambda theta, delta, *, key: theta + delta
    >>> zero = jax.numpy.zeros(3)
    >>> UpdateNoise(0.0).take(None, zero, zero + 1, store=store, key=jax.random.key(0)).tolist()
    [1.0, 1.0, 1.0]

    References:
        McCaughan et al., APL Mach. Learn. 1, 026118 (2023); the published program adds one number to all parameters.
    """

    name: ClassVar[str] = "update-noise"
    place: ClassVar[int] = 5
    sigma: float = eqx.field(metadata=NUMBER)

    def __check_init__(self):
        require(self.name, "sigma", self.sigma, low=0.0)

    def spread(self, n_params: int, *, key: PRNGKeyArray) -> None:
        return None

    def held(self, own: None, theta: Float[Array, " p"]) -> Float[Array, " p"]:
        return theta

    def take(
        self, own: None, theta: Float[Array, " p"], delta: Float[Array, " p"], *, store: Store, key: PRNGKeyArray
    ) -> Float[Array, " p"]:
        if is_zero(self.sigma):  # the bits of a perfect memory, whatever a compiler fuses
            return store(theta, delta, key=key)
        noise_key, inner_key = jax.random.split(key)
        inner_key = jnp.where(self.sigma == 0, key, inner_key)  # of replicas without noise beside others with it
        return store(theta, delta + normal(self.sigma, key=noise_key, shape=theta.shape), key=inner_key)

    def traits(self, inside: Traits) -> Traits:
        return inside
