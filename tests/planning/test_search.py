"""How a search goes from the law's structures to the best: of chips whose times are a formula."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from mgd.planning import Problem, Simulator, Structure
from mgd.planning._guess import guesses
from mgd.planning._kept import Kept
from mgd.planning._search import Search
from mgd.planning._simulate import Passage
from mgd.planning._workers import AbstractWorkers, Simulated
from mgd.timing import Profile

TARGET = 0.85


class ByFormula(AbstractWorkers):
    """Chips that get there after so many times what the law says of its best, or never if that is negative.

    What never gets there comes the nearer, the less negative it is.
    """

    def __init__(self, simulator: Simulator, times: Callable[[Structure], float]):
        self._simulator, self._times = simulator, times
        self.unit, self.asked = 0.0, []

    def expect(self, simulations) -> None:
        for one in simulations:
            assert one.confirms or one.structure not in self.asked

    def simulated(self, simulation, stop) -> Simulated:
        structure, times = simulation.structure, self._times(simulation.structure)
        if not simulation.confirms:
            self.asked.append(structure)
        steps = self._simulator.last_step(structure, simulation.most)
        seconds, mean, best = math.inf, math.inf, max(0.0, 0.8 + times / 100)
        if 0 < times * self.unit <= simulation.most:
            seconds, best = times * self.unit, TARGET
            mean = steps * seconds / simulation.most
        return Simulated(
            Passage(mean, (mean, mean), steps, seconds, "fused", (steps,), (best,), True, (mean, mean)), True
        )


@pytest.fixture
def search(land):
    """Makes a search among such chips, whose law is that of a perceptron that learns letters."""

    def make(times: Callable[[Structure], float], simulations: int = 30) -> tuple[Search, ByFormula]:
        seconds = {"inference": 1e-6, "perturbation": 0.0, "write": 1e-3, "load": 0.0, "latency": 0.0}
        profile = Profile.of({"name": "a", "description": "a", "source": "a", "seconds": seconds})
        problem = replace(Problem.of({"task": "nist7x7", "hidden": [4]}, profile, TARGET), n_params=land.n_params)
        simulator = Simulator(problem, 2)
        workers = ByFormula(simulator, times)
        more = {"simulations": simulations, "seconds": math.inf, "seed": 0, "on_course": lambda course: None}
        one = Search(problem, land, workers, simulator, Kept(None), **more)
        workers.unit = one._guesses[0].seconds
        return one, workers

    return make


def off(rate: float, best: float) -> float:
    """How many factors of 2 a rate is from the best one."""
    return abs(math.log2(rate / best))


@pytest.mark.parametrize("ratio", [8.0, 1.0, 0.25])
def test_rates_are_tried_as_far_as_they_get_better(search, ratio):
    law = [0.0]
    one, workers = search(lambda structure: 1 + off(structure.rate, ratio * law[0]))
    first = one._guesses[0].structure
    law[0] = first.rate
    found = one.run()
    assert [asked.rate / first.rate for asked in workers.asked[:2]] == [1.0, 2.0]
    assert off(found.structure.rate, ratio * law[0]) < 0.6
    assert found.simulations <= 30


def test_where_nothing_gets_there_what_comes_nearer_leads(search):
    law = [0.0]

    def times(structure: Structure) -> float:
        distance = off(structure.rate, 8 * law[0])
        return 1.0 if distance < 0.5 else -5 * distance

    one, workers = search(times)
    law[0] = one._guesses[0].structure.rate
    found = one.run()
    assert [round(asked.rate / law[0]) for asked in workers.asked[:4]] == [1, 2, 4, 8]
    assert math.isfinite(found.passage.mean)


def test_the_other_optimizer_is_found_at_the_rate_that_there_is(search):
    heavy = {"momentum": 3.0, "sgd": 1.0}
    law = [0.0]
    one, _ = search(lambda structure: heavy[structure.optimizer] * (1 + off(structure.rate, law[0])))
    first = one._guesses[0].structure
    law[0] = first.rate
    assert first.optimizer == "momentum"
    found = one.run()
    assert found.structure.optimizer == "sgd"
    assert found.otherwise["optimizer"] > 2


@pytest.mark.parametrize(("of_falling", "otherwise"), [(0.5, 2.0), (1.01, 1.01), (5.0, math.inf)])
def test_a_rate_that_falls_is_chosen_if_it_is_quicker_and_compared_if_not(search, of_falling, otherwise):
    one, _ = search(lambda structure: of_falling if structure.falls else 1.0)
    found = one.run()
    assert bool(found.structure.falls) == (of_falling < 1)
    assert found.otherwise["falls"] == pytest.approx(otherwise)


def test_without_simulations_left_for_it_no_rate_falls(search):
    one, workers = search(lambda structure: 1.0, simulations=6)
    assert "falls" not in one.run().otherwise
    assert not any(asked.falls for asked in workers.asked)


def test_it_begins_with_the_best_by_the_law(search):
    one, workers = search(lambda structure: 1.0)
    one.run()
    assert workers.asked[0] == guesses(one.problem, one.land)[0].structure
