"""Whether a simulated chip can make anything of its inputs at the size they have."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._errors import MgdWarning
from ..chips import AbstractChip
from ..datasets import Samples, Task

# Inputs are looked at twice only where a typical one is larger than this, or no input differs by more from its mean.
_LARGE, _SMALL = 3.0, 0.03
# Outputs that change by so small a part of what they could are as good as unchanged; so many times are far more.
_UNCHANGED, _FAR_MORE = 0.25, 5.0
# What a chip that normalises its inputs makes of their size is rounding, and less than this of its outputs.
_ROUNDING = 1e-3
_LOOKED_AT = 256
# A copy of the parameters of larger chips is not worth it.
_MOST_PARAMS = 10_000_000
_REMEDY = 'give scaling="standard" with data of your own (--scaling standard), or scale them yourself'


def check_inputs(chip: AbstractChip, task: Task) -> None:
    """Warns if inputs saturate the chip, make its outputs too large, or are too small; the chip's outputs decide.

    A fresh chip gets some of the training inputs, as they are and scaled. Inputs saturate it if its outputs hardly
    change when the inputs are halved, but do change when they are scaled to about one. Inputs are too large if the
    outputs are far larger than for scaled ones, and too small if the outputs differ far less from sample to sample than
    for standardised inputs. So there is no warning for a chip that scales its inputs itself, or needs large ones.
    """
    if chip.n_params > _MOST_PARAMS:
        return
    x = _some(task.train)
    typical = float(np.median(np.sqrt(np.mean(x.reshape(len(x), -1) ** 2, axis=1))))
    spread = x.std(0)
    if typical > _LARGE:
        _check_large(chip, x, typical, float(np.abs(_shown(task.train, slice(None))).max()))
    elif 0 < spread.max() < _SMALL:
        _check_small(chip, x, spread)


def _some(samples: Samples) -> np.ndarray:
    """Inputs as the chip is shown them, of up to so many samples spread over the set."""
    return _shown(samples, np.linspace(0, len(samples) - 1, min(len(samples), _LOOKED_AT)).astype(int))


def _shown(samples: Samples, rows: np.ndarray | slice) -> np.ndarray:
    stored = np.asarray(samples.x[rows], np.float32)
    return (stored - np.float32(samples.offset)) * np.float32(samples.scale)


def _check_large(chip: AbstractChip, x: np.ndarray, typical: float, largest: float) -> None:
    as_given, halved, to_one = _respond(chip, x, x / 2, x / typical)
    if as_given.size == 0:
        return
    change, room = (_distance(halved, other) for other in (as_given, to_one))
    if change < _UNCHANGED * room and room > _ROUNDING * float(np.abs(to_one).max()):
        _warn(
            f"inputs saturate the chip: they go up to {largest:,.4g}, and its outputs hardly change when all are "
            f"halved: {_REMEDY}"
        )
    elif np.median(np.abs(as_given)) > _FAR_MORE * max(1.0, float(np.abs(to_one).max())):
        _warn(
            f"inputs are large for this chip: they go up to {largest:,.4g}, and its outputs to "
            f"{np.abs(as_given).max():,.4g} at the start: {_REMEDY}"
        )


def _check_small(chip: AbstractChip, x: np.ndarray, spread: np.ndarray) -> None:
    as_given, standard = _respond(chip, x, (x - x.mean(0)) / np.where(spread > 0, spread, 1.0))
    if as_given.size and _FAR_MORE * as_given.std(0).max() < standard.std(0).max():
        _warn(
            f"inputs are too small for this chip: their standard deviations over samples are at most {spread.max():.2g}"
            f": {_REMEDY}"
        )


def _respond(chip: AbstractChip, *inputs: np.ndarray) -> list[np.ndarray]:
    """What a fresh chip makes of each of these arrays of inputs."""
    key = jax.random.key(0)
    theta, device = chip.init(key=key), chip.fabricate(key=key)
    respond = eqx.filter_jit(lambda x: chip.respond(theta, x, device=device, key=key))
    return [np.asarray(respond(jnp.asarray(x, jnp.float32))) for x in inputs]


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """How much the outputs of a typical sample differ."""
    return float(np.median(np.sqrt(np.mean((a - b).reshape(len(a), -1) ** 2, axis=1))))


def _warn(message: str) -> None:
    warnings.warn(message, MgdWarning, stacklevel=4)
