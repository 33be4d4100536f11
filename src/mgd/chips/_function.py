"""A chip that is any traceable cost."""

from collections.abc import Callable, Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact, PRNGKeyArray

from .._float32 import in_float32
from ._base import AbstractChip, Traits
from ._costs import AbstractCost, cost_named
from ._leaves import Leaves, is_parameter, real


class FunctionChip(AbstractChip):
    """A chip that computes a function of its parameters; made by `from_function`."""

    function: Callable = eqx.field(static=True)
    start: Callable = eqx.field(static=True)
    response: Callable | None = eqx.field(static=True)
    loss: AbstractCost
    leaves: Leaves = eqx.field(static=True)
    declared: Traits = eqx.field(static=True)
    n_params: int = eqx.field(static=True)

    @property
    def groups(self) -> Mapping[str, slice]:
        return {"theta": slice(0, self.n_params)}

    def init(self, *, key: PRNGKeyArray) -> Float[Array, " p"]:
        return self.leaves.flatten([jnp.asarray(self.start(key))])

    @property
    def traits(self) -> Traits:
        return self.declared

    def fabricate(self, *, key: PRNGKeyArray) -> None:
        return None

    @in_float32
    def measure(self, theta, perturbation, x, target, *, device=None, key):
        (vector,) = self.leaves.unflatten(theta + perturbation)
        return real(self.function(vector, x, target), "a chip's cost"), device

    @in_float32
    def respond(self, theta, x, *, device=None, key):
        if self.response is None:
            return jnp.zeros((x.shape[0], 0))
        (vector,) = self.leaves.unflatten(theta)
        return real(self.response(vector, x), "a chip's outputs")

    def cost(self, outputs, target):
        return self.loss(outputs, target)

    def write(self, theta, delta, *, device=None, key):
        return theta + delta


def from_function(
    function: Callable[[Inexact[Array, " n"], Array, Array], Float[Array, ""]],
    *,
    init: Callable[[PRNGKeyArray], Inexact[Array, " n"]],
    respond: Callable[[Inexact[Array, " n"], Array], Float[Array, "batch outputs"]] | None = None,
    cost: str | AbstractCost | None = None,
    traits: Traits | None = None,
) -> FunctionChip:
    """A chip from any cost that JAX can trace.

    All numbers of the vector are trained, complex ones as two reals each: θ is float32, and the function sees the
    vector in the type that `init` gives. To freeze numbers, leave them out of the vector.

    Args:
        function: the cost (vector, x, target) → scalar, of a batch of inputs and targets.
        init: from a key, fresh parameters.
        respond: the outputs (vector, x) → y for a batch, for accuracy. Without it there is no accuracy, and the cost on
            the test set is `function` itself.
        cost: the cost of those outputs on the test set; by default "mse".
        traits: the chip's noise, memory and steps, which engines must know.

    Raises:
        ValueError: if `init` does not give a vector of floating-point numbers, or there is a cost of outputs without
            `respond`.

    >>> chip = from_function(lambda theta, x, y: jnp.sum((theta - 3) ** 2), init=lambda key: jnp.zeros(5))
    >>> chip.n_params
    5
    """
    start = eqx.filter_eval_shape(init, jax.random.key(0))
    if not isinstance(start, jax.ShapeDtypeStruct):
        raise ValueError(f"init must give a vector of at least one parameter, got a {type(start).__name__}")
    if len(start.shape) != 1 or start.shape[0] == 0:
        raise ValueError(f"init must give a vector of at least one parameter, got shape {start.shape}")
    if not is_parameter(start):
        raise ValueError(f"init must give floating-point numbers, which can be trained, got {start.dtype}")
    if respond is None and cost is not None:
        raise ValueError(f"cost needs the outputs of respond: give respond, or leave cost out, got {cost!r}")
    leaves = Leaves.of(start)
    return FunctionChip(
        function=function,
        start=init,
        response=respond,
        loss=cost_named("mse" if cost is None else cost),
        leaves=leaves,
        declared=traits or Traits(),
        n_params=leaves.n_params,
    )
