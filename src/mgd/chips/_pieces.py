"""Fresh pieces of a design."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ._base import AbstractChip

# Pieces are made once: to make that faster would take LLVM longer than it would save.
ONCE: Any = {"compiler_options": {"xla_backend_optimization_level": 1}}


def fresh_piece(
    chip: AbstractChip, key: PRNGKeyArray, number: int | Int[Array, ""]
) -> tuple[Float[Array, " p"], Any, PRNGKeyArray, PRNGKeyArray]:
    """Parameters and device of a piece: of that number of those that a key makes; and keys of the piece and its run."""
    chip_key, run_key = jax.random.split(jax.random.fold_in(key, number))
    return chip.init(key=chip_key), chip.fabricate(key=jax.random.fold_in(chip_key, 1)), chip_key, run_key


@eqx.filter_jit(**ONCE)
def first_piece(chip: AbstractChip, key: PRNGKeyArray) -> tuple[Float[Array, " p"], Any, PRNGKeyArray]:
    """Parameters, device and key of the first piece, in the same operations, to the bit, as of many."""

    def one(number: Int[Array, ""]) -> tuple[Float[Array, " p"], Any, PRNGKeyArray]:
        return fresh_piece(chip, key, number)[:3]

    return jax.tree.map(lambda x: x[0], jax.vmap(one)(jnp.arange(1)))
