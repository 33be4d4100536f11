"""Angles: as theory has them for random codes, none for orthogonal ones at a period."""

import numpy as np
import pytest

from mgd.reproduction import _angle, study_named
from mgd.theory import angle_after


@pytest.fixture(scope="module")
def results():
    made = {family: _angle.measured("parity", family, 600, 24) for family in ("Rademacher", "Walsh", "sequential")}
    # Its law is that of any chip; this one is small.
    return made | {"sampled": _angle.sampled("nist7x7", [220, 3000], 12)}


def of(results, family):
    return results[family].angle.isel(task=0, family=0)


@pytest.mark.parametrize("at", [25, 100, 562])
@pytest.mark.long
def test_random_signs_are_at_the_angle_of_theory(results, at):
    angle = of(results, "Rademacher").sel(measurements=at).values
    squares = np.tan(np.radians(angle)) ** 2 / (24 / at)
    assert abs(angle.mean() - angle_after(25, at)) < 4 * angle.std(ddof=1) / np.sqrt(24) + 0.5
    assert 0.3 < np.median(squares) < 3


@pytest.mark.parametrize(("family", "period"), [("Walsh", 32), ("sequential", 25)])
@pytest.mark.long
def test_orthogonal_codes_are_exact_at_one_period_and_not_before(results, family, period):
    angle = of(results, family)
    assert float(angle.sel(measurements=period).median()) < 1
    assert float(angle.sel(measurements=18).median()) > 10


@pytest.mark.parametrize("at", [220, 3000])
@pytest.mark.long
def test_the_sampled_engine_has_the_same_law(results, at):
    angle = of(results, "sampled").sel(measurements=at).values
    assert abs(angle.mean() - angle_after(220, at)) < 4 * angle.std(ddof=1) / np.sqrt(12) + 0.5


def test_times_hold_the_periods():
    assert _angle._times(1000, 220) == sorted({1, 2, 3, 6, 10, 18, 32, 56, 100, 178, 220, 256, 316, 562, 1000})
    assert _angle._times(30, 220)[-1] == 30


def test_an_estimate_of_nothing_is_at_a_right_angle():
    assert _angle._angle(np.zeros(2), np.ones(2)) == 90.0
    assert _angle._angle(np.array([1.0, 0]), np.ones(2)) == pytest.approx(45)


@pytest.mark.long
def test_figure_and_rows(results):
    study = study_named("angle")
    nist = results["sampled"]
    cnn = nist.assign_coords(task=np.array(["fashion-mnist"], object)).assign(n_params=("task", [14378]))
    families = {name: result for name, result in results.items() if name != "sampled"}
    measured = nist.assign_coords(family=np.array(["Rademacher"], object))
    data = study.assemble({**families, "nist": measured, "cnn": cnn})
    figure = study.draw(data)
    assert len(figure.axes) == 3
    rows = {row.what: row for row in study.rows(data)}
    goal = rows["4-bit parity, 4-4-1: measurements to 15°, Rademacher"]
    assert goal.published == "theory: 334"
    assert 200 < float(goal.ours.split(" ")[0]) < 500
    nist_goal = rows["NIST7x7, 49-4-4: measurements to 15°, Rademacher"]
    assert nist_goal.ours.startswith(("2,", "3,", "not by 3,000"))
    assert "NIST7x7, 49-4-4: angle at T = P = 220, Rademacher" in rows
