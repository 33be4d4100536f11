"""A task of one's own."""

import numpy as np
import pytest

from mgd.datasets import from_arrays

X, Y = np.arange(6, dtype=np.float32).reshape(3, 2), np.eye(3, dtype=np.float32)


def test_without_a_test_set_the_training_set_is_judged_by():
    task = from_arrays(X, Y, name="mine", solved_accuracy=0.5)
    assert (task.name, task.input_shape, task.n_outputs, task.solved_accuracy) == ("mine", (2,), 3, 0.5)
    assert task.test is task.train
    assert np.array_equal(task.train.x, X)


def test_a_test_set_of_its_own():
    task = from_arrays(X, Y, test=(X[:1] + 1, Y[:1]), classes=("a", "b", "c"))
    assert task.classes == ("a", "b", "c")
    assert task.test.x.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("x", "y", "test", "message"),
    [
        (X[:0], Y[:0], None, "needs at least one row, got none"),
        (X, Y, (X[:, :1], Y), r"got inputs of shape \(1,\) with \(3,\) outputs, and \(2,\) with \(3,\)"),
    ],
)
def test_what_does_not_fit_is_refused(x, y, test, message):
    with pytest.raises(ValueError, match=message):
        from_arrays(x, y, test=test)
