"""What training measures on a chip whose parameters are held: its modulations, their noise, and what they should be."""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from .._numbers import as_data
from ..algorithm import Algorithm, Probe, TwoSided
from ..chips import AbstractChip
from ..chips.imperfections import inside
from ..engines import Data, Progress


@dataclass(frozen=True, eq=False)
class Probes:
    """The results of some timesteps of training without its updates.

    Attributes:
        measured: C̃ as it is measured.
        idle: the same with perturbations that do not reach the chip: what noise and other samples make of it.
        expected: the change in cost by each perturbation on the network alone, without imperfections of readout and
            converters.
        larger: the same for perturbations that are 30 times as large.
        costs: the cost of the network alone, at each.
    """

    measured: Float[np.ndarray, " n"]
    idle: Float[np.ndarray, " n"]
    expected: Float[np.ndarray, " n"]
    larger: Float[np.ndarray, " n"]
    costs: Float[np.ndarray, " n"]

    @property
    def signal(self) -> float:
        """Root mean square of what C̃ should be."""
        return _rms(self.expected)

    @property
    def noise(self) -> float:
        """Root mean square of C̃ without a perturbation."""
        return _rms(self.idle)

    @property
    def snr(self) -> float:
        """Power of the signal over that of the noise."""
        return (self.signal / self.noise) ** 2 if self.noise else np.inf

    @property
    def still(self) -> bool:
        """Whether C̃ is exactly zero throughout, and should be."""
        return not self.measured.any() and not self.expected.any()

    def share(self) -> tuple[float, float]:
        """How much of what C̃ should be is in what is measured, and its standard error."""
        power = float(self.expected @ self.expected)
        if not power:
            return 0.0, np.inf
        rest = self.measured - (found := float(self.measured @ self.expected) / power) * self.expected
        return found, _rms(rest) / np.sqrt(power)


LARGER = 30.0


def probed(chip: AbstractChip, algorithm: Algorithm, data: Data, batch: int, progress: Progress, steps: int) -> Probes:
    """What is measured in so many timesteps of the only replica, whose parameters and clock are those given.

    Args:
        chip: the simulated chip.
        algorithm: the algorithm.
        data: the training samples.
        batch: samples over which a measurement is averaged.
        progress: the run of one replica.
        steps: number of timesteps.
    """
    program = as_data(algorithm.for_program(chip.n_params, chip.n_sites))
    device = jax.tree.map(lambda leaf: leaf[0], progress.device)
    state = progress.replica()
    found = _measured(as_data(chip), program, data, batch, state, device, steps)
    sign = -1.0 if isinstance(algorithm.baseline, TwoSided) else 1.0
    measured, idle, expected, larger, costs = (np.asarray(part, np.float64) for part in found)
    return Probes(measured, idle, sign * expected, sign * larger, costs)


@eqx.filter_jit
def _measured(
    chip: AbstractChip, algorithm: Algorithm, data: Data, batch: int, state: Any, device: Any, steps: int
) -> tuple[Array, ...]:
    n_sites = chip.n_sites

    def hold(theta: Array, delta: Array, *, key: Array) -> Array:
        return theta

    def run(factor: Float[Array, ""]) -> tuple[Array, ...]:
        def measure(probe: Probe, carried: tuple) -> tuple:
            x, y = data.show(data.rows(probe.presentation, seed=probe.seed, batch=batch))
            reading = chip.read(probe.theta, factor * probe.perturbation, x, y, device=carried[0], key=probe.key)
            within, applied, own = inside(chip, probe.theta, carried[0], key=jax.random.key(0))
            quiet = [
                within.measure(applied, scale * probe.perturbation, x, y, device=own, key=jax.random.key(0))[0]
                for scale in (0.0, 1.0, LARGER)
            ]
            known = jnp.stack([quiet[1] - quiet[0], quiet[2] - quiet[0], quiet[0]])
            return reading.cost, (reading.device, known), *(() if reading.credit is None else (reading.credit,))

        def step(carry: tuple, _: None) -> tuple:
            state, carried = carry
            state, carried, info = algorithm.step(state, measure, carried, write=hold, n_sites=n_sites)
            return (state, carried), (info.modulation, carried[1])

        _, (modulations, known) = lax.scan(step, (state, (device, jnp.zeros(3))), None, steps)
        return modulations, *known.T

    with_signal, without = run(jnp.float32(1)), run(jnp.float32(0))
    return with_signal[0], without[0], *with_signal[1:]


def _rms(values: Float[np.ndarray, " n"]) -> float:
    return float(np.sqrt(np.mean(values**2)))
