"""Whether a perturbation is large enough to be seen in float32."""

import math
import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._counter import Counter
from ..._errors import MgdWarning
from ..._numbers import as_data
from ...algorithm import Algorithm
from ...chips import AbstractChip, FunctionChip, NetworkChip
from ...chips.imperfections import Imperfect
from .._base import Progress
from .._data import Data
from .._replicas import in_front


def expected_modulation(
    chip: AbstractChip, algorithm: Algorithm, batch: int, progress: Progress, data: Data
) -> tuple[float, float]:
    """Cost and root-mean-square C̃ of the first replica at its start, from derivatives (no rounding)."""
    program = as_data(algorithm.for_program(chip.n_params, chip.n_sites))
    cost, modulation = _expected(as_data(chip), program, batch, progress, data)
    return float(cost), float(modulation)


@eqx.filter_jit
def _expected(
    chip: AbstractChip, algorithm: Algorithm, batch: int, progress: Progress, data: Data
) -> tuple[Array, Array]:
    theta, seed = progress.state.theta[0], progress.state.seeds.perturbation[0]
    (x, y), device = jax.tree.map(lambda a: a[0], (in_front(algorithm, data, batch, progress.state), progress.device))

    def cost_at(perturbation: Array) -> Array:
        return chip.measure(theta, perturbation, x, y, device=device, key=jax.random.key(0))[0]

    zero = jnp.zeros(chip.n_sites)
    signals = jax.lax.map(
        lambda k: algorithm.perturbation(Counter(jnp.uint32(0), k), seed=seed, n_params=chip.n_sites),
        jnp.arange(16, dtype=jnp.uint32),
    )
    try:
        cost, gradient = jax.value_and_grad(cost_at)(zero)
        modulation = signals @ gradient
    except ValueError:  # a loop of unknown length has derivatives forward only; our convolutions, in reverse only
        cost, modulation = jax.lax.map(lambda signal: jax.jvp(cost_at, (zero,), (signal,)), signals)
        cost = cost[0]
    return cost, jnp.sqrt(jnp.mean(modulation**2))


def check_amplitude(
    chip: AbstractChip, algorithm: Algorithm, theta: Float[Array, " p"], cost: float, modulation: float
) -> None:
    """Warns if the perturbation changes the cost by less than float32 resolves, or parameters by less than their type.

    Args:
        chip: the simulated chip.
        algorithm: how it is trained.
        theta: the parameters of one replica, at the start.
        cost: there.
        modulation: root mean square of C̃, by derivatives: without rounding.
    """
    amplitude = float(algorithm.perturbation.amplitude)
    _check_types(chip, np.asarray(theta), amplitude)
    resolution = float(np.finfo(np.float32).eps) * abs(cost)
    if math.isfinite(modulation) and 0 < modulation < 4 * resolution:
        enough = amplitude * 40 * resolution / modulation
        warnings.warn(
            f"an amplitude of {amplitude:.3g} changes the cost, {cost:.3g}, by about {modulation:.1e}, below "
            f"the resolution of float32 ({resolution:.1e}); use an amplitude of {enough:.1g} or more",
            MgdWarning,
            stacklevel=5,
        )


def _check_types(chip: AbstractChip, theta: np.ndarray, amplitude: float) -> None:
    """Warns if the perturbation is below the steps of parameters that are computed with in 16 bits or fewer."""
    while isinstance(chip, Imperfect):
        chip = chip.chip
    if not isinstance(chip, NetworkChip | FunctionChip):
        return
    for (name, place), dtype in zip(chip.leaves.groups.items(), chip.leaves.dtypes, strict=True):
        step = float(jnp.finfo(dtype).eps) * float(np.sqrt(np.mean(theta[place] ** 2)))
        if dtype.itemsize <= 2 and amplitude < step:
            warnings.warn(
                f"an amplitude of {amplitude:.3g} is below the resolution of {name}, which is {dtype}: most "
                f"perturbations are rounded away; use an amplitude of {2 * step:.1g} or more",
                MgdWarning,
                stacklevel=5,
            )
