"""What is said of a plan, by the law."""

import dataclasses

import pytest

from mgd.planning import Problem, Structure
from mgd.planning._reasons import error_shares, gains, reasons
from mgd.theory import Landscape
from mgd.timing import Profile

LAND = Landscape(220, 0.035, 1e-4, 0.72, 0.175, 0.765, 0.14, 0.077, 1.53, 1580.0, 0.02)
SECONDS = {"inference": 1e-6, "perturbation": 0.0, "write": 0.0, "load": 0.0, "latency": 0.0}
PROFILE = Profile.of({"name": "a", "description": "a", "source": "a", "seconds": SECONDS})


def problem(**imperfect) -> Problem:
    given = {"task": "parity", "hidden": [2], "imperfect": imperfect}
    return dataclasses.replace(Problem.of(given, PROFILE, 0.85), n_params=220)


def test_what_lateness_costs_is_said(monkeypatch):
    monkeypatch.setattr("mgd.planning._guess._batches", lambda problem: (1, 4))
    late = problem(**{"delay": 2, "settling": 3.0, "cost-noise": 0.01})
    structure = Structure("walsh", "two-sided", "sgd", 64, 4, 1, 8, 0.5, 10.0)
    seen = float(late.windows(structure).late.seen)
    said = reasons(late, LAND, structure, 1)["tau_p"]
    assert f"have {seen:.0%} of its signal for a delay of 2 and a settling time of 3 measurements; twice" in said
    shares = error_shares(late, LAND, structure)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["late costs"] > 0.01
    quicker = {gain.what for gain in gains(problem(delay=4), LAND)}
    assert "a delay of 2 instead of 4 measurements" in quicker
    assert "half the settling time" in {gain.what for gain in gains(problem(settling=3.0), LAND)}
