"""Several timesteps of one hold at a time, for a host that measures: what to apply, and what the costs make of it.

Both are the algorithm's own ask and tell in a compiled loop of variable length, so how a run is cut into chunks
does not change a bit of it, and a chip is asked once for a whole hold.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from .._counter import Counter
from ..algorithm import Algorithm, Clock, State, Write, rows_of
from ..perturbations import Block

# Presentations whose rows are worked out at a time.
PRESENTATIONS = 64
Limit = Float[np.ndarray, " p"]


class Applied(NamedTuple):
    """What a chunk applies to a chip, one row a measurement.

    Attributes:
        theta: the parameters.
        rows: the signal of each measurement: θ̃, or θ + θ̃ for a chip without lines for perturbations. Row 0 is the
            baseline's where there is one, and is only measured if it is due. Rows after the chunk's last mean nothing.
        due: whether row 0 is measured.
        inside: whether all parameters, perturbed or not, are within the limits.
    """

    theta: Float[Array, " p"]
    rows: Float[Array, "rows p"]
    due: Bool[Array, ""]
    inside: Bool[Array, ""]


class Told(NamedTuple):
    """What a chunk's costs told.

    Attributes:
        modulations: C̃ of each timestep; those after the chunk's last mean nothing.
        even: the part of G from even perturbations (see `turn_of`), up to now or to the window's end.
        gradient: G at the end of the window; zero if it did not end.
        updated: whether it did.
    """

    modulations: Float[Array, " size"]
    even: Float[Array, " p"]
    gradient: Float[Array, " p"]
    updated: Bool[Array, ""]


def turn_of(algorithm: Algorithm, n_params: int) -> int:
    """Timesteps of one perturbation of all parameters: of block after block, where there are blocks.

    Those of even turns and those of odd ones are the two halves that diagnostics compare; with random signs, they
    know nothing of each other.
    """
    family = algorithm.perturbation
    blocks = len(family.block_sizes(n_params)) if isinstance(family, Block) else 1
    return algorithm.time_constants.tau_p * blocks


class Chunk:
    """Asks and tells up to `size` timesteps within a hold, compiled.

    A state is handed around as the tuple of its arrays (`pack`, `unpack`): to build the trees of the library at every
    call would take longer than the work.

    Args:
        algorithm: whose.
        batch: samples a measurement is averaged over.
        size: most timesteps at a time; the algorithm's `hold` or less.
        limits: lowest and highest value of each parameter.
        own_line: whether perturbations have lines of their own.
        write: how a change of the parameters is taken up.
        like: any state of the run, for its structure.

    Attributes:
        head: rows before those of the timesteps: one, where a hold has a baseline.
        per: rows of a timestep.
        n_rows: rows of a whole chunk.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        *,
        batch: int,
        size: int,
        limits: tuple[Limit, Limit],
        own_line: bool,
        write: Write,
        like: State,
    ):
        self._algorithm, self._write, self._limits, self._own_line = algorithm, write, limits, own_line
        self._turn = turn_of(algorithm, like.theta.size)
        self._slots = range(1 if algorithm.baseline.once_a_hold else 0, algorithm.n_slots)
        self.head, self.per, self._size = int(algorithm.baseline.once_a_hold), len(self._slots), size
        self.n_rows = self.head + size * self.per
        structure = jax.tree.structure(like)

        def pack(state: State) -> tuple[Array, ...]:
            return tuple(jax.tree.leaves(state))

        def unpack(leaves: tuple[Array, ...]) -> State:
            return jax.tree.unflatten(structure, leaves)

        def rows(state: tuple[Array, ...], first: Counter, n_samples: int) -> Array:
            seed = unpack(state).seeds.samples

            def one(k: Array) -> Array:
                return rows_of(first.plus(k), seed=seed, n_samples=n_samples, batch=batch)

            return jax.vmap(one)(jnp.arange(PRESENTATIONS, dtype=jnp.uint32))

        def turn(state: tuple, even: Array, costs: Array, n: Array, after: Array) -> tuple:
            now, told = self._tell(unpack(state), even, costs, n)
            return pack(now), jnp.where(told.updated, 0.0, told.even), told, self._ask(now, after)

        self.pack, self.unpack = pack, unpack
        # (state, first presentation, number of samples) -> the rows of some presentations, from that one on
        self.rows: Callable[..., Array] = jax.jit(rows, static_argnames="n_samples")
        # (state, n) -> applied
        self.begin: Callable[..., Applied] = jax.jit(lambda state, n: self._ask(unpack(state), n))
        # (state, even, costs, n, n after) -> state, even, told, applied
        self.turn: Callable[..., tuple[tuple[Array, ...], Array, Told, Applied]] = jax.jit(turn)

    def _ask(self, state: State, n: Int[Array, ""]) -> Applied:
        """What the next `n` timesteps apply."""
        rows = jnp.zeros((self.n_rows, state.theta.size))

        def one(k: Int[Array, ""], rows: Array) -> Array:
            now = state.with_clock(Clock(state.clock.step.plus(k), state.clock.slot))
            for place, slot in enumerate(self._slots):
                signal = self._algorithm.ask(now, slot=slot)[0].perturbation
                rows = lax.dynamic_update_index_in_dim(rows, signal, self.head + self.per * k + place, 0)
            return rows

        rows = one(jnp.int32(0), rows) if self._size == 1 else lax.fori_loop(0, n, one, rows)
        low, high = (jnp.asarray(limit)[None] for limit in self._limits)
        sums = state.theta[None] + rows
        inside = jnp.all((sums >= low) & (sums <= high))
        due = jnp.asarray(self.head == 1) & (state.clock.slot == 0)
        return Applied(state.theta, rows if self._own_line else sums, due, inside)

    def _tell(self, state: State, even: Array, costs: Float[Array, " rows"], n: Int[Array, ""]) -> tuple[State, Told]:
        """The state after the costs of `n` timesteps, and what they told."""
        if self.head:

            def baseline(state: State) -> State:
                return self._algorithm.tell(state, costs[0], write=self._write, slot=0)[0]

            if self._size == 1 and self._algorithm.hold == 1:  # then it is always due
                state = baseline(state)
            else:
                state = lax.cond(state.clock.slot == 0, baseline, lambda state: state, state)

        def one(k: Int[Array, ""], carry: tuple) -> tuple:
            state, even, gradient, modulations, ended = carry
            before, info = state, None
            for place, slot in enumerate(self._slots):
                cost = lax.dynamic_index_in_dim(costs, self.head + self.per * k + place, keepdims=False)
                state, info = self._algorithm.tell(state, cost, write=self._write, slot=slot)
            assert info is not None
            estimate = self._algorithm._estimate(before, info.modulation)
            is_even = before.clock.step.quotient(self._turn).low % 2 == 0
            even = even + jnp.where(is_even, estimate, 0.0)
            gradient = jnp.where(info.updated, before.gradient + estimate, gradient)
            modulations = lax.dynamic_update_index_in_dim(modulations, info.modulation, k, 0)
            return state, even, gradient, modulations, ended | info.updated

        start: Any = state, even, jnp.zeros_like(state.theta), jnp.zeros(self._size), jnp.bool(False)
        # A chunk of one is the most frequent of all, and a loop is slow to begin.
        ended = one(jnp.int32(0), start) if self._size == 1 else lax.fori_loop(0, n, one, start)
        state, even, gradient, modulations, updated = ended
        return state, Told(modulations, even, gradient, updated)
