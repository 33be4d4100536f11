"""The first updates of a run once more, at several learning rates: whether they lower the cost, and which does best."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._numbers import as_data
from ..algorithm import Algorithm, Probe
from ..chips import AbstractChip
from ..engines import Data, Progress, evaluate

# By what the learning rate is multiplied.
FACTORS = (1 / 512, 1 / 64, 1 / 8, 1.0, 8.0, 64.0)


@dataclass(frozen=True, eq=False)
class Trials:
    """The results.

    Attributes:
        before: the cost at the start, a mean over some training samples, without noise.
        after: the same after the updates, of several chips for each of `FACTORS`.
        updates: number of updates.
    """

    before: float
    after: Float[np.ndarray, "factor chip"]
    updates: int

    def mean(self, factor: float) -> tuple[float, float]:
        """The mean cost after updates at so many times the learning rate, and its standard error."""
        costs = self.after[FACTORS.index(factor)]
        if not np.isfinite(costs).all():
            return np.inf, 0.0
        return float(costs.mean()), float(costs.std(ddof=1) / np.sqrt(len(costs)))

    def fall(self, factor: float) -> tuple[float, float]:
        """How far the cost fell, and its standard error."""
        mean, error = self.mean(factor)
        return self.before - mean, error


def tried(
    chip: AbstractChip,
    algorithm: Algorithm,
    data: Data,
    some: Data,
    batch: int,
    start: Progress,
    windows: int,
    each: int,
) -> Trials:
    """The costs after so many windows from the start, at each rate; chips of one rate differ in all that is random.

    Args:
        chip: the simulated chip.
        algorithm: the algorithm.
        data: the training samples.
        some: the samples with which the cost is evaluated.
        batch: samples over which a measurement is averaged.
        start: the run of one replica at its start.
        windows: number of windows, of as many timesteps as G is gathered over.
        each: number of chips of each rate.
    """
    program = as_data(algorithm.for_program(chip.n_params, chip.n_sites))
    window = max(algorithm.interval, algorithm.time_constants.tau_theta)
    device = jax.tree.map(lambda leaf: leaf[0], start.device)
    factors = jnp.repeat(jnp.array(FACTORS, jnp.float32), each)
    keys = jax.random.split(jax.random.key(0), len(FACTORS) * each)
    theta, device = _trained(
        as_data(chip), program, data, batch, start.state.theta[0], device, factors, keys, windows * window
    )
    before = float(np.asarray(evaluate(chip, start.state.theta, some, start.device)[1])[0])
    after = np.asarray(evaluate(chip, theta, some, device)[1], np.float64)
    return Trials(before, after.reshape(len(FACTORS), each), windows * window // algorithm.interval)


@eqx.filter_jit
def _trained(
    chip: AbstractChip,
    algorithm: Algorithm,
    data: Data,
    batch: int,
    theta: Float[Array, " p"],
    device: Any,
    factors: Float[Array, " chips"],
    keys: PRNGKeyArray,
    steps: int,
) -> tuple[Float[Array, "chips p"], Any]:
    def one(factor: Float[Array, ""], key: PRNGKeyArray) -> tuple[Float[Array, " p"], Any]:
        def measure(probe: Probe, device: Any) -> tuple:
            x, y = data.show(data.rows(probe.presentation, seed=probe.seed, batch=batch))
            return chip.read(probe.theta, probe.perturbation, x, y, device=device, key=probe.key)

        def step(_: Array, carry: tuple) -> tuple:
            state, device = carry

            def write(theta: Array, delta: Array, *, key: PRNGKeyArray) -> Array:
                return chip.write(theta, factor * delta, device=device, key=key)

            state, device, _info = algorithm.step(state, measure, device, write=write, n_sites=chip.n_sites)
            return state, device

        state = algorithm.init(theta, key=key, n_sites=chip.n_sites)
        state, after = lax.fori_loop(0, steps, step, (state, device))
        return state.theta, after

    return jax.vmap(one)(factors, keys)
