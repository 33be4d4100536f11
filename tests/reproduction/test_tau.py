"""The studies of the time constants."""

import inspect
import io

import numpy as np
import pytest
import xarray as xr

from mgd.reproduction import study_named
from mgd.reproduction._sweep import sweep
from mgd.reproduction._tau_theta import N_PARAMS, fitted, grid, judge
from mgd.theory import growth

NEVER = 99


def made_up(arrives: dict[float, list[int]], per_step: int = 10) -> xr.Dataset:
    """Chips of each rate that reach 90 % at these steps."""
    step = np.arange(21)
    accuracy = np.array([np.where(step >= np.array(chips)[:, None], 0.9, 0.3) for chips in arrives.values()])
    counts = {"cost_measurements": ("step", per_step * step), "sample_loads": ("step", step)}
    values = {"accuracy": (("rate", "chip", "step"), accuracy)}
    return xr.Dataset(values, {"rate": list(arrives), "step": step, **counts})


def test_a_window_of_one_perturbation_slows_down_by_the_number_of_parameters():
    assert growth(9, 1) == 9
    assert growth(9, 1e9) == pytest.approx(1)


def test_a_grid_has_its_guess_inside():
    rates = grid(0.5, 2, 1)
    assert len(rates) == 4
    assert np.allclose(np.divide(rates[1:], rates[:-1]), 1.8, rtol=1e-3)
    assert rates[0] < 0.5 < rates[-1]


def test_largest_stable_rate_and_fastest_one():
    found = judge(made_up({1.0: [20] * 10, 2.0: [5] * 9 + [NEVER], 4.0: [3] * 8 + [NEVER] * 2, 8.0: [NEVER] * 10}))
    assert found["largest"] == 2.0
    assert found["best"] == 4.0
    assert found["time"][0] == 30
    assert found["fractions"].tolist() == [0.0, 0.9, 0.8, 0.0]  # at the first rate only the last moment is above


def test_no_rate_is_stable_where_no_chip_learns():
    found = judge(made_up({1.0: [NEVER] * 4, 2.0: [NEVER] * 4}))
    assert np.isnan(found["largest"])
    assert np.isnan(found["best"])
    assert found["time"] == (np.inf, np.inf, np.inf)


def windows_and_holds() -> dict[str, xr.Dataset]:
    """Chips that obey the theory: the fastest rate and time scale as the slow-down does."""
    made = {}
    for tau in (1, 10, 1000):
        eta, per_step = 20 / growth(N_PARAMS, tau), round(10 * (tau + 1) * growth(N_PARAMS, tau))
        chips = made_up({eta / 1.8: [10] * 4, eta: [5] * 4, 1.8 * eta: [NEVER] * 4}, per_step)
        made |= {f"window-{tau}": chips, f"hold-{tau}": chips}
    return made | {"measured-10": made["window-10"]}


def test_tau_theta_finds_the_theory_in_chips_that_obey_it():
    study = study_named("tau-theta")
    data = study.assemble(windows_and_holds())
    assert data.window_tau.values.tolist() == [1, 10, 1000]
    rate, windows = fitted(data)
    assert rate == pytest.approx(20)
    assert windows == pytest.approx(50, rel=0.01)
    rows = study.rows(data)
    assert sum("1.00 of the theory's" in row.ours for row in rows) == 4
    figure = study.draw(data)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b", "c"]
    figure.savefig(io.BytesIO(), dpi=40)


def test_tau_x_tells_loads_from_measurements_at_the_best_rate():
    study = study_named("tau-x")
    chips = made_up({0.1: [20] * 4, 0.3: [10] * 4})
    hopeless = made_up({0.1: [NEVER] * 4, 0.3: [NEVER] * 4}, 100)
    data = study.assemble({"measured-1": chips, "sampled-1": chips, "sampled-100": hopeless})
    assert data.tau_x.values.tolist() == [1, 1, 100]
    assert data.learning_rate.values[:2].tolist() == [0.3, 0.3]
    assert data.cost_measurements_to_threshold.sel(bound=0).values.tolist() == [100, 100, np.inf]
    assert data.sample_loads_to_threshold.sel(bound=0).values.tolist() == [10, 10, np.inf]
    rows = study.rows(data)
    assert "80% after 10 [10, 10] sample loads, 100 [100, 100] measurements" in rows[0].ours
    assert "not reached by most: median 30.0%" in rows[2].ours
    figure = study.draw(data)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b", "c"]
    figure.savefig(io.BytesIO(), dpi=40)


def test_where_no_chip_learns_there_is_still_a_figure():
    study = study_named("tau-x")
    data = study.assemble({"measured-1": made_up({0.1: [NEVER] * 4})})
    study.draw(data).savefig(io.BytesIO(), dpi=40)
    assert "not reached" in study.rows(data)[0].ours


@pytest.mark.parametrize("name", ["tau-theta", "tau-x"])
@pytest.mark.parametrize("quick", [True, False])
def test_cells_are_work_with_whole_logs(name, quick):
    for cell in study_named(name).cells(quick).values():
        inspect.signature(sweep).bind(**cell.settings)
        assert cell.settings["windows"] % cell.settings["logs"] == 0
        assert cell.settings["tau_theta"] % cell.settings["tau_x"] == 0


@pytest.mark.long
def test_holding_a_sample_saves_loads():
    settings = {"rates": [0.5], "chips_per_rate": 2, "logs": 2, "batch": 1, "n_test": 50}
    held, changed = (sweep(tau_theta=20, tau_x=tau_x, windows=4, **settings) for tau_x in (20, 5))
    assert held.sample_loads.values.tolist() == [0, 2, 4]
    assert changed.sample_loads.values.tolist() == [0, 8, 16]
    # One baseline a hold.
    assert held.cost_measurements.values[-1] == 4 * 21
    assert changed.cost_measurements.values[-1] == 4 * 24
