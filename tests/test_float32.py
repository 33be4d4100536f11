"""Products that no accelerator may round."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from jax.extend.core import jaxprs_in_params

import mgd
from mgd._counter import Counter


def _cost_alone(theta, x, target):
    return jnp.mean((x @ theta[:2] - target[:, 0]) ** 2)


MADE = {
    "perceptron": lambda: mgd.chips.mlp((2, 3, 2)),
    "convolutions": lambda: mgd.chips.cnn((8, 8, 4), (4,), 2),
    "module": lambda: mgd.chips.from_module(lambda key: eqx.nn.MLP(2, 2, 3, 1, key=key)),
    "function": lambda: mgd.chips.from_function(_cost_alone, init=lambda key: jnp.zeros(2)),
}
PRODUCTS = ("dot_general", "conv_general_dilated")


def precisions(jaxpr):
    """Those of all products in a program."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in PRODUCTS:
            yield equation.params["precision"]
        for inner in jaxprs_in_params(equation.params):
            yield from precisions(inner)


@pytest.mark.parametrize("name", MADE)
def test_costs_and_their_gradients_have_float32_factors(name):
    chip = MADE[name]()
    x = jnp.zeros((8, 8, 8, 4) if name == "convolutions" else (8, 2))

    def cost(theta):
        return chip.measure(theta, 0.01 * theta, x, jnp.zeros((8, 2)), device=None, key=jax.random.key(0))[0]

    theta = jnp.ones(chip.n_params)
    found = set(precisions(jax.make_jaxpr(jax.value_and_grad(cost))(theta).jaxpr))
    assert found == {(jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGHEST)}
    outputs = jax.make_jaxpr(lambda theta: chip.respond(theta, x, device=None, key=jax.random.key(0)))(theta)
    assert set(precisions(outputs.jaxpr)) <= found


def test_a_precision_that_a_module_names_is_its_own():
    class Coarse(eqx.Module):
        weight: jax.Array

        def __call__(self, x):
            return jnp.matmul(self.weight, x, precision=jax.lax.Precision.DEFAULT)

    chip = mgd.chips.from_module(lambda key: Coarse(jnp.ones((1, 2))))
    respond = jax.make_jaxpr(lambda theta: chip.respond(theta, jnp.zeros((8, 2)), key=jax.random.key(0)))
    assert set(precisions(respond(jnp.ones(2)).jaxpr)) == {(jax.lax.Precision.DEFAULT,) * 2}


def test_so_have_transforms_of_codes():
    code, period = mgd.perturbations.Walsh(0.1), Counter.of(0)
    transform = jax.make_jaxpr(lambda weights: code.spectrum(weights, period, seed=jnp.zeros(2, jnp.uint32)))
    found = set(precisions(transform(jnp.zeros(12)).jaxpr))
    assert found == {(jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGHEST)}
