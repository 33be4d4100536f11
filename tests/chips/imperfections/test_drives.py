"""Imperfections of lines and neurons against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd.chips.imperfections import ActivationVariation, CrossTalk, PerturbationGain, StuckCells

KEY = jax.random.key(12)
N = 40_000


def test_the_right_fractions_of_cells_are_stuck_and_dead_and_do_not_move(within):
    cells = StuckCells(stuck=0.1, dead=0.05, low=-2.0, high=4.0)
    own = cells.spread(N, key=KEY)
    theta = jax.random.normal(jax.random.key(1), (N,)) + 10
    applied, wiggle = cells.drive(own, theta, jnp.ones(N), key=KEY)
    again, _ = cells.drive(own, theta + 3, -jnp.ones(N), key=jax.random.key(2))
    moved = np.asarray(again != applied)
    assert np.array_equal(moved, np.asarray(wiggle) == 1)
    assert np.array_equal(np.asarray(applied)[moved], np.asarray(theta)[moved])
    dead = np.asarray(applied) == 0
    assert within(dead, 0.05)
    assert within(~moved & ~dead, 0.1)
    stuck = np.asarray(applied, np.float64)[~moved & ~dead]
    assert within(stuck, 1)
    assert within((stuck - 1) ** 2, 36 / 12)
    assert -2 <= stuck.min() < -1.9
    assert 3.9 < stuck.max() <= 4


def test_stuck_cells_do_not_change_the_cost_however_they_are_perturbed():
    chip = mgd.chips.imperfect(mgd.chips.mlp((2, 2, 1)), StuckCells(stuck=0.5))
    device = chip.fabricate(key=KEY)
    mask = device[0].mask
    assert 0 < mask.sum() < 9
    x, y = jnp.ones((1, 2)), jnp.zeros((1, 1))
    slope = jax.grad(lambda p: chip.measure(jnp.ones(9), p, x, y, device=device, key=KEY)[0])(jnp.zeros(9))
    assert np.array_equal(np.asarray(slope) == 0, np.asarray(mask))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_cross_talk_is_a_matrix_with_the_coupling_beside_its_diagonal(n):
    matrix = np.eye(n) + 0.3 * (np.eye(n, k=1) + np.eye(n, k=-1))
    theta, wiggle = jax.random.normal(KEY, (2, n))
    applied = CrossTalk(0.3).drive(None, theta, wiggle, key=KEY)
    for got, line in zip(applied, (theta, wiggle), strict=True):
        assert np.allclose(got, matrix @ np.asarray(line, np.float64), rtol=1e-6, atol=1e-6)


def test_the_gain_of_each_perturbation_has_the_given_spread(within):
    gain = PerturbationGain(0.2)
    theta, wiggle = jnp.full(N, 2.0), jnp.full(N, 0.5)
    applied, perturbed = gain.drive(gain.spread(N, key=KEY), theta, wiggle, key=KEY)
    assert np.array_equal(applied, theta)
    assert within(perturbed, 0.5)
    assert within((np.asarray(perturbed, np.float64) - 0.5) ** 2, 0.01)


def test_the_gradient_has_the_gain_of_the_perturbation():
    chip = mgd.chips.from_function(lambda theta, x, y: jnp.sum(theta), init=lambda key: jnp.zeros(6))
    chip = mgd.chips.imperfect(chip, PerturbationGain(0.5))
    device = chip.fabricate(key=KEY)
    algorithm = mgd.discrete(
        perturbation=mgd.perturbations.Sequential(amplitude=0.5),
        time_constants=mgd.TimeConstants(tau_p=1, tau_x=6, tau_theta=6),
        optimizer=optax.sgd(1.0),
    )
    state = algorithm.init(jnp.zeros(6), key=KEY)
    x = jnp.zeros((1, 1))

    def measure(probe, device):
        return chip.measure(probe.theta, probe.perturbation, x, x, device=device, key=probe.key)

    for _ in range(6):
        state, device, _ = algorithm.step(state, measure, device)
    assert np.allclose(-state.theta, device[0], rtol=1e-5)
    assert np.std(device[0]) > 0.1


def test_neurons_vary_by_the_published_formula():
    chip = mgd.chips.imperfect(mgd.chips.mlp((3, 2, 1)), ActivationVariation(0.3))
    device = chip.fabricate(key=KEY)
    theta = chip.init(key=KEY)
    x = jax.random.normal(jax.random.key(1), (5, 3))
    part = [np.asarray(theta[piece], np.float64) for piece in chip.groups.values()]
    y = np.asarray(x, np.float64)
    for (weight, bias), neurons in zip((part[:2], part[2:]), device[1], strict=True):
        alpha, beta, shift, offset = (
            np.asarray(v, np.float64) for v in (neurons.alpha, neurons.beta, neurons.shift, neurons.offset)
        )
        a = y @ weight.reshape(len(bias), -1).T - bias
        y = alpha / (1 + np.exp(-beta * (a - shift))) + offset
    assert np.allclose(chip.respond(theta, x, device=device, key=KEY), y, rtol=1e-5, atol=1e-6)


def test_the_spread_of_neurons_is_the_given_one(within):
    chip = mgd.chips.imperfect(mgd.chips.mlp((1, 3000, 1)), ActivationVariation(0.3))
    neurons = chip.fabricate(key=KEY)[1][0]
    spreads = [np.asarray(v, np.float64) for v in (neurons.alpha, neurons.beta, neurons.shift, neurons.offset)]
    for value, mean in zip(spreads, (1, 1, 0, 0), strict=True):
        assert within(value, mean)
        assert within((value - mean) ** 2, 0.09)
    for i in range(4):
        for j in range(i):
            assert within((spreads[i] - spreads[i].mean()) * (spreads[j] - spreads[j].mean()), 0)
