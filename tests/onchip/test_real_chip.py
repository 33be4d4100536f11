"""A circuit that trains a chip through an instrument: it learns the bits that it learns of the simulated chip."""

import jax
import numpy as np
import pytest

import mgd
from mgd.instruments import Simulated, opened
from mgd.onchip import Circuit, Spec

FORMS = {
    "merged": {"merged": True},
    "windows": {"tau_p": 2, "tau_x": 3, "tau_theta": 8},
    "two sides, late": {"two_sided": True, "tau_x": 2, "tau_theta": 4, "delay": 1},
    "sequential": {"code": "sequential", "tau_x": 9, "tau_theta": 9},
    "walsh": {"code": "walsh", "tau_x": 32, "tau_theta": 32},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.quick("windows")
def test_it_learns_the_bits_of_a_simulated_chip(form, parity):
    circuit, chip = Circuit(Spec(parameters=9, **FORMS[form])), mgd.chips.mlp((2, 2, 1))
    start = np.linspace(-1, 1, 9, dtype=np.float32)
    run = {"n_steps": 300, "key": jax.random.key(1), "start": start, "progress": False}
    with opened(Simulated(chip, key=run["key"], own_line=form != "merged")) as instrument:
        real = mgd.train(instrument, parity(), circuit, **run)
    simulated = mgd.train(chip, parity(), circuit, engine="measured", **run)
    np.testing.assert_array_equal(real.theta, simulated.theta)
    steps = 16 * np.asarray(real.theta)
    np.testing.assert_array_equal(steps, np.round(steps))
    assert (steps != np.round(16 * start)).any()
