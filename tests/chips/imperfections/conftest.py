"""What tests of imperfections share: how close a sample must come."""

from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture(scope="session")
def within() -> Callable[..., bool]:
    """Whether the mean of a sample is what it should be, by its own standard error."""

    def check(sample, expected: float, sigmas: float = 5.0) -> bool:
        sample = np.asarray(sample, np.float64)
        return abs(sample.mean() - expected) < sigmas * sample.std() / np.sqrt(sample.size)

    return check
