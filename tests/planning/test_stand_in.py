"""Chips that stand in for others whose cost comes late, beside these."""

import dataclasses

import pytest

import mgd
from mgd.planning import Problem, Simulator, Structure, descend
from mgd.planning._guess import guesses
from mgd.planning._stand_in import StandIn
from mgd.theory import Landscape, variance_of
from mgd.timing import Profile

SECONDS = {"inference": 1e-6, "perturbation": 0.0, "write": 1e-5, "load": 0.0, "latency": 0.0}
PROFILE = Profile.of({"name": "a", "description": "a", "source": "a", "seconds": SECONDS})
LAND = Landscape(9, 0.04, 0.002, 0.1, 0.08, 0.13, 0.04, 0.15, 1.5, 100.0, 0.02)
STRUCTURE = Structure("rademacher", "remeasured", "sgd", 8, 2, 4, 6, 0.3, 0.7)


def problem(**given) -> Problem:
    return Problem.of({"task": "parity", "hidden": [2], "init": "uniform", **given}, PROFILE, 0.8)


@pytest.mark.parametrize("baseline", ["remeasured", "two-sided"])
def test_a_stand_in_has_the_variance_of_the_chip_that_it_stands_for(baseline):
    late = problem(imperfect={"delay": 2, "settling": 0.7, "cost-noise": 0.01})
    structure = dataclasses.replace(STRUCTURE, baseline=baseline, perturbation="walsh")
    found = StandIn.of(late, LAND, structure)
    assert found is not None
    wanted = variance_of(LAND, late.windows(structure), noise=0.01, amplitude=0.3)
    short = dataclasses.replace(structure, tau_p=1)
    assert variance_of(LAND, short.windows(9), noise=found.noise, amplitude=0.3) == pytest.approx(float(wanted))
    settings = found.settings(late, structure)
    assert settings.imperfect == {"cost-noise": found.noise}
    assert (settings.tau_p, settings.tau_x, settings.tau_theta) == (1, 8, 16)
    assert settings.learning_rate == pytest.approx(0.7 * float(late.windows(structure).late.seen), rel=0.01)


def test_nothing_stands_in_for_chips_whose_cost_is_not_late_or_whose_engine_was_chosen():
    assert StandIn.of(problem(imperfect={"cost-noise": 0.01}), LAND, STRUCTURE) is None
    assert StandIn.of(problem(imperfect={"delay": 1}, engine="measured"), LAND, STRUCTURE) is None


@pytest.mark.slow
def test_a_stand_in_takes_as_long_as_the_chip_that_it_stands_for():
    late = problem(hidden=[3], imperfect={"delay": 2})
    land, simulator = descend(late).landscape, Simulator(late, 64)
    walsh = [one.structure for one in guesses(late, land) if one.structure.perturbation == "walsh"]
    structure = walsh[0].with_rate(walsh[0].rate / 2)
    found = StandIn.of(late, land, structure)
    given = {"seed": 0, "guess": 100.0, "most": 1.0}
    quick, real = (simulator.passage(structure, **given, stand_in=one) for one in (found, None))
    assert (quick.engine, real.engine) == ("fused", "measured")
    assert quick.seconds == pytest.approx(real.seconds, rel=0.3)


@pytest.mark.slow
def test_a_plan_for_late_chips_is_confirmed_by_late_chips():
    given = {"hidden": [3], "init": "uniform", "imperfect": {"delay": 1}}
    made = mgd.plan("parity", PROFILE, target=0.8, simulations=8, chips=8, **given)
    assert made.reached
    assert (made.engine, made.settings["imperfect"]) == ("measured", {"delay": 1})
    assert made.settings["tau_p"] > 1
    assert "late costs" in made.error
