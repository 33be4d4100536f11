"""Who simulates for a plan: this process or workers, which make the same plan; and nothing is lost with them."""

import math
import os
import signal

import pytest

import mgd
from mgd import RunError
from mgd.planning import Problem, Simulator, Structure
from mgd.timing import load_profile

SETTINGS = {"target": 0.8, "simulations": 8, "chips": 4, "hidden": [3], "init": "uniform", "seconds": 1e9}


def plain(made: mgd.planning.Plan) -> dict:
    """All of a plan but what depends on the machine."""
    return made.as_dict() | {"backprop_seconds": 0}


@pytest.mark.long
def test_a_limit_changes_nothing_before_it():
    given = {"task": "parity", "hidden": [3], "init": "uniform"}
    simulator = Simulator(Problem.of(given, load_profile("hw2"), 0.8), 4)
    structure = Structure("rademacher", "remeasured", "sgd", 8, 1, 1, 1, 0.01, 0.5)
    asked = {"seed": 0, "guess": 3000.0, "longest": 1.0}
    whole = simulator.passage(structure, most=1.0, **asked)
    assert math.isfinite(whole.mean)
    assert len(whole.seen) > 10
    for share in (0.02, 0.5, 0.99, 1.01, 2.0):
        most = share * whole.seconds
        short = simulator.passage(structure, most=most, **asked)
        assert short == whole.until(simulator.last_step(structure, most))
        assert math.isfinite(short.mean) == (share > 1)


@pytest.mark.long
def test_workers_make_the_same_plan_and_their_end_loses_nothing(tmp_path, cluster):
    address, processes = cluster
    alone = mgd.plan("parity", load_profile("hw2"), **SETTINGS)
    ended = []

    def end_soon(course):
        if course.simulations == 3:
            os.killpg(processes[0].pid, signal.SIGKILL)
            ended.append(processes[0].wait())

    there = {"out": tmp_path / "plan", **SETTINGS}
    with pytest.raises(RunError, match=r"^the cluster tcp://.* is gone; the simulations that are computed are kept"):
        mgd.plan("parity", load_profile("hw2"), cluster=address, on_course=end_soon, **there)
    assert ended == [-signal.SIGKILL]
    kept = (tmp_path / "plan" / "simulations.jsonl").read_bytes()
    assert kept.count(b"\n") == 3
    made = mgd.plan("parity", load_profile("hw2"), **there)
    assert (tmp_path / "plan" / "simulations.jsonl").read_bytes().startswith(kept)
    assert plain(made) == plain(alone)


@pytest.mark.slow
def test_two_workers_make_the_same_plan(cluster):
    made = mgd.plan("parity", load_profile("hw2"), cluster=cluster[0], **SETTINGS)
    assert plain(made) == plain(mgd.plan("parity", load_profile("hw2"), **SETTINGS))


def test_no_worker_is_no_number_of_workers():
    with pytest.raises(ValueError, match=r"^workers must be a whole number of at least 1, got 0$"):
        mgd.plan("parity", load_profile("hw2"), workers=0)
