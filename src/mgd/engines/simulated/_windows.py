"""Advancing by whole windows, for engines that know a window's G without its measurements."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ..._hash import Row
from ...algorithm import Clock, State
from ...chips import AbstractChip
from .._base import Progress
from .._data import Data
from .._numbers import for_program
from .._replicas import each_replica


def gradient_of(
    chip: AbstractChip,
    theta: Float[Array, " p"],
    device: Any,
    x: Float[Array, "batch *features"],
    target: Float[Array, "batch outputs"],
    *,
    key: PRNGKeyArray,
) -> tuple[Float[Array, " p"], Float[Array, ""]]:
    """The gradient of a batch's measured cost with respect to the perturbation, at none; and that cost."""

    def cost(perturbation: Float[Array, " p"]) -> Float[Array, ""]:
        return chip.measure(theta, perturbation, x, target, device=device, key=key)[0]

    value, gradient = jax.value_and_grad(cost)(jnp.zeros_like(theta))
    return gradient, value


def advance_windows(engine: Any, data: Data, progress: Progress, n_steps: int) -> Progress:
    """The run after `n_steps` more timesteps, from a multiple of the window. The progress given is used up.

    Args:
        engine: a module with `chip`, `algorithm`, and `estimate(state, device, data, key) -> (G, cost)` of a window.
        data: the training samples.
        progress: at a multiple of the window.
        n_steps: timesteps; those after the last whole window leave the parameters as they are.
    """
    return _advance((for_program(engine), data), progress, jnp.int32(n_steps))


@eqx.filter_jit(donate="all-except-first")
def _advance(kept: tuple[Any, Data], progress: Progress, n_steps: Int[Array, ""]) -> Progress:
    engine, data = kept
    window = engine.algorithm.interval

    def one(engine: Any, state: State, device: Any) -> tuple[State, Any, Bool[Array, ""], Int[Array, ""]]:
        key = Row.of(state.seeds.measurement, state.clock.step).key(0)
        gradient, cost = engine.estimate(state, device, data, key)
        state = engine.algorithm.conclude(state, gradient, write=partial(engine.chip.write, device=device))
        return state, device, jnp.isfinite(cost), jnp.int32(0)

    def turn(_: int | Int[Array, ""], progress: Progress) -> Progress:
        return progress.after(*each_replica(one, engine)(progress.state, progress.device))

    progress = lax.fori_loop(0, n_steps // window, turn, progress)
    clock = progress.state.clock
    rest = Clock(clock.step.plus(n_steps % window), clock.slot)
    return Progress(progress.state.with_clock(rest), progress.device, progress.diverged, progress.diverged_at)
