"""Convolutional networks of 3 × 3 convolutions, each with ReLU and 2 × 2 max-pooling."""

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


class ConvPool(eqx.Module):
    """Valid 3 × 3 convolution, bias, ReLU and 2 × 2 max-pooling (an odd last row or column is dropped).

    Images are channels-last. With few input channels a convolution does little arithmetic per byte it moves;
    there, one matrix product for each of the four places of a pooling window is faster, and only as many
    outputs are computed as pooling keeps.
    """

    weight: Float[Array, "3 3 inputs outputs"]
    bias: Float[Array, " outputs"]
    neurons: Neurons | None = None

    def __call__(self, x: Float[Array, "batch height width inputs"]) -> Float[Array, "batch h w outputs"]:
        pooled = self._pooled_products(x) if x.shape[-1] < _FEW_CHANNELS else self._pooled_convolution(x)
        # ReLU and adding a bias both keep order, so they may follow the maximum.
        a = pooled + self.bias[None, None, None]
        return jax.nn.relu(a) if self.neurons is None else self.neurons(jax.nn.relu, a)

    def _pooled_convolution(self, x):
        y = lax.conv_general_dilated(x, self.weight, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    def _pooled_products(self, x):
        height, width = (x.shape[1] - 2) // 2, (x.shape[2] - 2) // 2
        kernel = self.weight.reshape(-1, self.weight.shape[-1])
        pooled = None
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            patches = jnp.concatenate(
                [
                    x[:, row + i : row + i + 2 * height - 1 : 2, column + j : column + j + 2 * width - 1 : 2]
                    for i in range(3)
                    for j in range(3)
                ],
                axis=-1,
            )
            y = patches.reshape(-1, kernel.shape[0]) @ kernel
            pooled = y if pooled is None else jnp.maximum(pooled, y)
        return pooled.reshape(x.shape[0], height, width, -1)


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
