"""The measured engine: ask → simulated chip → tell, compiled once, for many replicas at a time."""

from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Int

from ...algorithm import AbstractAlgorithm, AbstractAskTell, Algorithm, Probe, State
from ...chips import AbstractChip, Reading
from .._base import Progress
from .._choice import Wanted
from .._data import Data
from .._numbers import for_program
from .._replicas import each_replica, in_front
from ._amplitude import check_amplitude, expected_modulation
from ._base import AbstractSimulated

# One small chip alone does not fill a vector unit, and gains up to 3× from being measured a hold at a time; anything
# larger, or many replicas, gains nothing or loses (`make bench`).
_SMALL_CHIP, MOST_TOGETHER = 512, 128


class Measured(eqx.Module, AbstractSimulated[AbstractAskTell, AbstractChip]):
    """Simulates every measurement of every replica.

    Within one `advance` nothing leaves the compiled loop, and memory does not grow with the number of steps.
    The result does not depend on how a run is cut into calls, to the bit.

    Args:
        chip: the simulated chip; replicas differ by their keys.
        algorithm: the training algorithm.
        batch: samples over which a measurement is averaged.
        together: number of timesteps measured as one batch, if they start at a multiple of this; it must divide the
            algorithm's `hold`. The result is then the same to the bit for cuts at multiples of it.
        axis: the mesh axis of the devices that share these, inside `jax.shard_map`; None for one device.
    """

    name: ClassVar[str] = "measured"
    chip: AbstractChip
    algorithm: AbstractAskTell
    batch: int = eqx.field(static=True, default=1)
    together: int = eqx.field(static=True, default=1)
    axis: str | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.together < 1 or self.algorithm.hold % self.together:
            raise ValueError(f"together must divide the algorithm's hold, {self.algorithm.hold}, got {self.together}")
        if self.together > 1 and _bitwise(self.algorithm):
            raise ValueError(f"bitwise, timesteps are measured one by one: together must be 1, got {self.together}")

    def advance(self, data: Data, progress: Progress, n_steps: int) -> Progress:
        """The run after `n_steps` more timesteps, fewer than 2³¹. The progress given is used up."""
        ready = for_program(self)
        return _advance((ready, data), progress, jnp.int32(n_steps))

    @property
    def stride(self) -> int:
        return self.together

    def check_start(self, progress: Progress, data: Data) -> None:
        if not isinstance(self.algorithm, Algorithm):
            return  # it knows itself what it resolves
        cost, modulation = expected_modulation(self.chip, self.algorithm, self.batch, progress, data)
        check_amplitude(self.chip, self.algorithm, progress.state.theta[0], cost, modulation)

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

            def measure(probe: Probe, device: Any) -> Reading:
                def read(device: Any, *on_chip: Array) -> Reading:
                    return chip.read(*on_chip, device=device, key=probe.key)

                return algorithm.apart(state, read, device, probe.theta, probe.perturbation, *shown)

            write, n_sites = partial(chip.write, device=device), chip.n_sites
            if together == 1:
                state, device, info = algorithm.step(state, measure, device, write=write, n_sites=n_sites)
            else:
                state, device, info = algorithm.step_together(
                    state, measure, device, together, write=write, axis=self.axis, n_sites=n_sites
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


def offer(chip: AbstractChip, algorithm: AbstractAlgorithm, wanted: Wanted) -> Measured | None:
    """The engine for what is wanted; None if the algorithm measures nothing."""
    if not isinstance(algorithm, AbstractAskTell):
        return None
    together = _together(chip, algorithm, wanted.n_replicas, wanted.batch)
    return Measured(chip, algorithm, wanted.batch, together)


def _bitwise(algorithm: AbstractAskTell) -> bool:
    return isinstance(algorithm, Algorithm) and algorithm.bitwise


def _together(chip: AbstractChip, algorithm: AbstractAskTell, n_replicas: int, batch: int) -> int:
    """How many timesteps of a hold to measure as one batch."""
    alone = n_replicas == 1 and batch == 1 and chip.n_params <= _SMALL_CHIP
    if not alone or not isinstance(algorithm, Algorithm) or algorithm.bitwise or chip.traits.remembers:
        return 1
    return max(k for k in range(1, MOST_TOGETHER + 1) if algorithm.hold % k == 0)
