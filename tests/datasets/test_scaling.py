"""Inputs scaled by what the training samples say."""

import numpy as np
import pytest

from mgd.datasets import Scaling, from_arrays

RNG = np.random.default_rng(0)
X = RNG.normal([3.0, 1e4, -0.002], [1.0, 300.0, 1e-4], (50, 3))
Y = np.eye(2, dtype=np.float32)[np.arange(50) % 2]


def test_training_inputs_are_standardised_and_test_inputs_by_the_same_numbers():
    x_test = X[:7] + 1.0
    task = from_arrays(X, Y, test=(x_test, Y[:7]), scaling="standard")
    assert np.allclose(task.train.x.mean(0), 0, rtol=0, atol=1e-6)
    assert np.allclose(task.train.x.std(0), 1, rtol=0, atol=1e-6)
    assert np.allclose(task.test.x, (x_test - X.mean(0)) / X.std(0), rtol=1e-5, atol=0)
    assert np.array_equal(task.scaling(x_test), task.test.x)
    assert task.train.x.dtype == task.test.x.dtype == np.float32


def test_training_inputs_are_brought_to_zero_and_one_and_others_may_go_beyond():
    task = from_arrays(X, Y, scaling="min-max")
    assert (task.train.x.min(0).tolist(), task.train.x.max(0).tolist()) == ([0.0] * 3, [1.0] * 3)
    assert task.scaling(X[:1] + 1e4)[0, 1] > 1


def test_inputs_that_are_all_alike_become_zero_and_stay_finite():
    x = np.full((5, 2), 0.1)
    x[:, 1] = np.arange(5)
    for how in ("standard", "min-max"):
        task = from_arrays(x, Y[:5], scaling=how)
        assert not task.train.x[:, 0].any()
        assert np.isfinite(task.train.x).all()
        assert np.allclose(task.scaling(x[:1] + 1.0)[0, 0], 1.0)


def test_a_small_spread_about_a_large_offset_is_not_lost_in_float32():
    seconds = 1.7e9 + np.arange(10.0)[:, None]
    task = from_arrays(seconds, Y[:10], scaling="standard")
    assert len(np.unique(task.train.x)) == 10


def test_bytes_and_images_are_scaled_pixel_by_pixel():
    images = RNG.integers(0, 256, (20, 4, 4, 1)).astype(np.uint8)
    task = from_arrays(images, Y[:20], scaling="standard")
    assert task.train.x.shape == images.shape
    assert np.allclose(task.train.x.std(0), 1, rtol=0, atol=1e-5)


def test_without_scaling_inputs_are_as_they_were_given():
    task = from_arrays(X, Y)
    assert task.scaling is None
    assert np.array_equal(task.train.x, X.astype(np.float32))


@pytest.mark.parametrize(
    ("how", "x", "message"),
    [
        ("standart", X, r"^unknown scaling 'standart': did you mean 'standard'\?; choose standard, min-max, or None$"),
        ("standard", X[:0], "^a set of samples needs at least one row, got none in targets$"),
        ("min-max", np.where(np.arange(150).reshape(50, 3) == 7, np.nan, X), r"row 2\b"),
    ],
)
def test_what_cannot_be_scaled_is_refused_in_one_line(how, x, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(x, Y[: len(x)], scaling=how)


def test_new_inputs_of_another_shape_are_refused():
    scaling = Scaling.fitted("standard", X)
    for wrong in (X[:, :2], X[0]):
        with pytest.raises(ValueError, match=r"^this scaling takes rows of shape \(3,\), got an array"):
            scaling(wrong)
