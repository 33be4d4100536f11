"""The RTL in Verilator: equal to the twin in every register."""

import contextlib
import dataclasses
import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgd import HardwareError
from mgd.onchip import FixedPointNetwork, Spec, Verilated

needs_verilator = pytest.mark.skipif(
    shutil.which("verilator") is None, reason="needs Verilator: apt-get install verilator"
)

# Builds of different widths, lanes, codes and forms, each with the time constants of its runs.
BUILDS = {
    "merged": ({"merged": True, "tau_x": 4}, [{}, {"tau_x": 3}, {"tau_x": 1}]),
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
@pytest.mark.enough("serial", "late, two lanes, array adds", "walsh", "token")
@pytest.mark.parametrize("name", BUILDS)
def test_every_register_is_equal(name, twin, different, tmp_path):
    settings, runs = BUILDS[name]
    settings = settings | ({"cost_fraction": 12} if name == "token" else {})
    built = spec_of(settings)
    wanted = {"overflow": 0b101, "serial": 0b110}.get(name, 0)
    sticky, samples = 0, twin(built).task.train
    circuit = Verilated(built, samples.x, samples.y, cache=tmp_path)
    for times in runs:
        spec = spec_of(settings, times)
        # What is as wide as the windows of its own stays as wide as it was built.
        spec = spec if spec.merged else dataclasses.replace(spec, accumulator_bits=built.accumulator_bits)
        circuit.hold(spec.tau_p, spec.tau_x, spec.tau_theta)
        twins = twin(spec, 7 // len(runs) + 1)
        for number, (start, rows) in enumerate(zip(twins.starts(), twins.after(CHECKED), strict=True)):
            circuit.start(*start)
            for step, due in zip(CHECKED, rows, strict=True):
                circuit.run(step, most_clocks=MOST_CLOCKS)
                found = circuit.registers()
                assert different(found, due) == {}, (times, number, step)
            assert np.array_equal(circuit.scanned(), rows[-1]["theta"])
            sticky |= int(rows[-1]["sticky"])
    circuit.close()
    assert sticky & wanted == wanted, "the case does not reach what it is for"


def random_spec(seed):
    """A circuit of any form and widths that can be built."""
    random = np.random.default_rng(seed)

    def one_of(*values):
        return values[int(random.integers(len(values)))]

    while True:
        tau_p, windows, merged = int(random.integers(1, 9)), int(random.integers(1, 5)), bool(random.integers(2))
        settings = {
            "layers": (int(random.integers(2, 5)), int(random.integers(1, 5)), 1),
            "lanes": one_of(0, 1, 2, 4, 8),
            "code": one_of("lfsr", "lfsr", "walsh", "sequential"),
            "register_bits": one_of(16, 24, 32),
            "two_sided": bool(random.integers(2)),
            "merged": merged,
            "array_perturbs": bool(random.integers(2)),
            "theta_bits": int(random.integers(3, 17)),
            "theta_fraction": int(random.integers(0, 13)),
            "amplitude": 2 ** int(random.integers(0, 8)),
            "shift": int(random.integers(1, 12)),
            "modulation_bits": int(random.integers(2, 13)),
            "cost_bits": int(random.integers(2, 15)),
            "cost_fraction": int(random.integers(0, 15)),
            "activation_bits": int(random.integers(5, 10)),
            "tau_p": tau_p,
            "tau_x": int(random.integers(1, 20)),
            "tau_theta": tau_p if merged else one_of(tau_p * windows, int(random.integers(1, 20))),
            "delay": one_of(0, 0, 1, 3),
        }
        with contextlib.suppress(ValueError):
            return Spec(**settings)


@needs_verilator
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("MGD_RANDOM_CIRCUITS", "8"))))
def test_circuits_at_random_are_equal(seed, twin, different, tmp_path):
    """The full set: MGD_RANDOM_CIRCUITS=1000 takes hours."""
    spec = random_spec(seed)
    one = twin(spec, 3)
    samples = one.task.train
    circuit = Verilated(spec, samples.x, samples.y, cache=tmp_path)
    for number, (start, rows) in enumerate(zip(one.starts(), one.after(CHECKED), strict=True)):
        circuit.start(*start)
        for step, due in zip(CHECKED, rows, strict=True):
            circuit.run(step, most_clocks=MOST_CLOCKS)
            assert different(circuit.registers(), due) == {}, (spec, number, step)
        assert np.array_equal(circuit.scanned(), rows[-1]["theta"])
    circuit.close()


@needs_verilator
@pytest.mark.long
def test_stop_freeze_infer_and_read_out_change_no_bit(twin, different, tmp_path):
    spec = spec_of({"tau_p": 2, "tau_x": 4, "tau_theta": 8, "lanes": 2})
    one = twin(spec)
    circuit = Verilated(spec, one.task.train.x, one.task.train.y, cache=tmp_path)
    with pytest.raises(ValueError, match="tau_theta must be from 1 to 8, to which the circuit counts, got 9"):
        circuit.hold(1, 4, 9)
    # Begun anew in the midst of a timestep, with every register in use, it is as if it were new.
    circuit.start(np.arange(9), 5)
    circuit.control(run=1)
    circuit.clocks(1237)
    assert circuit.registers()["busy"]
    circuit.start(*one.starts()[0])
    random = np.random.default_rng(0)
    steps = sorted((random.choice(3000, 60, replace=False) + 1).tolist())
    for step, due in zip(steps, one.after(steps)[0], strict=True):
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
def test_xor_is_solved_at_the_same_step(twin, tmp_path):
    spec, steps = spec_of({"merged": True}), range(50, 40_001, 50)
    one = twin(spec)
    chip, train = FixedPointNetwork(spec), one.task.train
    circuit = Verilated(spec, train.x, train.y, cache=tmp_path)
    circuit.start(*one.starts()[0])

    @jax.jit
    def is_solved(theta):
        outputs = chip.respond(theta / 2.0**spec.theta_fraction, jnp.asarray(train.x), key=jax.random.key(0))
        return ((outputs > 0.5) == (train.y > 0.5)).all()

    solved = {"twin": [], "rtl": []}
    for step, due in zip(steps, one.after(steps)[0], strict=True):
        circuit.run(step, most_clocks=MOST_CLOCKS)
        for name, registers in (("twin", due), ("rtl", circuit.registers())):
            if is_solved(registers["theta"].astype(np.float32)):
                solved[name].append(step)
    circuit.close()
    assert solved["rtl"] == solved["twin"] != []


def test_a_missing_tool_is_named_with_the_line_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    with pytest.raises(HardwareError, match=r"needs verilator .* not installed: sudo apt-get install verilator g\+\+"):
        Verilated(spec_of({}), np.zeros((1, 2), np.float32), np.zeros((1, 1), np.float32), cache=tmp_path)
