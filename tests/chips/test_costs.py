"""Costs against computations by hand and by optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mgd.chips import CrossEntropy, MeanSquaredError, cnn, cost_named, mlp

LOGITS = 3 * jax.random.normal(jax.random.key(0), (5, 4))
LABELS = jnp.eye(4)[jnp.array([0, 3, 1, 2, 2])]


def test_mean_squared_error_is_the_mean_over_outputs():
    y, target = jnp.array([[0.5, 1.0], [0.0, 2.0]]), jnp.array([[1.0, 0.0], [0.0, 1.0]])
    assert MeanSquaredError()(y, target).tolist() == [0.625, 0.5]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_is_that_of_optax(smoothing):
    expected = optax.softmax_cross_entropy(LOGITS, optax.smooth_labels(LABELS, smoothing))
    assert np.allclose(CrossEntropy(smoothing)(LOGITS, LABELS), expected, rtol=1e-6)


def test_cross_entropy_of_one_sample_by_hand():
    y = jnp.log(jnp.array([[1.0, 2.0, 5.0]]))
    assert float(CrossEntropy()(y, jnp.array([[0.0, 1.0, 0.0]]))[0]) == pytest.approx(np.log(8 / 2), rel=1e-6)


@pytest.mark.parametrize("smoothing", [-0.1, 1.5, float("nan")])
def test_smoothing_out_of_range_is_refused(smoothing):
    with pytest.raises(ValueError, match=f"^label smoothing must be from 0 to 1, got {smoothing}$"):
        CrossEntropy(smoothing)


def test_costs_have_names():
    assert cost_named("mse") == MeanSquaredError()
    assert cost_named("cross-entropy") == CrossEntropy()
    assert cost_named(CrossEntropy(0.1)) == CrossEntropy(0.1)
    with pytest.raises(ValueError, match=r"^unknown cost 'hinge': choose mse or cross-entropy$"):
        mlp((2, 2, 1), cost="hinge")
    with pytest.raises(ValueError, match=r"^unknown cost 'hinge'"):
        cnn((8, 8, 1), (2,), cost="hinge")
