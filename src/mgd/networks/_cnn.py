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
# Images that are worked on together: more no longer stay in cache. A gradient stores more than a forward pass.
_FORWARD_CHUNK, _GRADIENT_CHUNK = 100, 50
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


@jax.custom_vjp
def _convolve_and_pool(
    x: Float[Array, "batch height width inputs"], weight: Float[Array, "3 3 inputs outputs"]
) -> Float[Array, "batch h w outputs"]:
    """3 × 3 convolution and 2 × 2 max-pooling. Its derivative, in reverse only, is by the rule below."""
    return _by_chunks(lambda x: _largest_and_place(x, weight)[0], _FORWARD_CHUNK, x)


def _forward(x, weight):
    largest, place = _by_chunks(lambda x: _largest_and_place(x, weight.value), _GRADIENT_CHUNK, x.value)
    # A slope that is not asked for, such as that of an image, is not worked out.
    asked = (() if x.perturbed else None, () if weight.perturbed else None)
    return largest, (x.value, weight.value, place, asked)


def _backward(kept, slope):
    x, weight, place, (of_x, of_weight) = kept

    def slopes(x, place, slope):
        at_places = jnp.concatenate([jnp.where(place == float(k), slope, 0) for k in range(4)], axis=-1)
        return (
            None if of_x is None else _input_slope(x.shape, weight, at_places),
            None if of_weight is None else _weight_slope(x, weight.shape, at_places)[None],
        )

    x_slope, weight_slopes = _by_chunks(slopes, _GRADIENT_CHUNK, x, place, slope)
    return x_slope, None if weight_slopes is None else weight_slopes.sum(0)


_convolve_and_pool.defvjp(_forward, _backward, symbolic_zeros=True)


def _by_chunks(of, most, *arrays):
    """`of` these arrays, whose first axes are the batch, by equal parts of no more than `most` where there are such."""
    batch = len(arrays[0])
    size = max(n for n in range(1, min(batch, most) + 1) if batch % n == 0)
    if batch <= most or size < most // 4:
        return of(*arrays)
    parts = lax.map(lambda part: of(*part), [a.reshape(-1, size, *a.shape[1:]) for a in arrays])
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), parts)


def _largest_and_place(x, weight):
    """The largest output of each pooling window, and at which of the four places it is first.

    With few input channels a convolution does little arithmetic per byte it moves; there, one matrix product from
    the 4 × 4 pixels that a window sees is faster, though 7 of 16 of its multiply-adds are with zeros. A reduction
    of windows is computed once, where XLA would compute a chain of maxima again in each of its uses.
    """
    batch, height, width = x.shape[0], (x.shape[1] - 2) // 2, (x.shape[2] - 2) // 2
    if x.shape[-1] < _FEW_CHANNELS:
        y = (_patches(x) @ _matrix(weight)).reshape(batch, height, width, 4, -1)
        places, window = [y[..., k, :] for k in range(4)], (1, 1, 1, 4, 1)
    else:
        x = x[:, : 2 * height + 2, : 2 * width + 2]
        y = lax.conv_general_dilated(x, weight, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        places, window = [y[:, i::2, j::2] for i, j in _PLACES], (1, 2, 2, 1)
    largest = lax.reduce_window(y, -jnp.inf, lax.max, window, window, "VALID").reshape(batch, height, width, -1)
    place = jnp.full_like(largest, 3)  # a number like the outputs: from bytes XLA makes slower code
    for k in (2, 1, 0):
        place = jnp.where(places[k] == largest, float(k), place)
    return largest, place


def _patches(x):
    """A row for each pooling window, of the 4 × 4 pixels that it sees."""
    height, width = (x.shape[1] - 2) // 2, (x.shape[2] - 2) // 2
    pixels = [x[:, i : i + 2 * height - 1 : 2, j : j + 2 * width - 1 : 2] for i in range(4) for j in range(4)]
    return jnp.concatenate(pixels, axis=-1).reshape(-1, 16 * x.shape[-1])


def _matrix(weight):
    """From 4 × 4 pixels to the outputs at four places, place by place."""
    kernels = [jnp.pad(weight, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i, j in _PLACES]
    return jnp.stack(kernels, axis=3).reshape(16 * weight.shape[2], 4 * weight.shape[3])


def _in_rows(slopes):
    """From place by place to row by row of the outputs that pooling keeps."""
    batch, height, width, _ = slopes.shape
    by_place = slopes.reshape(batch, height, width, 2, 2, -1)
    return by_place.transpose(0, 1, 3, 2, 4, 5).reshape(batch, 2 * height, 2 * width, -1)


def _weight_slope(x, shape, slopes):
    inputs, outputs = shape[2:]
    if inputs < _FEW_CHANNELS:
        product = (_patches(x).T @ slopes.reshape(-1, 4 * outputs)).reshape(4, 4, inputs, 4, outputs)
        return sum(product[i : i + 3, j : j + 3, :, k] for k, (i, j) in enumerate(_PLACES))
    slopes = _in_rows(slopes)
    height, width = slopes.shape[1:3]
    pixels = [x[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    patches = jnp.concatenate(pixels, axis=-1).reshape(-1, 9 * inputs)
    return (slopes.reshape(-1, outputs).T @ patches).reshape(outputs, 3, 3, inputs).transpose(1, 2, 3, 0)


def _input_slope(shape, weight, slopes):
    slopes = _in_rows(slopes)
    batch, height, width, outputs = slopes.shape
    seen = (slopes.reshape(-1, outputs) @ weight.reshape(-1, outputs).T).reshape(batch, height, width, 3, 3, -1)
    below, right = shape[1] - height, shape[2] - width
    return sum(
        jnp.pad(seen[:, :, :, i, j], ((0, 0), (i, below - i), (j, right - j), (0, 0)))
        for i in range(3)
        for j in range(3)
    )


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
