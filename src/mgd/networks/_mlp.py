"""Layered perceptrons, as published: the bias is a threshold, subtracted."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._initial import Initialisation, initialise
from ._neurons import Neurons

ACTIVATIONS: dict[str, Callable] = {
    "logistic": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "linear": lambda a: a,
}


_FEW_ROWS = 4


def weighted_sums(
    weight: Float[Array, "outputs inputs"], x: Float[Array, "batch inputs"]
) -> Float[Array, "batch outputs"]:
    """x Wᵀ. Of few rows it is multiply and sum, row by row: that fuses with the making of θ + θ̃, and over replicas."""
    if x.shape[0] > _FEW_ROWS:
        return x @ weight.T
    return jnp.stack([jnp.sum(weight * row[None], axis=-1) for row in x])


class Dense(eqx.Module):
    """y = f(W x − b), for a batch of rows x; with `neurons`, each has an f of its own."""

    weight: Float[Array, "outputs inputs"]
    bias: Float[Array, " outputs"]
    activation: str = eqx.field(static=True)
    neurons: Neurons | None = None

    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch outputs"]:
        f, a = ACTIVATIONS[self.activation], weighted_sums(self.weight, x) - self.bias[None]
        return f(a) if self.neurons is None else self.neurons(f, a)


class MLP(eqx.Module):
    """A multi-layer perceptron that maps a batch of inputs of any shape to a batch of outputs."""

    layers: tuple[Dense, ...]

    def __call__(self, x: Float[Array, "batch *features"]) -> Float[Array, "batch outputs"]:
        x = x.reshape(x.shape[0], -1)
        for layer in self.layers:
            x = layer(x)
        return x

    @property
    def neuron_counts(self) -> tuple[int, ...]:
        """Neurons in each layer."""
        return tuple(layer.bias.size for layer in self.layers)

    def with_neurons(self, neurons: tuple[Neurons, ...]) -> "MLP":
        """This network with neurons that differ."""
        return MLP(tuple(replace(layer, neurons=of) for layer, of in zip(self.layers, neurons, strict=True)))


def mlp(
    sizes: Sequence[int],
    *,
    activation: str = "logistic",
    output: str = "logistic",
    init: Initialisation = "uniform",
    key: PRNGKeyArray,
) -> MLP:
    """A fresh multi-layer perceptron.

    Args:
        sizes: numbers of inputs, of neurons in each hidden layer, and of outputs.
        activation: of hidden neurons: "logistic", "tanh", "relu" or "linear".
        output: of the output neurons, likewise.
        init: the distribution of weights and biases.
        key: the seed of the random numbers.

    Raises:
        ValueError: if there are fewer than two sizes, one is not positive, or a name is unknown.

    >>> network = mlp((2, 2, 1), key=jax.random.key(0))
    >>> network(jnp.ones((3, 2))).shape
    (3, 1)
    """
    if len(sizes) < 2 or not all(isinstance(size, int) and size >= 1 for size in sizes):
        raise ValueError(f"a perceptron needs at least two layer sizes, each 1 or more, got {tuple(sizes)}")
    for name in (activation, output):
        if name not in ACTIVATIONS:
            raise ValueError(f"unknown activation {name!r}: choose one of {', '.join(ACTIVATIONS)}")
    layers = []
    for k, (inputs, outputs) in enumerate(pairwise(sizes)):
        w_key, b_key = jax.random.split(jax.random.fold_in(key, k))
        layers.append(
            Dense(
                initialise(init, (outputs, inputs), inputs, outputs, key=w_key),
                initialise(init, (outputs,), inputs, outputs, key=b_key, bias=True),
                output if k == len(sizes) - 2 else activation,
            )
        )
    return MLP(tuple(layers))
