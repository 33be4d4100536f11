"""The RTL in Verilator: equal to the twin in every register."""

import dataclasses
import shutil

import numpy as np
import pytest

from mgd import HardwareError
from mgd.onchip import FixedPointNetwork, Spec, Verilated
from mgd.onchip import _verilated as verilated

needs_verilator = pytest.mark.skipif(shutil.which("verilator") is None, reason="needs Verilator: apt-get install verilator")

# Builds of different widths, lanes, codes and forms, each with the time constants of its runs.
BUILDS = {
    "merged": ({"merged": True}, [{}, {"tau_x": 3}]),
    "full": (
        {"tau_p": 4, "tau_x": 16, "tau_theta": 16, "theta_bits": 10, "theta_fraction": 6, "amplitude": 8, "shift": 7},
        [{}, {"tau_p": 3, "tau_x": 7, "tau_theta": 5}, {"tau_p": 1, "tau_x": 1, "tau_theta": 1}],
    ),
    "serial": (
        {"lanes": 1, "merged": True, "modulation_bits": 5, "two_sided": True, "register_bits": 16},
        [{}, {"tau_x": 2}],
    ),
    "late, two lanes, array adds": (
        {"lanes": 2, "delay": 2, "array_perturbs": True, "tau_theta": 8, "tau_p": 2, "tau_x": 8, "theta_bits": 7},
        [{}, {"tau_p": 1, "tau_x": 5, "tau_theta": 3}],
    ),
    "walsh": ({"code": "walsh", "tau_x": 128, "tau_p": 2, "tau_theta": 64, "shift": 6, "lanes": 4}, [{}, {"tau_p": 1}]),
    "token": (
        {"code": "sequential", "tau_p": 2, "tau_x": 18, "tau_theta": 18, "activation_bits": 8, "cost_bits": 12},
        [{"cost_fraction": 12}, {"cost_fraction": 12, "tau_x": 1}],
    ),
    "overflow": (
        {"accumulator_bits": 7, "may_overflow": True, "tau_theta": 32, "theta_bits": 5, "theta_fraction": 2,
         "amplitude": 1, "register_bits": 24},
        [{}, {"tau_x": 4}],
    ),
    "larger": ({"layers": (4, 4, 1), "lanes": 4, "merged": True, "cost_bits": 6}, [{}, {"tau_x": 2}]),
}  # fmt: skip
CHECKED = [1, 2, 3, 10, 31, 100, 1000, 10_000, 100_000]
MOST_CLOCKS = 10**9


def spec_of(settings, times=()):
    return Spec(**{"layers": (2, 2, 1)} | settings | dict(times))


@needs_verilator
@pytest.mark.long
@pytest.mark.parametrize("name", BUILDS)
def test_every_register_is_equal(name, twin, different, tmp_path_factory):
    settings, runs = BUILDS[name]
    settings = settings | ({"cost_fraction": 12} if name == "token" else {})
    built = spec_of(settings)
    wanted = {"overflow": 0b101, "serial": 0b110}.get(name, 0)
    cache, sticky, seeds = tmp_path_factory.mktemp("circuits"), 0, 7 // len(runs) + 1
    samples = twin(built).task.train
    circuit = Verilated(built, samples.x, samples.y, cache=cache)
    for times in runs:
        spec = spec_of(settings, times)
        # What is as wide as the windows of its own stays as wide as it was built.
        spec = spec if spec.merged else dataclasses.replace(spec, accumulator_bits=built.accumulator_bits)
        circuit.control(tau_p=spec.tau_p - 1, tau_x=spec.tau_x - 1, tau_theta=spec.tau_theta - 1)
        for seed in range(seeds):
            one = twin(spec, seed)
            circuit.start(one.theta, one.code)
            for step, due in zip(CHECKED, one.after(CHECKED), strict=True):
                circuit.run(step, most_clocks=MOST_CLOCKS)
                assert different(circuit.registers(), due) == {}, (times, seed, step)
            assert np.array_equal(circuit.scanned(), due["theta"])
            sticky |= int(due["sticky"])
    circuit.close()
    assert sticky & wanted == wanted, "the case does not reach what it is for"


@needs_verilator
@pytest.mark.long
def test_stop_freeze_infer_and_read_out_change_no_bit(twin, different, tmp_path):
    spec = spec_of({"tau_p": 2, "tau_x": 4, "tau_theta": 8, "lanes": 2})
    one = twin(spec)
    circuit = Verilated(spec, one.task.train.x, one.task.train.y, cache=tmp_path)
    circuit.start(one.theta, one.code)
    random = np.random.default_rng(0)
    steps = sorted(random.choice(3000, 60, replace=False) + 1)
    for step, due in zip(steps, one.after(steps), strict=True):
        circuit.control(run=1)
        for _ in range(3):  # in the midst of timesteps, sweeps and requests
            circuit.clocks(int(random.integers(1, 9)))
            circuit.control(freeze=1)
            circuit.clocks(int(random.integers(1, 200)))
            circuit.control(freeze=0)
        if int(circuit.registers()["step"]) < step:
            circuit.run(step, most_clocks=MOST_CLOCKS)
            assert different(circuit.registers(), due) == {}, step
            assert np.array_equal(circuit.scanned(), due["theta"])
    # Inference measures each sample in turn without a perturbation, and learns nothing.
    before = circuit.registers()
    circuit.control(run=1, learn=0)
    circuit.clocks(500)
    circuit.control(run=0)
    circuit.clocks(500)
    after = circuit.registers()
    assert not after["busy"]
    assert all(np.array_equal(before[name], after[name]) for name in ("theta", "kept", "code", "sum", "step", "p"))
    circuit.close()


@needs_verilator
@pytest.mark.long
def test_xor_is_solved_at_the_same_step(parity, tmp_path):
    import jax
    import jax.numpy as jnp

    from mgd.onchip import Circuit

    spec, task = spec_of({"merged": True}), parity()
    chip = FixedPointNetwork(spec)
    from mgd.engines import Data, Measured

    engine, data = Measured(chip, Circuit(spec)), Data.of(task.train, task.kind, task.order)
    progress = engine.init(1, key=jax.random.key(0))
    circuit = Verilated(spec, task.train.x, task.train.y, cache=tmp_path)
    circuit.start(
        np.asarray(progress.state.theta[0] * 2.0**spec.theta_fraction).astype(int),
        int(progress.state.optimizer.code[0]),
    )
    solved = {"twin": 0, "rtl": 0}
    for step in range(50, 40_001, 50):
        progress = engine.advance(data, progress, 50)
        circuit.run(step, most_clocks=MOST_CLOCKS)
        for name, theta in (
            ("twin", progress.state.theta[0]),
            ("rtl", jnp.asarray(circuit.registers()["theta"] / 2.0**spec.theta_fraction, jnp.float32)),
        ):
            outputs = chip.respond(theta, jnp.asarray(task.train.x), key=jax.random.key(0))
            if not solved[name] and bool(((outputs > 0.5) == (task.train.y > 0.5)).all()):
                solved[name] = step
    circuit.close()
    assert 0 < solved["twin"] == solved["rtl"]


def test_a_missing_tool_is_named_with_the_line_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(verilated.shutil, "which", lambda tool: None)
    with pytest.raises(HardwareError, match=r"needs verilator .* not installed: sudo apt-get install verilator g\+\+"):
        Verilated(spec_of({}), np.zeros((1, 2), np.float32), np.zeros((1, 1), np.float32), cache=tmp_path)
