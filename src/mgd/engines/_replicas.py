"""Replicas: how they start, how they are run side by side, and what is in front of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt32

from .._numbers import Each, as_data, split
from ..algorithm import AbstractAlgorithm, Clock, State
from ..chips import AbstractChip
from ..chips._pieces import ONCE, fresh_piece
from ._base import Progress
from ._data import Data

if TYPE_CHECKING:
    from .simulated._base import AbstractSimulated

# Chips larger than this gain nothing from being side by side in one array operation (and convolutions with
# many kernels lose): their replicas run one after the other.
_LARGE_CHIP = 10_000


def fresh_replicas(
    chip: AbstractChip,
    algorithm: AbstractAlgorithm,
    n_replicas: int,
    key: PRNGKeyArray,
    start: Float[np.ndarray, "replica p"] | None = None,
) -> Progress:
    """Fresh replicas. Replica r is the same however many there are.

    Args:
        chip: that they are.
        algorithm: that trains them.
        n_replicas: how many.
        key: everything random is drawn from it.
        start: their parameters, in place of those that the chip draws.

    Raises:
        ValueError: if the algorithm cannot train such a chip, or numbers are given for another number of replicas.
    """
    algorithm.check(chip.n_sites)
    for each in jax.tree.leaves((chip, algorithm), is_leaf=lambda leaf: isinstance(leaf, Each)):
        if isinstance(each, Each) and len(each.values) != n_replicas:
            raise ValueError(f"the varied numbers are for {len(each.values)} replicas, got n_replicas = {n_replicas}")
    chip, algorithm = as_data(chip), as_data(algorithm.for_program(chip.n_params, chip.n_sites))
    # Within another program (only shapes are asked for) it is a part of that.
    make = _fresh if isinstance(key, Tracer) else _compiled_fresh
    return make(chip, algorithm, n_replicas, key, None if start is None else jnp.asarray(start, jnp.float32))


def _fresh(
    chip: AbstractChip,
    algorithm: AbstractAlgorithm,
    n_replicas: int,
    key: PRNGKeyArray,
    start: Float[Array, "replica p"] | None,
) -> Progress:
    own, rest = split((chip, algorithm))

    def one(own: tuple, replica: Int[Array, ""], start: Float[Array, " p"] | None) -> tuple[State, Any]:
        chip, algorithm = eqx.combine(own, rest)
        theta, device, _, run_key = fresh_piece(chip, key, replica)
        theta = theta if start is None else start
        return algorithm.init(theta, key=run_key, n_sites=chip.n_sites).with_clock(None), device

    state, device = jax.vmap(one)(own, jnp.arange(n_replicas), start)
    return Progress.of(state.with_clock(algorithm.clock_at(0)), device)


_compiled_fresh = eqx.filter_jit(_fresh, **ONCE)


def each_replica(one: Callable, engine: "AbstractSimulated[Any, Any]") -> Callable:
    """A function of one replica's (engine, state, …), for all: side by side, or for large chips one after the other.

    The engine is handed over with the replica's own numbers, where replicas differ in some. The first result must be
    the state after; the clock of all is that of the first.
    """

    def call(state: State, *rest: Any) -> tuple:
        def body(args: tuple) -> tuple[tuple, Clock]:
            own, state, *rest = args
            state, *results = one(eqx.combine(own, shared), state.with_clock(clock), *rest)
            return (state.with_clock(None), results), state.clock

        clock = state.clock
        own, shared = split(engine)
        args = own, state.with_clock(None), *rest
        if state.theta.shape[0] == 1:
            out, after = body(jax.tree.map(lambda x: x[0], args))
            out = jax.tree.map(lambda x: x[None], out)
        elif engine.chip.n_params > _LARGE_CHIP:
            out, after = lax.map(body, args)
            after = jax.tree.map(lambda x: x[0], after)
        else:
            out, after = jax.vmap(body, out_axes=(0, None))(args)
        return out[0].with_clock(after), *out[1]

    return call


def in_front(algorithm: AbstractAlgorithm, data: Data, batch: int, state: State) -> tuple:
    """The inputs and targets that each replica sees now."""

    def one(seed: Array) -> tuple[Float[Array, "batch *features"], Float[Array, "batch outputs"]]:
        return shown_to_one(algorithm, data, batch, state.clock, seed)

    seeds = state.seeds.samples
    if seeds.shape[0] > 1:
        return jax.vmap(one)(seeds)
    # A single replica goes without its axis: that compiles to faster operations.
    return jax.tree.map(lambda y: y[None], one(seeds[0]))


def shown_to_one(
    algorithm: AbstractAlgorithm, data: Data, batch: int, clock: Clock, seed: UInt32[Array, " 2"]
) -> tuple[Float[Array, "batch *features"], Float[Array, "batch outputs"]]:
    """The inputs and targets in front of one replica, by its seed of the order of samples."""
    presentation = clock.step.quotient(algorithm.time_constants.tau_x)
    return data.show(data.rows(presentation, seed=seed, batch=batch))
