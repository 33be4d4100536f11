"""How good replicas are, on a set of samples."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ..chips import AbstractChip
from ._data import Data

# Samples in flight over all replicas: enough to fill the machine, few enough for memory.
_IN_FLIGHT = 4096


@eqx.filter_jit
def evaluate(
    chip: AbstractChip, theta: Float[Array, "replica p"], data: Data, device: Any = None
) -> tuple[Float[Array, " replica"], Float[Array, " replica"]]:
    """Accuracy and mean cost of each replica over all samples, without perturbation.

    A sample is right if its one output is on the target's side of 0.5, or its largest output is the target's.
    Accuracy is NaN where outputs are, or if there are none.

    Args:
        chip: what responds.
        theta: parameters of each replica.
        data: the samples.
        device: what each replica's chip is made of and remembers.
    """
    n = len(data.y)
    block = max(1, min(n, 1000, _IN_FLIGHT // theta.shape[0]))
    n_blocks = -(-n // block)
    rows = jnp.arange(n_blocks * block, dtype=jnp.int32).reshape(n_blocks, block)

    def of_block(rows: Array) -> tuple[Array, Array]:
        x, y = data.show(jnp.minimum(rows, n - 1))

        def one(args: tuple[Array, Any]) -> tuple[Array, Array]:
            theta, device = args
            outputs = chip.respond(theta, x, device=device, key=jax.random.key(0))
            if outputs.shape[-1] == 0:
                return jnp.float32(jnp.nan), jnp.float32(jnp.nan)
            right = jnp.where(jnp.isnan(outputs).any(-1), jnp.nan, correct(outputs, y).astype(jnp.float32))
            inside = rows < n
            return jnp.sum(jnp.where(inside, right, 0.0)), jnp.sum(jnp.where(inside, chip.cost(outputs, y), 0.0))

        if theta.shape[0] == 1:
            return jax.tree.map(lambda x: x[None], one(jax.tree.map(lambda x: x[0], (theta, device))))
        return lax.map(one, (theta, device), batch_size=max(1, _IN_FLIGHT // block))

    right, cost = lax.map(of_block, rows)
    return right.sum(0) / n, cost.sum(0) / n


def correct(outputs: Float[Array, "batch outputs"], target: Float[Array, "batch outputs"]) -> Bool[Array, " batch"]:
    """Which samples are right."""
    if target.shape[-1] == 1:
        return (outputs[:, 0] > 0.5) == (target[:, 0] > 0.5)
    return jnp.argmax(outputs, -1) == jnp.argmax(target, -1)
