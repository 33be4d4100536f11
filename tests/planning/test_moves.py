"""Structures beside a structure."""

from dataclasses import replace

import pytest

from mgd.planning import Structure
from mgd.planning._guess import guess_of
from mgd.planning._moves import COORDINATES, moves

WINDOWS = 100.0
HELD = Structure("rademacher", "remeasured", "sgd", held=15, shown=4, batch=1, tau_p=1, amplitude=0.03, rate=0.5)


def longest(problem, land, coordinates) -> int:
    """The most inferences of a sample, or batch, among all that is tried beside it."""
    tried = [one for name in coordinates for way in moves(problem, land, HELD, name, WINDOWS) for one in way]
    measured = [one.held * one.tau_p for one in tried]
    sides = [(2 * n if one.baseline == "two-sided" else n + 1) for one, n in zip(tried, measured, strict=True)]
    return max(one.batch * n for one, n in zip(tried, sides, strict=True))


def test_no_move_makes_measurements_longer_than_a_sample_stays(problem, land):
    brief = problem(presentation_seconds=20e-6)
    for name in ("held", "batch", "tau_p", "baseline"):
        assert longest(problem(), land, [name]) > 20, name
    assert longest(brief, land, COORDINATES) <= 20


@pytest.mark.parametrize("delay", [1, 2])
def test_no_move_leads_to_where_nothing_is_seen(problem, land, delay):
    late = problem(imperfect={"delay": delay})
    structure = Structure("walsh", "remeasured", "sgd", 256, 1, 4, 3 * delay, 0.1, 1.0)
    holds = [one.tau_p for way in moves(late, land, structure, "tau_p", WINDOWS) for one in way]
    assert holds[0] > 3 * delay
    assert delay < min(holds) < 3 * delay
    # Of an odd delay, what is read with plus belongs to minus.
    assert len(list(moves(late, land, structure, "baseline", WINDOWS))) == 1 - delay % 2


def test_another_optimizer_is_tried_at_the_same_rate_and_at_the_laws(problem, land):
    chip = problem(write=1e-3)
    heavy = replace(HELD, perturbation="walsh", held=256, shown=4, optimizer="momentum", rate=5.0)
    (same,), (law,) = moves(chip, land, heavy, "optimizer", WINDOWS)
    assert same == replace(heavy, optimizer="sgd")
    of_law = [guess_of(chip, land, one).structure.rate for one in (heavy, same)]
    assert law == same.with_rate(5.0 * of_law[1] / of_law[0])
    assert law.rate < 5.0


def test_a_rate_falls_within_what_the_rate_that_stays_takes_and_goes_on_with_the_windows(problem, land):
    chip = problem()
    ((falling,),) = moves(chip, land, HELD, "falls", WINDOWS)
    assert falling == replace(HELD, falls=80, rate=1.5 * HELD.rate)
    longer, shorter = ([one.falls for one in way] for way in moves(chip, land, falling, "falls", WINDOWS))
    assert (longer, shorter) == ([112, 157, 220], [57, 41, 29])
    for coordinate in ("window", "batch", "held"):
        for way in moves(chip, land, falling, coordinate, WINDOWS):
            ratio = guess_of(chip, land, way[0]).windows / guess_of(chip, land, falling).windows
            assert way[0].falls == pytest.approx(80 * ratio, abs=1), coordinate


def test_a_rate_that_falls_is_a_setting_of_a_run():
    falling = replace(HELD, falls=80).settings()
    assert {name: falling[name] for name in ("schedule", "fall_steps", "fall_to")} == {
        "schedule": "cosine",
        "fall_steps": 80 * 60,
        "fall_to": 0.1,
    }
    assert HELD.settings()["schedule"] == "constant"
    assert "fall_steps" not in HELD.settings()
