"""Learning rates and amplitudes of groups of parameters, in an algorithm that has one of each."""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from ...algorithm import AbstractAskTell, Algorithm
from ...instruments import Limits

# How well an amplitude agrees with what the groups say.
_AGREES = 1e-6


def with_rates(algorithm: AbstractAskTell, limits: Limits) -> AbstractAskTell:
    """The algorithm, whose updates are multiplied by the factor of each parameter's group.

    Args:
        algorithm: the training algorithm.
        limits: of the chip; if its groups have no factors, the algorithm is returned as it is.

    Raises:
        ValueError: if it is a training circuit, which has one learning rate.
    """
    rate = rates(limits)
    if (rate == 1).all():
        return algorithm
    if not isinstance(algorithm, Algorithm):
        raise ValueError(
            "learning_rate of a group multiplies what a host adds to the parameters, and a training circuit has one "
            "learning rate: leave it out of instrument.groups"
        )
    optimizer = algorithm.optimizer

    def update(gradient: Float[Array, " p"], state: Any, theta: Any = None) -> tuple[Any, Any]:
        delta, state = optimizer.update(gradient, state, theta)
        return jnp.asarray(delta) * rate, state

    return replace(algorithm, optimizer=optax.GradientTransformation(optimizer.init, update))  # pyright: ignore[reportArgumentType]


def rates(limits: Limits) -> Float[np.ndarray, " p"]:
    """The factor of each parameter's learning rate."""
    factors = np.ones(limits.low.size) if limits.units is None else limits.units.rate
    return factors.astype(np.float32)


def check_amplitude(algorithm: AbstractAskTell, limits: Limits) -> None:
    """Raises: ValueError: if an algorithm perturbs by another amplitude than the chip's groups say."""
    due = None if limits.units is None else limits.units.amplitude
    given = algorithm.reference.perturbation.amplitude
    if due is not None and abs(given - due) > _AGREES * due:
        raise ValueError(
            f"the amplitudes of instrument.groups are those of an amplitude of {due:g}, and the algorithm perturbs by "
            f"{given:g}: give amplitude = {due:g} (in Python, a perturbation with it), or leave those of the groups out"
        )
