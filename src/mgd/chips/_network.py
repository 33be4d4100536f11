"""A chip that is a network: an equinox module with its parameters laid out as one vector."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._float32 import in_float32
from ..networks import CNN, MLP, Initialisation, Neurons
from ..networks import cnn as _cnn
from ..networks._pieces import Perceptron, Read
from ._base import AbstractChip, Traits
from ._buffers import buffers, likely_inputs
from ._costs import AbstractCost, CrossEntropy, cost_named
from ._leaves import FilterSpec, Leaves, are_names, chosen, is_parameter, named, only, real

# Perceptrons of so many parameters or more are computed a piece at a time where that can be. There it is about as
# fast (0.9 to 1.3 times, by batch), and a copy of θ is 8 MB.
_HUGE = 2_000_000


class NetworkChip(AbstractChip):
    """A perfect chip that computes a network.

    θ consists of its floating-point arrays, except those that `trainable` leaves out, those that reach the outputs only
    through `jax.lax.stop_gradient`, and those of an `eqx.nn.State`. The exceptions are frozen: in all replicas they are
    as in `make(jax.random.key(0))`, and no engine changes them.

    Args:
        make: from a key, a fresh network: an equinox module that maps a batch of inputs to a batch of outputs.
        cost: the cost of its outputs.
        trainable: which arrays may be trained: their names, as in `groups` without a first "module.", or patterns with
            * and ?; or a predicate of a leaf, or a tree of booleans and predicates, as `eqx.partition` takes it; by
            default all.
        traits: the properties of the chip that engines must know.
        input_shape: the shape of one input; needed only if training asks for it, to find frozen arrays.

    Raises:
        ValueError: if there is nothing to train, `trainable` does not match this network, or the network needs a state
            as an argument.
    """

    make: Callable[[PRNGKeyArray], Any] = eqx.field(static=True)
    loss: AbstractCost
    n_params: int = eqx.field(static=True)
    _skeleton: Any
    _structure: Any = eqx.field(static=True)
    leaves: Leaves = eqx.field(static=True)
    _traits: Traits = eqx.field(static=True)
    _stopped: frozenset[str] | None = eqx.field(static=True)

    def __init__(
        self,
        make: Callable[[PRNGKeyArray], Any],
        cost: str | AbstractCost = "mse",
        *,
        trainable: FilterSpec | None = None,
        traits: Traits | None = None,
        input_shape: Sequence[int] | None = None,
    ):
        self.make, self.loss, self._traits = make, cost_named(cost), traits or Traits()
        network = eqx.filter_eval_shape(make, jax.random.key(0))
        _refuse_unbound_state(network)
        self._stopped = None if isinstance(network, MLP | CNN) else _stopped(make, network, input_shape)
        frozen = _in_states(network) | (self._stopped or frozenset())
        parameters = only(eqx.filter(network, is_parameter), lambda name: name not in frozen)
        if trainable is not None:
            taken = chosen(make(jax.random.key(0)), trainable)
            parameters = only(parameters, named(taken).__contains__)
        leaves, self._structure = jax.tree.flatten(parameters)
        if not leaves:
            raise ValueError(_nothing_to_train(network, frozen))
        self.leaves = Leaves.of(parameters)
        self.n_params = self.leaves.n_params
        if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(only(network, self._is_rest))):
            network = make(jax.random.key(0))  # of one piece with what is kept of it: functions of two are not equal
            self._structure = jax.tree.structure(only(network, self.leaves.names.__contains__))
        self._skeleton = only(network, self._is_rest)

    def _is_rest(self, name: str) -> bool:
        return name not in self.leaves.names

    @property
    def groups(self) -> Mapping[str, slice]:
        return self.leaves.groups

    @property
    def neuron_counts(self) -> tuple[int, ...]:
        """Neurons in each layer.

        Raises:
            ValueError: if the neurons of this kind of network are not known.
        """
        network: Any = eqx.filter_eval_shape(self.make, jax.random.key(0))
        if not hasattr(network, "with_neurons"):
            raise ValueError(f"the neurons of a {type(network).__name__} are not known: use mlp or cnn")
        return network.neuron_counts

    @property
    def traits(self) -> Traits:
        return self._traits

    @property
    def is_ours(self) -> bool:
        """Whether the network is one of `mgd.networks`, which hold no `stop_gradient` and no steps."""
        return self._stopped is None

    @property
    def whole(self) -> bool:
        """Whether θ is the whole network: no array is frozen, or of a type other than float32."""
        arrays = any(eqx.is_array(leaf) for leaf in jax.tree.leaves(self._skeleton))
        return self.leaves.plain and not arrays

    def network(self, theta: Float[Array, " p"], neurons: Sequence[Neurons] | None = None) -> Callable:
        """The network with these parameters, and with these neurons in its layers if neurons differ."""
        parameters = jax.tree.unflatten(self._structure, self.leaves.unflatten(theta))
        network: Any = eqx.combine(parameters, self._skeleton)
        return network if neurons is None else network.with_neurons(tuple(neurons))

    def init(self, *, key: PRNGKeyArray) -> Float[Array, " p"]:
        if self.pieces is not None:
            return self.pieces.fresh(key)
        return self.leaves.flatten(jax.tree.leaves(only(self.make(key), self.leaves.names.__contains__)))

    def fabricate(self, *, key: PRNGKeyArray) -> None:
        return None

    def measure(self, theta, perturbation, x, target, *, device=None, key):
        return jnp.mean(self.loss(self._outputs(theta + perturbation, x, device), target)), device

    @property
    def pieces(self) -> Perceptron | None:
        """How to compute the network piece by piece, if it is so large that θ should not be copied."""
        large = _HUGE <= self.n_params < 2**31
        return self.make if large and isinstance(self.make, Perceptron) and self.whole else None

    @in_float32
    def measure_pieces(
        self, read: Read, x: Float[Array, "batch *features"], target: Float[Array, "batch outputs"]
    ) -> Float[Array, ""]:
        """The cost, averaged over the batch, of a network that has `pieces`, with parameters that `read` gives."""
        assert self.pieces is not None, "only a large perceptron is computed in pieces"
        return jnp.mean(self.loss(self.pieces.respond(read, x), target))

    @in_float32
    def respond(self, theta, x, *, device=None, key):
        if self.pieces is not None and device is None:
            return self.pieces.respond(lambda start, size: lax.dynamic_slice(theta, (start,), (size,)), x)
        return self._outputs(theta, x, device)

    def cost(self, outputs, target):
        return self.loss(outputs, target)

    def write(self, theta, delta, *, device=None, key):
        return theta + delta

    @in_float32
    def _outputs(self, theta: Float[Array, " p"], x: Array, device: Any) -> Float[Array, "batch outputs"]:
        if self._stopped is not None:  # a network of others
            self._check_stopped(self._stopped, x.shape[1:])
        return real(self.network(theta, device)(x), "the network's outputs")

    def _check_stopped(self, stopped: frozenset[str], shape: tuple[int, ...]) -> None:
        """Raises: ValueError: if for these inputs other arrays are frozen than those that were found."""
        found = buffers(self.make, shape)
        if found is None:
            return  # the network does not take such inputs, and says so itself
        wrong = sorted((found & set(self.leaves.names)) | (stopped - found))
        if wrong:
            raise ValueError(
                f"without the shape of an input it was not known which arrays are behind jax.lax.stop_gradient "
                f"({', '.join(wrong)}): give input_shape={shape} where the chip is made"
            )


def _stopped(make: Callable, network: Any, input_shape: Sequence[int] | None) -> frozenset[str]:
    """The arrays behind stop_gradient; none, where no input is known that the network takes.

    Raises:
        ValueError: if it does not take inputs of the shape that was given.
    """
    if input_shape is not None:
        shape = tuple(input_shape)
        found = buffers(make, shape)
        if found is None:
            raise ValueError(f"the network takes no inputs of shape {shape}, given as input_shape")
        return found
    tried = (buffers(make, shape) for shape in likely_inputs(network))
    return next((found for found in tried if found is not None), frozenset())


def _is_state(node: object) -> bool:
    return isinstance(node, eqx.nn.State)


def _in_states(network: Any) -> frozenset[str]:
    """Names of the arrays that an `eqx.nn.State` holds."""
    nodes = jax.tree_util.tree_leaves_with_path(network, is_leaf=_is_state)
    return frozenset().union(*(named(node, path) for path, node in nodes if _is_state(node)))


def _refuse_unbound_state(network: Any) -> None:
    """Raises: ValueError: if a network has layers with a state that it would have to be handed."""
    nodes = jax.tree.leaves(network, is_leaf=lambda node: _is_state(node) or isinstance(node, eqx.nn.StateIndex))
    if isinstance(network, tuple) or (
        any(isinstance(node, eqx.nn.StateIndex) for node in nodes) and not any(map(_is_state, nodes))
    ):
        raise ValueError(
            "the module needs a state (eqx.nn.State, as in BatchNorm), which a chip does not pass on: give a "
            "module that contains the state, calls its layers in inference mode and returns only the outputs"
        )


def _nothing_to_train(network: Any, frozen: frozenset[str]) -> str:
    there = named(eqx.filter(network, is_parameter))
    if not there:
        return "the network has no floating-point parameters to train"
    if there <= frozen:
        return f"the network has nothing to train: {', '.join(sorted(there))} are all behind jax.lax.stop_gradient"
    return f"trainable leaves nothing to train of {', '.join(sorted(there - frozen))}"


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
        output: activation of output neurons; logistic by default, or linear if the cost is cross-entropy.
        cost: "mse", "cross-entropy", or a cost object. The default is cross-entropy for two or more outputs, which are
            then classes, and mse for one output.
        init: how parameters start: "uniform" or "glorot"; by default glorot, or uniform for one output, as in the
            published networks.

    Raises:
        ValueError: if a size is not positive, a name is unknown, or a single output with cross-entropy cannot be
            negative.

    >>> mlp((49, 4, 4)).n_params
    220
    """
    sizes = tuple(sizes)
    outputs = sizes[-1] if sizes else 0
    classes = outputs > 1
    loss = cost_named(cost or ("cross-entropy" if classes else "mse"))
    init = init or ("glorot" if classes else "uniform")
    if output is None:
        output = "linear" if isinstance(loss, CrossEntropy) else "logistic"
    if isinstance(loss, CrossEntropy) and outputs == 1 and output in ("logistic", "relu"):
        raise ValueError(
            f"cross-entropy takes one output for a logit, which must be able to be negative: leave output out, got "
            f"{output!r}"
        )
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
        ValueError: if the images are too small for this number of convolutions.

    >>> cnn((28, 28, 1), (16, 32, 32)).n_params
    14378
    """
    shape, channels = tuple(input_shape), tuple(channels)
    return NetworkChip(lambda key: _cnn(shape, channels, outputs, init=init, key=key), cost)


def from_module(
    make: Callable[[PRNGKeyArray], Any],
    *,
    cost: str | AbstractCost = "mse",
    trainable: FilterSpec | None = None,
    traits: Traits | None = None,
    input_shape: Sequence[int] | None = None,
) -> NetworkChip:
    """A perfect chip that computes any equinox module of your own.

    Every array of floating-point numbers is trained, complex ones as two reals each. θ is float32; the module
    sees each array in its own type. Integers and booleans are not parameters. Every engine freezes, and does not count,
    arrays that `trainable` leaves out, those that reach the outputs only through `jax.lax.stop_gradient`, and those of
    an `eqx.nn.State` in the module.

    Args:
        make: from a key, a fresh module that maps one input to one output, as Equinox modules do. In all replicas
            frozen arrays are those of `make(jax.random.key(0))`.
        cost: "mse", "cross-entropy", or a cost object.
        trainable: which arrays may be trained: their names, as in `groups` without a first "module.", or patterns with
            * and ?; or a predicate of a leaf, or a tree of booleans and predicates, as `eqx.partition` takes it; by
            default all.
        traits: the chip's noise, memory and steps, which engines must know.
        input_shape: the shape of one input; needed only if training asks for it.

    Raises:
        ValueError: if the module has no floating-point parameters to train, `trainable` does not match this module, or
            the module needs a state as an argument.

    >>> from_module(lambda key: eqx.nn.Linear(3, 2, key=key)).n_params
    8
    >>> from_module(lambda key: eqx.nn.Linear(3, 2, key=key), trainable=lambda leaf: leaf.ndim == 2).n_params
    6
    >>> from_module(lambda key: eqx.nn.MLP(2, 1, 3, 1, key=key), trainable=["layers[1].*"]).n_params
    4
    """
    # A tree like the module is a part of one like the module for batches.
    leaf = trainable is None or are_names(trainable) or jax.tree_util.treedef_is_leaf(jax.tree.structure(trainable))
    spec = trainable if leaf else _Batched(trainable)
    return NetworkChip(_OneByOne(make), cost, trainable=spec, traits=traits, input_shape=input_shape)


class _Batched(eqx.Module):
    """A module for one input, over a batch."""

    module: Any

    def __call__(self, x):
        return jax.vmap(self.module)(x)


@dataclass(frozen=True)
class _OneByOne:
    """Makes a module for one input into one for batches; two of the same are equal."""

    make: Callable[[PRNGKeyArray], Any]

    def __call__(self, key: PRNGKeyArray) -> Any:
        module = self.make(key)
        if isinstance(module, tuple):
            return module  # with a state, which is refused by name
        return _Batched(module)
