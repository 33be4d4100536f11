"""The table of times on hardware."""

import numpy as np
import pytest
import xarray as xr

from mgd.reproduction._hardware_time import STUDIES, TASKS, backprop

STUDY = STUDIES["hardware-time"]


def result(seconds=2.0):
    values = {"updates": 100.0, "seconds": seconds, "best": 0.9, "batch": 8.0}
    return xr.Dataset({name: ((), value) for name, value in values.items()})


@pytest.fixture(scope="module")
def data():
    return STUDY.assemble({task: result(np.nan if task == "cifar10" else 2.0) for task in TASKS})


def test_the_published_row_is_reproduced(data):
    assert data.published_formula.sel(task="cifar10").values == pytest.approx([2e4, 0.2, 0.004])
    row = {row.what: row for row in STUDY.rows(data)}["CIFAR-10, 10,000,000 steps, HW1"]
    assert row.published == "5.6 h (2H)"
    assert row.ours.startswith("formula 2τ_p a step: 5.6 h; by counts: ")


def test_counts_are_times_the_profile_by_hand(data):
    # τ = 1, batch 1: of 1e7 steps, 2e7 measurements of 100 ns, 2e7 − 1 changes and 1e7 writes of 1 ms.
    ours = float(data.seconds.sel(task="cifar10", profile="hw1", way="tau 1, batch 1"))
    assert ours == pytest.approx(2e7 * 1e-7 + (2e7 - 1) * 1e-3 + 1e7 * 1e-3)
    # A hundred images a measurement add only inferences.
    one, many = (float(data.seconds.sel(task="cifar10", profile="hw2", way=f"tau 1000, batch {b}")) for b in (1, 100))
    assert many - one == pytest.approx(99 * 10_010_000 * 1e-9)


def test_a_goal_not_reached_is_said(data):
    rows = {row.what: row.ours for row in STUDY.rows(data)}
    assert rows["CIFAR-10, backprop to 60.7% test accuracy"] == "not reached (best 90.0%)"
    assert rows["NIST7x7, backprop to 94.0% test accuracy"] == "2 s"


def test_backprop_is_timed_to_its_goal():
    found = backprop("nist7x7", 0.5, None)
    assert float(found.best) >= 0.5
    assert float(found.updates) % 100 == 0
    assert 0 < float(found.seconds) < 60
    assert STUDY.draw(STUDY.assemble({"nist7x7": found})).axes[0].get_yscale() == "log"
