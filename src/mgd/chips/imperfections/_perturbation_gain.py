"""Perturbations that differ in size from what was meant."""

from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from ..._normal import normal
from ..._numbers import NUMBER
from .._base import Traits
from ._checks import require
from ._kinds import AbstractDrive


class PerturbationGain(AbstractDrive):
    r"""Each parameter's perturbation has a gain of its own, fixed for each piece.

    $$\tilde\theta_i \leftarrow (1 + \sigma \xi_i)\, \tilde\theta_i, \qquad \xi_i \sim \mathcal N(0, 1)$$

    G is computed with the intended perturbation, so each of its components has that gain too.

    Args:
        sigma: σ, relative; 0 for none.

    Raises:
        ValueError: if it is negative or not finite.

    >>> import jax
    >>> PerturbationGain(0.0).spread(2, key=jax.random.key(0)).tolist()
    [1.0, 1.0]

    References:
        Pelgrom et al., *Matching properties of MOS transistors*, IEEE J. Solid-State Circuits 24, 1433 (1989).
    """

    name: ClassVar[str] = "perturbation-gain"
    place: ClassVar[int] = 7
    sigma: float = eqx.field(metadata=NUMBER)

    def __check_init__(self):
        require(self.name, "sigma", self.sigma, low=0.0)

    def spread(self, n_params: int, *, key: PRNGKeyArray) -> Float[Array, " p"]:
        return 1 + normal(self.sigma, key=key, shape=(n_params,))

    def drive(
        self, own: Float[Array, " p"], theta: Float[Array, " p"], perturbation: Float[Array, " p"], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
        return theta, own * perturbation

    def traits(self, inside: Traits) -> Traits:
        return inside
