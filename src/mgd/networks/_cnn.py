"""Convolutional networks of 3 × 3 convolutions, each with ReLU and 2 × 2 max-pooling."""

import functools
from collections.abc import Sequence
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from ._initial import Initialisation, initialise
from ._mlp import Dense
from ._neurons import Neurons

_FEW_CHANNELS = 4
_PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))


class ConvPool(eqx.Module):
    """Valid 3 × 3 convolution, bias, ReLU and 2 × 2 max-pooling (an odd last row or column is dropped).

    Images are channels-last. Where several outputs of a pooling window are equal and largest, the derivative
    follows the first of them, row by row.
    """

    weight: Float[Array, "3 3 inputs outputs"]
    bias: Float[Array, " outputs"]
    neurons: Neurons | None = None

    def __call__(self, x: Float[Array, "batch height width inputs"]) -> Float[Array, "batch h w outputs"]:
        # ReLU and adding a bias both keep order, so they may follow the maximum.
        a = _convolve_and_pool(x, self.weight) + self.bias[None, None, None]
        return jax.nn.relu(a) if self.neurons is None else self.neurons(jax.nn.relu, a)


@jax.custom_jvp
def _convolve_and_pool(
    x: Float[Array, "batch height width inputs"], weight: Float[Array, "3 3 inputs outputs"]
) -> Float[Array, "batch h w outputs"]:
    """3 × 3 convolution and 2 × 2 max-pooling, in the way that is fastest without derivatives.

    With few input channels a convolution does little arithmetic per byte it moves; there, one matrix product
    for each of the four places of a pooling window is faster, and only as many outputs are computed as pooling
    keeps.
    """
    if x.shape[-1] < _FEW_CHANNELS:
        return _pooled_products(x, weight)
    y = lax.conv_general_dilated(x, weight, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


@_convolve_and_pool.defjvp
def _convolve_and_pool_jvp(primals, tangents):
    # Gradients of convolutions and of pooling are slow on a CPU; those of one large matrix product are not.
    return jax.jvp(_one_product_pooled, primals, tangents)


def _pooled_products(x, weight):
    height, width = (x.shape[1] - 2) // 2, (x.shape[2] - 2) // 2
    kernel = weight.reshape(-1, weight.shape[-1])
    products = []
    for row, column in _PLACES:
        patches = jnp.concatenate(
            [
                x[:, row + i : row + i + 2 * height - 1 : 2, column + j : column + j + 2 * width - 1 : 2]
                for i in range(3)
                for j in range(3)
            ],
            axis=-1,
        )
        products.append(patches.reshape(-1, kernel.shape[0]) @ kernel)
    return functools.reduce(jnp.maximum, products).reshape(x.shape[0], height, width, -1)


def _one_product_pooled(x, weight):
    """The same as one matrix product: from the 4 × 4 pixels that a pooling window sees, all of its four outputs.

    The matrix has 16 rows where the kernel has 9, so 7 of 16 multiply-adds are with zeros. For that the patches
    hold less than half of what 3 × 3 patches hold, and pooling is a maximum of four neighbouring columns.
    """
    batch, height, width = x.shape[0], (x.shape[1] - 2) // 2, (x.shape[2] - 2) // 2
    inputs, outputs = weight.shape[2:]
    # Blocks of 2 × 2 pixels, and 2 × 2 blocks a patch.
    blocks = x[:, : 2 * height + 2, : 2 * width + 2].reshape(batch, height + 1, 2, width + 1, 2, inputs)
    blocks = blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height + 1, width + 1, 4 * inputs)
    patches = jnp.concatenate([blocks[:, i : i + height, j : j + width] for i, j in _PLACES], axis=-1)
    kernels = [jnp.pad(weight, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i, j in _PLACES]
    matrix = jnp.stack(kernels, axis=3).reshape(2, 2, 2, 2, inputs, 4 * outputs).transpose(0, 2, 1, 3, 4, 5)
    y = patches.reshape(-1, 16 * inputs) @ matrix.reshape(16 * inputs, 4 * outputs)
    return _largest_of_four(y.reshape(batch, height, width, 4 * outputs))


@jax.custom_jvp
def _largest_of_four(y: Float[Array, "batch h w four_outputs"]) -> Float[Array, "batch h w outputs"]:
    """The largest of the four places, which are laid out place by place in the last axis."""
    by_place = y.reshape(*y.shape[:-1], 4, -1)
    # XLA computes a chain of jnp.maximum again in each of its many uses, but not a reduction of windows.
    window = (1, 1, 1, 4, 1)
    return lax.reduce_window(by_place, -jnp.inf, lax.max, window, window, "VALID")[..., 0, :]


@_largest_of_four.defjvp
def _largest_of_four_jvp(primals, tangents):
    (y,), (dy,) = primals, tangents
    largest = _largest_of_four(y)
    chosen, found = [], jnp.zeros(largest.shape, bool)
    for candidate in jnp.split(y, 4, axis=-1):
        chosen.append((candidate == largest) & ~found)
        found |= candidate == largest
    # Concatenated, the choice is stored as bytes; otherwise XLA would compute it anew for each place.
    followed = jnp.where(jnp.concatenate(chosen, axis=-1), dy, 0)
    return largest, followed.reshape(*y.shape[:-1], 4, -1).sum(-2)


class CNN(eqx.Module):
    """Convolution and pooling layers, then one dense layer that gives logits."""

    convolutions: tuple[ConvPool, ...]
    dense: Dense

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch outputs"]:
        for layer in self.convolutions:
            x = layer(x)
        return self.dense(x.reshape(x.shape[0], -1))

    @property
    def neuron_counts(self) -> tuple[int, ...]:
        """Neurons in each layer: one a channel of a convolution, which all its places share."""
        return *(layer.bias.size for layer in self.convolutions), self.dense.bias.size

    def with_neurons(self, neurons: tuple[Neurons, ...]) -> "CNN":
        """This network with neurons that are not all alike."""
        *before, last = neurons
        convolutions = (replace(layer, neurons=of) for layer, of in zip(self.convolutions, before, strict=True))
        return CNN(tuple(convolutions), replace(self.dense, neurons=last))


def cnn(
    input_shape: Sequence[int],
    channels: Sequence[int],
    outputs: int,
    *,
    init: Initialisation = "glorot",
    key: PRNGKeyArray,
) -> CNN:
    """A fresh convolutional network.

    Args:
        input_shape: height, width and channels of an image.
        channels: channels after each convolution.
        outputs: number of logits.
        init: how weights and biases are drawn.
        key: what they are drawn with.

    Raises:
        ValueError: if the images are too small for that many convolutions, or a number is not positive.

    The two networks of McCaughan et al. 2023 (14,378 and 26,154 parameters):

    >>> fashion = cnn((28, 28, 1), (16, 32, 32), 10, key=jax.random.key(0))
    >>> sum(x.size for x in jax.tree.leaves(fashion))
    14378
    >>> cifar = cnn((32, 32, 3), (16, 32, 64), 10, key=jax.random.key(0))
    >>> sum(x.size for x in jax.tree.leaves(cifar))
    26154
    """
    if len(input_shape) != 3:
        raise ValueError(f"images must be (height, width, channels), got shape {tuple(input_shape)}")
    if min((outputs, *channels, *input_shape), default=0) < 1 or not channels:
        raise ValueError(f"every size must be 1 or more, got channels {tuple(channels)} and {outputs} outputs")
    height, width, inputs = input_shape
    layers = []
    for k, n in enumerate(channels):
        height, width = (height - 2) // 2, (width - 2) // 2
        if min(height, width) < 1:
            raise ValueError(
                f"images of {tuple(input_shape)} are too small for {len(channels)} convolutions with pooling"
            )
        w_key, b_key = jax.random.split(jax.random.fold_in(key, k))
        fans = 9 * inputs, 9 * n
        layers.append(
            ConvPool(
                initialise(init, (3, 3, inputs, n), *fans, key=w_key),
                initialise(init, (n,), *fans, key=b_key, bias=True),
            )
        )
        inputs = n
    w_key, b_key = jax.random.split(jax.random.fold_in(key, len(channels)))
    features = height * width * inputs
    dense = Dense(
        initialise(init, (outputs, features), features, outputs, key=w_key),
        initialise(init, (outputs,), features, outputs, key=b_key, bias=True),
        "linear",
    )
    return CNN(tuple(layers), dense)
