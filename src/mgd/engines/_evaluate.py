"""How good replicas are, on a set of samples."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from .._numbers import as_data, of_first, split
from ..chips import AbstractChip, AbstractCost, CrossEntropy
from ..chips.imperfections import inside, loss_of
from ._data import Data

# Samples in flight over all replicas: enough to fill the machine, few enough for memory.
_IN_FLIGHT = 4096
Marks = Float[Array, " replica"]


def evaluate(
    chip: AbstractChip, theta: Float[Array | np.ndarray, "replica p"], data: Data, device: Any = None
) -> tuple[Marks, Float[Array, " replica"]]:
    """The mark and the cost of each replica, means over all samples, without perturbation.

    A sample's mark is 1 if it is right and 0 if it is not; for labels, the share of them that are right; for values,
    the squared error, a mean over outputs. It is NaN where outputs are, or if there are none. The cost of a chip
    without outputs is the one that it measures, without imperfections of its readout.

    Args:
        chip: the design of the chips.
        theta: parameters of each replica.
        data: the samples.
        device: the individual values and the memory of each replica's chip.
    """
    return _evaluate(as_data(chip), jnp.asarray(theta), data, device)


@eqx.filter_jit
def _evaluate(
    chip: AbstractChip, theta: Float[Array, "replica p"], data: Data, device: Any
) -> tuple[Marks, Float[Array, " replica"]]:
    if n_outputs(of_first(chip), data, device) == 0:
        return jnp.full(theta.shape[0], jnp.nan), _measured_costs(chip, theta, data, device)
    n, loss = len(data.y), loss_of(chip)
    block = _block(n, theta)
    n_blocks = -(-n // block)
    rows = jnp.arange(n_blocks * block, dtype=jnp.int32).reshape(n_blocks, block)

    def of_block(rows: Array) -> tuple[Array, Array]:
        x, y = data.show(jnp.minimum(rows, n - 1))

        def one(chip: AbstractChip, theta: Array, device: Any) -> tuple[Array, Array]:
            outputs = chip.respond(theta, x, device=device, key=jax.random.key(0))
            present = rows < n
            marked = marks(outputs, y, data.kind, loss)
            cost = chip.cost(outputs, y)
            return jnp.sum(jnp.where(present, marked, 0.0)), jnp.sum(jnp.where(present, cost, 0.0))

        return _each(one, chip, theta, device, block)

    marked, cost = lax.map(of_block, rows)
    return marked.sum(0) / n, cost.sum(0) / n


def n_outputs(chip: AbstractChip, data: Data, device: Any = None) -> int:
    """How many outputs a chip gives for these samples; `device` is that of many replicas, or None for a new one.

    Raises:
        ValueError: if it does not give a row of them for each sample.
    """

    def respond() -> Array:
        x, _ = data.show(jnp.zeros(2, jnp.int32))
        one = chip.fabricate(key=jax.random.key(0)) if device is None else jax.tree.map(lambda leaf: leaf[0], device)
        return chip.respond(jnp.zeros(chip.n_params), x, device=one, key=jax.random.key(0))

    shape = eqx.filter_eval_shape(respond).shape
    if len(shape) != 2 or shape[0] != 2:
        raise ValueError(f"for two samples a chip must give outputs of shape (2, outputs), and it gives {shape}")
    return shape[1]


def marks(
    outputs: Float[Array | np.ndarray, "batch outputs"],
    target: Float[Array | np.ndarray, "batch outputs"],
    kind: str,
    loss: AbstractCost | None,
) -> Float[Array | np.ndarray, " batch"]:
    """The mark of each sample, as in `evaluate`; the cost says whether one output is a logit.

    Of NumPy arrays it is worked out by NumPy: a host that waits for a chip compiles nothing for it.
    """
    xp: Any = np if isinstance(outputs, np.ndarray) else jnp
    if kind == "values":
        return xp.mean((outputs - target) ** 2, axis=-1)
    if kind == "classes" and target.shape[-1] > 1:
        right = xp.argmax(outputs, -1) == xp.argmax(target, -1)
    else:
        middle = 0.0 if kind == "signs" else 0.5
        between = 0.0 if isinstance(loss, CrossEntropy) else middle
        right = xp.mean((outputs > between) == (target > middle), axis=-1)
    return xp.where(xp.isnan(outputs).any(-1), xp.float32(xp.nan), right.astype(xp.float32))


def _measured_costs(
    chip: AbstractChip, theta: Float[Array, "replica p"], data: Data, device: Any
) -> Float[Array, " replica"]:
    """The mean cost of each replica of a chip that only measures it; a cost is a batch's, so none is filled up."""
    n, key = len(data.y), jax.random.key(0)
    block = _block(n, theta)
    many, left = divmod(n, block)

    def of_block(rows: Int[Array, " batch"]) -> Array:
        x, y = data.show(rows)

        def one(chip: AbstractChip, theta: Array, device: Any) -> Array:
            within, applied, device = inside(chip, theta, device, key=key)
            return within.measure(applied, jnp.zeros(within.n_sites), x, y, device=device, key=key)[0]

        return _each(one, chip, theta, device, block)

    total = lax.map(of_block, jnp.arange(many * block).reshape(many, block)).sum(0) * block
    if left:
        total = total + of_block(jnp.arange(many * block, n)) * left
    return total / n


def _block(n: int, theta: Float[Array, "replica p"]) -> int:
    """Samples that are worked on at a time."""
    return max(1, min(n, 1000, _IN_FLIGHT // theta.shape[0]))


def _each(one: Callable, chip: AbstractChip, theta: Float[Array, "replica p"], device: Any, block: int) -> Any:
    """A function of one replica's chip, parameters and device, for all of them."""
    own, shared = split(chip)

    def body(args: tuple) -> Any:
        own, *rest = args
        return one(eqx.combine(own, shared), *rest)

    args = own, theta, device
    if theta.shape[0] == 1:
        return jax.tree.map(lambda x: x[None], body(jax.tree.map(lambda x: x[0], args)))
    return lax.map(body, args, batch_size=max(1, _IN_FLIGHT // block))
