"""The network in fixed point, beside one in float."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgd.onchip import FixedPointNetwork, Spec
from mgd.onchip._network import logistic


@pytest.mark.parametrize("bits", [5, 6, 8, 12])
def test_the_logistic_function_is_near_rises_and_is_symmetric(bits):
    steps = jnp.arange(-10 * 2 ** (bits + 2), 10 * 2 ** (bits + 2))
    y = np.asarray(logistic(steps, 2, bits))
    z = np.asarray(steps) / 2.0 ** (bits + 2)
    assert (np.diff(y) >= 0).all()
    assert (y.min(), y.max()) == (0, 2**bits - 1)
    assert np.array_equal(y[1:][::-1] + y[1:], np.full(len(y) - 1, 2**bits - 1) + (z[1:] == 0))
    # 0.0189 is the error of the four straight pieces, beside the rounding of both numbers.
    assert np.abs((y + 0.5) / 2**bits - 1 / (1 + np.exp(-z))).max() < 0.0190 + 1.5 / 2**bits


def test_outputs_approach_those_in_float():
    spec = Spec(layers=(5, 4, 3), theta_bits=14, theta_fraction=10, activation_bits=10, cost_bits=20, cost_fraction=18)
    chip, key = FixedPointNetwork(spec), jax.random.key(1)
    theta = chip.init(key=key)
    x = jax.random.uniform(key, (50, 5))
    hidden = x
    for place, neurons in zip(chip.groups.values(), (4, 3), strict=True):
        layer = theta[place].reshape(neurons, -1)
        hidden = jax.nn.sigmoid(hidden @ layer[:, :-1].T + layer[None, :, -1])
    outputs = chip.respond(theta, x, key=key)
    assert float(jnp.abs(outputs - hidden).max()) < 0.03
    target = jax.random.uniform(key, (50, 3))
    cost, _ = chip.measure(theta, jnp.zeros(theta.size), x, target, key=key)
    assert float(cost) == pytest.approx(float(jnp.mean(jnp.sum((outputs - target) ** 2, -1))), rel=0.01)


# The widest whose sums float32 holds, and one whose sums it would round.
@pytest.mark.parametrize("theta_bits", [14, 17])
def test_products_are_exact_at_their_largest(theta_bits):
    chip = FixedPointNetwork(Spec(layers=(15, 3), theta_bits=theta_bits))
    generator, most = np.random.default_rng(0), 2**theta_bits
    activations, weights = generator.integers(0, 64, (50, 15)), generator.integers(-most, most, (3, 15))
    activations[0], weights[0] = 63, most - 1
    products = chip._products(jnp.asarray(activations, jnp.int32), jnp.asarray(weights, jnp.int32))
    assert np.array_equal(products, activations @ weights.T)


def test_a_cost_that_is_too_large_is_the_largest():
    chip = FixedPointNetwork(Spec(layers=(1, 4), cost_bits=6))
    theta = jnp.tile(jnp.array([0.0, -7.0]), 4)
    cost, _ = chip.measure(theta, jnp.zeros(8), jnp.zeros((1, 1)), jnp.ones((1, 4)), key=jax.random.key(0))
    assert float(cost) == 63 / 256


def test_a_circuit_without_layers_has_no_network():
    with pytest.raises(ValueError, match=r"give its layers, such as layers = \[2, 2, 1\]"):
        FixedPointNetwork(Spec(parameters=9))
