"""The two named algorithms, and the convention of the published programs."""

import math
from dataclasses import replace
from typing import NamedTuple

import jax
import optax

from .._defaults import Defaults
from ..perturbations import AbstractPerturbation, Rademacher, Sinusoid
from ._algorithm import Algorithm
from ._baselines import AbstractBaseline, HighPass, Remeasured
from ._integrators import Accumulate, LowPass
from ._time_constants import TimeConstants


def discrete(
    *,
    perturbation: AbstractPerturbation | None = None,
    time_constants: TimeConstants | None = None,
    optimizer: optax.GradientTransformation | None = None,
    baseline: AbstractBaseline | None = None,
    modulation_limit: float | None = None,
    bitwise: bool = False,
) -> Algorithm:
    """The discrete algorithm: baseline re-measured, G accumulated over τ_θ timesteps, used, and reset.

    If you give no optimizer, `mgd.train` chooses one for its chip and its number of steps, and with it time constants
    and batch, unless these are given: Adam with a falling rate, and windows that suit the chip (`fitted`). If you call
    ask and tell without `mgd.train`, you get the plain defaults below.

    Args:
        perturbation: defaults to independent signs of amplitude 0.01.
        time_constants: default to 1 timestep each.
        optimizer: defaults to plain gradient descent with a learning rate of 0.1.
        baseline: defaults to `Remeasured`.
        modulation_limit: clamp on C̃; none by default.
        bitwise: whether simulated chips and instruments give the same bits; see `Algorithm`.

    >>> discrete().interval
    1
    """
    return Algorithm(
        perturbation=perturbation or Rademacher(),
        baseline=baseline or Remeasured(),
        integrator=Accumulate(),
        optimizer=optimizer or optax.sgd(0.1),
        time_constants=time_constants or TimeConstants(),
        modulation_limit=modulation_limit,
        bitwise=bitwise,
        open=_open(optimizer, time_constants),
    )


def _open(optimizer: optax.GradientTransformation | None, time_constants: TimeConstants | None) -> tuple[str, ...]:
    """What is left to `fitted`. A rate goes with a window: who gives the one has the other's plain default."""
    if optimizer is not None:
        return ()
    return ("optimizer",) if time_constants is not None else ("optimizer", "time_constants")


def fitted(algorithm: Algorithm, chosen: Defaults, n_steps: int) -> Algorithm:
    """An algorithm whose open parts are filled in.

    Args:
        algorithm: from `discrete`; if all its parts were given, it stays as it is.
        chosen: the settings of `mgd.algorithm.defaults` for the chip and the run.
        n_steps: timesteps of the run.

    >>> from mgd.algorithm import defaults
    >>> fitted(discrete(), defaults(220, 20_000, 30_000), 20_000).time_constants
    TimeConstants(tau_p=1, tau_x=16, tau_theta=16, tau_hp=100.0)
    >>> fitted(discrete(optimizer=optax.sgd(1.0)), defaults(220, 20_000, 30_000), 20_000).interval
    1
    """
    if not algorithm.open:
        return algorithm
    times = algorithm.time_constants
    if "time_constants" in algorithm.open:
        times = TimeConstants(tau_x=chosen.tau_theta, tau_theta=chosen.tau_theta)
    adam = optax.adam(optax.cosine_decay_schedule(chosen.learning_rate, -(-n_steps // times.tau_theta)))
    optimizer = _promoting(optax.chain(optax.add_decayed_weights(chosen.weight_decay), adam))
    return replace(algorithm, optimizer=optimizer, time_constants=times, open=())


def _promoting(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """The same rule for those too whose JAX refuses to mix types: Adam and schedules of optax count in integers."""

    def update(updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None) -> tuple:
        with jax.numpy_dtype_promotion("standard"):
            return optimizer.update(updates, state, params)

    return optax.GradientTransformation(optimizer.init, update)


def analog(
    *,
    perturbation: AbstractPerturbation | None = None,
    time_constants: TimeConstants | None = None,
    optimizer: optax.GradientTransformation | None = None,
    baseline: AbstractBaseline | None = None,
    modulation_limit: float | None = None,
    bitwise: bool = False,
) -> Algorithm:
    """The analog algorithm: cost through a high-pass, G through a low-pass, θ written every timestep.

    Args:
        perturbation: defaults to sinusoids of amplitude 0.01.
        time_constants: default to samples held for 100 timesteps and τ_θ = τ_hp = 100.
        optimizer: defaults to plain gradient descent with a learning rate of 0.01.
        baseline: defaults to `HighPass`.
        modulation_limit: clamp on C̃; none by default.
        bitwise: whether simulated chips and instruments give the same bits; see `Algorithm`.

    >>> analog().interval
    1
    """
    return Algorithm(
        perturbation=perturbation or Sinusoid(),
        baseline=baseline or HighPass(),
        integrator=LowPass(),
        optimizer=optimizer or optax.sgd(0.01),
        time_constants=time_constants or TimeConstants(tau_x=100, tau_theta=100, tau_hp=100.0),
        modulation_limit=modulation_limit,
        bitwise=bitwise,
    )


class Published(NamedTuple):
    """Settings in the convention of the published programs.

    Attributes:
        norm: Δ, the root-mean-square L2 norm of the whole perturbation.
        learning_rate: η on the sum of C̃ θ̃/Δ² over a window.
    """

    norm: float
    learning_rate: float


class Ordinary(NamedTuple):
    """Settings in this package's convention.

    Attributes:
        amplitude: Δθ of one parameter.
        learning_rate: η on the ordinary gradient.
    """

    amplitude: float
    learning_rate: float


def from_published(
    settings: Published, *, perturbation: AbstractPerturbation, n_params: int, tau_theta: int
) -> Ordinary:
    """Published settings in our convention.

    In the published convention G is the sum of C̃ θ̃/Δ² over a window, with Δ² = Σ_i⟨θ̃_i²⟩, so its mean is τ_θ/P times
    the gradient.

    Args:
        settings: Δ and η as published.
        perturbation: the family, of any amplitude.
        n_params: P of the network.
        tau_theta: timesteps in a window.

    >>> ours = from_published(Published(0.05, 0.1), perturbation=Rademacher(), n_params=9, tau_theta=1)
    >>> round(ours.amplitude, 4), round(ours.learning_rate, 4)
    (0.0167, 0.0111)
    """
    per_norm = perturbation.amplitude / math.sqrt(n_params * perturbation.mean_square(n_params))
    return Ordinary(settings.norm * per_norm, settings.learning_rate * tau_theta / n_params)


def to_published(settings: Ordinary, *, perturbation: AbstractPerturbation, n_params: int, tau_theta: int) -> Published:
    """Our settings in the published convention: the inverse of `from_published`."""
    per_norm = perturbation.amplitude / math.sqrt(n_params * perturbation.mean_square(n_params))
    return Published(settings.amplitude / per_norm, settings.learning_rate * n_params / tau_theta)
