"""Chips against networks written out in NumPy and in plain JAX."""

from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import mgd
from mgd.chips import CrossEntropy, MeanSquaredError, cnn, from_function, from_module, mlp

KEY = jax.random.key(3)


def pieces(chip, theta) -> dict[str, np.ndarray]:
    return {name: np.asarray(theta[piece], np.float64) for name, piece in chip.groups.items()}


def logistic(a):
    return 1 / (1 + np.exp(-a))


FUNCTIONS = {"logistic": logistic, "tanh": np.tanh, "relu": lambda a: np.maximum(a, 0), "linear": lambda a: a}


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("output", [None, "linear", "tanh"])
def test_a_perceptron_subtracts_its_biases(activation, output):
    chip = mlp((3, 4, 2), activation=activation, output=output, cost="mse")
    theta = chip.init(key=KEY)
    part = list(pieces(chip, theta).values())
    x = np.asarray(jax.random.normal(jax.random.key(1), (6, 3)), np.float64)
    hidden = FUNCTIONS[activation](x @ part[0].reshape(4, 3).T - part[1])
    expected = FUNCTIONS[output or "logistic"](hidden @ part[2].reshape(2, 4).T - part[3])
    respond = eqx.filter_jit(lambda x: chip.respond(theta, x, key=KEY))
    assert np.allclose(respond(jnp.asarray(x, jnp.float32)), expected, rtol=0, atol=1e-6)
    one = respond(jnp.asarray(x[:1], jnp.float32))
    assert np.allclose(one, expected[:1], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("sizes", "n_params"), [((2, 2, 1), 9), ((4, 4, 1), 25), ((49, 4, 4), 220), ((5, 3), 18)])
def test_perceptrons_have_the_published_numbers_of_parameters(sizes, n_params):
    chip = mlp(sizes)
    assert chip.n_params == n_params
    assert chip.init(key=KEY).shape == (n_params,)
    names = [f"layers[{k}].{part}" for k in range(len(sizes) - 1) for part in ("weight", "bias")]
    assert list(chip.groups) == names


@pytest.mark.parametrize(
    ("image", "channels", "n_params"), [((28, 28, 1), (16, 32, 32), 14_378), ((32, 32, 3), (16, 32, 64), 26_154)]
)
def test_convolutional_networks_have_the_published_numbers_of_parameters(image, channels, n_params):
    chip = cnn(image, channels)
    assert chip.n_params == n_params
    assert chip.init(key=KEY).shape == (n_params,)


@pytest.mark.parametrize(
    "chip",
    [mlp((2, 3, 1)), cnn((9, 8, 1), (2,)), from_module(lambda key: eqx.nn.MLP(3, 2, 4, 1, key=key))],
    ids=["mlp", "cnn", "module"],
)
def test_groups_cover_theta_without_gap_or_overlap(chip):
    edges = [(piece.start, piece.stop) for piece in chip.groups.values()]
    assert edges[0][0] == 0
    assert edges[-1][1] == chip.n_params
    assert all(a[1] == b[0] and a[0] < a[1] for a, b in pairwise(edges))


