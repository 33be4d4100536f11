"""Perceptrons too large to be copied: fresh parameters and outputs, a piece of θ at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.random import threefry2x32_p
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ._initial import Initialisation, bounds, initialise
from ._mlp import ACTIVATIONS, MLP, mlp, weighted_sums

# Parameters that are worked on together, and drawn together: they and what is made of them stay in cache.
_PIECE = 2**18
_DRAWN = 2**16

# From a start and a size, that piece of the parameters.
Read = Callable[[Int[Array, ""], int], Float[Array, " size"]]


@dataclass(frozen=True)
class Perceptron:
    """How a multi-layer perceptron is made, and, of the same parameters as one vector, computed.

    Args:
        sizes: numbers of inputs, of neurons in each hidden layer, and of outputs.
        activation: of hidden neurons.
        output: of the output neurons.
        init: how weights and biases are drawn.
    """

    sizes: tuple[int, ...]
    activation: str
    output: str
    init: Initialisation

    def __call__(self, key: PRNGKeyArray) -> MLP:
        return mlp(self.sizes, activation=self.activation, output=self.output, init=self.init, key=key)

    def respond(self, read: Read, x: Float[Array, "batch *features"]) -> Float[Array, "batch outputs"]:
        """The outputs, of parameters that are read where they are needed: rows of a layer's weights at a time."""
        x = x.reshape(x.shape[0], -1)
        for k, (start, inputs, outputs) in enumerate(self._layers()):
            rows = max(1, min(outputs, _PIECE // inputs))

            def some(first: Int[Array, ""], n: int, x=x, start=start, inputs=inputs) -> Float[Array, "batch n"]:
                return weighted_sums(read(start + first * inputs, n * inputs).reshape(n, inputs), x)

            many, left = divmod(outputs, rows)
            total = lax.map(lambda k, some=some, rows=rows: some(k * rows, rows), jnp.arange(many))
            total = jnp.moveaxis(total, 0, 1).reshape(x.shape[0], many * rows)
            if left:
                total = jnp.concatenate([total, some(jnp.int32(many * rows), left)], 1)
            bias = read(jnp.int32(start + inputs * outputs), outputs)
            x = ACTIVATIONS[self.output if k == len(self.sizes) - 2 else self.activation](total - bias[None])
        return x

    def fresh(self, key: PRNGKeyArray) -> Float[Array, " p"]:
        """The parameters of a fresh network as one vector: those of the whole one, to rounding, and no copy of it."""
        if jax.random.key_impl(key) != "threefry2x32" or not jax.config.values["jax_threefry_partitionable"]:
            return ravel_pytree(self(key))[0]  # another generator: only JAX knows its pieces
        *_, (start, inputs, outputs) = self._layers()
        theta = jnp.zeros(start + (inputs + 1) * outputs)
        for k, (start, inputs, outputs) in enumerate(self._layers()):
            w_key, b_key = jax.random.split(jax.random.fold_in(key, k))
            low, high = bounds(self.init, inputs, outputs)

            def fill(first: Int[Array, ""], n: int, theta: Array, key=w_key, start=start, low=low, high=high) -> Array:
                return lax.dynamic_update_slice(theta, _uniform_piece(key, first, n, low, high), (start + first,))

            many, left = divmod(inputs * outputs, _DRAWN)
            theta = lax.fori_loop(0, many, lambda k, theta, fill=fill: fill(k * _DRAWN, _DRAWN, theta), theta)
            if left:
                theta = fill(jnp.int32(many * _DRAWN), left, theta)
            bias = initialise(self.init, (outputs,), inputs, outputs, key=b_key, bias=True)
            theta = lax.dynamic_update_slice(theta, bias, (start + inputs * outputs,))
        return theta

    def _layers(self) -> Iterator[tuple[int, int, int]]:
        """Of each layer, where its parameters start, its inputs and its outputs."""
        start = 0
        for inputs, outputs in pairwise(self.sizes):
            yield start, inputs, outputs
            start += (inputs + 1) * outputs


def _uniform_piece(
    key: PRNGKeyArray, start: Int[Array, ""], size: int, low: float, high: float
) -> Float[Array, " size"]:
    """Elements start, start + 1, … below 2³¹ of what `jax.random.uniform` draws with this key.

    JAX's generator (Threefry 2×32, Salmon et al., SC 2011) makes element i of any array from the count i alone, where
    it is partitionable, as it is by default: the two words of the cipher's output, exclusive-or.
    """
    words = jax.random.key_data(key)
    low_word = start.astype(jnp.uint32) + jnp.arange(size, dtype=jnp.uint32)
    one, other = threefry2x32_p.bind(
        *(jnp.broadcast_to(word, (size,)) for word in words), jnp.zeros_like(low_word), low_word
    )
    fraction = lax.bitcast_convert_type(((one ^ other) >> 9) | jnp.uint32(0x3F800000), jnp.float32) - 1.0
    low32, high32 = jnp.float32(low), jnp.float32(high)
    return jnp.maximum(low32, fraction * (high32 - low32) + low32)
