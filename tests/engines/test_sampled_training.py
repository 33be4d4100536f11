"""Chips trained by the sampled engine end as those trained by the measured one, in distribution.

The fused engine stands for the measured one, on whose trajectory it is: it makes many more chips in the time.
"""

import functools

import jax
import numpy as np
import optax
import pytest
from scipy import stats

import mgd
from mgd.chips import imperfect, mlp
from mgd.chips.imperfections import CostNoise, UpdateNoise
from mgd.datasets import Task, nist7x7
from mgd.perturbations import Rademacher

pytest.importorskip("numba")

N_REPLICAS, N_WINDOWS, AMPLITUDE = 192, 150, 0.01
PERFECT = mlp((49, 4, 4), init="glorot", cost="mse")
# Noise of the cost slows training visibly, and leaves some.
CHIPS = {
    "perfect": PERFECT,
    "cost and update noise": imperfect(PERFECT, UpdateNoise(0.02), CostNoise(1.5e-3)),
    "half of the cost noise": imperfect(PERFECT, UpdateNoise(0.02), CostNoise(7.5e-4)),
}


@functools.cache
def task() -> Task:
    """NIST7x7 with a test set that takes no time."""
    whole = nist7x7()
    return Task(
        **{f: getattr(whole, f) for f in whole.__dataclass_fields__} | {"test": whole.test.subset(slice(0, 500))}  # pyright: ignore[reportArgumentType]
    )


@functools.cache
def trained(name: str, engine: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Final cost and accuracy of each replica."""
    algorithm = mgd.discrete(
        perturbation=Rademacher(AMPLITUDE),
        optimizer=optax.sgd(4.0),
        time_constants=mgd.TimeConstants(tau_x=25, tau_theta=50),
    )
    result = mgd.train(
        CHIPS[name],
        task(),
        algorithm,
        n_steps=N_WINDOWS * 50,
        n_replicas=N_REPLICAS,
        batch=16,
        key=jax.random.key(seed),
        engine=engine,
        log_every=N_WINDOWS * 50,
    )
    return np.asarray(result.cost, np.float64), np.asarray(result.accuracy, np.float64)


def p_value(one: np.ndarray, other: np.ndarray) -> float:
    """The smaller of those that means, and that distributions, are the same; with Bonferroni's factor."""
    return 2 * float(min(stats.ttest_ind(one, other, equal_var=False).pvalue, stats.ks_2samp(one, other).pvalue))  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", ["perfect", "cost and update noise"])
@pytest.mark.long
def test_training_ends_alike(name):
    measured, sampled = trained(name, "fused", 1), trained(name, "sampled", 2)
    for one, other in zip(measured, sampled, strict=True):
        assert p_value(one, other) > 0.01
    start = PERFECT.init(key=jax.random.key(0))
    assert start.size == 220
    assert measured[0].mean() < 0.21  # from 0.25


@pytest.mark.long
def test_less_noise_would_be_seen():
    measured = trained("cost and update noise", "fused", 1)[0]
    assert p_value(measured, trained("half of the cost noise", "sampled", 2)[0]) < 1e-4
