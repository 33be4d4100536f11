"""When chips get to a target."""

import math

import numpy as np
import pytest

from mgd.planning import Problem, Simulator, Structure
from mgd.planning._simulate import crossing, drawn_again
from mgd.timing import load_profile


def test_a_target_is_crossed_where_it_is_first_reached():
    steps = np.array([10, 20, 40])
    assert crossing(steps, np.array([0.9, 0.1, 0.9]), 0.5) == 10
    assert crossing(steps, np.array([0.1, 0.3, 0.4]), 0.5) == np.inf
    assert crossing(steps, np.array([0.1, 0.4, 0.6]), 0.5) == 30


def test_the_scatter_of_a_mean_is_that_of_chips_drawn_again():
    # Chips that get there one step after another: their mean does in the middle, give or take 1/√n of their spread.
    steps, n = np.arange(1, 201), 50
    times = np.linspace(51, 150, n)
    scores = np.clip((steps[:, None] - times + 50) / 100, 0, 1)
    low, high = drawn_again(steps, scores, 0.5)
    spread = 1.96 * times.std() / math.sqrt(n)
    assert crossing(steps, scores.mean(1), 0.5) == pytest.approx(100, abs=1)
    assert (100.5 - low, high - 100.5) == pytest.approx((spread, spread), rel=0.2)
    assert drawn_again(steps, np.zeros_like(scores), 0.5) == (np.inf, np.inf)


@pytest.mark.long
def test_a_simulation_ends_in_time_and_before_a_cell_is_worn_out():
    hw2 = load_profile("hw2")
    structure = Structure("rademacher", "remeasured", "sgd", 2, 1, 1, 1, 0.01, 0.1)
    given = {"task": "parity", "hidden": [2]}
    # A window is three measurements, three changes of the perturbation and a write: 1.033 µs.
    slow = Simulator(Problem.of(given, hw2, 1.0), 4).passage(structure, seed=0, guess=math.inf, most=20e-6)
    assert (slow.steps, slow.mean, slow.seconds) == (2 * 19, math.inf, math.inf)
    worn = hw2.model_copy(update={"endurance": 7})
    assert Simulator(Problem.of(given, worn, 1.0), 4).passage(structure, seed=0, guess=5.0, most=1.0).steps == 14


def test_chips_whose_rate_falls_are_simulated_by_both_engines_alike():
    def passage(engine: str, falls: int):
        given = {"task": "parity", "hidden": [3], "init": "uniform", "engine": engine}
        structure = Structure("rademacher", "remeasured", "sgd", 4, 1, 1, 1, 0.05, 1.0, falls)
        return Simulator(Problem.of(given, load_profile("hw2"), 1.0), 4).passage(
            structure, seed=0, guess=400.0, most=4e-4
        )

    measured, fused, stays = passage("measured", 100), passage("fused", 100), passage("fused", 0)
    assert (measured.engine, fused.engine) == ("measured", "fused")
    assert fused.steps > 100 * 4  # it goes on with what is left of the rate
    assert (fused.seen, fused.means, fused.each) == (measured.seen, measured.means, measured.each)
    assert stays.seen == fused.seen
    assert stays.means != fused.means
