"""Where the parameters of an instrument start, and how close to their limits they may come."""

from typing import Literal

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from ..chips import AbstractChip
from ..instruments import AbstractInstrument, Limits, inwards

# By default, parameters start within this share of their range, about its middle.
_START = 0.1


def parameters_at_start(
    instrument: AbstractInstrument,
    *,
    key: PRNGKeyArray,
    chip: int = 0,
    given: Literal["network"] | float | Float[np.ndarray, " p"] | None = None,
    network: AbstractChip | None = None,
) -> Float[np.ndarray, " p"]:
    """The parameters at the start of a training, a calibration or a replay: one rule for all of them.

    They are the parameters that were asked for, if any; otherwise the instrument's own `start`, if it has one;
    otherwise those of the network that the chip file describes; otherwise random ones about the middle of the limits.

    Args:
        instrument: the instrument.
        key: the key of the run.
        chip: the number of the chip in a fleet.
        given: the request: the parameters themselves, "network", or the largest distance from the middle.
        network: the network that the chip file describes.

    Raises:
        ValueError: if a network is asked for and there is none, or it has another number of parameters.
    """
    own_key, _ = jax.random.split(jax.random.fold_in(key, chip))
    if isinstance(given, np.ndarray | jax.Array):
        return np.asarray(given, np.float32)
    if given is None and instrument.start is not None:
        return np.asarray(instrument.start, np.float32)
    if isinstance(given, str) or (given is None and network is not None):
        if network is None:
            raise ValueError(f"there is no network to start from: give start as a number, not {given!r}")
        if network.n_params != instrument.n_params:
            raise ValueError(
                f"the network of the chip file has {network.n_params} parameters and the chip {instrument.n_params}: "
                "correct [chip], or give start as a number"
            )
        return np.asarray(network.init(key=own_key))
    return start_within(instrument.limits, key=own_key, spread=given)


def start_within(limits: Limits, *, key: PRNGKeyArray, spread: float | None = None) -> Float[np.ndarray, " p"]:
    """Parameters drawn uniformly about the middle of their limits, and within them.

    Args:
        limits: the limits of a chip.
        key: the seed of the random numbers.
        spread: the largest distance from the middle; by default a tenth of the way to the limits.
    """
    half = (limits.high - limits.low) / 2
    farthest = half * _START if spread is None else np.full_like(half, spread)
    start = limits.middle + farthest * np.asarray(jax.random.uniform(key, half.shape, minval=-1.0, maxval=1.0))
    return np.clip(start, limits.low, limits.high)


def room_within(limits: Limits, largest: float) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
    """The lowest and highest value of each parameter that leave room for a perturbation, to the last bit.

    The sum of a limit and a perturbation is rounded inwards: a parameter there, less that perturbation, is then not
    below the limit however the difference is rounded.

    """
    low, high = limits.low.astype(np.float64) + largest, limits.high.astype(np.float64) - largest
    return inwards(low, up=True), inwards(high, up=False)


def check_room(limits: Limits, largest: float) -> None:
    """Raises: ValueError: if there is no room for a perturbation between the limits of a parameter."""
    low, high = room_within(limits, largest)
    if (low > high).any():
        k = int(np.argmax(low - high))
        raise ValueError(
            f"limits of parameter {limits.name(k)} are {limits.ends(k)}, which leaves no room for a perturbation of "
            f"{limits.change(k, largest) if limits.units else f'{largest:g}'} to both sides: lower the amplitude"
        )
