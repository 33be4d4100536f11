"""Parameters that do not stay where they were written."""

from dataclasses import replace
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..._normal import normal
from ..._numbers import NUMBER, is_zero
from .._base import AbstractChip, Traits
from ._checks import require
from ._kinds import AbstractImperfection
from ._write import Store


class Drift(AbstractImperfection):
    r"""The stored parameters leak towards zero and diffuse, a little at each measurement.

    $$\theta \leftarrow (1 - \lambda)\, \theta + \sigma\, \xi, \qquad \xi_i \sim \mathcal N(0, 1)$$

    A write changes the value that is stored at that time. The controller's own θ does not contain the drift.

    Args:
        leak: λ, per measurement; 0 for none.
        sigma: σ, in the parameter's unit, at each measurement (after n of them, σ√n); 0 for none.

    Raises:
        ValueError: if leak is not from 0 to 1, or sigma is negative or not finite.

    >>> import jax
    >>> drift, theta = Drift(leak=0.5), jnp.ones(1)
    >>> _, offset = drift.leave(jnp.zeros(1), theta, jnp.float32(0), key=jax.random.key(0))
    >>> drift.enter(offset, theta, theta, key=jax.random.key(0))[0].tolist()
    [0.5]

    References:
        Ambrogio et al., *Equivalent-accuracy accelerated neural-network training using analogue memory*,
        Nature 558, 60 (2018): capacitors that leak.
    """

    name: ClassVar[str] = "drift"
    side: ClassVar[str] = "in"
    place: ClassVar[int] = 6
    leak: float = eqx.field(metadata=NUMBER, default=0.0)
    sigma: float = eqx.field(metadata=NUMBER, default=0.0)

    def __check_init__(self):
        require(self.name, "leak", self.leak, low=0.0, high=1.0)
        require(self.name, "sigma", self.sigma, low=0.0)

    def make(self, chip: AbstractChip, *, key: PRNGKeyArray) -> tuple[Float[Array, " p"], Any]:
        return jnp.zeros(chip.n_params), chip.fabricate(key=key)

    def enter(
        self, own: Float[Array, " p"], theta: Float[Array, " p"], perturbation: Float[Array, " p"], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
        return theta + own, perturbation

    def leave(
        self, own: Float[Array, " p"], theta: Float[Array, " p"], cost: Float[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Float[Array, " p"]]:
        return cost, own - self.leak * (theta + own) + normal(self.sigma, key=key, shape=theta.shape)

    def write(
        self,
        own: Float[Array, " p"],
        theta: Float[Array, " p"],
        delta: Float[Array, " p"],
        *,
        store: Store,
        key: PRNGKeyArray,
    ) -> Float[Array, " p"]:
        return store(theta + own, delta, key=key) - own

    def traits(self, inside: Traits) -> Traits:
        return (
            replace(inside, remembers=(*inside.remembers, self.name))
            if not (is_zero(self.leak) and is_zero(self.sigma))
            else inside
        )