@pytest.mark.parametrize(
    ("image", "channels"), [((12, 13, 1), (5, 4)), ((12, 11, 3), (4, 6)), ((11, 12, 5), (3,)), ((10, 10, 4), (2, 2))]
)
@pytest.mark.quick("image2-channels2")
def test_a_convolutional_network_is_convolution_bias_relu_and_pooling(image, channels):
    chip = cnn(image, channels, 3, init="uniform")
    theta = chip.init(key=KEY)
    x = jax.random.normal(jax.random.key(1), (4, *image))
    part = iter(theta[piece] for piece in chip.groups.values())
    y, inputs = x, image[-1]
    for n in channels:
        weight, bias = next(part).reshape(3, 3, inputs, n), next(part)
        y = lax.conv_general_dilated(y, weight, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        y = jnp.maximum(y + bias[None, None, None], 0)
        y = lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        inputs = n
    weight, bias = next(part).reshape(3, -1), next(part)
    expected = y.reshape(4, -1) @ weight.T - bias[None]
    respond = eqx.filter_jit(lambda x: chip.respond(theta, x, key=KEY))
    scale = float(jnp.abs(expected).max())
    assert np.allclose(respond(x), expected, rtol=0, atol=1e-5 * scale)
    assert np.allclose(respond(x[:1]), expected[:1], rtol=0, atol=1e-5 * scale)


def test_measured_is_the_mean_cost_with_the_perturbation_added():
    chip = mlp((2, 3, 2), cost="mse")
    theta, x = chip.init(key=KEY), jax.random.normal(jax.random.key(1), (5, 2))
    perturbation, target = 0.1 * jnp.ones_like(theta), jnp.ones((5, 2))
    outputs = np.asarray(chip.respond(theta + perturbation, x, key=KEY), np.float64)
    measured, _ = chip.measure(theta, perturbation, x, target, key=KEY)
    assert float(measured) == pytest.approx(((outputs - 1) ** 2).mean(), rel=1e-5)
    assert chip.cost(jnp.asarray(outputs, jnp.float32), target).shape == (5,)
    assert np.array_equal(chip.write(theta, perturbation, key=KEY), theta + perturbation)


def last_activation(chip) -> str:
    return chip.network(chip.init(key=KEY)).layers[-1].activation


def test_two_outputs_are_classes_by_default_and_one_is_not():
    classes, one = mlp((49, 4, 4)), mlp((2, 2, 1))
    assert isinstance(classes.loss, CrossEntropy)
    assert isinstance(one.loss, MeanSquaredError)
    assert np.array_equal(classes.init(key=KEY), mlp((49, 4, 4), init="glorot").init(key=KEY))
    assert np.array_equal(one.init(key=KEY), mlp((2, 2, 1), init="uniform").init(key=KEY))
    assert last_activation(mlp((2, 2, 2), cost="mse")) == "logistic"


def test_outputs_are_logistic_or_logits_by_the_cost():
    assert last_activation(mlp((2, 2, 1))) == "logistic"
    assert last_activation(mlp((2, 2, 2), cost="cross-entropy")) == "linear"
    assert last_activation(mlp((2, 2, 2), cost=CrossEntropy(0.1))) == "linear"


def test_a_cost_object_is_the_same_as_its_name():
    assert last_activation(mlp((2, 2, 1), cost=MeanSquaredError())) == last_activation(mlp((2, 2, 1), cost="mse"))


def test_initial_parameters_are_uniform_or_glorot():
    uniform = np.asarray(mlp((49, 40, 4), init="uniform").init(key=KEY), np.float64)
    n = uniform.size
    assert np.abs(uniform).max() <= 1
    assert abs(uniform.mean()) < 5 * np.sqrt(1 / 3 / n)
    assert abs((uniform**2).mean() - 1 / 3) < 5 * np.sqrt(4 / 45 / n)
    chip = mlp((49, 40, 4), init="glorot")
    part = pieces(chip, chip.init(key=KEY))
    assert not part["layers[0].bias"].any()
    limit = np.sqrt(6 / 89)
    assert 0.95 * limit < np.abs(part["layers[0].weight"]).max() <= limit
    assert not np.array_equal(uniform, mlp((49, 40, 4), init="uniform").init(key=jax.random.key(4)))


def test_a_module_of_ones_own_computes_what_it_did():
    make = lambda key: eqx.nn.MLP(3, 2, 5, 2, key=key)
    chip = from_module(make)
    x = jax.random.normal(jax.random.key(1), (4, 3))
    assert chip.n_params == 3 * 5 + 5 + 5 * 5 + 5 + 5 * 2 + 2
    respond = eqx.filter_jit(lambda theta: chip.respond(theta, x, key=KEY))
    assert np.allclose(respond(chip.init(key=KEY)), jax.vmap(make(KEY))(x), rtol=0, atol=1e-6)


class Shuffled(eqx.Module):
    weight: jax.Array
    order: jax.Array

    def __call__(self, x):
        return (self.weight @ x)[self.order]


def test_a_module_may_hold_arrays_that_are_not_trained():
    make = lambda key: Shuffled(jax.random.normal(key, (2, 3)), jnp.array([1, 0]))
    chip = from_module(make)
    assert chip.n_params == 6
    x = jax.random.normal(jax.random.key(1), (4, 3))
    assert np.allclose(chip.respond(chip.init(key=KEY), x, key=KEY), jax.vmap(make(KEY))(x), rtol=0, atol=1e-6)


def test_a_module_without_parameters_is_refused():
    with pytest.raises(ValueError, match=r"^the network has no floating-point parameters to train$"):
        from_module(lambda key: eqx.nn.Identity())


def test_any_function_is_a_chip():
    chip = from_function(
        lambda theta, x, y: jnp.mean((x @ theta - y[:, 0]) ** 2),
        init=lambda key: jax.random.normal(key, (3,)),
        respond=lambda theta, x: (x @ theta)[:, None],
    )
    theta, x, y = chip.init(key=KEY), jnp.eye(3), jnp.ones((3, 1))
    assert chip.n_params == 3
    assert dict(chip.groups) == {"theta": slice(0, 3)}
    expected = float(jnp.mean((theta + 0.5 - 1) ** 2))
    assert float(chip.measure(theta, jnp.full(3, 0.5), x, y, key=KEY)[0]) == pytest.approx(expected, rel=1e-6)
    assert np.allclose(chip.respond(theta, x, key=KEY)[:, 0], theta, rtol=1e-6)
    assert np.allclose(chip.cost(chip.respond(theta, x, key=KEY), y), (theta - 1) ** 2, rtol=1e-6)


def test_without_a_response_outputs_are_nan():
    chip = from_function(lambda theta, x, y: jnp.sum(theta), init=lambda key: jnp.zeros(2))
    assert np.isnan(chip.respond(jnp.zeros(2), jnp.zeros((3, 2)), key=KEY)).all()


def test_a_function_without_a_response_trains_on_any_task():
    chip = from_function(lambda theta, x, y: jnp.sum(theta**2), init=lambda key: jnp.ones(2))
    task = mgd.datasets.load("digits")
    result = mgd.train(chip, task, mgd.discrete(), n_steps=2, key=KEY)
    assert np.isnan(result.accuracy).all()


@pytest.mark.parametrize(("start", "shape"), [(jnp.zeros((2, 2)), r"\(2, 2\)"), (jnp.zeros(0), r"\(0,\)")])
def test_functions_of_no_vector_are_refused(start, shape):
    with pytest.raises(ValueError, match=f"^init must give a vector of at least one parameter, got shape {shape}$"):
        from_function(lambda theta, x, y: jnp.float32(0), init=lambda key: start)
