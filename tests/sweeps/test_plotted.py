"""Pictures of sweeps: what they show, and what is refused."""

import re

import numpy as np
import pytest
import xarray as xr

from mgd import RunError
from mgd.sweeps import plot_sweep, table_of
from mgd.sweeps._plotted import _summary

BITS, NOISES = [3, 4, 5], [0.001, 0.01, 0.1, 1.0]


@pytest.fixture(scope="module")
def data():
    """A sweep in which more bits and less noise are better, and one point is missing."""
    draws = np.random.default_rng(0).random((3, 4, 20))
    score = 0.3 + 0.1 * np.arange(3)[:, None, None] - 0.05 * np.arange(4)[:, None] + 0.1 * draws
    score[0, 0, :5] = np.nan
    of_chips, of_points = ("dac-bits", "cost-noise", "replica"), ("dac-bits", "cost-noise")
    computed = np.ones((3, 4), bool)
    computed[2, 3] = False
    score[2, 3] = np.nan
    whole = {name: (of_points, np.full((3, 4), 7)) for name in ("seed", "cost_measurements", "parameter_writes")}
    texts = {name: (of_points, np.full((3, 4), name, object)) for name in ("engine",)}
    return xr.Dataset(
        {
            "score": (of_chips, score, {"metric": "accuracy"}),
            "cost": (of_chips, 1 - score),
            "solved": (of_chips, score > 0.4),
            "diverged": (of_chips, np.isnan(score) & computed[..., None]),
            "solved_step": (of_chips, np.where(score > 0.4, 100.0, np.nan)),
            "computed": (of_points, computed),
            "threshold": (of_points, np.full((3, 4), 0.4)),
            "metric": (of_points, np.full((3, 4), "accuracy", object)),
            **whole,
            **texts,
        },
        {"dac-bits": BITS, "cost-noise": NOISES, "replica": np.arange(20)},
        {"task": "parity"},
    )


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"x": "cost_noise", "y": "dac-bits", "value": "yield"},
        {"x": "dac-bits", "y": "score"},
        {"x": "cost-noise", "y": "yield", "hue": "dac-bits"},
        {"x": "cost-noise", "hue": "dac-bits"},
        {"y": "solved_step"},
        {"y": "cost", "within": 1.0},
    ],
)
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_every_kind_of_picture_is_written(data, tmp_path, given, suffix):
    out = plot_sweep(data, tmp_path / f"a.{suffix}", **given)
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert out.read_bytes().startswith(start)


def test_a_picture_names_what_it_shows(data, tmp_path):
    text = plot_sweep(data, tmp_path / "a.svg", x="cost-noise", y="yield", hue="dac-bits").read_text()
    for word in ("dac-bits = 3", "share of chips that solved the task", "20 chips a point", "cost-noise"):
        assert f"<!-- {word}" in text or word in text


def test_lines_are_medians_and_ends_are_chips():
    chips = np.arange(11.0)
    assert _summary(chips, "cost", 0.8, percent=False) == (1.0, 5.0, 9.0)
    assert _summary(chips / 10, "score", 1.0, percent=True) == (0.0, 50.0, 100.0)
    solved = np.array([True] * 9 + [False])
    low, middle, high = _summary(solved, "yield", 0.8, percent=True)
    assert middle == 90
    assert (round(low, 1), round(high, 1)) == (59.6, 98.2)


def test_a_chip_that_never_solved_it_is_later_than_all_others():
    steps = np.array([100.0, 200.0, np.nan, np.nan, np.nan])
    assert _summary(steps, "solved_step", 0.8, percent=False)[0] == 100.0
    assert np.isnan(_summary(steps, "solved_step", 0.8, percent=False)[1])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"x": "dac-bit"}, "unknown x 'dac-bit': did you mean 'dac-bits'?; choose dac-bits, cost-noise"),
        ({"y": "yields"}, "unknown y 'yields': did you mean 'yield'?"),
        ({"y": "score", "hue": "bits"}, "unknown hue 'bits': did you mean 'dac-bits'?"),
        ({"y": "score", "value": "cost"}, "value is what a map shows in colours"),
        ({"value": "costs"}, "unknown value 'costs': did you mean 'cost'?"),
        ({"y": "cost-noise", "hue": "dac-bits"}, "a map in colours has no hue"),
        ({"x": "dac-bits", "y": "dac-bits"}, "x, y and hue must differ, got dac-bits, dac-bits"),
        ({"y": "score", "hue": "dac-bits"}, "x, y and hue must differ, got dac-bits, score, dac-bits"),
        ({"within": 2}, "within is a share of the chips"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(data, tmp_path, given, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        plot_sweep(data, tmp_path / "a.png", **given)
    with pytest.raises(ValueError, match="a picture is PNG, SVG or PDF"):
        plot_sweep(data, tmp_path / "a.gif")
    with pytest.raises(RunError, match="is not a sweep"):
        plot_sweep(tmp_path, tmp_path / "a.png")


def test_a_line_for_each_point_that_is_computed(data):
    lines = table_of(data)
    assert len(lines) == 11
    first = lines[0]
    assert (first["dac-bits"], first["cost-noise"], first["diverged"], first["chips"]) == (3, 0.001, 5, 20)
    assert first["score"] == pytest.approx(float(np.nanmedian(data.score[0, 0])))
    assert all(line["yield_low"] <= line["yield"] <= line["yield_high"] for line in lines)
    assert lines[-1]["yield"] == pytest.approx(float(data.solved[2, 2].mean()))
