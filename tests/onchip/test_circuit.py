"""The twin by itself: an ordinary algorithm, whose integers lose nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mgd
from mgd.chips import from_function, imperfect
from mgd.chips.imperfections import Delay
from mgd.onchip import Circuit, FixedPointNetwork, Spec

KEY = jax.random.key(3)


def valley(p: int, at: float = 1.0):
    """A real-valued chip of the user's own, whose cost the circuit's ADC reads."""
    return from_function(
        lambda theta, x, y: jnp.mean((theta - at) ** 2) / 16, init=lambda key: jax.random.uniform(key, (p,)) - 0.5
    )


def told(circuit, state, costs):
    """The states after these costs, one timestep each."""
    states = []
    for pair in costs:
        for cost in pair:
            _, state = circuit.ask(state)
            state, _ = circuit.tell(state, cost)
        states.append(state)
    return states


def value(spec, state):
    """θ and the remainder as one number, in units of what is shifted out."""
    steps = np.round(np.asarray(state.theta) * 2**spec.theta_fraction).astype(int)
    return steps * 2**spec.shift + np.asarray(state.optimizer.kept)


def some_costs(n, spec, seed=0):
    return np.random.default_rng(seed).integers(0, 2**spec.cost_bits, (n, 2)) / 2.0**spec.cost_fraction


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("two_sided", [False, True])
def test_nothing_is_rounded(merged, two_sided):
    """θ and its remainder move by exactly the clamped C̃ of each timestep, along the signs of that timestep."""
    spec = Spec(parameters=5, merged=merged, two_sided=two_sided, theta_bits=16, shift=5, modulation_bits=6)
    circuit = Circuit(spec)
    state = circuit.init(jnp.zeros(5), key=KEY)
    due = value(spec, state)
    for pair in some_costs(40, spec):
        signs = np.asarray(circuit.signs(state.optimizer.code)).astype(int)
        first, second = (pair * 2**spec.cost_fraction).astype(int)
        change = (first - second) if two_sided else (second - first)
        due = due - signs * np.clip(change, -31, 31)
        (state,) = told(circuit, state, [pair])
        assert np.array_equal(value(spec, state), due)


@pytest.mark.parametrize("tau", [1, 3])
@pytest.mark.quick("1")
def test_merged_and_full_are_the_same_at_windows_of_one_perturbation(tau):
    settings = {"parameters": 6, "tau_p": tau, "tau_theta": tau, "theta_bits": 6, "shift": 2}
    end = []
    for merged in (False, True):
        spec = Spec(merged=merged, **settings)
        circuit = Circuit(spec)
        result = mgd.train(valley(6, 3.0), parity_in_turn(), circuit, n_steps=600, key=KEY, progress=False)
        end.append(result.theta)
    assert np.array_equal(*end)
    assert float(end[0].max()) == 31 / 16  # at the limit, which saturates both alike


def parity_in_turn():
    return dataclasses.replace(mgd.datasets.parity(bits=2), order="sequential")


def test_windows_estimate_the_gradient_without_bias():
    """Over a period of Walsh signs the kept sum is the gradient, to the ADC's steps and the third order."""
    spec = Spec(
        parameters=4, code="walsh", tau_x=8, tau_theta=8, shift=12, cost_bits=20, cost_fraction=20, modulation_bits=18,
        theta_fraction=8, theta_bits=12, amplitude=8,
    )  # fmt: skip
    chip, circuit = valley(4), Circuit(spec)
    start = state = circuit.init(jnp.array([0.5, -0.5, 2.0, 1.0]), key=KEY)
    for _ in range(8):
        for _ in range(1 if state.clock.slot else 2):
            probe, state = circuit.ask(state)
            state, _ = circuit.tell(state, cost_of(chip, probe))
    moved = value(spec, state) - value(spec, start)
    gradient = (start.theta - 1.0) / 32
    amplitude = 8 / 2**8
    due = -8 * gradient * amplitude * 2**20
    assert np.allclose(moved, due, atol=16)


def cost_of(chip, probe):
    return chip.measure(probe.theta, probe.perturbation, jnp.zeros((1, 1)), jnp.zeros((1, 1)), key=probe.key)[0]


def test_a_window_saturates_and_says_so():
    spec = Spec(parameters=3, tau_theta=8, accumulator_bits=9, may_overflow=True, tau_p=8, tau_x=8, theta_bits=4)
    circuit = Circuit(spec)
    start = circuit.init(jnp.array([0.25, 0.4375, -0.5]), key=KEY)
    pushed = told(circuit, start, [(0.0, 0.1875)] + [(0.1875,)] * 7)
    assert [bool(x) for x in pushed[0].optimizer.sticky] == [False, False, False]
    assert [bool(x) for x in pushed[-1].optimizer.sticky] == [True, False, True]
    signs = np.asarray(circuit.signs(start.optimizer.code))
    assert np.array_equal(np.asarray(pushed[-1].theta) * 16, np.where(signs > 0, -8, 7))


