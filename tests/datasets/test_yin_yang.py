import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mgd.datasets import yin_yang


def test_inputs_are_a_point_in_the_symbol_and_its_mirror_image():
    x = yin_yang().train.x
    np.testing.assert_allclose(x[:, 2:], 1 - x[:, :2], atol=1e-6)
    assert np.hypot(x[:, 0] - 0.5, x[:, 1] - 0.5).max() <= 0.5 + 1e-6


def test_classes_are_equally_likely():
    share = yin_yang(n_train=30_000).train.y.mean(0)
    np.testing.assert_allclose(share, 1 / 3, atol=4 * np.sqrt(2 / 9 / 30_000))


def test_half_a_turn_swaps_yin_and_yang_and_keeps_the_dots():
    from mgd.datasets._yin_yang import _part

    points = np.random.default_rng(0).random((5000, 2))
    swapped = np.array([-1, 1, 0, 2])[_part(points) + 1]
    np.testing.assert_array_equal(_part(1 - points), swapped)


@pytest.mark.parametrize(
    ("point", "part"),
    [
        ((0.25, 0.5), 2),
        ((0.75, 0.5), 2),
        ((0.5, 0.9), 0),
        ((0.5, 0.1), 1),
        ((0.25, 0.35), 0),
        ((0.75, 0.65), 1),
    ],
)
def test_known_points(point, part):
    from mgd.datasets._yin_yang import _part

    assert _part(np.array([point])).tolist() == [part]
    assert _part(np.array([[0.01, 0.01]])).tolist() == [-1]


def test_a_linear_classifier_gets_what_the_paper_says():
    task = yin_yang()
    model = LogisticRegression(C=100, max_iter=1000).fit(task.train.x, task.train.y.argmax(1))
    assert model.score(task.test.x, task.test.y.argmax(1)) == pytest.approx(0.64, abs=0.05)


def test_seeds_and_sets_differ():
    first, again, other = yin_yang(seed=1), yin_yang(seed=1), yin_yang(seed=2)
    np.testing.assert_array_equal(first.train.x, again.train.x)
    assert not np.isin(first.train.x[:, 0], other.train.x[:, 0]).mean() > 0.01
    assert not np.isin(first.test.x[:, 0], first.train.x[:, 0]).mean() > 0.01


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_train": 0}, "n_train must be at least 1, got 0"),
        ({"n_test": -3}, "n_test must be at least 1, got -3"),
        ({"seed": -1}, "seed must not be negative, got -1"),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        yin_yang(**wrong)
