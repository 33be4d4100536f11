"""A chip that is a network: an equinox module with its parameters laid out as one vector."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from ..networks import Initialisation, Neurons
from ..networks import cnn as _cnn
from ..networks._pieces import Perceptron, Read
from ._base import AbstractChip, Traits
from ._costs import AbstractCost, CrossEntropy, cost_named

# Perceptrons of so many parameters or more are computed a piece at a time where that can be. There it is about as
# fast (0.9 to 1.3 times, by batch), and a copy of θ is 8 MB.
_HUGE = 2_000_000


class NetworkChip(AbstractChip):
    """A perfect chip that computes a network.

    Args:
        make: from a key, a fresh network: an equinox module that maps a batch of inputs to a batch of outputs.
        cost: of its outputs.
    """

    make: Callable[[PRNGKeyArray], eqx.Module] = eqx.field(static=True)
    loss: AbstractCost
    n_params: int = eqx.field(static=True)
    _skeleton: eqx.Module
    _structure: Any = eqx.field(static=True)
    _shapes: tuple[tuple[int, ...], ...] = eqx.field(static=True)

    def __init__(self, make: Callable[[PRNGKeyArray], eqx.Module], cost: str | AbstractCost = "mse"):
        self.make = make
        self.loss = cost_named(cost)
        parameters, rest = eqx.partition(eqx.filter_eval_shape(make, jax.random.key(0)), _is_parameter)
        if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(rest)):
            rest = eqx.filter(make(jax.random.key(0)), _is_parameter, inverse=True)  # integer buffers, and such
        self._skeleton = rest
        leaves, self._structure = jax.tree.flatten(parameters)
        self._shapes = tuple(leaf.shape for leaf in leaves)
        self.n_params = sum(math.prod(shape) for shape in self._shapes)
        if self.n_params == 0:
            raise ValueError("the network has no floating-point parameters to train")

    @property
    def groups(self) -> Mapping[str, slice]:
        numbered = jax.tree.unflatten(self._structure, range(len(self._shapes)))
        names = [jax.tree_util.keystr(path).lstrip(".") for path, _ in jax.tree_util.tree_leaves_with_path(numbered)]
        return dict(zip(names, self._slices(), strict=True))

    @property
    def neuron_counts(self) -> tuple[int, ...]:
        """Neurons in each layer.

        Raises:
            ValueError: if the network is not one whose neurons we know.
        """
        network: Any = eqx.filter_eval_shape(self.make, jax.random.key(0))
        if not hasattr(network, "with_neurons"):
            raise ValueError(f"the neurons of a {type(network).__name__} are not known: use mlp or cnn")
        return network.neuron_counts

    def _slices(self) -> list[slice]:
        edges = [0, *accumulate(math.prod(shape) for shape in self._shapes)]
        return [slice(start, stop) for start, stop in pairwise(edges)]

    @property
    def traits(self) -> Traits:
        return Traits()

    def network(self, theta: Float[Array, " p"], neurons: Sequence[Neurons] | None = None) -> Callable:
        """The network with these parameters, and with these neurons in its layers where they are not all alike."""
        # The derivative of a split is one concatenation; that of slices would be a sum of vectors of full length.
        pieces = jnp.split(theta, [piece.start for piece in self._slices()[1:]])
        leaves = [piece.reshape(shape) for piece, shape in zip(pieces, self._shapes, strict=True)]
        network: Any = eqx.combine(jax.tree.unflatten(self._structure, leaves), self._skeleton)
        return network if neurons is None else network.with_neurons(tuple(neurons))

    def init(self, *, key: PRNGKeyArray) -> Float[Array, " p"]:
        if self.pieces is not None:
            return self.pieces.fresh(key)
        return ravel_pytree(eqx.filter(self.make(key), _is_parameter))[0].astype(jnp.float32)

    def fabricate(self, *, key: PRNGKeyArray) -> None:
        return None

    def measure(self, theta, perturbation, x, target, *, device=None, key):
        return jnp.mean(self.loss(self.network(theta + perturbation, device)(x), target)), device

    @property
    def pieces(self) -> Perceptron | None:
        """How the network is computed a piece at a time, if it is so large that no copy of θ should be made."""
        large = _HUGE <= self.n_params < 2**31
        return self.make if large and isinstance(self.make, Perceptron) else None

    def measure_pieces(
        self, read: Read, x: Float[Array, "batch *features"], target: Float[Array, "batch outputs"]
    ) -> Float[Array, ""]:
        """The cost, averaged over the batch, of a network that has `pieces`, with parameters that `read` gives."""
        assert self.pieces is not None, "only a large perceptron is computed in pieces"
        return jnp.mean(self.loss(self.pieces.respond(read, x), target))

    def respond(self, theta, x, *, device=None, key):
        if self.pieces is not None and device is None:
            return self.pieces.respond(lambda start, size: lax.dynamic_slice(theta, (start,), (size,)), x)
        return self.network(theta, device)(x)

    def cost(self, outputs, target):
        return self.loss(outputs, target)

    def write(self, theta, delta, *, device=None, key):
        return theta + delta


def _is_parameter(leaf: object) -> bool:
    return eqx.is_inexact_array(leaf) or (
        isinstance(leaf, jax.ShapeDtypeStruct) and jnp.issubdtype(leaf.dtype, jnp.inexact)
    )


def mlp(
    sizes: Sequence[int],
    *,
    activation: str = "logistic",
    output: str | None = None,
    cost: str | AbstractCost | None = None,
    init: Initialisation | None = None,
) -> NetworkChip:
    """A perfect multi-layer perceptron, y = f(W x − b), as in the published networks.

    Args:
        sizes: numbers of inputs, of neurons in each hidden layer, and of outputs.
        activation: of hidden neurons: "logistic", "tanh", "relu" or "linear".
        output: of output neurons; logistic by default, or linear where the cost is cross-entropy.
        cost: "mse", "cross-entropy", or a cost object. Two outputs or more are by default those of classes, and the
            cost is cross-entropy; that of one output is mse.
        init: how parameters start: "uniform" or "glorot"; by default glorot, or uniform where there is one output, as
            in the published networks.

    Raises:
        ValueError: if a size is not positive or a name is unknown.

    >>> mlp((49, 4, 4)).n_params
    220
    """
    classes = len(tuple(sizes)) > 0 and tuple(sizes)[-1] > 1
    loss = cost_named(cost or ("cross-entropy" if classes else "mse"))
    init = init or ("glorot" if classes else "uniform")
    if output is None:
        output = "linear" if isinstance(loss, CrossEntropy) else "logistic"
    sizes = tuple(sizes)
    return NetworkChip(Perceptron(sizes, activation, output, init), loss)


def cnn(
    input_shape: Sequence[int],
    channels: Sequence[int],
    outputs: int = 10,
    *,
    cost: str | AbstractCost = "cross-entropy",
    init: Initialisation = "glorot",
) -> NetworkChip:
    """A perfect convolutional network: 3 × 3 convolutions, each with ReLU and 2 × 2 max-pooling, then logits.

    Args:
        input_shape: height, width and channels of an image.
        channels: channels after each convolution.
        outputs: number of classes.
        cost: "mse", "cross-entropy", or a cost object.
        init: how parameters start: "uniform" or "glorot".

    Raises:
        ValueError: if the images are too small for that many convolutions.

    >>> cnn((28, 28, 1), (16, 32, 32)).n_params
    14378
    """
    shape, channels = tuple(input_shape), tuple(channels)
    return NetworkChip(lambda key: _cnn(shape, channels, outputs, init=init, key=key), cost)


def from_module(make: Callable[[PRNGKeyArray], eqx.Module], *, cost: str | AbstractCost = "mse") -> NetworkChip:
    """A perfect chip that computes any equinox module of your own.

    Args:
        make: from a key, a fresh module that maps one input to one output, as equinox modules do.
        cost: "mse", "cross-entropy", or a cost object.

    Raises:
        ValueError: if the module has no floating-point parameters.

    >>> from_module(lambda key: eqx.nn.Linear(3, 2, key=key)).n_params
    8
    """
    return NetworkChip(lambda key: _Batched(make(key)), cost)


class _Batched(eqx.Module):
    """A module for one input, over a batch."""

    module: eqx.Module

    def __call__(self, x):
        return jax.vmap(self.module)(x)  # pyright: ignore[reportArgumentType]
