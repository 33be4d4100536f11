"""The studies of noise, and the statistics they stand on."""

import inspect
import io

import numpy as np
import pytest
import xarray as xr

from mgd.reproduction import study_named
from mgd.reproduction._statistics import first_time, median, median_ratio, wilson
from mgd.reproduction._sweep import sweep

NAMES = ["cost-noise", "update-noise", "defects"]
TINY = {"tau_theta": 256, "tau_x": 256, "perturbation": "walsh", "batch": 16, "windows": 300, "logs": 60}
TINY |= {"chips_per_rate": 4, "n_test": 300}


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (9, 10, 0.5958, 0.9821), (50, 100, 0.4038, 0.5962)],
)
def test_wilson_against_tables(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx((low, high), abs=1e-4)


def test_first_time_and_never():
    accuracy = np.array([[0.2, 0.9, 0.5, 0.95], [0.2, 0.3, 0.4, 0.5], [0.85, 0.1, 0.1, 0.1]])
    assert first_time(accuracy, np.array([0, 10, 20, 30]), 0.85).tolist() == [10.0, np.inf, 0.0]


def test_median_is_never_if_most_never_arrive():
    middle, low, high = median(np.array([100.0] * 10 + [np.inf] * 40))
    assert (middle, low, high) == (np.inf, np.inf, np.inf)
    middle, low, high = median(np.array([100.0] * 26 + [np.inf] * 24))
    assert (middle, low, high) == (100.0, 100.0, np.inf)


def test_interval_of_a_ratio_covers_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        middle, low, high = median_ratio(2 * rng.exponential(size=60), rng.exponential(size=60))
        assert low <= middle <= high
        covered += low <= 2 <= high
    assert covered >= 52  # 57 are expected; fewer in one of 100 at a coverage of 95 %


def test_ratio_to_chips_that_never_learn_is_refused():
    with pytest.raises(ValueError, match="most of the reference never arrive"):
        median_ratio(np.ones(3), np.full(3, np.inf))


@pytest.mark.long
def test_each_chip_has_the_learning_rate_it_was_given():
    result = sweep(**TINY, rates=[1e-6, 20.0])
    still, learns = result.accuracy.values
    assert np.abs(still - still[:, :1]).max() < 0.05
    assert (learns.max(1) > 0.8).all()
    assert result.cost_measurements.values[-1] == 300 * 257
    assert result.sample_loads.values[-1] == 300 * 16


@pytest.mark.long
def test_a_hopeless_noise_leaves_no_chip_that_learns():
    result = sweep(**TINY | {"windows": 60}, rates=[20.0], imperfection="update-noise", sigma=3.0)  # pyright: ignore[reportArgumentType]
    assert (result.accuracy.values < 0.8).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("quick", [True, False])
def test_cells_are_work_that_can_be_called(name, quick):
    cells = study_named(name).cells(quick)
    for key, cell in cells.items():
        inspect.signature(sweep).bind(**cell.settings)
        assert cell.settings["imperfection"] == name
        assert float(key.split("-", 1)[1]) == cell.settings["sigma"]
    assert "sampled-0" in cells


def made_up(arrives: list[float]) -> xr.Dataset:
    """Chips that reach 90 % at these steps of 10 measurements; never if that is above 20."""
    step = np.arange(21)
    accuracy = np.where(step >= np.array(arrives)[:, None], 0.9, 0.3)[None]
    counts = {"cost_measurements": ("step", 10 * step), "sample_loads": ("step", step)}
    values = {"accuracy": (("rate", "chip", "step"), accuracy)}
    return xr.Dataset(values, {"rate": [10.0], "step": 2560 * step, **counts})


@pytest.fixture
def results() -> dict[str, xr.Dataset]:
    never = 99.0
    return {
        "measured-0.25": made_up([4, 6]),
        "longer-0.4": made_up([20, never]),
        "sampled-0.4": made_up([never] * 9 + [20]),
        "sampled-0": made_up([4] * 10),
        "sampled-0.25": made_up([8] * 9 + [never]),
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_is_made_of_the_cells(name, results):
    study = study_named(name)
    data = study.assemble(results)
    assert data.sampled_yield.sel(bound=0).values.tolist() == [1.0, 0.9, 0.1]
    assert data.sampled_ratio.sel(bound=0).values.tolist() == [1.0, 2.0, np.inf]
    assert data.measured_yield.sel(bound=0).values.tolist() == [1.0]
    assert data.sampled_time.sel(sampled_sigma=0.25).values[0] == 80
    rows = study.rows(data)
    assert len(rows) == 5
    assert "90% of chips learn [60%, 98%]; time × 2.00" in rows[1].ours
    assert "most never" in rows[2].ours
    assert ("2H" in rows[1].published) == (name == "defects")
    figure = study.draw(data)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b", "c"]
    figure.savefig(io.BytesIO(), dpi=40)
