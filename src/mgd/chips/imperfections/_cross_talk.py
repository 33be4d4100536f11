"""Lines that couple to their neighbours."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..._numbers import NUMBER
from .._base import Traits
from ._checks import require
from ._kinds import AbstractDrive


class CrossTalk(AbstractDrive):
    r"""Each parameter's line also carries a share of its two neighbours' signals, in parameters and perturbations.

    $$\theta_i \leftarrow \theta_i + \epsilon\, (\theta_{i-1} + \theta_{i+1}), \qquad
      \tilde\theta_i \leftarrow \tilde\theta_i + \epsilon\, (\tilde\theta_{i-1} + \tilde\theta_{i+1})$$

    Neighbours are adjacent in θ; the first and the last parameter have one.

    Args:
        coupling: ε, the share from each neighbour; 0 for none.

    Raises:
        ValueError: if it is not from −1 to 1.

    >>> import jax
    >>> theta = jax.numpy.array([1.0, 0.0, 0.0])
    >>> CrossTalk(0.5).drive(None, theta, 2 * theta, key=jax.random.key(0))[1].tolist()
    [2.0, 1.0, 0.0]

    References:
        Milanizadeh et al., *Canceling thermal cross-talk effects in photonic integrated circuits*,
        J. Lightwave Technol. 37, 1325 (2019).
    """

    name: ClassVar[str] = "cross-talk"
    place: ClassVar[int] = 2
    coupling: float = eqx.field(metadata=NUMBER)

    def __check_init__(self):
        require(self.name, "coupling", self.coupling, low=-1.0, high=1.0)

    def spread(self, n_params: int, *, key: PRNGKeyArray) -> None:
        return None

    def drive(
        self, own: None, theta: Float[Array, " p"], perturbation: Float[Array, " p"], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
        return self._mixed(theta), self._mixed(perturbation)

    def _mixed(self, lines: Float[Array, " p"]) -> Float[Array, " p"]:
        padded = jnp.pad(lines, 1)
        return lines + self.coupling * (padded[:-2] + padded[2:])

    def traits(self, inside: Traits) -> Traits:
        return inside