def test_a_clamped_modulation_says_so_and_is_symmetric():
    spec = Spec(parameters=1, modulation_bits=4, code="sequential", theta_bits=12, shift=1, merged=True)
    circuit = Circuit(spec)
    start = circuit.init(jnp.zeros(1), key=KEY)
    for pair, moved in (((0.5, 0.0), 7), ((0.0, 0.5), -7)):
        (state,) = told(circuit, start, [pair])
        assert value(spec, state)[0] == moved
        assert [bool(x) for x in state.optimizer.sticky] == [False, True, False]


@pytest.mark.parametrize("delay", [0, 1, 2])
@pytest.mark.quick("1")
def test_a_late_cost_belongs_to_the_signs_of_its_own_time(delay):
    """Two costs a perturbation: a chip that is two of them late needs a circuit that knows."""
    spec = Spec(parameters=6, two_sided=True, merged=True, delay=delay, shift=2, theta_bits=10)
    chip = imperfect(valley(6), Delay(2))
    result = mgd.train(chip, parity_in_turn(), Circuit(spec), n_steps=3000, n_replicas=4, key=KEY, progress=False)
    trained = bool((jnp.abs(result.theta - 1).max(1) < 0.5).all())
    assert trained == (delay == 1)


@pytest.mark.parametrize("code", ["lfsr", "walsh", "sequential"])
@pytest.mark.long
def test_each_code_trains_a_chip_of_ones_own(code):
    # A step of the cost is so small that a single parameter's C̃ is seen, which is all that a token has.
    spec = Spec(
        parameters=6, merged=True, code=code, tau_x=16 if code == "walsh" else 1, cost_bits=12, cost_fraction=12,
        modulation_bits=10, shift=6, theta_bits=10,
    )  # fmt: skip
    result = mgd.train(valley(6), parity_in_turn(), Circuit(spec), n_steps=4000, n_replicas=2, key=KEY, progress=False)
    assert float(jnp.abs(result.theta - 1).max()) < 0.5


@pytest.mark.long
def test_it_trains_in_the_measured_engine_and_is_the_same_however_it_is_cut(tmp_path):
    spec = Spec(layers=(2, 2, 1), tau_p=2, tau_theta=6, tau_x=4, delay=1)
    chip, task, circuit = FixedPointNetwork(spec), parity_in_turn(), Circuit(spec)
    whole = mgd.train(chip, task, circuit, n_steps=700, n_replicas=3, key=KEY, log_every=700, progress=False)
    cut = mgd.train(chip, task, circuit, n_steps=333, n_replicas=3, key=KEY, progress=False, out=tmp_path / "run")
    assert cut.n_steps == 333
    resumed = mgd.resume(tmp_path / "run", chip=chip, task=task, algorithm=circuit, n_steps=700, progress=False)
    assert np.array_equal(whole.theta, resumed.theta)
    assert whole.counts == circuit.reference.counts(700)


def test_a_start_is_rounded_to_the_register():
    circuit = Circuit(Spec(parameters=3, theta_bits=6, theta_fraction=4))
    state = circuit.init(jnp.array([0.1, 5.0, -5.0]), key=KEY)
    assert state.theta.tolist() == [0.125, 31 / 16, -2.0]


def test_a_chip_of_another_size_is_refused():
    with pytest.raises(ValueError, match="the circuit trains 9 parameters, and the chip has 6"):
        mgd.train(valley(6), parity_in_turn(), Circuit(Spec(parameters=9)), n_steps=10, key=KEY)


def test_a_cost_beyond_the_converter_is_its_largest_and_a_missing_one_ends_the_run():
    circuit = Circuit(Spec(parameters=6))
    assert [float(circuit.converted(jnp.float32(cost))) for cost in (-1.0, 0.5, 0.5 + 1 / 300, 9.0)] == [
        0.0,
        0.5,
        0.5,
        255 / 256,
    ]
    broken = from_function(lambda theta, x, y: jnp.sum(theta) * jnp.nan, init=lambda key: jnp.zeros(6))
    with pytest.raises(mgd.DivergedError, match="first at step 0"):
        mgd.train(broken, parity_in_turn(), circuit, n_steps=10, key=KEY, progress=False)


def test_xor_is_learnt():
    spec = Spec(layers=(2, 2, 1), merged=True)
    result = mgd.train(
        FixedPointNetwork(spec),
        parity_in_turn(),
        Circuit(spec),
        n_steps=40_000,
        n_replicas=8,
        key=jax.random.key(0),
        progress=False,
    )
    assert bool(result.solved.all())  # of more of them: benchmarks/onchip.py
