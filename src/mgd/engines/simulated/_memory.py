"""Whether what is asked for fits in memory: known from shapes alone, before anything is allocated."""

from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from ...datasets import available_to_process, gigabytes
from .._data import Data
from .._replicas import in_front

if TYPE_CHECKING:
    from ._base import AbstractSimulated

# Of what is free, the part that a run may ask for: the rest is for the program itself, and for others.
_SHARE = 0.95


def check_memory(engine: "AbstractSimulated[Any, Any]", n_replicas: int, data: Data, key: PRNGKeyArray) -> None:
    """Refuses replicas that do not fit in memory; where it is not known how much there is, refuses nothing.

    Raises:
        ValueError: if they do not fit, with the number that would.
    """
    free = available_bytes()
    if free is None:
        return
    each = engine.copies * bytes_per_replica(engine, data, key)
    fit = int(_SHARE * free / each)
    if n_replicas <= fit:
        return
    if fit == 0:
        raise ValueError(
            f"a chip of {engine.chip.n_params:,} parameters does not fit in memory: it takes about {gigabytes(each)}, "
            f"and {gigabytes(free)} are free; train a smaller chip, or one without momentum and with tau_theta = 1"
        )
    raise ValueError(
        f"{n_replicas:,} replicas of {engine.chip.n_params:,} parameters do not fit in memory: they take about "
        f"{gigabytes(each * n_replicas)}, and {gigabytes(free)} are free; {fit:,} replicas would fit"
    )


def bytes_per_replica(engine: "AbstractSimulated[Any, Any]", data: Data, key: PRNGKeyArray) -> int:
    """Bytes of the arrays that a run keeps of each replica, and of the samples in front of it."""

    def one(key: PRNGKeyArray) -> Any:
        progress = engine.init(1, key=key)
        return progress, in_front(engine.algorithm, data, engine.batch, progress.state)

    shapes = eqx.filter_eval_shape(one, key)
    arrays = [leaf for leaf in jax.tree.leaves(shapes) if isinstance(leaf, jax.ShapeDtypeStruct)]
    return sum(leaf.size * leaf.dtype.itemsize for leaf in arrays)


def available_bytes() -> int | None:
    """Available memory; None if it is not known (no Linux, or a device with its own memory)."""
    if jax.default_backend() != "cpu":
        return None
    return available_to_process()
