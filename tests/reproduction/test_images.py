"""The studies of images: their cells, and what is made of their results."""

import numpy as np
import pytest
import xarray as xr

from mgd import RunError
from mgd.algorithm import TimeConstants, discrete
from mgd.reproduction._images import _FULL, STUDIES, _percent
from mgd.runs import resolve
from mgd.sweeps import Run
from mgd.sweeps._cell import write_zarr

MEASUREMENTS = np.array([0, 10_010, 100_100, 1_001_000, 9_999_990])


def history(accuracy, seconds=60.0, held_out=0.5):
    """What a cell's run leaves, with these accuracies of (chip, step)."""
    accuracy = np.asarray(accuracy, np.float32)
    n = accuracy.shape[1]
    counts = dict.fromkeys(("cost_measurements", "inferences", "parameter_writes"), ("step", MEASUREMENTS[-n:]))
    data = xr.Dataset({"accuracy": (("replica", "step"), accuracy)}, counts | {"step": MEASUREMENTS[-n:]})
    return data.assign_attrs(seconds=seconds, held_out_accuracy_per_replica=[held_out] * len(accuracy))


def stored(task, results, folder):
    """The data as a study's figure and table get it: from disk."""
    write_zarr(STUDIES[task].assemble(results), folder / "data.zarr")
    return xr.open_zarr(folder / "data.zarr", consolidated=False).load()


def results(measured=0.50):
    curve = [0.1, 0.3, 0.6, 0.7, 0.8]
    return {
        "best-1000": history([[0.1, 0.3, 0.6, 0.8, 0.87]]),
        "tau-1000": history([curve, [c + 0.02 for c in curve]]),
        "tau-100": history([curve]),
        "backprop": history([[0.1, 0.886], [0.1, 0.89]]),
        "measured-1000": history([[0.1, measured], [0.1, measured + 0.01]], seconds=600.0),
        "sampled-1000": history([[0.1, a] for a in (0.49, 0.50, 0.51, 0.52, 0.50, 0.51)], seconds=6.0),
    }


@pytest.mark.parametrize("task", STUDIES)
@pytest.mark.parametrize("quick", [True, False])
def test_cells_are_settings_of_as_many_measurements_as_they_say(task, quick):
    cells = STUDIES[task].cells(quick)
    assert all(isinstance(cell, Run) for cell in cells.values())
    for name, cell in cells.items():
        config = resolve(cell.config())  # pyright: ignore[reportAttributeAccessIssue]
        assert config.holdout == 1000
        if name.startswith("tau-") and not quick:
            tau, goal = int(name[4:]), _FULL[task][int(name[4:])][0]
            assert (config.tau_x, config.tau_theta, config.engine) == (tau, tau, "sampled")
            made = discrete(time_constants=TimeConstants(tau_x=tau, tau_theta=tau)).counts(config.steps)  # pyright: ignore[reportArgumentType]
            assert goal - tau - 1 <= made.cost_measurements <= goal
    assert cells["backprop"].config().algorithm == "backprop"  # pyright: ignore[reportAttributeAccessIssue]


def test_the_table_has_means_and_intervals_at_powers_of_ten(tmp_path):
    study = STUDIES["fashion-mnist"]
    data = stored("fashion-mnist", results(), tmp_path)
    table = {row.what: row for row in study.rows(data)}
    best = table["τ_θ = 1000, Walsh, 400 images a measurement: 9,999,990 measurements, official test"]
    assert (best.ours, best.published) == ("87.0 % (1 chip)", "86.1 %, best of 83.4–86.1 % by τ_θ (2H)")
    two = table["τ_θ = 1000, Rademacher, 100 images a measurement: 1,001,000 measurements, official test"]
    assert two.published == "–"
    assert two.ours == "(71.0 ± 12.7) %"  # t = 12.706 of two chips, 0.01 their mean's error
    assert table["backprop, official test"].ours == "(88.8 ± 2.5) %"
    assert table["backprop, held out"].ours == "(50.0 ± 0.0) %"


@pytest.mark.parametrize(("measured", "verdict"), [(0.50, "inside"), (0.40, "OUTSIDE")])
def test_engines_agree_or_not(measured, verdict, tmp_path):
    row = STUDIES["fashion-mnist"].rows(stored("fashion-mnist", results(measured), tmp_path))[-1]
    assert row.what == "measured engine's mean at 9,999,990 measurements, τ_θ = 1000"
    assert row.ours == f"{100 * measured + 0.5:.1f} %: {verdict}"
    assert "10× the time a measurement" in row.how


def test_the_figure_has_a_line_for_each_window(tmp_path):
    figure = STUDIES["fashion-mnist"].draw(stored("fashion-mnist", results(), tmp_path))
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert lines["τ_θ = 100"].get_ydata().tolist() == pytest.approx([30, 60, 70, 80])  # pyright: ignore[reportAttributeAccessIssue]
    assert lines["τ_θ = 1000"].get_xdata().tolist() == MEASUREMENTS[1:].tolist()  # pyright: ignore[reportAttributeAccessIssue]


def test_an_interval_is_of_the_mean():
    assert _percent(np.array([0.5, 0.52, np.nan])) == "(51.0 ± 12.7) %"
    assert _percent(np.array([0.5, np.nan])) == "50.0 % (1 chip)"


def test_a_cell_that_diverged_is_named():
    cells = results() | {"tau-100": xr.Dataset(attrs={"diverged": 25000})}
    with pytest.raises(RunError, match=r"^cifar10, tau-100: diverged at step 25000; its learning rate is too high$"):
        STUDIES["cifar10"].assemble(cells)
