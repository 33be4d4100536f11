"""A cost that comes late."""

from dataclasses import replace
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from .._base import Traits
from ._checks import require_whole
from ._kinds import AbstractReadout


class Pending(eqx.Module):
    """Costs on their way, in a ring."""

    costs: Float[Array, " k"]
    oldest: Int[Array, ""]
    empty: Bool[Array, ""]


class Delay(AbstractReadout):
    r"""The cost that is read belongs to the measurement k earlier; until there is one, to the first.

    $$C_n \leftarrow C_{\max(n - k,\, 0)}$$

    A perturbation is then combined with the cost of an earlier one; hold each (tau_p) for longer than the delay.

    Args:
        measurements: k, in measurements; 0 for none.

    Raises:
        ValueError: if it is not a whole number from 0 to 65536.

    >>> import jax
    >>> delay, key = Delay(1), jax.random.key(0)
    >>> memory, costs = delay.start(key=key), []
    >>> for cost in (1.0, 2.0, 3.0):
    ...     late, memory = delay.read(memory, jnp.float32(cost), key=key)
    ...     costs.append(late.item())
    >>> costs
    [1.0, 1.0, 2.0]

    References:
        Jabri and Flower, *Weight perturbation*, IEEE Trans. Neural Networks 3, 154 (1992).
    """

    name: ClassVar[str] = "delay"
    place: ClassVar[int] = 3
    mixes_samples: ClassVar[bool] = True
    measurements: int = eqx.field(static=True)

    def __check_init__(self):
        require_whole(self.name, "measurements", self.measurements, low=0, high=2**16)

    def start(self, *, key: PRNGKeyArray) -> Pending | None:
        if self.measurements == 0:
            return None
        return Pending(jnp.zeros(self.measurements), jnp.int32(0), jnp.bool(True))

    def read(
        self, memory: Pending | None, cost: Float[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Pending | None]:
        if memory is None:
            return cost, None
        costs = jnp.where(memory.empty, cost, memory.costs)
        late, costs = costs[memory.oldest], costs.at[memory.oldest].set(cost)
        return late, Pending(costs, (memory.oldest + 1) % self.measurements, jnp.bool(False))

    def traits(self, inside: Traits) -> Traits:
        return replace(inside, remembers=(*inside.remembers, self.name)) if self.measurements else inside
