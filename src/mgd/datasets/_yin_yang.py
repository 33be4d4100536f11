"""The Yin-Yang data set."""

import numpy as np
from jaxtyping import Float, Integer

from ._one_hot import one_hot
from ._task import Samples, Task

_R_SMALL = 0.1  # radius of the dots, as in the paper
_R_BIG = 0.5  # radius of the symbol, as in the paper: it fills the unit square
_CLASSES = ("yin", "yang", "dot")


def yin_yang(n_train: int = 5000, n_test: int = 1000, seed: int = 42) -> Task:
    """Which part of the yin-yang symbol is a point in: yin, yang, or one of the two dots?

    The symbol has radius 0.5 and fills the unit square; its dots have radius 0.1. A class is drawn with
    equal chances, then points in the square until one lies in that class. Inputs are (x, y, 1 − x, 1 − y): the
    mirrored copies let a network without biases see the square evenly.

    The paper reaches about 64 % with a linear classifier and 97.6 % with a 4-120-3 network. A chip has
    solved it at 90 %: far above any linear classifier, and within reach of networks much smaller than the paper's.

    Args:
        n_train: samples to train on.
        n_test: samples to test on, drawn separately.
        seed: the seed of both draws.

    Returns:
        A task with inputs `[n, 4]` in [0, 1] and one-hot targets `[n, 3]`.

    Raises:
        ValueError: if a number of samples is below 1, or the seed is negative.

    Example:
        >>> from mgd.datasets import yin_yang
        >>> task = yin_yang(n_train=3)
        >>> (task.train.x[:, :2] + task.train.x[:, 2:]).tolist()
        [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]

    References:
        L. Kriener, J. Göltz and M. A. Petrovici, "The Yin-Yang dataset", NICE 2022, arXiv:2102.08211.
    """
    for label, n in (("n_train", n_train), ("n_test", n_test)):
        if n < 1:
            raise ValueError(f"{label} must be at least 1, got {n}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    train, test = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    return Task(
        name="yin-yang",
        train=_draw(train, n_train),
        test=_draw(test, n_test),
        classes=_CLASSES,
        solved_accuracy=0.9,
        source=f"drawn as in arXiv:2102.08211 with seed {seed}",
    )


def _draw(rng: np.random.Generator, n: int) -> Samples:
    """`n` samples: classes first, then for each class points until enough of them lie in it."""
    labels = np.floor(len(_CLASSES) * rng.random(n)).astype(np.int64)
    points = np.empty((n, 2))
    waiting = np.arange(n)
    while len(waiting):
        tried = rng.random((len(waiting), 2))
        hit = _part(tried) == labels[waiting]
        points[waiting[hit]] = tried[hit]
        waiting = waiting[~hit]
    x = np.concatenate([points, 1 - points], axis=1).astype(np.float32)
    return Samples(x, one_hot(labels, len(_CLASSES)))


def _part(points: Float[np.ndarray, "n 2"]) -> Integer[np.ndarray, " n"]:
    """The class of each point, −1 outside the symbol.

    The line between yin and yang is two half circles of radius `_R_BIG / 2` around the dots' centres:
    the left one bulges down into yang, the right one up into yin.
    """
    from_middle, from_left, from_right = (
        np.hypot(points[:, 0] - x, points[:, 1] - _R_BIG) for x in (_R_BIG, _R_BIG / 2, 3 * _R_BIG / 2)
    )
    upper = points[:, 1] > _R_BIG
    yin = (upper & (from_right > _R_BIG / 2)) | (from_left <= _R_BIG / 2)
    dot = np.minimum(from_left, from_right) <= _R_SMALL
    return np.where(from_middle > _R_BIG, -1, np.where(dot, 2, np.where(yin, 0, 1)))
