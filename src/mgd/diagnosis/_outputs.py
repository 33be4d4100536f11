"""Causes in the network: targets that its outputs cannot reach, and neurons that do not answer."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..chips import CrossEntropy, NetworkChip
from ..chips.imperfections import inside, loss_of
from ..networks import ACTIVATIONS, MLP
from ._case import Case
from ._finding import Finding

# How many parameters are drawn to find out which outputs there are, each of so many times the size.
_CHIPS, _SIZES = 4, (1.0, 10.0, 100.0)
# Of the targets, what must be out of reach, by this part of their spread.
_SHARE, _BEYOND = 0.2, 0.05
# Neurons whose slope is less than this part of the largest, and the part of them that is too much.
_FLAT, _TOO_MANY = 0.02, 0.85


def targets_out_of_reach(case: Case) -> Finding | None:
    """Targets beyond all outputs that the chip gives, whatever its parameters."""
    if not case.gives_outputs or isinstance(loss_of(case.chip), CrossEntropy):
        return None
    y, theta = np.asarray(case.samples.y, np.float64), case.start.state.theta[0]
    size = max(float(jnp.sqrt(jnp.mean(theta**2))), 0.1)
    keys = jax.random.split(jax.random.key(0), _CHIPS)
    tried = [scale * size * jax.random.normal(key, theta.shape) for scale in _SIZES for key in keys]
    outputs = np.stack([case.outputs(one) for one in (theta, case.now.state.theta[0], *tried)])
    low, high = float(np.nanmin(outputs)), float(np.nanmax(outputs))
    spread = float(y.max() - y.min())
    beyond = (y < low - _BEYOND * spread) | (y > high + _BEYOND * spread)
    if beyond.mean() < _SHARE:
        return None
    return Finding(
        "targets",
        f"{beyond.mean():.0%} of the targets are out of reach: they go from {y.min():.3g} to {y.max():.3g}, and the "
        f"outputs from {low:.3g} to {high:.3g} whatever the parameters",
        'an output of another kind (output = "linear", or "tanh" for targets from -1 to 1), or targets scaled to '
        "that range",
    )


def neurons_are_saturated(case: Case, *, at_end: bool = False) -> Finding | None:
    """Neurons whose output hardly depends on their input."""
    progress = case.now if at_end else case.start
    slopes = _slopes(case, progress.state.theta[0])
    if not slopes:
        return None
    flat = [float(np.mean(of_layer < _FLAT)) for of_layer in slopes]
    worst = int(np.argmax(flat))
    if flat[worst] < _TOO_MANY:
        return None
    layer = "the output layer" if worst == len(flat) - 1 else f"hidden layer {worst + 1}"
    where = "now" if at_end else "at the start"
    x = np.asarray(case.some.show(jnp.arange(len(case.samples)))[0])
    theta = progress.state.theta[0]
    size, largest = float(jnp.sqrt(jnp.mean(theta**2))), float(np.abs(x).max())
    remedy = (
        f"scaled inputs (--scaling standard): they go up to {largest:.3g}"
        if largest > 5 and not at_end
        else f"a smaller start: the parameters have a root mean square of {size:.2g}"
        if not at_end
        else f"a lower learning rate from the start: the parameters have grown to a root mean square of {size:.2g}"
    )
    return Finding(
        "saturated",
        f"{flat[worst]:.0%} of the activations of {layer} are saturated {where}: their slope is below {_FLAT:.0%} of "
        "the largest, and G nearly vanishes",
        remedy,
    )


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


# The largest slope of each activation.
_LARGEST = {"logistic": 0.25, "tanh": 1.0, "relu": 1.0, "linear": 1.0}
