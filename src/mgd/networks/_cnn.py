"""Convolutional networks of 3 × 3 convolutions, each with ReLU and 2 × 2 max-pooling."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial, reduce

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._float32 import in_float32
from ._initial import Initialisation, initialise
from ._mlp import Dense
from ._neurons import Neurons

# A layer of fewer input channels is written out.
_FEW_CHANNELS = 4
# Images that are worked on together, through all layers: what more of them leave in between is not in cache.
_CHUNK = 50
# Parts a turn of their loop, so that one's small operations go beside another's products.
_UNROLLED = 4
_PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))


class ConvPool(eqx.Module):
    """Valid 3 × 3 convolution, bias, ReLU and 2 × 2 max-pooling (an odd last row or column is dropped).

    Images are channels-last. If several outputs of a pooling window are equal and largest, the derivative follows
    the first of them, row by row.
    """

    weight: Float[Array, "3 3 inputs outputs"]
    bias: Float[Array, " outputs"]
    neurons: Neurons | None = None

    def __call__(self, x: Float[Array, "batch height width inputs"]) -> Float[Array, "batch h w outputs"]:
        # ReLU keeps order, so it may follow the maximum.
        if self.neurons is None:
            return _convolve_and_pool(0.0, x, self.weight, self.bias)
        return self.neurons(jax.nn.relu, _convolve_and_pool(-math.inf, x, self.weight, self.bias))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _convolve_and_pool(
    least: float,
    x: Float[Array, "batch height width inputs"],
    weight: Float[Array, "3 3 inputs outputs"],
    bias: Float[Array, " outputs"],
) -> Float[Array, "batch h w outputs"]:
    """3 × 3 convolution, bias and 2 × 2 max-pooling, or `least` where that is more (0 is a ReLU).

    Its derivative, in reverse only, is by the rule below.
    """
    return _largest(_outputs(x, weight, bias), least)


def _forward(least, x, weight, bias):
    y = _outputs(x.value, weight.value, bias.value)
    of_x = () if x.perturbed else None  # a slope that is not asked for, as that of an image, is not worked out
    return _largest(y, least), (x.value, weight.value, _place(y, least), of_x)


@in_float32
def _backward(least, kept, slope):
    x, weight, place, of_x = kept
    weight_slope, bias_slope = _parameter_slopes(x, weight.shape, place, slope)
    return None if of_x is None else _input_slope(x.shape, weight, place, slope), weight_slope, bias_slope


_convolve_and_pool.defvjp(_forward, _backward, symbolic_zeros=True)


def _by_chunks(of, x):
    """`of` a batch, by equal parts of no more than `_CHUNK` where there are such."""
    batch = len(x)
    size = max(n for n in range(1, min(batch, _CHUNK) + 1) if batch % n == 0)
    if batch <= _CHUNK or size < _CHUNK // 4:
        return of(x)
    parts = x.reshape(-1, size, *x.shape[1:])
    _, parts = lax.scan(lambda _, part: (None, of(part)), None, parts, unroll=_UNROLLED)
    return parts.reshape(batch, *parts.shape[2:])


def _outputs(x, weight, bias):
    """The outputs that pooling sees: row by row (batch, 2 height, 2 width, outputs), or with few input channels, where
    a convolution does little arithmetic per byte it moves, those at each of the four places of the windows.
    """
    if x.shape[-1] < _FEW_CHANNELS:
        return [_outputs_at(place, x, weight, bias) for place in _PLACES]
    height, width = (x.shape[1] - 2) // 2, (x.shape[2] - 2) // 2
    return _convolve(x[:, : 2 * height + 2, : 2 * width + 2], weight) + bias.reshape(1, 1, 1, -1)


def _outputs_at(place, x, weight, bias):
    """The outputs at a place of all windows (batch, height, width, outputs), as multiply and sum of pixels.

    All that is made of them becomes one kernel, which stores only that. It goes along the outputs: each product is of
    a pixel with a vector. Sums of a row of the kernel are apart, or one product would wait for another.
    """
    height, width = (x.shape[1] - 2) // 2, (x.shape[2] - 2) // 2
    weight, bias = (parameters.reshape(*parameters.shape[:-1], 1, 1, 1, -1) for parameters in (weight, bias))

    def pixel(i, j, channel):
        row, column = place[0] + i, place[1] + j
        return x[:, row : row + 2 * height - 1 : 2, column : column + 2 * width - 1 : 2, channel, None]

    of_row = [(j, channel) for j in range(3) for channel in range(x.shape[-1])]
    return sum((sum(pixel(i, *one) * weight[i, *one] for one in of_row) for i in range(3)), bias)


def _largest(y, least):
    """The largest output of each window, or `least`."""
    if isinstance(y, list):
        largest = reduce(jnp.maximum, y)
        # No maximum: XLA would take that into the next convolution, and store the products one by one.
        return jnp.where(largest < least, least, largest)
    # Computed once, where XLA would a chain of maxima again in each of its uses.
    return lax.reduce_window(y, least, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _place(y, least):
    """At which of the four places the largest output is first; 4 where it is not above `least`.

    Outputs are compared with each other and not with what `_largest` found: it may have rounded them in another way.
    """
    first, *others = y if isinstance(y, list) else [y[:, i::2, j::2] for i, j in _PLACES]
    largest, place = first, jnp.zeros_like(first)  # a number like the outputs: from bytes XLA makes slower code
    for k, output in enumerate(others, 1):
        place = jnp.where(output > largest, float(k), place)
        largest = jnp.maximum(largest, output)
    return jnp.where(largest > least, place, 4)


def _convolve(x, kernel):
    return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _in_rows(place, slope):
    """The slopes of the outputs that pooling sees, row by row: (batch, 2 height, 2 width, outputs)."""
    batch, height, width, outputs = slope.shape
    here = jnp.arange(4, dtype=place.dtype).reshape(1, 1, 2, 1, 2, 1)
    rows = jnp.where(place[:, :, None, :, None] == here, slope[:, :, None, :, None], 0)
    return rows.reshape(batch, 2 * height, 2 * width, outputs)


def _parameter_slopes(x, shape, place, slope):
    """Of the kernel and of the bias."""
    if shape[2] < _FEW_CHANNELS:
        return _parameter_slopes_by_places(x, shape, place, slope)
    inputs, outputs = shape[2:]
    slopes = _in_rows(place, slope)
    height, width = slopes.shape[1:3]
    pixels = [x[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    patches = jnp.concatenate(pixels, axis=-1).reshape(-1, 9 * inputs)
    kernel = (slopes.reshape(-1, outputs).T @ patches).reshape(outputs, 3, 3, inputs).transpose(1, 2, 3, 0)
    return kernel, slopes.sum((0, 1, 2))


def _parameter_slopes_by_places(x, shape, place, slope):
    """The same with one row for each of the 4 × 4 pixels of all windows, and one of ones for the bias.

    A product for each place: slopes at all four in one array would be made with the place looked for four times.
    """
    inputs, outputs = shape[2:]
    height, width = place.shape[1:3]
    pixels = [
        x[:, i : i + 2 * height - 1 : 2, j : j + 2 * width - 1 : 2, c]
        for i in range(4)
        for j in range(4)
        for c in range(inputs)
    ]
    patches = jnp.stack([*pixels, jnp.ones_like(pixels[0])]).reshape(16 * inputs + 1, -1)
    products = [patches @ jnp.where(place == float(k), slope, 0).reshape(-1, outputs) for k in range(4)]
    kernels = [
        product[:-1].reshape(4, 4, inputs, outputs)[i : i + 3, j : j + 3]
        for product, (i, j) in zip(products, _PLACES, strict=True)
    ]
    return sum(kernels), sum(product[-1] for product in products)


def _input_slope(shape, weight, place, slope):
    slopes = _in_rows(place, slope)
    batch, height, width, outputs = slopes.shape
    seen = (slopes.reshape(-1, outputs) @ weight.reshape(-1, outputs).T).reshape(batch, height, width, 3, 3, -1)
    total = jnp.zeros(shape, slope.dtype)
    for i in range(3):
        for j in range(3):  # in place; a sum of padded arrays would be made again in each of its uses
            total = total.at[:, i : i + height, j : j + width].add(seen[:, :, :, i, j])
    return total


def _seen(size, layers):
    """Of that many rows of an image, how many so many layers see: pooling drops the odd last ones."""
    return 2 * _seen((size - 2) // 2, layers - 1) + 2 if layers else size


class CNN(eqx.Module):
    """Convolution and pooling layers, then one dense layer that gives logits."""

    convolutions: tuple[ConvPool, ...]
    dense: Dense

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch outputs"]:
        height, width = (_seen(size, len(self.convolutions)) for size in x.shape[1:3])
        return _by_chunks(self._logits, x[:, :height, :width])

    def _logits(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch outputs"]:
        for layer in self.convolutions:
            x = layer(x)
        return self.dense(x.reshape(x.shape[0], -1))

    @property
    def neuron_counts(self) -> tuple[int, ...]:
        """Neurons in each layer: one for each channel of a convolution, shared by all positions."""
        return *(layer.bias.size for layer in self.convolutions), self.dense.bias.size

    def with_neurons(self, neurons: tuple[Neurons, ...]) -> "CNN":
        """This network with neurons that differ."""
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
        init: the distribution of weights and biases.
        key: the seed of the random numbers.

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
