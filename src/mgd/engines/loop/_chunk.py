"""Several timesteps of one hold at a time, for a host that measures: what to apply, and what the costs make of it.

Both are the algorithm's own ask and tell in a compiled loop of variable length, so how a run is cut into chunks
does not change a bit of it, and a chip is asked once for a whole hold.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from ...algorithm import AbstractAskTell, Clock, State, Write

Limit = Float[np.ndarray, " p"]
Vector = Float[Array | np.ndarray, " p"]
# The part of G from even perturbations; where a state has no G, in a row before all of it.
Parts = Float[Array | np.ndarray, "... p"]
S = TypeVar("S")


class Applied(NamedTuple):
    """What a chunk applies to a chip, one row a measurement.

    Attributes:
        theta: the parameters.
        rows: the signal of each measurement: θ̃, or θ + θ̃ for a chip without lines for perturbations. Row 0 is the
            baseline's where there is one, and is only measured if it is due. Rows after the chunk's last mean nothing.
        due: whether row 0 is measured.
        inside: whether all parameters, perturbed or not, are within the limits.
    """

    theta: Vector
    rows: Float[Array | np.ndarray, "rows p"]
    due: Bool[Array, ""] | bool
    inside: Bool[Array, ""] | bool


class Told(NamedTuple):
    """The results of a chunk's costs.

    Attributes:
        modulations: C̃ of each timestep; values after the chunk's last timestep have no meaning.
        even: the part of G from even perturbations (see `turn_of`), up to now or to the window's end.
        gradient: G at the end of the window; zero if it did not end.
        updated: whether the window ended.
    """

    modulations: Float[Array | np.ndarray, " size"]
    even: Vector
    gradient: Vector
    updated: Bool[Array, ""] | bool


def turn_of(algorithm: AbstractAskTell, n_params: int) -> int:
    """Timesteps that perturb all parameters once: one block after the other, if there are blocks.

    Even turns and odd turns are the two halves that diagnostics compare; with random signs they are independent.
    """
    return algorithm.time_constants.tau_p * algorithm.reference.perturbation.traits(n_params).turn


@dataclass(frozen=True)
class Layout:
    """The rows of a chunk, one a measurement.

    Attributes:
        head: rows before those of the timesteps: one, where a hold has a baseline.
        slots: of each timestep.
        size: most timesteps.
    """

    head: int
    slots: range
    size: int

    @staticmethod
    def of(algorithm: AbstractAskTell, size: int) -> "Layout":
        head = int(algorithm.once_a_hold)
        return Layout(head, range(head, algorithm.n_slots), size)

    @property
    def per(self) -> int:
        """Rows of a timestep."""
        return len(self.slots)

    @property
    def n_rows(self) -> int:
        """Rows of a whole chunk."""
        return self.row(self.size)

    def row(self, timestep: Any) -> Any:
        """The first row of a timestep, also of one that is traced."""
        return self.head + self.per * timestep


class AbstractChunk(ABC, Generic[S]):
    """Asks and tells up to as many timesteps within a hold as its layout has rows for.

    A state is handed around in a form of the chunk's own: to build the trees of the library at every call would take
    longer than the work.
    """

    @abstractmethod
    def pack(self, state: State) -> S:
        """A state in that form."""

    @abstractmethod
    def unpack(self, now: S) -> State:
        """A state as every engine has it."""

    @abstractmethod
    def begin(self, now: S, n: int) -> Applied:
        """What the next `n` timesteps apply."""

    @abstractmethod
    def turn(
        self, now: S, even: Parts, costs: Float[np.ndarray, " rows"], n: int, after: int
    ) -> tuple[S, Parts, Told, Applied]:
        """The state after the costs of `n` timesteps, their results, and what the `after` timesteps after them apply.

        `even` is the part of G from even perturbations, before and after.
        """

    def foresee(self, now: S, step: int, n: int) -> None:
        """Works out what it can of the `n` timesteps from that step on, before they are asked for."""

    def for_another(self) -> "AbstractChunk[S]":
        """The same for another chip that differs in nothing but its answers."""
        return self


class Chunk(AbstractChunk[tuple[Array, ...]]):
    """Asks and tells compiled; a state is the tuple of its arrays.

    Args:
        algorithm: whose.
        layout: of its rows; no more timesteps than the algorithm's `hold`.
        limits: lowest and highest value of each parameter.
        own_line: whether perturbations have lines of their own.
        write: how a change of the parameters is taken up.
        like: any state of the run, for its structure.
    """

    def __init__(
        self,
        algorithm: AbstractAskTell,
        *,
        layout: Layout,
        limits: tuple[Limit, Limit],
        own_line: bool,
        write: Write,
        like: State,
    ):
        self._algorithm, self._write, self._limits, self._own_line = algorithm, write, limits, own_line
        self._turn, self._layout = turn_of(algorithm, like.theta.size), layout
        self._has_gradient = like.gradient.size > 0
        self._structure = jax.tree.structure(like)
        self._compiled_ask: Callable[..., Applied] = jax.jit(lambda now, n: self._ask(self.unpack(now), n))
        self._compiled_turn: Callable[..., tuple] = jax.jit(self._turned)

    def pack(self, state: State) -> tuple[Array, ...]:
        return tuple(jax.tree.leaves(state))

    def unpack(self, now: tuple[Array, ...]) -> State:
        return jax.tree.unflatten(self._structure, now)

    def begin(self, now: tuple[Array, ...], n: int) -> Applied:
        return self._compiled_ask(now, np.int32(n))

    def turn(
        self, now: tuple[Array, ...], even: Parts, costs: Float[np.ndarray, " rows"], n: int, after: int
    ) -> tuple[tuple[Array, ...], Parts, Told, Applied]:
        if not self._has_gradient and even.ndim == 1:  # the run begins, or is taken up
            even = np.stack([even, even])
        return self._compiled_turn(now, even, costs, np.int32(n), np.int32(after))

    def _turned(self, now: tuple[Array, ...], even: Array, costs: Array, n: Array, after: Array) -> tuple:
        state, even, told = self._tell(self.unpack(now), even, costs, n)
        return self.pack(state), jnp.where(told.updated, 0.0, even), told, self._ask(state, after)

    def _ask(self, state: State, n: Int[Array, ""]) -> Applied:
        """What the next `n` timesteps apply."""
        layout = self._layout
        rows = jnp.zeros((layout.n_rows, state.theta.size))

        def one(k: Int[Array, ""], rows: Array) -> Array:
            now = state.with_clock(Clock(state.clock.step.plus(k), state.clock.slot))
            for place, slot in enumerate(layout.slots):
                signal = self._algorithm.ask(now, slot=slot)[0].perturbation
                rows = lax.dynamic_update_index_in_dim(rows, signal, layout.row(k) + place, 0)
            return rows

        rows = one(jnp.int32(0), rows) if layout.size == 1 else lax.fori_loop(0, n, one, rows)
        low, high = (jnp.asarray(limit)[None] for limit in self._limits)
        sums = state.theta[None] + rows
        inside = jnp.all((sums >= low) & (sums <= high))
        due = jnp.asarray(layout.head == 1) & (state.clock.slot == 0)
        return Applied(state.theta, rows if self._own_line else sums, due, inside)

    def _tell(
        self, state: State, even: Array, costs: Float[Array, " rows"], n: Int[Array, ""]
    ) -> tuple[State, Array, Told]:
        """The state after the costs of `n` timesteps, the part of G from even perturbations, and their results.

        Where a state has no G, that part is followed by all of G.
        """
        layout = self._layout
        if layout.head:

            def baseline(state: State) -> State:
                return self._algorithm.tell(state, costs[0], write=self._write, slot=0)[0]

            if self._algorithm.always_due:
                state = baseline(state)
            else:
                state = lax.cond(state.clock.slot == 0, baseline, lambda state: state, state)

        def one(k: Int[Array, ""], carry: tuple) -> tuple:
            state, even, gradient, modulations, ended = carry
            before, info = state, None
            for place, slot in enumerate(layout.slots):
                cost = lax.dynamic_index_in_dim(costs, layout.row(k) + place, keepdims=False)
                state, info = self._algorithm.tell(state, cost, write=self._write, slot=slot)
            assert info is not None
            estimate = self._algorithm.estimate(before, info.modulation)
            is_even = before.clock.step.quotient(self._turn).low % 2 == 0
            if self._has_gradient:
                even, so_far = even + jnp.where(is_even, estimate, 0.0), before.gradient + estimate
            else:
                even = even + jnp.stack([jnp.where(is_even, estimate, 0.0), estimate])
                so_far = even[1]
            gradient = jnp.where(info.updated, so_far, gradient)
            modulations = lax.dynamic_update_index_in_dim(modulations, info.modulation, k, 0)
            return state, even, gradient, modulations, ended | info.updated

        start: Any = state, even, jnp.zeros_like(state.theta), jnp.zeros(layout.size), jnp.bool(False)
        # A chunk of one is the most frequent of all, and a loop is slow to begin.
        ended = one(jnp.int32(0), start) if layout.size == 1 else lax.fori_loop(0, n, one, start)
        state, even, gradient, modulations, updated = ended
        return state, even, Told(modulations, even if self._has_gradient else even[0], gradient, updated)
