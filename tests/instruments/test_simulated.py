"""A simulated chip behind the verbs of an instrument."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mgd
from mgd.chips.imperfections import CostNoise, imperfect
from mgd.instruments import Limits, Simulated, opened

CHIP = mgd.chips.mlp((2, 2, 1))
X, TARGET = np.array([[0, 1], [1, 1]], np.float32), np.array([[1], [0]], np.float32)


@pytest.fixture
def theta() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, 9).astype(np.float32)


def _measured(theta, perturbation) -> float:
    measure = eqx.filter_jit(CHIP.measure)
    given = (jnp.asarray(values) for values in (theta, perturbation, X, TARGET))
    return float(measure(*given, key=jax.random.key(0))[0])


def test_its_costs_are_the_chips(theta):
    wiggle = np.full(9, 0.125, np.float32)
    with opened(Simulated(CHIP, key=jax.random.key(1))) as piece:
        piece.present(X, TARGET)
        piece.set_parameters(theta)
        assert piece.measure_cost() == _measured(theta, 0 * theta)
        piece.perturb(wiggle)
        assert piece.measure_cost() == _measured(theta, wiggle)
        piece.set_parameters(theta)  # takes the perturbation off
        assert piece.measure_cost() == _measured(theta, 0 * theta)
        assert np.mean((piece.read_outputs() - TARGET) ** 2) == pytest.approx(_measured(theta, 0 * theta), rel=1e-6)


@pytest.mark.parametrize("own_line", [True, False])
def test_a_batch_gives_what_one_by_one_gives(theta, own_line):
    wiggles = np.random.default_rng(1).normal(0, 0.1, (5, 9)).astype(np.float32)
    with opened(Simulated(CHIP, key=jax.random.key(1), own_line=own_line)) as piece:
        piece.present(X, TARGET)
        piece.set_parameters(theta)
        costs = piece.measure_batch(wiggles if own_line else theta + wiggles)
    assert costs == pytest.approx([_measured(theta, wiggle) for wiggle in wiggles], rel=1e-6)


def test_its_noise_is_its_own_and_the_same_for_the_same_key(theta):
    noisy = imperfect(CHIP, CostNoise(sigma=0.1))

    def costs(seed: int) -> list[float]:
        piece = Simulated(noisy, key=jax.random.key(seed))
        piece.present(X, TARGET)
        piece.set_parameters(theta)
        return [piece.measure_cost() for _ in range(3)]

    first = costs(0)
    assert len(set(first)) == 3
    assert costs(0) == first
    assert not set(costs(1)) & set(first)


def test_limits_hold_and_the_safe_state_is_within_them():
    piece = Simulated(CHIP, key=jax.random.key(0), limits=Limits.uniform(9, 0.5, 2.0))
    with opened(piece) as guarded, pytest.raises(mgd.LimitError, match="parameter 0 would be set to 0, outside"):
        guarded.set_parameters(np.zeros(9))
    assert piece.parameters().tolist() == [0.5] * 9


def test_two_of_the_same_key_are_two_chips_of_one_serial():
    first, second = (Simulated(CHIP, key=jax.random.key(3)) for _ in range(2))
    assert first.identify() == second.identify()
    assert first.identify() != Simulated(CHIP, key=jax.random.key(4)).identify()
    with opened(first), opened(second):
        pass
