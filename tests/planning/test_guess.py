"""Structures by the law: what each property of a chip does to them."""

import dataclasses
import math
import re

import pytest

from mgd.planning import Structure
from mgd.planning._guess import guess_of, guesses
from mgd.theory import noise_of_writes, rate_of, share_seen


@pytest.fixture
def best(problem, land):
    """The best structure by the law."""
    return lambda **given: guesses(problem(**given), land)[0].structure


def test_slow_writes_make_writes_fewer(problem, land):
    quick, slow = guesses(problem(), land)[0], guesses(problem(write=1e-3), land)[0]
    assert slow.windows < 0.8 * quick.windows


def test_slow_loads_make_samples_stay(best):
    assert best(load=1e-3).held > 4 * best().held


def test_slow_perturbations_share_more_samples_if_the_chip_keeps_them(monkeypatch, best):
    monkeypatch.setattr("mgd.planning._guess._batches", lambda problem: (1, 4, 16, 64))
    assert best(perturbation=1e-3).batch == 64
    assert best().batch == 1
    assert best(perturbation=1e-3, load=1e-3).batch > 1
    assert best(perturbation=1e-3, load=1e-3, buffer=1).batch == 1


def test_all_measurements_of_a_sample_fit_in_its_stay(problem, land):
    free, brief = problem(load=1e-3), problem(load=1e-3, presentation_seconds=20e-6)

    def shown(one: Structure) -> int:  # in measurements of a microsecond
        measured = one.held * one.tau_p
        return one.batch * (2 * measured if one.baseline == "two-sided" else measured + 1)

    assert max(shown(one.structure) for one in guesses(free, land)) > 20
    assert 10 < max(shown(one.structure) for one in guesses(brief, land)) <= 20
    longer = guesses(free, land)[0].structure
    assert guess_of(free, land, longer).seconds < guess_of(brief, land, longer).seconds == math.inf


