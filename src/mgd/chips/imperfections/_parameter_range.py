"""Parameters that have ends."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ..._numbers import NUMBER
from .._base import Traits
from ._checks import require_range
from ._kinds import AbstractMemory
from ._write import Store


class ParameterRange(AbstractMemory):
    r"""Parameters stay within a range: a write beyond an end stops there.

    $$\theta \leftarrow \min(\max(\theta + \Delta,\, \text{low}),\, \text{high})$$

    A start outside the range is moved to its end. The perturbation is not in the memory, and may exceed the range.

    Args:
        low: the lower end, in the parameter's unit.
        high: the upper end.

    Raises:
        ValueError: if low is not below high.

    >>> import jax
    >>> store = lambda theta, delta, *, key: theta + delta
    >>> theta = jnp.array([0.5, 0.5])
    >>> ParameterRange(-1.0, 1.0).take(None, theta, 2 * theta, store=store, key=jax.random.key(0)).tolist()
    [1.0, 1.0]

    References:
        Burr et al., *Neuromorphic computing using non-volatile memory*, Adv. Phys. X 2, 89 (2017).
    """

    name: ClassVar[str] = "parameter-range"
    place: ClassVar[int] = 3
    low: float = eqx.field(metadata=NUMBER)
    high: float = eqx.field(metadata=NUMBER)

    def __check_init__(self):
        require_range(self.name, self.low, self.high)

    def spread(self, n_params: int, *, key: PRNGKeyArray) -> None:
        return None

    def held(self, own: None, theta: Float[Array, " p"]) -> Float[Array, " p"]:
        return jnp.clip(theta, self.low, self.high)

    def take(
        self, own: None, theta: Float[Array, " p"], delta: Float[Array, " p"], *, store: Store, key: PRNGKeyArray
    ) -> Float[Array, " p"]:
        return self.held(own, store(self.held(own, theta), delta, key=key))

    def traits(self, inside: Traits) -> Traits:
        return inside


def symmetric(end: float) -> ParameterRange:
    """The range from minus an end to that end, as settings have it."""
    return ParameterRange(-end, end)
