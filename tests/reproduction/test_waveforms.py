"""Waveforms: signals are those of the method, and G goes to the gradient."""

import numpy as np
import pytest

from mgd.reproduction import _waveforms, study_named


@pytest.fixture(scope="module")
def data():
    results = {kind: _waveforms.signals(kind, 240, 64) for kind in ("discrete", "analog")}
    return study_named("waveforms").assemble(results)


@pytest.mark.long
def test_the_modulation_is_the_cost_less_its_baseline(data):
    discrete = data.sel(kind="discrete")
    assert np.allclose(discrete.modulation, discrete.cost - discrete.baseline, rtol=0, atol=1e-7)
    slope = discrete.gradient * discrete.perturbation
    assert np.allclose(discrete.modulation, slope.sum("parameter"), rtol=0, atol=2e-3)  # the rest is curvature
    assert np.abs(discrete.modulation).max() > 0.02


@pytest.mark.long
def test_the_analog_modulation_is_the_high_pass_of_the_cost(data):
    of = data.sel(kind="analog", family="Rademacher")
    pole, filtered = 20 / 21, [0.0]  # the first sample's own step is blanked
    for change in np.diff(of.cost.values):
        filtered.append(pole * (filtered[-1] + change))
    assert np.allclose(of.modulation, filtered, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "family", "most"),
    [
        ("discrete", "sequential", 0.02),
        ("discrete", "Walsh", 0.01),
        ("discrete", "sinusoid", 0.1),
        ("analog", "Walsh", 0.1),
        ("analog", "sinusoid", 0.15),
    ],
)
@pytest.mark.long
def test_g_goes_to_the_gradient(data, kind, family, most):
    of = data.sel(kind=kind, family=family)
    assert float(of.error.max()) < most
    start = np.linalg.norm(of.gradient_estimate[0] - of.gradient) / np.linalg.norm(of.gradient)
    assert start > 3 * float(of.error[0])


@pytest.mark.long
def test_the_error_of_random_signs_is_that_of_theory(data):
    error = data.error.sel(kind="discrete", family="Rademacher").values
    squares = error**2 / (2 / 240)
    assert abs(squares.mean() - 1) < 4 * squares.std(ddof=1) / 8


def test_sequential_codes_are_left_out_of_the_analog_half(data):
    assert np.isnan(data.error.sel(kind="analog", family="sequential")).all()
    figure = study_named("waveforms").draw(data)
    said = [text.get_text() for panel in figure.subfigs[1].axes for text in panel.texts]
    assert any("refused" in text for text in said)
    lines = figure.subfigs[0].axes[12].get_lines()
    assert [line.get_linestyle() for line in lines].count("--") == 3  # the gradient
    rows = study_named("waveforms").rows(data)
    assert len(rows) == 7
    assert "6.5" not in rows[1].published  # 9.1 % at 240 timesteps
    assert "9.1 %" in rows[1].published
