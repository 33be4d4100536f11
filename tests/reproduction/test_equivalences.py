"""Equivalences: NumPy and ask/tell agree, and a difference would show."""

import numpy as np
import pytest
import xarray as xr

from mgd.reproduction import _equivalences, study_named
from mgd.sweeps import Run


@pytest.fixture(scope="module")
def identities():
    return _equivalences.identities(6)


@pytest.mark.parametrize(
    "name",
    ["finite differences", "coordinate descent", "SPSA", "SPSA, two-sided", "averaged SPSA", "lock-in"],
)
@pytest.mark.enough("SPSA", "SPSA, two-sided")
@pytest.mark.long
def test_a_setting_is_the_method_to_rounding(identities, name):
    assert float(identities.difference.sel(identity=name)) < 3e-4


@pytest.mark.long
def test_a_method_with_another_amplitude_would_be_told_apart(monkeypatch):
    honest = _equivalences._finite_differences
    monkeypatch.setattr(_equivalences, "_finite_differences", lambda theta, codes, a=0.1: honest(theta, codes, 2 * a))
    difference = _equivalences.identities(2).difference
    assert float(difference.sel(identity="finite differences")) > 3e-3


@pytest.mark.long
def test_averaged_spsa_is_along_the_gradient(identities):
    angle = identities.angle.values
    assert angle.max() < 15
    assert abs(angle.mean() - 5.1) < 4 * angle.std(ddof=1) / np.sqrt(6) + 0.5


def test_every_run_measures_about_as_often():
    study = study_named("equivalences")
    for quick, about in ((True, 100_000), (False, 500_000)):
        runs = {name: cell for name, cell in study.cells(quick).items() if isinstance(cell, Run)}
        assert len(runs) == 5
        for cell in runs.values():
            settings = cell.config().model_dump()
            tau = settings["tau_theta"] or 1
            per_step = 1 if settings["algorithm"] == "analog" else 1 + 1 / tau
            assert settings["steps"] * per_step == pytest.approx(about, rel=0.04)
            assert settings["log_every"] % tau == 0
            assert settings["steps"] == 400 * settings["log_every"]


@pytest.mark.long
def test_the_table_counts_chips(identities):
    study, points = study_named("equivalences"), 5
    accuracy = np.full((8, points), 0.75)
    accuracy[:6, 2:] = 1.0
    results: dict[str, xr.Dataset] = {"identities": identities}
    for name in study.cells(True):
        if name != "identities":
            coordinates = {"step": np.arange(points), "cost_measurements": ("step", 100 * np.arange(points))}
            history = {"accuracy": (("replica", "step"), accuracy), "cost": (("replica", "step"), 1.1 - accuracy)}
            results[name] = xr.Dataset(history, coordinates)
    data = study.assemble(results)
    row = study.rows(data)[-1]
    assert row.ours == "75 % (41 … 93 %, Wilson 95 %); median 200 (200 … never)"
    left, right = study.draw(data).axes
    assert np.allclose(right.get_lines()[0].get_ydata(), [0, 75, 75, 75])
    assert np.allclose(left.get_lines()[0].get_xdata(), [100, 200, 300, 400])
