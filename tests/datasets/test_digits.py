import numpy as np
from sklearn.datasets import load_digits

from mgd.datasets import digits


def test_every_digit_is_in_one_set_with_its_label():
    task = digits()
    images, labels = load_digits(return_X_y=True)
    ours = np.concatenate([task.train.x, task.test.x]) * 16
    with_label = np.c_[ours, np.concatenate([task.train.y, task.test.y]).argmax(1)]
    expected = np.c_[images, labels]
    np.testing.assert_array_equal(with_label[np.lexsort(with_label.T)], expected[np.lexsort(expected.T)])


def test_split_is_stratified_and_scaled():
    task = digits()
    np.testing.assert_allclose(task.test.y.mean(0), task.train.y.mean(0), atol=0.002)
    assert (task.train.x.min(), task.train.x.max(), task.train.x.dtype) == (0, 1, np.float32)
