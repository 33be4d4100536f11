"""The measured engine: ask → simulated chip → tell, compiled once, for many replicas at a time."""

from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ...algorithm import Algorithm, Probe, State
from ...chips import AbstractChip
from .._data import Data
from .._evaluate import evaluate
from .._numbers import for_program
from .._replicas import Progress, each_replica, fresh_replicas, in_front


class Measured(eqx.Module):
    """Simulates every measurement of every replica.

    Within one `advance` nothing leaves the compiled loop, and memory does not grow with the number of steps.
    How a run is cut into calls does not change a bit of it.

    Args:
        chip: the simulated chip; replicas differ by their keys.
        algorithm: what turns costs into changes of θ.
        batch: samples a measurement is averaged over.
        together: timesteps measured as one batch where they start at a multiple of this; it must divide the
            algorithm's `hold`. Bits are then the same for cuts at multiples of it.
        axis: the mesh axis of the devices that share these out, inside `jax.shard_map`; None for one device.
    """

    name: ClassVar[str] = "measured"
    chip: AbstractChip
    algorithm: Algorithm
    batch: int = eqx.field(static=True, default=1)
    together: int = eqx.field(static=True, default=1)
    axis: str | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.together < 1 or self.algorithm.hold % self.together:
            raise ValueError(f"together must divide the algorithm's hold, {self.algorithm.hold}, got {self.together}")
        if self.together > 1 and self.algorithm.bitwise:
            raise ValueError(f"bitwise, timesteps are measured one by one: together must be 1, got {self.together}")

    def init(self, n_replicas: int, *, key: PRNGKeyArray) -> Progress:
        """Fresh replicas. Replica r is the same however many there are."""
        return fresh_replicas(self.chip, self.algorithm, n_replicas, key)

    def advance(self, data: Data, progress: Progress, n_steps: int) -> Progress:
        """The run after `n_steps` more timesteps, fewer than 2³¹. The progress given is used up."""
        return _advance((for_program(self), data), progress, jnp.int32(n_steps))

    def evaluate(self, progress: Progress, data: Data) -> tuple[Float[Array, " replica"], Float[Array, " replica"]]:
        """Mark and mean cost of each replica on these samples, as `mgd.engines.evaluate` has them."""
        return evaluate(self.chip, progress.state.theta, data, progress.device)

    def _turn(self, data: Data, together: int, carry: tuple) -> tuple:
        """One timestep of all replicas, or several measured together."""
        progress, shown = carry
        clock = progress.state.clock
        tau_x = self.algorithm.time_constants.tau_x
        if tau_x == 1:
            shown = self._show(data, progress.state)
        else:
            fresh = clock.step.remainder(tau_x) == 0
            shown = lax.cond(fresh, lambda: self._show(data, progress.state), lambda: shown)

        def one(
            mine: Measured, state: State, device: Any, shown: tuple
        ) -> tuple[State, Any, Bool[Array, ""], Int[Array, ""]]:
            chip, algorithm = mine.chip, mine.algorithm

            def measure(probe: Probe, device: Any) -> tuple[Float[Array, ""], Any]:
                def cost(device: Any, *on_chip: Array) -> tuple[Float[Array, ""], Any]:
                    return chip.measure(*on_chip, device=device, key=probe.key)

                return algorithm._apart(state, cost, device, probe.theta, probe.perturbation, *shown)

            write = partial(chip.write, device=device)
            if together == 1:
                state, device, info = algorithm.step(state, measure, device, write=write)
            else:
                state, device, info = algorithm.step_together(
                    state, measure, device, together, write=write, axis=self.axis
                )
            finite = jnp.atleast_1d(jnp.isfinite(info.cost) & jnp.isfinite(info.modulation))
            return state, device, finite.all(), jnp.argmin(finite)

        state, device, finite, offset = each_replica(one, self)(progress.state, progress.device, shown)
        return progress.after(state, device, finite, offset), shown

    def _show(self, data: Data, state: State) -> tuple:
        return in_front(self.algorithm, data, self.batch, state)


@eqx.filter_jit(donate="all-except-first")
def _advance(kept: tuple[Measured, Data], progress: Progress, n_steps: Int[Array, ""]) -> Progress:
    engine, data = kept
    carry = progress, engine._show(data, progress.state)
    size = engine.together
    if size > 1:
        # Single timesteps to the next multiple, then as many at a time as go, then single ones again.
        before = jnp.minimum((size - progress.state.clock.step.remainder(size).astype(jnp.int32)) % size, n_steps)
        carry = lax.fori_loop(0, before, lambda _, carry: engine._turn(data, 1, carry), carry)
        n_steps = n_steps - before
        carry = lax.fori_loop(0, n_steps // size, lambda _, carry: engine._turn(data, size, carry), carry)
        n_steps = n_steps % size
    return lax.fori_loop(0, n_steps, lambda _, carry: engine._turn(data, 1, carry), carry)[0]
