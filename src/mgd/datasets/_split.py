"""The split of samples into training and test."""

import numpy as np
from jaxtyping import Int, Shaped


def split(
    n_samples: int, fraction: int | float, *, seed: int, labels: Shaped[np.ndarray, " n"] | None, in_order: bool
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]:
    """Training rows and test rows, both in their original order.

    Args:
        n_samples: number of all samples.
        fraction: the fraction of the samples for the test.
        seed: the seed that draws the test rows, by raw PCG64 output, which is the same in every version of NumPy.
        labels: the class of each sample, if each class is to have its share of both.
        in_order: whether the last samples are for the test, as is right for a time series; nothing is then drawn.

    Raises:
        ValueError: if no training rows or no test rows would be left.

    >>> train, test = split(10, 0.2, seed=0, labels=np.array([0, 1] * 5), in_order=False)
    >>> len(train), sorted(np.array([0, 1] * 5)[test].tolist())
    (8, [0, 1])
    >>> split(10, 0.2, seed=0, labels=None, in_order=True)[1].tolist()
    [8, 9]
    """
    n_test = max(1, round(fraction * n_samples))
    if n_samples < 2 or n_test >= n_samples:
        raise ValueError(
            f"{n_samples} {'sample' if n_samples == 1 else 'samples'} cannot be split into some to train on and some "
            f"to test on (test_fraction = {fraction:g}): give more, or test_fraction = 0 to test on those of training"
        )
    if in_order:
        return np.arange(n_samples - n_test), np.arange(n_samples - n_test, n_samples)
    place = np.empty(n_samples, np.int64)  # of each sample in a shuffled order
    place[np.argsort(np.random.PCG64(seed).random_raw(n_samples), kind="stable")] = np.arange(n_samples)
    tested = np.zeros(n_samples, bool)
    if labels is None:
        tested[place < n_test] = True
        return np.flatnonzero(~tested), np.flatnonzero(tested)
    codes, counts = np.unique(labels, return_inverse=True, return_counts=True)[1:]
    # The classes one after the other, each in shuffled order; the test rows are evenly spaced in that.
    order = np.lexsort((place, codes))
    tested[order[((np.arange(n_test) + 0.5) * n_samples / n_test).astype(np.int64)]] = True
    tested &= counts[codes] > 1  # a class with one sample is for training
    return np.flatnonzero(~tested), np.flatnonzero(tested)
