"""Chips that perturb other sites than their parameters: node perturbation, as one wrapper and no special case."""

from collections.abc import Mapping
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd.chips import AbstractChip, Reading, Traits, imperfect
from mgd.chips.imperfections import CostNoise, Delay, PerturbationGain, UpdateNoise
from mgd.engines import Backpropagated, Data, Measured, Sampled

KEY = jax.random.key(4)
SIZES = (2, 4, 1)
XOR = mgd.datasets.parity(bits=2)


class NodePerturbed(AbstractChip):
    """A perceptron of tanh neurons whose pre-activations are perturbed; one sample at a time, as credits are."""

    n_params: int = sum((n + 1) * m for n, m in pairwise(SIZES))

    @property
    def n_sites(self) -> int:
        return sum(SIZES[1:])

    @property
    def groups(self) -> Mapping[str, slice]:
        return {}

    @property
    def traits(self) -> Traits:
        return Traits()

    def init(self, *, key):
        return jax.random.normal(key, (self.n_params,), jnp.float32)

    def fabricate(self, *, key):
        return None

    def forward(self, theta, perturbation, x):
        """Outputs of one sample, and the credit of each parameter."""
        credits, at, site = [], 0, 0
        for n, m in pairwise(SIZES):
            inputs = jnp.append(x, 1.0)
            weights, at = theta[at : at + (n + 1) * m].reshape(m, n + 1), at + (n + 1) * m
            signal, site = perturbation[site : site + m], site + m
            credits.append(jnp.outer(signal, inputs).ravel())
            x = jnp.tanh(weights @ inputs + signal)
        return x, jnp.concatenate(credits)

    def read(self, theta, perturbation, x, target, *, device=None, key):
        outputs, credit = self.forward(theta, perturbation, x[0])
        return Reading(jnp.mean((outputs - target[0]) ** 2), device, credit)

    def measure(self, theta, perturbation, x, target, *, device=None, key):
        return self.read(theta, perturbation, x, target, key=key)[0], device

    def respond(self, theta, x, *, device=None, key):
        return jax.vmap(lambda one: self.forward(theta, jnp.zeros(self.n_sites), one)[0])(x)

    def cost(self, outputs, target):
        return jnp.mean((outputs - target) ** 2, axis=-1)

    def write(self, theta, delta, *, device=None, key):
        return theta + delta


CHIP = NodePerturbed()


@pytest.mark.parametrize("baseline", [mgd.algorithm.Remeasured(), mgd.algorithm.TwoSided()], ids=["one", "two-sided"])
@pytest.mark.parametrize("tau_x", [1, 64], ids=["a sample each", "a hold as one batch"])
@pytest.mark.quick("a hold as one batch-one")
def test_the_mean_of_g_is_the_gradient_of_the_parameters(baseline, tau_x):
    times = mgd.TimeConstants(tau_x=64, tau_theta=6400)
    algorithm = mgd.discrete(
        perturbation=mgd.perturbations.Rademacher(0.01),
        baseline=baseline,
        time_constants=times,
        optimizer=optax.sgd(0.0),
    )
    task = XOR.train.subset(slice(0, 1))
    data = Data.of(task)
    engine = Measured(CHIP, algorithm, 1, tau_x)
    progress = engine.advance(data, engine.init(8, key=KEY), 6399)

    def cost(theta):
        return CHIP.cost(CHIP.respond(theta, task.x, key=KEY), task.y).mean()  # pyright: ignore[reportArgumentType]

    for replica in range(8):
        state = progress.replica(replica)
        found, expected = np.asarray(state.gradient), np.asarray(jax.grad(cost)(state.theta))
        # Five sites: of random signs the other four are noise, 1/√T of the gradient of each site.
        spread = np.linalg.norm(expected) * np.sqrt(5 / 6400) * 3
        assert np.linalg.norm(found / 6399 * 6400 - expected) < 4 * spread + 0.02 * np.linalg.norm(expected)


@pytest.mark.long
def test_it_trains_in_the_measured_engine_with_imperfections_around_it():
    algorithm = mgd.discrete(
        perturbation=mgd.perturbations.Rademacher(0.05),
        optimizer=optax.sgd(0.05),
        time_constants=mgd.TimeConstants(tau_x=1, tau_theta=1),
    )
    noisy = imperfect(CHIP, UpdateNoise(1e-4), CostNoise(1e-4))
    for chip in (CHIP, noisy):
        result = mgd.train(chip, XOR, algorithm, n_steps=20_000, n_replicas=16, key=KEY)
        assert result.solved.mean() >= 0.75


def test_a_parameter_learns_nothing_from_a_site_it_is_not_on():
    reading = CHIP.read(jnp.ones(CHIP.n_params), jnp.eye(5)[4], jnp.ones((1, 2)), jnp.ones((1, 1)), key=KEY)
    assert np.flatnonzero(np.asarray(reading.credit)[:12]).size == 0
    assert np.asarray(reading.credit)[12:].all()


def test_what_cannot_be_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^perturbation-gain acts on the lines of 17 parameters, but this chip"):
        imperfect(CHIP, PerturbationGain(0.1))
    assert imperfect(CHIP, Delay(1)).n_sites == 5
    with pytest.raises(ValueError, match=r"law is for perturbed parameters"):
        Sampled(CHIP, mgd.discrete())
    with pytest.raises(ValueError, match=r"^backprop needs perturbations of the parameters"):
        Backpropagated(CHIP, mgd.algorithm.Backprop(optax.sgd(0.1)))
    with pytest.raises(ValueError, match=r"fused engine"):
        mgd.train(CHIP, XOR, mgd.discrete(optimizer=optax.sgd(0.1)), n_steps=4, engine="fused", key=KEY)
