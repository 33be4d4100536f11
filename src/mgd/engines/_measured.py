"""The measured engine: ask → simulated chip → tell, compiled once, for many replicas at a time."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray

from .._counter import Counter
from ..algorithm import Algorithm, Probe, State, rows_of
from ..chips import AbstractChip
from ._data import Data

# Chips larger than this gain nothing from being side by side in one array operation (and convolutions with
# many kernels lose): their replicas run one after the other.
_LARGE_CHIP = 10_000


class Progress(eqx.Module):
    """A run of many replicas, between two timesteps.

    Attributes:
        state: the algorithm's, with a leading replica axis on all but the clock.
        device: what each replica's chip is made of and remembers.
        diverged: for each replica, whether a measured cost was not finite.
        diverged_at: the timestep of the first one.
    """

    state: State
    device: Any
    diverged: Bool[Array, " replica"]
    diverged_at: Counter


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
    """

    chip: AbstractChip
    algorithm: Algorithm
    batch: int = eqx.field(static=True, default=1)
    together: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.together < 1 or self.algorithm.hold % self.together:
            raise ValueError(f"together must divide the algorithm's hold, {self.algorithm.hold}, got {self.together}")

    def init(self, n_replicas: int, *, key: PRNGKeyArray) -> Progress:
        """Fresh replicas. Replica r is the same however many there are."""
        return _init(self, jax.vmap(lambda r: jax.random.fold_in(key, r))(jnp.arange(n_replicas)))

    def advance(self, data: Data, progress: Progress, n_steps: int) -> Progress:
        """The run after `n_steps` more timesteps, fewer than 2³¹. The progress given is used up."""
        return _advance((self, data), progress, jnp.int32(n_steps))

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

        def one(state: State, device: Any, shown: tuple) -> tuple[State, Any, Bool[Array, ""], Int[Array, ""]]:
            def measure(probe: Probe, device: Any) -> tuple[Float[Array, ""], Any]:
                return self.chip.measure(probe.theta, probe.perturbation, *shown, device=device, key=probe.key)

            write = partial(self.chip.write, device=device)
            if together == 1:
                state, device, info = self.algorithm.step(state, measure, device, write=write)
            else:
                state, device, info = self.algorithm.step_together(state, measure, device, together, write=write)
            finite = jnp.atleast_1d(jnp.isfinite(info.cost) & jnp.isfinite(info.modulation))
            return state, device, finite.all(), jnp.argmin(finite)

        state, device, finite, offset = self._each_replica(one)(progress.state, progress.device, shown)
        first = ~finite & ~progress.diverged
        at, here = progress.diverged_at, jax.vmap(clock.step.plus)(offset)
        at = Counter(jnp.where(first, here.high, at.high), jnp.where(first, here.low, at.low))
        return Progress(state, device, progress.diverged | first, at), shown

    def _show(self, data: Data, state: State) -> tuple:
        """The inputs and targets in front of each replica now."""

        def one(seed: Array) -> tuple:
            presentation = state.clock.step.quotient(self.algorithm.time_constants.tau_x)
            return data.show(rows_of(presentation, seed=seed, n_samples=len(data.y), batch=self.batch))

        return _over_leading_axis(one)(state.seeds.samples)

    def _each_replica(self, one: Callable) -> Callable:
        """A function of one replica, for all: side by side, or for large chips one after the other."""

        def call(state: State, *rest: Any) -> tuple:
            def body(args: tuple) -> tuple:
                state, *rest = args
                state, *told = one(state.with_clock(clock), *rest)
                return (state.with_clock(None), told), state.clock

            clock = state.clock
            args = state.with_clock(None), *rest
            if state.theta.shape[0] == 1:
                out, after = body(jax.tree.map(lambda x: x[0], args))
                out = jax.tree.map(lambda x: x[None], out)
            elif self.chip.n_params > _LARGE_CHIP:
                out, after = lax.map(body, args)
                after = jax.tree.map(lambda x: x[0], after)
            else:
                out, after = jax.vmap(body, out_axes=(0, None))(args)
            return out[0].with_clock(after), *out[1]

        return call


def _over_leading_axis(one: Callable) -> Callable:
    """`vmap`, but a single replica without its axis (whose operations compile to faster ones)."""

    def call(x: Array) -> tuple:
        if x.shape[0] > 1:
            return jax.vmap(one)(x)
        return jax.tree.map(lambda y: y[None], one(x[0]))

    return call


@eqx.filter_jit
def _init(engine: Measured, keys: Key[Array, " replica"]) -> Progress:
    def one(key: PRNGKeyArray) -> tuple[State, Any]:
        chip_key, run_key = jax.random.split(key)
        device = engine.chip.fabricate(key=jax.random.fold_in(chip_key, 1))
        return engine.algorithm.init(engine.chip.init(key=chip_key), key=run_key).with_clock(None), device

    state, device = jax.vmap(one)(keys)
    none = jnp.zeros(keys.shape[0], jnp.uint32)
    state = state.with_clock(engine.algorithm.clock_at(0))
    return Progress(state, device, jnp.zeros(keys.shape[0], bool), Counter(none, none))


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
