"""Several timesteps of a hold as one batch of measurements: how engines want the algorithm compiled."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from ._ask_tell import Measure
from ._state import Clock, Info, State
from ._write import Write

if TYPE_CHECKING:
    from ._algorithm import Algorithm


def step_together(
    algorithm: "Algorithm",
    state: State,
    measure: Measure,
    device: Any,
    size: int,
    *,
    write: Write,
    axis: str | None,
    n_sites: int | None,
) -> tuple[State, Any, Info]:
    """As `AbstractAskTell.step_together`, of this algorithm."""
    state, device = algorithm.measure_baseline(state, measure, device, write=write, n_sites=n_sites)

    def at(offset: Int[Array, ""]) -> State:
        return state.with_clock(Clock(state.clock.step.plus(offset), state.clock.slot))

    def one(offset: Int[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, " p"] | None]:
        now = at(offset)
        fresh = jnp.bool(False)  # a baseline that can be batched looks at no earlier cost
        remembered, cost, modulation, credit = state.baseline, jnp.float32(0), jnp.float32(0), None
        for slot in algorithm.slots_of_each_step:
            cost, _, *handed = measure(algorithm.ask(now, slot=slot, n_sites=n_sites)[0], device)
            credit = algorithm.credit_of(slot, handed[0] if handed else None)
            remembered, modulation = algorithm.baseline.observe(
                remembered, cost, slot=slot, fresh=fresh, time_constants=algorithm.time_constants
            )
        return cost, modulation, credit

    def added_at(offset: Int[Array, ""], modulation: Array, credit: Array | None) -> Float[Array, " p"]:
        return algorithm.estimate(at(offset), modulation, credit=credit, n_sites=n_sites)

    if axis is None:
        costs, modulations, credits = jax.vmap(one)(jnp.arange(size))
        added = jnp.sum(jax.vmap(added_at)(jnp.arange(size), modulations, credits), axis=0)
    else:  # only costs go between devices; each makes all perturbations again
        share = size // lax.axis_size(axis)
        shares = jax.vmap(one)(lax.axis_index(axis) * share + jnp.arange(share))
        costs, modulations, credits = jax.tree.map(lambda share: lax.all_gather(share, axis, tiled=True), shares)

        def add(k: Int[Array, ""], total: Float[Array, " p"]) -> Float[Array, " p"]:
            credit = None if credits is None else credits[k]
            return total + added_at(k, modulations[k], credit)

        added = lax.fori_loop(0, size, add, jnp.zeros_like(state.gradient))
    state, updated = algorithm.gathered(state, added, size, write=write)
    last = jnp.arange(size) == size - 1
    return state, device, Info(costs, modulations, last & updated)
