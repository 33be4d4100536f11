"""Causes in the network: targets that its outputs cannot reach, and neurons that do not answer."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..chips import CrossEntropy, NetworkChip
from ..chips.imperfections import ActivationVariation, Imperfect, inside, loss_of
from ..networks import ACTIVATIONS, MLP
from ..networks._pieces import Perceptron
from ._case import Case
from ._finding import Finding

# How many parameters are drawn to find out which outputs there are, each of so many times the size.
_CHIPS, _SIZES = 4, (1.0, 10.0, 100.0)
# Of the targets, what must be out of reach, by this part of their spread.
_SHARE, _BEYOND = 0.2, 0.05
# Neurons whose slope is less than this part of the largest, and the part of them that is too much.
_FLAT, _TOO_MANY = 0.02, 0.85
# Inputs that may saturate a chip; how much larger parameters are if updates have driven them.
_LARGE, _GROWN = 5.0, 3.0


def targets_out_of_reach_for_certain(case: Case) -> Finding | None:
    """Targets beyond the range of the output's activation, which needs no outputs."""
    chip = case.chip
    while isinstance(chip, Imperfect) and not isinstance(chip.imperfection, ActivationVariation):
        chip = chip.chip
    if not isinstance(chip, NetworkChip) or not isinstance(chip.make, Perceptron):
        return None
    return _beyond(case, *_RANGES[chip.make.output])


def targets_out_of_reach(case: Case) -> Finding | None:
    """Targets beyond all outputs that the chip gives, whatever its parameters."""
    if not case.gives_outputs or isinstance(loss_of(case.chip), CrossEntropy):
        return None
    theta = case.start.state.theta[0]
    size = max(_size(theta), 0.1)
    keys = jax.random.split(jax.random.key(0), _CHIPS)
    drawn = [scale * size * jax.random.normal(key, theta.shape) for scale in _SIZES for key in keys]
    outputs = case.outputs(jnp.stack([theta, case.now.state.theta[0], *drawn]))
    return _beyond(case, float(np.nanmin(outputs)), float(np.nanmax(outputs)))


def _beyond(case: Case, low: float, high: float) -> Finding | None:
    """Targets outside the range of the outputs."""
    y, kind = np.asarray(case.samples.y, np.float64), case.task.kind
    if kind == "values":
        margin = _BEYOND * float(y.max() - y.min())
        beyond = (y < low - margin) | (y > high + margin)
    elif kind == "classes" and y.shape[1] > 1:
        return None  # the largest output counts, wherever it is
    else:
        middle = 0.0 if kind == "signs" else 0.5
        beyond = ((y < middle) & (low >= middle)) | ((y > middle) & (high <= middle))
    if beyond.mean() < _SHARE:
        return None
    return Finding(
        "targets",
        f"{beyond.mean():.0%} of the targets are out of reach: they go from {y.min():.3g} to {y.max():.3g}, and the "
        f"outputs from {low:.3g} to {high:.3g} whatever the parameters",
        'an output of another kind (output = "linear", or "tanh" for targets from -1 to 1), or targets scaled to '
        "that range",
    )


def neurons_are_saturated(case: Case) -> Finding | None:
    """Neurons whose output hardly depends on their input, at the start."""
    if (saturated := _saturated(case, theta := case.start.state.theta[0])) is None:
        return None
    x = np.asarray(case.some.show(jnp.arange(len(case.samples)))[0])
    largest, inputs = float(np.abs(x).max()), f"scaled inputs (--scaling standard): they go up to {np.abs(x).max():.3g}"
    start = f"a smaller start: the parameters have a root mean square of {_size(theta):.2g}"
    return Finding(
        "saturated", f"{saturated} at the start, so G nearly vanishes", inputs if largest > _LARGE else start
    )


def neurons_became_saturated(case: Case) -> Finding | None:
    """Neurons that were driven there by updates."""
    before, after = (progress.state.theta[0] for progress in (case.start, case.now))
    if _size(after) < _GROWN * _size(before) or (saturated := _saturated(case, after)) is None:
        return None
    grown = f"the parameters have grown from a root mean square of {_size(before):.2g} to {_size(after):.2g}"
    times = 2 ** math.ceil(math.log2(_size(after) / _size(before)))
    return Finding(
        "rate-high",
        f"the learning rate is too high: {grown}, and {saturated}",
        f"a learning rate of 1/{times} of it, or a longer tau_theta",
    )


def _saturated(case: Case, theta: Float[Array, " p"]) -> str | None:
    """Which layer is saturated, in words; None if none is."""
    slopes = _slopes(case, theta)
    flat = [float(np.mean(of_layer < _FLAT)) for of_layer in slopes]
    if not flat or max(flat) < _TOO_MANY:
        return None
    worst = int(np.argmax(flat))
    layer = "the output layer" if worst == len(flat) - 1 else f"hidden layer {worst + 1}"
    return f"{flat[worst]:.0%} of the activations of {layer} are saturated (a slope below {_FLAT:.0%} of the largest)"


def _size(theta: Float[Array, " p"]) -> float:
    """The root mean square."""
    return max(float(jnp.sqrt(jnp.mean(theta**2))), 1e-6)


def _slopes(case: Case, theta: Float[Array, " p"]) -> list[Float[np.ndarray, "n neurons"]]:
    """The slope of each activation of each layer, in parts of the largest; empty if the network is not known.

    A rectifier has a slope if its neuron answers to any sample.
    """
    device = jax.tree.map(lambda leaf: leaf[0], case.start.device)
    chip, applied, neurons = inside(case.chip, theta, device, key=jax.random.key(0))
    if not isinstance(chip, NetworkChip):
        return []
    network: Any = chip.network(applied, neurons)
    if not isinstance(network, MLP):
        return []
    x = case.some.show(jnp.arange(len(case.samples)))[0]
    x, found = x.reshape(x.shape[0], -1), []
    for layer in network.layers:
        f, a = ACTIVATIONS[layer.activation], x @ layer.weight.T - layer.bias[None]
        answer = f if layer.neurons is None else lambda a, f=f, own=layer.neurons: own(f, a)
        x, slope = jax.jvp(answer, (a,), (jnp.ones_like(a),))
        part = np.abs(np.asarray(slope)) / _LARGEST[layer.activation]
        found.append(part.max(0, keepdims=True) if layer.activation == "relu" else part)
    return found


# The range of each activation, and the largest slope of each activation.
_RANGES = {
    "logistic": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "linear": (-math.inf, math.inf),
}
_LARGEST = {"logistic": 0.25, "tanh": 1.0, "relu": 1.0, "linear": 1.0}
