"""A chip that is any traceable cost."""

from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._base import AbstractChip, Traits
from ._costs import AbstractCost, cost_named


class FunctionChip(AbstractChip):
    """A perfect chip that computes a function of its parameters; made by `from_function`."""

    function: Callable = eqx.field(static=True)
    start: Callable = eqx.field(static=True)
    response: Callable | None = eqx.field(static=True)
    loss: AbstractCost
    n_params: int = eqx.field(static=True)

    @property
    def groups(self) -> Mapping[str, slice]:
        return {"theta": slice(0, self.n_params)}

    def init(self, *, key: PRNGKeyArray) -> Float[Array, " p"]:
        return jnp.asarray(self.start(key), jnp.float32)

    @property
    def traits(self) -> Traits:
        return Traits()

    def fabricate(self, *, key: PRNGKeyArray) -> None:
        return None

    def measure(self, theta, perturbation, x, target, *, device=None, key):
        return self.function(theta + perturbation, x, target), device

    def respond(self, theta, x, *, device=None, key):
        if self.response is None:
            return jnp.zeros((x.shape[0], 0))
        return self.response(theta, x)

    def cost(self, outputs, target):
        return self.loss(outputs, target)

    def write(self, theta, delta, *, device=None, key):
        return theta + delta


def from_function(
    function: Callable[[Float[Array, " p"], Array, Array], Float[Array, ""]],
    *,
    init: Callable[[PRNGKeyArray], Float[Array, " p"]],
    respond: Callable[[Float[Array, " p"], Array], Float[Array, "batch outputs"]] | None = None,
    cost: str | AbstractCost = "mse",
) -> FunctionChip:
    """A chip from any cost that JAX can trace.

    Args:
        function: the cost (theta, x, target) → scalar, of a batch of inputs and targets.
        init: from a key, fresh parameters.
        respond: the outputs (theta, x) → y for a batch, for accuracy; without it there is none, and the cost on the
            test set is `function` itself.
        cost: of those outputs, for the cost on the test set.

    Raises:
        ValueError: if `init` does not give a vector.

    >>> chip = from_function(lambda theta, x, y: jnp.sum((theta - 3) ** 2), init=lambda key: jnp.zeros(5))
    >>> chip.n_params
    5
    """
    shape = eqx.filter_eval_shape(init, jax.random.key(0)).shape
    if len(shape) != 1 or shape[0] == 0:
        raise ValueError(f"init must give a vector of at least one parameter, got shape {shape}")
    return FunctionChip(function=function, start=init, response=respond, loss=cost_named(cost), n_params=shape[0])
