"""Several timesteps of one hold at a time, for a host that measures: what to apply, and what the costs make of it.

Both are the algorithm's own ask and tell in a compiled loop of variable length, so how a run is cut into chunks
does not change a bit of it, and a chip is asked once for a whole hold.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from ..algorithm import Algorithm, Clock, State, Write
from ._data import Data


class Applied(eqx.Module):
    """What a chunk applies to a chip, one row a measurement.

    Attributes:
        theta: the parameters.
        signals: the perturbation of each measurement; row 0 is the baseline's where there is one, and is only
            measured if `due`. Rows after the chunk's last mean nothing.
        sums: the parameters with each of these on them, for chips without a line for perturbations.
        due: whether row 0 is measured.
        x: the inputs in front of the chip.
        target: their targets.
    """

    theta: Float[Array, " p"]
    signals: Float[Array, "rows p"]
    sums: Float[Array, "rows p"]
    due: Bool[Array, ""]
    x: Float[Array, "batch *features"]
    target: Float[Array, "batch outputs"]


class Told(eqx.Module):
    """What a chunk's costs told.

    Attributes:
        modulations: C̃ of each timestep; those after the chunk's last mean nothing.
        even: the part of G from the window's even timesteps, so far.
        gradient: G at the end of the window, if it ended.
        updated: whether it did.
        finite: whether θ is.
    """

    modulations: Float[Array, " size"]
    even: Float[Array, " p"]
    gradient: Float[Array, " p"]
    updated: Bool[Array, ""]
    finite: Bool[Array, ""]


class Chunk(eqx.Module):
    """Asks and tells up to `size` timesteps within a hold.

    Args:
        algorithm: whose.
        batch: samples a measurement is averaged over.
        size: most timesteps at a time; the algorithm's `hold` or less.
        write: how a change of the parameters is taken up.
    """

    algorithm: Algorithm
    write: Write = eqx.field(static=True)
    batch: int = eqx.field(static=True)
    size: int = eqx.field(static=True)

    @property
    def slots(self) -> range:
        """The slots that every timestep has."""
        return range(1 if self.algorithm.baseline.once_a_hold else 0, self.algorithm.n_slots)

    @property
    def head(self) -> int:
        """Rows before those of the timesteps: one, where a hold has a baseline."""
        return int(self.algorithm.baseline.once_a_hold)

    @property
    def rows(self) -> int:
        """Rows of a whole chunk, a baseline's included."""
        return self.head + self.size * len(self.slots)

    def ask(self, state: State, data: Data, n: Int[Array, ""]) -> Applied:
        """What the next `n` timesteps apply."""
        first, _ = self.algorithm.ask(state)
        rows = jnp.zeros((self.rows, state.theta.size))
        head, per = self.head, len(self.slots)

        def one(k: Int[Array, ""], rows: Array) -> Array:
            now = state.with_clock(Clock(state.clock.step.plus(k), state.clock.slot))
            for place, slot in enumerate(self.slots):
                signal = self.algorithm.ask(now, slot=slot)[0].perturbation
                rows = lax.dynamic_update_index_in_dim(rows, signal, head + per * k + place, 0)
            return rows

        rows = lax.fori_loop(0, n, one, rows)
        x, target = data.show(first.rows(len(data.y), self.batch))
        due = jnp.asarray(head == 1) & (state.clock.slot == 0)
        return Applied(state.theta, rows, state.theta + rows, due, x, target)

    def tell(self, state: State, even: Float[Array, " p"], costs: Float[Array, " rows"], n: Int[Array, ""]) -> tuple:
        """The state after the costs of `n` timesteps, and what they told.

        Args:
            state: as asked.
            even: the part of G from the window's even timesteps.
            costs: of each row.
            n: timesteps.
        """
        head, per = self.head, len(self.slots)
        if head:
            take = lambda state: self.algorithm.tell(state, costs[0], write=self.write, slot=0)[0]  # noqa: E731
            state = lax.cond(state.clock.slot == 0, take, lambda state: state, state)
        zero = jnp.zeros_like(state.theta)

        def one(k: Int[Array, ""], carry: tuple) -> tuple:
            state, even, gradient, modulations, ended = carry
            before, info = state, None
            for place, slot in enumerate(self.slots):
                cost = lax.dynamic_index_in_dim(costs, head + per * k + place, keepdims=False)
                state, info = self.algorithm.tell(state, cost, write=self.write, slot=slot)
            assert info is not None
            estimate = self.algorithm._estimate(before, info.modulation)
            first = before.clock.step.remainder(self.algorithm.interval) % 2 == 0
            even = even + jnp.where(first, estimate, 0.0)
            gradient = jnp.where(info.updated, before.gradient + estimate, gradient)
            modulations = lax.dynamic_update_index_in_dim(modulations, info.modulation, k, 0)
            return state, even, gradient, modulations, ended | info.updated

        start = state, even, zero, jnp.zeros(self.size), jnp.bool(False)
        state, even, gradient, modulations, updated = lax.fori_loop(0, n, one, start)
        told = Told(modulations, even, gradient, updated, jnp.isfinite(state.theta).all())
        return state, told

    def compiled(self, data: Data) -> tuple[Any, Any]:
        """`begin(state, n) -> applied` and `turn(state, even, costs, n, next_n) -> (state, told, next applied)`."""
        # Plain jit over leaves that are arrays all: filtering them at every call would cost more than the work.
        begin = jax.jit(lambda data, state, n: self.ask(state, data, n))

        def turn(data: Data, state: State, even: Array, costs: Array, n: Array, after: Array) -> tuple:
            state, told = self.tell(state, even, costs, n)
            fresh = jnp.where(told.updated, 0.0, told.even)
            return state, fresh, told, self.ask(state, data, after)

        turned = jax.jit(turn)
        return (lambda *rest: begin(data, *rest)), (lambda *rest: turned(data, *rest))
