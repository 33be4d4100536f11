"""Structures beside a structure."""

import dataclasses

import pytest

from mgd.planning import Problem, Structure
from mgd.planning._moves import moves
from mgd.theory import Landscape
from mgd.timing import Profile

LAND = Landscape(220, 0.035, 1e-4, 0.72, 0.175, 0.765, 0.14, 0.077, 1.53, 1580.0, 0.02)
SECONDS = {"inference": 1e-6, "perturbation": 0.0, "write": 0.0, "load": 0.0, "latency": 0.0}
PROFILE = Profile.of({"name": "a", "description": "a", "source": "a", "seconds": SECONDS})


def problem(**imperfect) -> Problem:
    given = {"task": "parity", "hidden": [2], "imperfect": imperfect}
    return dataclasses.replace(Problem.of(given, PROFILE, 0.85), n_params=220)


@pytest.mark.parametrize("delay", [1, 2])
def test_no_move_leads_to_where_nothing_is_seen(delay):
    late = problem(delay=delay)
    structure = Structure("walsh", "remeasured", "sgd", 256, 1, 4, 3 * delay, 0.1, 1.0)
    holds = [one.tau_p for way in moves(late, LAND, structure, "tau_p") for one in way]
    assert holds[0] > 3 * delay
    assert delay < min(holds) < 3 * delay
    # Of an odd delay, what is read with plus belongs to minus.
    assert len(list(moves(late, LAND, structure, "baseline"))) == 1 - delay % 2
