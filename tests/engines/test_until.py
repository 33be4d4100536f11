"""A run that ends before its last timestep, and one that starts with given parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd.chips import imperfections

KEY = jax.random.key(0)
TASK = mgd.datasets.parity(bits=2)
BACKPROP = mgd.Backprop(optimizer=optax.sgd(2.0))


@pytest.fixture(scope="module")
def twin() -> mgd.Result:
    """Chips that have solved the task, trained through their model."""
    return mgd.train(
        mgd.chips.mlp((2, 2, 1)), TASK, BACKPROP, n_steps=10_000, n_replicas=8, key=KEY, engine="auto", patience=5_000
    )


@pytest.mark.long
def test_it_ends_when_every_chip_has_solved_the_task_and_not_before(twin):
    solving = np.asarray(twin.theta)[np.asarray(twin.solved)][:2]
    assert len(solving) == 2, "two of the eight solve it"
    chip, settings = mgd.chips.mlp((2, 2, 1)), {"n_steps": 4_000, "n_replicas": 2, "key": KEY, "log_every": 10}
    near = solving + np.random.default_rng(0).normal(0, 0.1, solving.shape).astype(np.float32)
    near[0] *= 0.02  # it has far to go
    run = mgd.train(chip, TASK, BACKPROP, start=near, until_solved=True, **settings)
    accuracy = run.history.accuracy.values
    assert 0 < run.n_steps < 4_000
    assert (accuracy[:, -1] == 1).all()
    assert not (accuracy[:, :-1] == 1).all(0).any()


@pytest.mark.long
def test_it_ends_at_an_accuracy_and_out_of_patience():
    chip, settings = mgd.chips.mlp((2, 2, 1)), {"n_replicas": 4, "key": KEY, "log_every": 100}
    run = mgd.train(chip, TASK, BACKPROP, n_steps=20_000, until_accuracy=0.7, **settings)
    means = run.history.accuracy.mean("replica").values
    assert means[-1] >= 0.7 > means[:-1].max()
    still = mgd.discrete(optimizer=optax.sgd(0.0))
    with pytest.warns(mgd.MgdWarning, match="the cost on the test set was exactly"):
        run = mgd.train(chip, TASK, still, n_steps=20_000, patience=1_000, **settings)
    assert run.n_steps == 1_000


@pytest.mark.parametrize(
    ("task", "until", "words"),
    [
        (mgd.datasets.from_arrays([[0.0], [1.0]], [0.2, 0.7]), {"until_accuracy": 0.9}, "targets are values"),
        (mgd.datasets.from_arrays([[0.0], [1.0]], [0.2, 0.7]), {"until_solved": True}, "give solved_r2"),
    ],
)
def test_what_can_never_end_it_is_refused(task, until, words):
    with pytest.raises(ValueError, match=words):
        mgd.train(mgd.chips.mlp((1, 1, 1)), task, BACKPROP, n_steps=10, key=KEY, **until)


MIXED = mgd.chips.imperfect(mgd.chips.mlp((2, 2, 1)), imperfections.ActivationVariation(0.2))
WINDOWS = mgd.discrete(optimizer=optax.sgd(0.01, momentum=0.9), time_constants=mgd.TimeConstants(tau_x=4, tau_theta=4))
ENGINES = {
    "measured": (mgd.chips.mlp((2, 2, 1)), mgd.discrete(optimizer=optax.sgd(0.1))),
    "fused": (mgd.chips.mlp((2, 2, 1)), mgd.discrete(optimizer=optax.sgd(0.1))),
    "sampled": (mgd.chips.mlp((2, 2, 1)), mgd.discrete(optimizer=optax.sgd(0.1))),
    "auto": (MIXED, BACKPROP),
    "measured, momentum": (MIXED, WINDOWS),
}


@pytest.mark.parametrize(
    ("name", "n_replicas"),
    [(name, n) for name in ENGINES for n in (1, 9) if (name, n) != ("fused", 1)],  # which is for many
)
@pytest.mark.quick("fused-9", "auto-1")
def test_every_engine_starts_with_the_parameters_that_are_given(name, n_replicas):
    chip, algorithm = ENGINES[name]
    start = np.linspace(-1, 1, 9 * n_replicas).reshape(n_replicas, 9).astype(np.float32)
    settings = {"n_steps": 3, "n_replicas": n_replicas, "key": KEY, "engine": name.split(",")[0], "log_every": 3}
    run = mgd.train(chip, TASK, algorithm, start=start, **settings)
    device = None if run.device is None else jax.tree.map(lambda leaf: leaf[-1], run.device)
    responses = chip.respond(jnp.asarray(start[-1]), jnp.asarray(TASK.test.x), device=device, key=KEY)
    due = float(np.mean((np.asarray(responses) - TASK.test.y) ** 2))
    assert run.history.cost.values[-1, 0] == pytest.approx(due, rel=1e-5)
    alike = mgd.train(chip, TASK, algorithm, start=start[0], **settings)
    assert np.ptp(alike.history.cost.values[:, 0]) < (1.0 if run.device is not None else 1e-7)


@pytest.mark.long
def test_measured_costs_are_in_the_history_beside_those_of_the_test():
    noisy = mgd.chips.imperfect(mgd.chips.mlp((2, 2, 1)), imperfections.CostNoise(0.5))
    run = mgd.train(noisy, TASK, mgd.discrete(), n_steps=50, n_replicas=40, key=KEY, log_every=10)
    measured = run.history.measured_cost.values
    assert np.isnan(measured[:, 0]).all()
    assert 0.3 < np.std(measured[:, 1:] - run.history.cost.values[:, 1:]) < 0.8
    none = mgd.train(mgd.chips.mlp((2, 2, 1)), TASK, BACKPROP, n_steps=5, key=KEY)
    assert np.isnan(none.history.measured_cost.values).all()
