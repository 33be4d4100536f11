"""Why a plan is as it is, in sentences."""

import math
from dataclasses import replace

import pytest

from mgd.planning import Structure
from mgd.planning._reasons import error_shares, gains, reasons

HELD = Structure("rademacher", "remeasured", "sgd", held=15, shown=4, batch=1, tau_p=1, amplitude=0.03, rate=0.5)


def test_what_does_not_fit_in_a_sample_is_said_and_so_is_what_longer_ones_save(problem, land):
    free, brief = problem(load=1e-3), problem(load=1e-3, presentation_seconds=20e-6)
    for name in ("tau_p", "tau_x", "batch"):
        assert (
            "twice that does not fit in the 20 µs for which a sample stays"
            in reasons(brief, land, HELD, tried=5, otherwise={})[name]
        )
        assert "does not fit" not in reasons(free, land, HELD, tried=5, otherwise={})[name]
    said = "samples that stay twice as long"
    saved = {gain.what: gain.share for gain in gains(brief, land)}
    assert 0 < saved[said] < 0.6
    assert said not in {gain.what for gain in gains(free, land)}


def test_what_lateness_costs_is_said(problem, land, monkeypatch):
    monkeypatch.setattr("mgd.planning._guess._batches", lambda problem: (1, 4))
    late = problem(imperfect={"delay": 2, "settling": 3.0, "cost-noise": 0.01})
    structure = Structure("walsh", "two-sided", "sgd", 64, 4, 1, 8, 0.5, 10.0)
    seen = float(late.windows(structure).late.seen)
    said = reasons(late, land, structure, tried=1, otherwise={})["tau_p"]
    assert f"have {seen:.0%} of its signal for a delay of 2 and a settling time of 3 measurements; twice" in said
    shares = error_shares(late, land, structure)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["late costs"] > 0.01
    quicker = {gain.what for gain in gains(problem(imperfect={"delay": 4}), land)}
    assert "a delay of 2 instead of 4 measurements" in quicker
    assert "half the settling time" in {gain.what for gain in gains(problem(imperfect={"settling": 3.0}), land)}


@pytest.mark.parametrize(
    ("times", "said"), [(1.66, "took 1.66 times as long in"), (math.inf, "was not there in as long a")]
)
def test_what_simulations_say_of_others_stands_beside_the_law(problem, land, times, said):
    told = reasons(problem(), land, HELD, tried=5, otherwise={"optimizer": times, "falls": times})
    assert f"by the law; the best of it {said} simulation" in told["optimizer"]
    assert told["schedule"].startswith(f"the rate stays; the best rate that falls {said} simulation")
    falling = replace(HELD, falls=80)
    told = reasons(problem(), land, falling, tried=5, otherwise={"falls": times})
    assert told["schedule"].startswith("the rate falls to a tenth in 80 windows; the best rate that stays")
    assert "simulation" not in told["optimizer"]
    assert reasons(problem(), land, falling, tried=5, otherwise={})["schedule"].endswith(
        "none that stays was simulated"
    )
