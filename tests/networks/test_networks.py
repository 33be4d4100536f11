"""What network makers refuse, and derivatives of convolutional layers against a naive reference."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from mgd.chips import cnn as cnn_chip
from mgd.networks import ConvPool, cnn, mlp

KEY = jax.random.key(0)


@pytest.mark.parametrize("sizes", [(3,), (), (3, 0, 1), (2, -1)])
def test_sizes_that_are_not_are_refused(sizes):
    with pytest.raises(ValueError, match=r"^a perceptron needs at least two layer sizes, each 1 or more, got \("):
        mlp(sizes, key=KEY)


@pytest.mark.parametrize("place", ["activation", "output"])
def test_unknown_activations_are_refused(place):
    with pytest.raises(ValueError, match=r"^unknown activation 'sine': choose one of logistic, tanh, relu, linear$"):
        mlp((2, 2, 1), **{place: "sine"}, key=KEY)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("shape", "channels", "outputs", "message"),
    [
        ((28, 28), (4,), 10, r"^images must be \(height, width, channels\), got shape \(28, 28\)$"),
        ((28, 28, 1), (), 10, r"^every size must be 1 or more, got channels \(\) and 10 outputs$"),
        ((28, 28, 1), (4, 0), 10, r"^every size must be 1 or more, got channels \(4, 0\)"),
        ((28, 28, 1), (4,), 0, r"^every size must be 1 or more, got channels \(4,\) and 0 outputs$"),
        ((8, 8, 1), (4, 4, 4), 10, r"^images of \(8, 8, 1\) are too small for 3 convolutions with pooling$"),
    ],
)
def test_images_that_cannot_be_convolved_are_refused(shape, channels, outputs, message):
    with pytest.raises(ValueError, match=message):
        cnn(shape, channels, outputs, key=KEY)


def naive_pool(layer, x):
    y = lax.conv_general_dilated(x, layer.weight, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return lax.reduce_window(
        jax.nn.relu(y + layer.bias[None, None, None]), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
    )


def layer_and_image(height, width, inputs, outputs=5, batch=3):
    keys = jax.random.split(KEY, 3)
    weight = jax.random.normal(keys[0], (3, 3, inputs, outputs))
    layer = ConvPool(weight, jax.random.normal(keys[1], (outputs,)))
    return layer, jax.random.normal(keys[2], (batch, height, width, inputs))


def close(ours, expected):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * float(jnp.abs(b).max()))


@pytest.mark.parametrize(("height", "width"), [(4, 4), (5, 4), (8, 11), (13, 9)])
@pytest.mark.parametrize("inputs", [1, 3, 6])
@pytest.mark.quick("3-5-4")
def test_derivatives_are_those_of_a_convolution_and_pooling(height, width, inputs):
    layer, x = layer_and_image(height, width, inputs)
    close(jax.jit(lambda layer, x: layer(x))(layer, x), naive_pool(layer, x))
    cotangent = jax.random.normal(jax.random.fold_in(KEY, 1), naive_pool(layer, x).shape)

    def pull_back(pool):
        return jax.jit(lambda layer, x: (lambda y, back: (y, back(cotangent)))(*jax.vjp(pool, layer, x)))(layer, x)

    close(pull_back(lambda layer, x: layer(x)), pull_back(naive_pool))


@pytest.mark.parametrize("inputs", [1, 6])
def test_derivatives_may_be_mapped_over_layers_and_over_samples(inputs):
    layer, x = layer_and_image(7, 6, inputs)
    gradient = jax.grad(lambda layer, x: jnp.sum(layer(x) ** 2))
    naive = jax.grad(lambda layer, x: jnp.sum(naive_pool(layer, x) ** 2))
    layers = jax.tree.map(lambda v: jnp.stack([v, -2 * v]), layer)
    each_layer = jax.jit(jax.vmap(gradient, in_axes=(0, None)))(layers, x)
    close(
        each_layer,
        jax.tree.map(lambda *v: jnp.stack(v), naive(layer, x), naive(jax.tree.map(lambda v: -2 * v, layer), x)),
    )
    each_sample = jax.jit(jax.vmap(gradient, in_axes=(None, 0)))(layer, x[:, None])
    close(jax.tree.map(lambda v: v.sum(0), each_sample), naive(layer, x))


@pytest.mark.parametrize("inputs", [1, 6])
@pytest.mark.quick("6")
def test_equal_outputs_share_one_derivative(inputs):
    layer, _ = layer_and_image(6, 6, inputs)
    flat = jnp.ones((2, 6, 6, inputs))  # the four outputs of every pooling window are equal
    weight_slope = jax.grad(lambda layer: jnp.sum(layer(flat)))(layer).weight
    active = (layer(flat) > 0).sum((0, 1, 2)).astype(jnp.float32)
    close(weight_slope, jnp.broadcast_to(active, weight_slope.shape))


@pytest.mark.parametrize("inputs", [1, 6])
@pytest.mark.parametrize("batch", [53, 104, 210])
@pytest.mark.quick("53-6")
def test_large_batches_are_the_same_in_parts(inputs, batch):
    layer, x = layer_and_image(7, 6, inputs, batch=batch)
    cost = lambda pool: lambda layer, x: jnp.sum(pool(layer, x) ** 2)
    ours, naive = (
        jax.jit(jax.value_and_grad(cost(pool), argnums=(0, 1))) for pool in (lambda layer, x: layer(x), naive_pool)
    )
    with jax.enable_x64(True):
        layer, x = jax.tree.map(lambda v: jnp.asarray(np.asarray(v, np.float64)), (layer, x))
        for scale in (1.0, -2.0):
            arguments = ConvPool(scale * layer.weight, scale * layer.bias), x
            for a, b in zip(jax.tree.leaves(ours(*arguments)), jax.tree.leaves(naive(*arguments)), strict=True):
                assert a.dtype == np.float64
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * float(jnp.abs(b).max()))
        assert ours._cache_size() == 1  # pyright: ignore[reportAttributeAccessIssue]


def naive_network(network, x):
    for layer in network.convolutions:
        x = naive_pool(layer, x)
    return network.dense(x.reshape(len(x), -1))


@pytest.mark.parametrize(
    ("shape", "seen", "batch"),
    [
        ((28, 28, 1), (22, 22), 53),
        ((32, 32, 3), (30, 30), 3),
        ((22, 29, 1), (22, 22), 53),
        ((10, 13, 5), (10, 10), 210),
    ],
)
@pytest.mark.enough("shape2-seen2-53")
@pytest.mark.long
def test_a_network_is_its_layers_whatever_is_dropped_and_in_parts(shape, seen, batch):
    channels = (2, 3, 4)[: 2 if shape[0] == 10 else 3]
    network = cnn(shape, channels, 3, key=KEY)
    of = lambda call: jax.jit(jax.value_and_grad(lambda n, x: jnp.sum(call(n, x) ** 2), argnums=(0, 1)))
    with jax.enable_x64(True):
        network = jax.tree.map(lambda v: jnp.asarray(np.asarray(v, np.float64)), network)
        x = jax.random.normal(KEY, (batch, *shape), np.float64)
        ours, naive = (of(call)(network, x) for call in (lambda n, x: n(x), naive_network))
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(naive), strict=True):
        assert a.dtype == np.float64
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11 * float(np.abs(b).max()))
    height, width = seen
    slope = np.array(ours[1][1])
    assert slope[:, height - 1].any()
    assert slope[:, :, width - 1].any()
    slope[:, :height, :width] = 0
    assert not slope.any()


@pytest.mark.parametrize("inputs", [1, 6])
@pytest.mark.quick("6")
def test_the_derivative_follows_the_first_of_equal_outputs(inputs):
    layer = ConvPool(jnp.zeros((3, 3, inputs, 1)).at[1, 1].set(1.0), jnp.ones(1))
    slope = jax.grad(lambda x: jnp.sum(layer(x)))(jnp.ones((1, 6, 6, inputs)))
    first = np.zeros((6, 6))
    first[1:4:2, 1:4:2] = 1  # the centres of the kernel at the first place of each window
    np.testing.assert_array_equal(slope[0], np.broadcast_to(first[..., None], (6, 6, inputs)))


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3)])
@pytest.mark.long
def test_the_gradient_of_a_whole_network_is_its_slope(shape):
    chip = cnn_chip(shape, (4, 6, 8))
    small, rest = eqx.partition(chip.network(jax.random.normal(KEY, (chip.n_params,)) / 10), eqx.is_array)
    with jax.enable_x64(True):  # of a chip θ is float32, of the network by itself it may be more
        x = jax.random.normal(KEY, (4, *shape), np.float64)
        whole = jax.tree.map(lambda leaf: leaf.astype(np.float64), small)
        direction = jax.tree.map(lambda leaf: jax.random.normal(KEY, leaf.shape, np.float64), whole)

        def outputs(by):
            return eqx.combine(jax.tree.map(lambda leaf, way: leaf + by * way, whole, direction), rest)(x)

        cost = jax.jit(lambda by: chip.loss(outputs(by), jnp.eye(10)[:4]).mean())
        gradient = jax.jit(jax.grad(cost))(0.0)
        np.testing.assert_allclose(gradient, (cost(1e-7) - cost(-1e-7)) / 2e-7, rtol=1e-5)
