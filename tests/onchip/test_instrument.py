"""The network's RTL as an instrument: it answers as the network in JAX, and a host trains it to the same bits."""

import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd.instruments import load_instrument, opened
from mgd.onchip import FixedPointNetwork

needs_verilator = pytest.mark.skipif(
    shutil.which("verilator") is None, reason="needs Verilator: apt-get install verilator"
)
SPECS = {
    "parallel": "layers = [2, 2, 1]\n",
    "two lanes": "layers = [3, 4, 5, 2]\nlanes = 2\ntheta_bits = 10\ntheta_fraction = 5\ncost_bits = 9\n",
    "serial": "layers = [2, 3, 1]\nlanes = 1\ncost_bits = 6\n",
}


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """Makes the instrument of a spec, compiled once."""
    folder = tmp_path_factory.mktemp("networks")

    def make(name: str):
        (folder / f"{name}.toml").write_text(SPECS[name])
        return load_instrument("rtl", {"spec": f"{name}.toml", "cache": "compiled"}, folder)

    return make


@needs_verilator
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.quick("parallel")) for name in SPECS])
def test_it_answers_as_the_network_in_jax(network, name):
    rng = np.random.default_rng(0)
    instrument = network(name)
    twin, spec, key = FixedPointNetwork(instrument.spec), instrument.spec, jax.random.key(0)
    x = rng.uniform(size=(5, spec.layers[0])).astype(np.float32)
    target = rng.uniform(size=(5, spec.layers[-1])).astype(np.float32)
    rows = rng.uniform(-8, 8, (40, spec.parameters)).astype(np.float32)
    zero = jnp.zeros(spec.parameters)
    with instrument:
        instrument.present(x, target)
        together = instrument.measure_batch(rows)
        for row, cost in zip(rows, together, strict=True):
            instrument.set_parameters(row)
            assert instrument.measure_cost() == cost
            shown = jnp.asarray(row), zero, jnp.asarray(x), jnp.asarray(target)
            assert float(twin.measure(*shown, key=key)[0]) == pytest.approx(float(cost), abs=1e-7)
            np.testing.assert_array_equal(instrument.read_outputs(), twin.respond(shown[0], shown[2], key=key))
    assert len(np.unique(together)) > 5


@needs_verilator
@pytest.mark.long
def test_a_host_trains_it_to_the_bits_of_the_simulated_network(network, parity):
    algorithm = mgd.algorithm.discrete(
        perturbation=mgd.perturbations.Rademacher(0.25), optimizer=optax.sgd(0.5), bitwise=True
    )
    instrument = network("parallel")
    start = np.linspace(-1, 1, 9, dtype=np.float32)
    run = {"n_steps": 400, "key": jax.random.key(1), "start": start, "progress": False}
    with opened(instrument) as chip:
        real = mgd.train(chip, parity(), algorithm, **run)
    simulated = mgd.train(FixedPointNetwork(instrument.spec), parity(), algorithm, engine="measured", **run)
    np.testing.assert_array_equal(real.theta, simulated.theta)
    assert (np.asarray(real.theta) != start).all()


MINE = """module mine (
  input logic clk, input logic rst_ni, input logic [11:0] x_i, input logic [5:0] target_i, input logic [80:0] theta,
  input logic req_i, output logic ack_o, output logic [7:0] cost_o, output logic [5:0] y_o
);
  // It answers in a clock of its own: the size of the first parameter, and the first input.
  always_ff @(posedge clk or negedge rst_ni) ack_o <= rst_ni && req_i && !ack_o;
  assign cost_o = theta[8] ? 8'(-$signed(theta[8:0])) : theta[7:0];
  assign y_o = x_i[5:0];
endmodule
"""


@needs_verilator
@pytest.mark.slow
def test_a_module_of_the_users_own_is_an_instrument(tmp_path):
    (tmp_path / "network.toml").write_text(SPECS["parallel"])
    (tmp_path / "mine.sv").write_text(MINE)
    settings = {"spec": "network.toml", "cache": "compiled", "top": "mine", "sources": ["mine.sv"]}
    with load_instrument("rtl", settings | {"ports": {"clk_i": "clk", "drive_i": "theta"}}, tmp_path) as chip:
        chip.present(np.full((1, 2), 0.5, np.float32), np.zeros((1, 1), np.float32))
        for value in (-1.5, 0.25):
            chip.set_parameters(np.full(9, value, np.float32))
            assert chip.measure_cost() == abs(value) * 16 / 256
        np.testing.assert_allclose(chip.read_outputs(), [[32.5 / 64]])
    wrong = load_instrument("rtl", settings | {"ports": {"clk_i": "clk", "drive_i": "weights"}}, tmp_path)
    with pytest.raises(mgd.HardwareError, match=r"Verilator did not compile the circuit: .*'weights'"):
        wrong.open()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "an instrument of kind 'rtl' needs the setting 'spec', which was not given"),
        ({"spce": "a"}, r"unknown setting 'spce': did you mean 'spec'\? \(rtl has spec, cache, top, sources, ports\)"),
        ({"spec": 1}, "spec must be a path, got 1"),
        ({"spec": "outside.toml"}, r"the circuit has no network of its own: give its layers, such as layers = \[2"),
        ({"spec": "network.toml", "top": "mine"}, r"needs its name and files: give top = \"my_network\" and sources"),
        (
            {"spec": "network.toml", "top": "mine", "sources": ["none.sv"]},
            "there is no file .*none.sv: give the sources",
        ),
        (
            {"spec": "network.toml", "top": "mine", "sources": ["mine.sv"], "ports": {"drive": "theta"}},
            r"unknown port 'drive': did you mean 'drive_i'\? \(a network has clk_i, rst_ni, x_i",
        ),
        ({"spec": "none.toml"}, "cannot read .*none.toml: No such file or directory"),
    ],
)
def test_wrong_settings_are_named(tmp_path, settings, message):
    Path(tmp_path, "outside.toml").write_text("parameters = 9\n")
    Path(tmp_path, "network.toml").write_text(SPECS["parallel"])
    Path(tmp_path, "mine.sv").write_text("")
    with pytest.raises(ValueError, match=message):
        load_instrument("rtl", settings, tmp_path)


def test_a_missing_tool_is_named_when_it_is_opened(monkeypatch, tmp_path):
    Path(tmp_path, "xor.toml").write_text(SPECS["parallel"])
    instrument = load_instrument("rtl", {"spec": "xor.toml", "cache": "compiled"}, tmp_path)
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    with pytest.raises(mgd.HardwareError, match=r"needs verilator .* not installed: sudo apt-get install verilator g"):
        instrument.open()


@needs_verilator
def test_samples_that_do_not_fit_are_refused(network):
    instrument = network("parallel")
    with pytest.raises(ValueError, match="has 2 inputs and 1 outputs, but a sample has 3 and 1"):
        instrument.present(np.zeros((1, 3), np.float32), np.zeros((1, 1), np.float32))
    with pytest.raises(ValueError, match="from 0 to 1: scale the inputs to that"):
        instrument.present(np.full((1, 2), -1, np.float32), np.zeros((1, 1), np.float32))