def test_a_sample_that_does_not_stay_for_a_perturbation_is_refused(problem):
    said = (
        "a perturbation and its baseline take 0.002002 s by the profile's seconds, and a sample stays for 0.001 s "
        "(presentation_seconds): correct one of them"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        problem(perturbation=1e-3, presentation_seconds=1e-3)
    problem(perturbation=1e-3, presentation_seconds=2.002e-3)


def test_noise_makes_perturbations_larger(best):
    calm, noisy = best(imperfect={"cost-noise": 1e-4}), best(imperfect={"cost-noise": 0.01})
    assert noisy.amplitude > 2 * calm.amplitude


def test_the_best_of_the_grid_is_what_the_law_makes_of_it(problem, land):
    for found in guesses(problem(write=1e-4, imperfect={"cost-noise": 0.01}), land):
        again = guess_of(problem(write=1e-4, imperfect={"cost-noise": 0.01}), land, found.structure)
        assert again.seconds == pytest.approx(found.seconds)
        assert again.structure.rate == pytest.approx(found.structure.rate)


def test_nothing_is_written_more_often_than_it_endures(problem, land):
    few = guesses(problem(endurance=200), land)
    assert all(one.windows <= 200 for one in few)
    assert few[0].seconds > guesses(problem(), land)[0].seconds
    with pytest.raises(
        ValueError, match="needs 139 writes of a parameter at least, by the law, and an endurance of 20"
    ):
        guesses(problem(endurance=20), land)


def test_coarse_writes_take_longer_and_too_coarse_ones_are_refused(problem, land):
    with pytest.raises(ValueError, match="the steps and the noise of this chip's writes alone keep the cost above it"):
        guesses(problem(imperfect={"update-noise": 1.0}), land)
    coarse, exact = (guesses(problem(imperfect=each), land)[0] for each in ({"dw-min": 0.3}, {}))
    assert coarse.seconds > 1.5 * exact.seconds


def test_noise_of_a_sample_is_less_in_a_batch(problem, land):
    each = problem(imperfect={"cost-noise": 0.01}, noise_of="sample")
    assert each.noise(4, 0.1) == pytest.approx(0.005)
    assert problem(imperfect={"cost-noise": 0.01}).noise(4, 0.1) == pytest.approx(0.01)
    assert problem(imperfect={"cost-noise-relative": 0.1}).noise(4, 0.1) == pytest.approx(0.01)
    structure = dataclasses.replace(guesses(each, land)[0].structure, batch=4)
    assert each.settings(structure).imperfect == {"cost-noise": pytest.approx(0.005)}


def test_the_rounding_of_a_converter_is_noise(best, problem):
    chip = problem(imperfect={"adc-bits": 8, "adc-range": 1.0})
    assert chip.noise(1, 0.1) == pytest.approx(1 / 255 / 12**0.5)
    # Without enough noise to hide the step, a single sample's change is to be as large.
    assert best(imperfect={"adc-bits": 8}).amplitude >= 0.9 / 255 / 0.0351**0.5


def test_perturbations_through_a_converter_are_whole_levels(best):
    level = 20 / 255
    amplitude = best(imperfect={"dac-bits": 8, "dac-finer-copy": True}).amplitude
    assert amplitude / level == pytest.approx(round(amplitude / level))


def test_noise_that_no_simulation_averages_out_is_refused_in_a_line(problem, land):
    with pytest.raises(ValueError, match=r"^by the law the target 0.85 takes .* timesteps .* chip with less noise, or"):
        guesses(problem(imperfect={"cost-noise": 1e6}), land)


def test_the_range_of_parameters_is_the_smallest_of_all_limits(problem):
    assert problem().bound == math.inf
    assert problem(imperfect={"dac-bits": 8}).bound == 10
    assert problem(imperfect={"dac-bits": 8, "parameter-range": 2.0}).bound == 2
    assert problem(imperfect={"dw-min": 0.1, "w-max": 3.0, "w-min": -4.0}).bound == 4


def test_costs_that_the_converter_does_not_read_are_refused_in_a_line(problem):
    narrow = problem(imperfect={"adc-bits": 8, "adc-range": 0.01})
    narrow.check_cost(0.01)
    problem().check_cost(100.0)
    with pytest.raises(
        ValueError, match=r"^the cost is still 0.2 when the score is at the target 0.85, and the ADC rea"
    ):
        narrow.check_cost(0.2)


def test_costs_that_come_late_are_held_for_longer_than_they_take(monkeypatch, best, problem, land):
    monkeypatch.setattr("mgd.planning._guess._batches", lambda problem: (1, 4))
    for delay in (1, 4):
        found = guesses(problem(imperfect={"delay": delay}), land)
        assert {one.structure.baseline: one.structure.tau_p > delay for one in found}["remeasured"]
        # Of an odd delay, what is read with plus belongs to minus.
        assert ("two-sided" in {one.structure.baseline for one in found}) == (delay % 2 == 0)
    assert best(imperfect={"settling": 8.0}).tau_p > 2 * best(imperfect={"settling": 0.5}).tau_p


def test_a_late_baseline_is_one_that_walsh_codes_cancel(best):
    found = best(imperfect={"delay": 1})
    assert (found.perturbation, found.window % 256) == ("walsh", 0)


def test_the_rate_makes_up_for_what_is_not_seen(problem, land):
    late = problem(imperfect={"delay": 2})
    structure = Structure("walsh", "remeasured", "sgd", 256, 1, 4, 6, 0.1, 1.0)
    gone = dataclasses.replace(structure, tau_p=1)
    windows = late.windows(structure)
    found = guess_of(late, land, structure)
    writes = noise_of_writes(land, found.variance, pulse=0.0, noise=0.0)
    rate = float(rate_of(land, windows, found.variance, writes))
    assert found.structure.rate == pytest.approx(rate / share_seen(6, 2, 0.0))
    assert guess_of(late, land, gone).seconds == math.inf
