"""The description of an analog training circuit, and the algorithm that it is."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from jaxtyping import Float

from ..algorithm import Algorithm, TimeConstants, analog
from ..chips import NetworkChip, mlp
from ..perturbations import Sinusoid
from ._tables import arguments, read


@dataclass(frozen=True)
class AnalogSpec:
    r"""A training circuit in continuous time: a sine for each parameter, multipliers, filters, and memories.

    The cost passes a high-pass, which is blanked while samples are switched. Each synapse multiplies what comes out of
    it by its own sine, takes the mean by a low-pass, and integrates that. With the time $T$ of a timestep, the
    amplitude $\Delta\theta$, the multipliers' gain $k$, and the share $g_i$ of a sine that passes the high-pass and the
    blanking,

    $$\tau_{\text{integrator},i} = \frac{k\,g_i\,\Delta\theta^2 T}{2\,\eta}, \qquad
      g_i = \Bigl(1 - \frac{\tau_\text{blank}}{\tau_x}\Bigr) \frac{w_i^2}{1 + w_i^2}, \qquad
      w_i = 2\pi f_i \tau_\text{hp}$$

    so that θ moves by η times the gradient in a timestep. A timestep is only a unit of time here.

    Args:
        parameters: P; follows from `layers` if they are given.
        layers: neurons in each layer of a network of logistic neurons, inputs first; none if the network is yours.
        timestep_seconds: T.
        amplitude: Δθ, the peak of the sines, in volts.
        lowest_frequency: lower edge of the band of the sines, in cycles per timestep.
        highest_frequency: upper edge of the band.
        learning_rate: η, per timestep.
        tau_x: timesteps for which a sample is held.
        tau_theta: of the low-pass, in timesteps.
        tau_hp: of the high-pass, in timesteps.
        blank: timesteps for which the high-pass is blanked when samples are switched; the network must settle in half.
        multiplier_gain: k, in 1/V, of the multipliers that are used.
        steps: timesteps of the transient in a deck.
        seed: of the phases, and of the start of a network, which are those of `mgd.train` with this key.
        replica: of which of its chips.

    Raises:
        ValueError: if a setting is wrong, or the sines do not pass the high-pass.

    >>> AnalogSpec(layers=(2, 2, 1)).parameters
    9
    """

    parameters: int = 0
    layers: tuple[int, ...] = ()
    timestep_seconds: float = 1e-6
    amplitude: float = 0.2
    lowest_frequency: float = 0.01
    highest_frequency: float = 0.05
    learning_rate: float = 0.01
    tau_x: int = 100
    tau_theta: int = 100
    tau_hp: float = 100.0
    blank: float = 0.1
    multiplier_gain: float = 1.0
    steps: int = 300_000
    seed: int = 0
    replica: int = 0

    def __post_init__(self):
        for message in (*_of_wrong_kind(vars(self)), *_wrong(self)):
            raise ValueError(message)
        if self.layers:
            counted = self.network.n_params
            if self.parameters not in (0, counted):
                raise ValueError(f"layers {self.layers} have {counted} parameters, got parameters = {self.parameters}")
            object.__setattr__(self, "parameters", counted)
        if self.parameters < 1:
            raise ValueError(f"parameters must be at least 1, or layers given, got {self.parameters}")
        self.algorithm.check(self.parameters)

    @staticmethod
    def read(path: str | Path) -> "AnalogSpec":
        """The circuit that a TOML file describes, with the arguments of this class as its settings.

        Raises:
            ValueError: if the file cannot be read, or a setting is wrong; the file is named.
        """
        return read(path, AnalogSpec.of)

    @staticmethod
    def of(table: Mapping[str, Any]) -> "AnalogSpec":
        """The circuit of a table, with the arguments of this class as its settings.

        Raises:
            ValueError: if a setting is unknown or wrong.

        >>> AnalogSpec.of({"parameters": 2, "amplitude": 0.1}).amplitude
        0.1
        """
        given = arguments(AnalogSpec, table)
        for message in _of_wrong_kind(given):
            raise ValueError(message)
        return AnalogSpec(**given)

    @property
    def table(self) -> dict[str, Any]:
        """Every setting, in types of TOML; `of` makes the same circuit of it."""
        return vars(self) | {"layers": list(self.layers)}

    @property
    def sines(self) -> Sinusoid:
        """The perturbations."""
        return Sinusoid(self.amplitude, self.lowest_frequency, self.highest_frequency)

    @property
    def algorithm(self) -> Algorithm:
        """The same algorithm in timesteps, which trains any chip of `mgd`."""
        times = TimeConstants(tau_x=self.tau_x, tau_theta=self.tau_theta, tau_hp=self.tau_hp)
        return analog(perturbation=self.sines, time_constants=times, optimizer=optax.sgd(self.learning_rate))

    @property
    def network(self) -> NetworkChip:
        """The network of `layers` as a chip, whose cost is the mean of squares.

        Raises:
            ValueError: if there are no layers.
        """
        return mlp(self.layers, cost="mse")

    def finer(self, times: int) -> "AnalogSpec":
        """The same circuit, described in so much shorter timesteps: its `algorithm` is closer to continuous time."""
        longer = ("tau_x", "tau_theta", "tau_hp", "blank", "steps")
        shorter = ("timestep_seconds", "lowest_frequency", "highest_frequency", "learning_rate")
        changed = {name: getattr(self, name) * times for name in longer}
        return replace(self, **changed, **{name: getattr(self, name) / times for name in shorter})

    def from_step(self, samples: int, tau_x: int | None = None) -> float:
        r"""How far two sines are from being in step with a cycle of so many samples: turns in a cycle, at most ½.

        A gradient that changes with the sample has side bands of its sine at multiples of $1/(n\tau_x)$. Another sine
        there would take them for its own. The n-th harmonic and its multiples are not in a staircase of n samples.

        Args:
            samples: n.
            tau_x: another τ_x than that of the circuit.

        >>> AnalogSpec(parameters=16).from_step(8), round(AnalogSpec(parameters=16, tau_x=97).from_step(8), 2)
        (0.0, 0.06)
        """
        cycle = samples * (tau_x or self.tau_x)
        turns = cycle * self.sines.spacing(self.parameters) * np.arange(1, self.parameters)
        nearest = np.rint(turns)
        harmonic = (nearest > 0) & (nearest < 2 * samples) & (nearest % samples > 0)
        return float(np.min(np.abs(turns - nearest), initial=0.5, where=harmonic))

    def integrators(self) -> Float[np.ndarray, " p"]:
        """The time constant of each parameter's integrator, in seconds."""
        turn = (2 * math.pi * self.tau_hp * self.sines.frequencies(self.parameters)) ** 2
        passed = (1 - self.blank / self.tau_x) * turn / (1 + turn)
        return self.multiplier_gain * passed * self.amplitude**2 * self.timestep_seconds / (2 * self.learning_rate)

    def start(self) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
        """Where θ starts, which is zero without a network, and the phases of the sines in cycles."""
        own_key, run_key = jax.random.split(jax.random.fold_in(jax.random.key(self.seed), self.replica))
        theta = self.network.init(key=own_key) if self.layers else np.zeros(self.parameters)
        seed = self.algorithm.init(jax.numpy.asarray(theta, "float32"), key=run_key).seeds.perturbation
        return np.asarray(theta, np.float64), np.asarray(self.sines.phases(seed, self.parameters)) / 2**32


def _of_wrong_kind(table: Mapping[str, Any]) -> Iterator[str]:
    """Which settings are not of their kind; true is no number."""
    for field in fields(AnalogSpec):
        value = table.get(field.name, field.default)
        if field.name == "layers":
            if not isinstance(value, tuple) or any(type(each) is not int for each in value):
                yield f"layers must be a list of whole numbers, got {value!r}"
        elif type(field.default) is int:
            if type(value) is not int:
                yield f"{field.name} must be a whole number, got {value!r}"
        elif type(value) not in (int, float) or not 0 < value < math.inf:
            yield f"{field.name} must be a finite number above 0, got {value!r}"


def _wrong(spec: AnalogSpec) -> Iterator[str]:
    """What is wrong with sizes and times; those of perturbation and algorithm are checked by their own classes."""
    if spec.blank > spec.tau_x / 2:
        yield f"blank must be at most half of tau_x = {spec.tau_x}, or little is seen of a sample, got {spec.blank}"
    if spec.steps < 1:
        yield f"steps must be at least 1, got {spec.steps}"
    for name in ("seed", "replica"):
        if not 0 <= getattr(spec, name) < 2**32:
            yield f"{name} must be from 0 to 2**32 - 1, got {getattr(spec, name)}"
