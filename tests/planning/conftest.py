"""A problem of which only the law is asked."""

import dataclasses

import pytest

from mgd.planning import Problem
from mgd.theory import Landscape
from mgd.timing import Profile


@pytest.fixture
def land() -> Landscape:
    """Of a perceptron of 220 parameters that learns letters, to 85 %."""
    return Landscape(220, 0.035, 1e-4, 0.72, 0.175, 0.765, 0.14, 0.077, 1.53, 1580.0, 0.02)


@pytest.fixture
def problem():
    """Makes the problem of such a chip, an inference of which takes a microsecond."""

    def make(**given) -> Problem:
        seconds = {"inference": 1e-6, "perturbation": 0.0, "write": 0.0, "load": 0.0, "latency": 0.0}
        seconds |= {name: given.pop(name) for name in list(given) if name in seconds}
        more = {"imperfect": given.pop("imperfect")} if "imperfect" in given else {}
        profile = Profile.of({"name": "a", "description": "a", "source": "a", "seconds": seconds} | given)
        return dataclasses.replace(Problem.of({"task": "parity", "hidden": [2], **more}, profile, 0.85), n_params=220)

    return make
