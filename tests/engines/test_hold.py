"""A hold measured as one batch does what its timesteps do one by one."""

import jax
import numpy as np
import optax
import pytest

import mgd
from mgd.algorithm import Remeasured, TimeConstants, TwoSided
from mgd.engines import Data, Measured
from mgd.perturbations import Gaussian, Rademacher, Walsh

KEY = jax.random.key(3)
TASK = mgd.datasets.load("parity", bits=2)


@pytest.mark.parametrize("n_replicas", [1, 3])
@pytest.mark.parametrize("baseline", [Remeasured(), TwoSided()])
@pytest.mark.parametrize(
    ("family", "times", "together"),
    [
        (Rademacher(0.05), TimeConstants(tau_x=6, tau_theta=12), 6),
        (Walsh(0.05), TimeConstants(tau_p=2, tau_x=24, tau_theta=8), 4),
        (Gaussian(0.05), TimeConstants(tau_p=5, tau_x=6, tau_theta=9), 3),
    ],
)
@pytest.mark.enough("family1-times1-4-baseline1-1")
@pytest.mark.long
def test_together_is_one_by_one(family, times, together, baseline, n_replicas):
    algorithm = mgd.discrete(
        perturbation=family, time_constants=times, baseline=baseline, optimizer=optax.sgd(0.5), modulation_limit=0.05
    )
    chip, data = mgd.chips.mlp((2, 2, 1)), Data.of(TASK.train)
    after = []
    for size in (1, together):
        engine = Measured(chip, algorithm, together=size)
        progress = engine.init(n_replicas, key=KEY)
        for n in (5, 60, 22):  # cuts that fall between multiples too
            progress = engine.advance(data, progress, n)
        after.append(progress)
    assert int(after[1].state.clock.step) == 87
    start = engine.init(n_replicas, key=KEY).state.theta
    assert np.abs(after[0].state.theta - start).max() > 0.01
    np.testing.assert_allclose(after[1].state.theta, after[0].state.theta, rtol=0, atol=2e-5)
    np.testing.assert_allclose(after[1].state.gradient, after[0].state.gradient, rtol=0, atol=1e-4)


def test_cuts_at_multiples_do_not_change_a_bit():
    algorithm = mgd.discrete(time_constants=TimeConstants(tau_x=10, tau_theta=20))
    engine, data = Measured(mgd.chips.mlp((2, 2, 1)), algorithm, together=10), Data.of(TASK.train)
    whole = engine.advance(data, engine.init(1, key=KEY), 103)
    cut = engine.init(1, key=KEY)
    for n in (10, 50, 30, 13):
        cut = engine.advance(data, cut, n)
    assert np.array_equal(whole.state.theta, cut.state.theta)
    assert np.array_equal(whole.state.gradient, cut.state.gradient)


@pytest.mark.long
def test_a_cost_that_is_not_finite_is_found_at_its_step():
    chip = mgd.chips.from_function(
        lambda theta, x, y: jax.numpy.where(theta[0] > 0.04, jax.numpy.nan, 0.0), init=lambda key: jax.numpy.zeros(3)
    )
    algorithm = mgd.discrete(
        perturbation=mgd.perturbations.Sequential(0.05), time_constants=TimeConstants(tau_x=30, tau_theta=30)
    )
    steps = []
    for size in (1, 30):
        progress = Measured(chip, algorithm, together=size).init(1, key=KEY)
        progress = Measured(chip, algorithm, together=size).advance(Data.of(TASK.train), progress, 30)
        assert bool(progress.diverged[0])
        steps.append(int(progress.diverged_at.low[0]))
    assert steps[0] == steps[1] < 3


@pytest.mark.parametrize(
    ("algorithm", "hold"),
    [
        (mgd.discrete(time_constants=TimeConstants(tau_x=12, tau_theta=8)), 4),
        (mgd.discrete(time_constants=TimeConstants(tau_x=7, tau_theta=8)), 1),
        (mgd.analog(time_constants=TimeConstants(tau_x=100, tau_theta=100, tau_hp=100.0)), 1),
    ],
)
def test_a_hold_never_reaches_over_a_change(algorithm, hold):
    assert algorithm.hold == hold
    with pytest.raises(ValueError, match=f"^together must divide the algorithm's hold, {hold}, got {hold + 1}$"):
        Measured(mgd.chips.mlp((2, 2, 1)), algorithm, together=hold + 1)


@pytest.mark.long
def test_a_session_logs_at_multiples_of_what_it_measures_together():
    algorithm = mgd.discrete(time_constants=TimeConstants(tau_x=10, tau_theta=10))
    result = mgd.train(mgd.chips.mlp((2, 2, 1)), TASK, algorithm, n_steps=105, key=KEY)
    steps = result.history.step.values
    assert steps[-1] == 105
    assert not (steps[:-1] % 10).any()
