"""What becomes of a fact that a chip's own measurements gave: taken, kept, or lost, and what the law makes of it."""

from dataclasses import asdict

import numpy as np
import pytest

from mgd.calibration import Quantity
from mgd.planning._facts import Fact, Facts
from mgd.theory import Landscape, Windows, noise_of_writes, rate_of, variance_of, windows_to

LAND = Landscape(
    n_params=9,
    spread=2.0,
    gradient=1.0,
    trace=3.0,
    largest=1.0,
    quadratic=11**0.5,
    cubic=0.0,
    cost=0.1,
    exponent=1.5,
    flow=10.0,
    scatter=0.02,
)


def fact(ratio: float, error: float, model: float = 0.1) -> Fact:
    return Fact(chip=Quantity.of(ratio * abs(model), error * abs(model)), model=model, ratio=Quantity.of(ratio, error))


def facts(spread: Fact, gradient: Fact, trace: Fact, mixed: Fact) -> Facts:
    sure = Quantity.of(1.0, 0.1)
    return Facts(
        identity="D17",
        date="2026-01-01",
        batch=64,
        measurements=570,
        amplitude=0.1,
        likeness=sure,
        cost=fact(1.0, 0.01),
        noise=sure,
        noise_of_one=sure,
        spread=spread,
        gradient=gradient,
        trace=trace,
        mixed=mixed,
    )


def test_a_fact_is_taken_if_it_stands_out_and_kept_if_not():
    found = facts(fact(1.7, 0.2), fact(1.3, 0.2), fact(0.6, 0.7), fact(4.0, 0.3, model=-0.1))
    assert found.lines() == [
        "its S is 1.7 ± 0.2 times the model's: the plan goes by it",
        "its ‖∇C‖² is 1.3 ± 0.2 times the model's, which does not stand out from 1: the model's is kept",
        "its tr H is 0.6 ± 0.7 times the model's, which is lost in its error: the model's is kept",
        "its λ_max is 0.4 ± 0.03, and the model's -0.1 there, so there is no ratio: the model's is kept",
    ]


def test_only_what_stands_out_changes_the_law():
    found = facts(fact(1.7, 0.2), fact(1.3, 0.2), fact(0.6, 0.7), fact(1.1, 0.1))
    assert asdict(found.scaled(LAND)) == pytest.approx(asdict(LAND) | {"spread": 1.7 * LAND.spread})


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_a_chip_whose_parameters_do_so_much_more_takes_as_many_windows(gain):
    """Its amplitude and its steps are as much smaller, and all else is the same."""
    four = fact(gain**2, 0.0)
    scaled = facts(four, four, four, four).scaled(LAND)
    windows = Windows(held=16, shown=2, batch=1, tau_p=1, two_sided=False, period=0)

    def count(land: Landscape, amplitude: float) -> float:
        variance = variance_of(land, windows, noise=0.01, amplitude=amplitude)
        writes = noise_of_writes(land, variance, pulse=0.0, noise=0.0)
        return float(windows_to(land, variance, rate_of(land, windows, variance, writes), writes))

    assert count(scaled, 0.1 / gain) == pytest.approx(count(LAND, 0.1))


def test_a_model_without_slope_gives_no_ratio():
    found = Fact.of(np.array([0.2, 0.1, 0.3]), np.array([0.1, -0.2, 0.05]))
    assert found.is_lost
    assert found.factor == 1.0
