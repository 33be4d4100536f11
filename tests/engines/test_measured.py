"""The measured engine: cut anywhere, any number of replicas, the same run."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd.algorithm import TimeConstants, TwoSided, analog, discrete
from mgd.chips import from_function, mlp
from mgd.datasets import Samples, parity
from mgd.engines import Data, Measured, evaluate
from mgd.perturbations import Rademacher, Walsh

KEY = jax.random.key(7)
TASK = parity(bits=2)
DATA = Data.of(TASK.train)
# One chip for many tests, so that they share what is compiled.
CHIP = mlp((2, 2, 1))
ALGORITHMS = {
    "discrete": discrete(perturbation=Rademacher(0.1), time_constants=TimeConstants(3, 5, 7)),
    "every step": discrete(perturbation=Rademacher(0.1)),
    "two-sided": discrete(perturbation=Walsh(0.1), time_constants=TimeConstants(2, 3, 4), baseline=TwoSided()),
    "analog": analog(perturbation=Rademacher(0.1), time_constants=TimeConstants(1, 6, 5, 20.0)),
    "momentum": discrete(
        perturbation=Rademacher(0.1), time_constants=TimeConstants(1, 4, 4), optimizer=optax.sgd(0.1, momentum=0.9)
    ),
}


def leaves(progress) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(progress, eqx.is_array))]


@pytest.mark.parametrize(
    ("name", "n_replicas"),
    [("discrete", 1), ("discrete", 3), ("every step", 3), ("two-sided", 3), ("analog", 1), ("momentum", 3)],
)
@pytest.mark.quick("momentum-3", "analog-1", "every step-3")
def test_how_a_run_is_cut_changes_no_bit(name, n_replicas):
    engine = Measured(CHIP, ALGORITHMS[name], batch=2 if name == "discrete" else 1)
    outcomes = []
    for cuts in ([60], [1, 0, 3, 19, 2, 35]):
        progress = engine.init(n_replicas, key=KEY)
        for n in cuts:
            progress = engine.advance(DATA, progress, n)
        outcomes.append(leaves(progress))
        assert int(progress.state.clock.step) == 60
    for one, other in zip(*outcomes, strict=True):
        assert np.array_equal(one, other)
    start = engine.init(n_replicas, key=KEY)
    assert (np.abs(np.asarray(progress.state.theta - start.state.theta)).max(1) > 1e-3).all()


@pytest.mark.parametrize("name", ["two-sided", "analog"])
@pytest.mark.quick("analog")
def test_a_replica_is_the_same_however_many_there_are(name):
    engine = Measured(CHIP, ALGORITHMS[name])
    many, one = (engine.advance(DATA, engine.init(n, key=KEY), 60) for n in (3, 1))
    assert np.allclose(many.state.theta[0], one.state.theta[0], rtol=0, atol=1e-5)
    assert np.array_equal(many.state.seeds.perturbation[0], one.state.seeds.perturbation[0])
    seeds = [tuple(s) for part in jax.tree.leaves(many.state.seeds) for s in part.tolist()]
    assert len(set(seeds)) == 12
    assert np.abs(many.state.theta[0] - many.state.theta[1]).max() > 0.01


def test_large_chips_one_after_the_other_are_as_small_ones_side_by_side(monkeypatch):
    results = []
    for limit, chip in ((10_000, CHIP), (1, mlp((2, 2, 1)))):  # a fresh chip, for a fresh compilation
        monkeypatch.setattr("mgd.engines._replicas._LARGE_CHIP", limit)
        engine = Measured(chip, ALGORITHMS["two-sided"])
        results.append(engine.advance(DATA, engine.init(3, key=KEY), 60))
    side, after = results
    assert int(side.state.clock.step) == int(after.state.clock.step) == 60
    assert np.allclose(side.state.theta, after.state.theta, rtol=0, atol=1e-5)
    assert np.array_equal(side.diverged, after.diverged)


@pytest.mark.long
def test_the_engine_is_the_algorithm_with_the_chip_in_the_middle():
    algorithm, chip, batch = ALGORITHMS["discrete"], CHIP, 2
    engine = Measured(chip, algorithm, batch)
    progress = engine.init(3, key=KEY)
    theta = np.asarray(progress.state.theta)
    chip_key, run_key = jax.random.split(jax.random.fold_in(KEY, 1))
    state = algorithm.init(chip.init(key=chip_key), key=run_key)
    assert np.array_equal(theta[1], state.theta)

    @eqx.filter_jit
    def turn(state):
        def measure(probe, device):
            x, y = DATA.show(probe.rows(4, batch))
            return chip.measure(probe.theta, probe.perturbation, x, y, device=device, key=probe.key)

        return algorithm.step(state, measure)[0]

    for _ in range(60):
        state = turn(state)
    progress = engine.advance(DATA, progress, 60)
    assert np.allclose(progress.state.theta[1], state.theta, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("n", "n_replicas"), [(2037, 1), (2037, 3), (23, 200)])
@pytest.mark.quick("23-200")
def test_evaluation_is_the_mean_over_all_samples(n, n_replicas):
    chip = mlp((3, 4), cost="mse")
    x = np.array(jax.random.normal(jax.random.key(1), (n, 3)))
    y = np.eye(4, dtype=np.float32)[np.array(jax.random.randint(jax.random.key(2), (n,), 0, 4))]
    theta = jax.vmap(lambda key: chip.init(key=key))(jax.random.split(KEY, n_replicas))
    accuracy, cost = evaluate(chip, theta, Data.of(Samples(x, y)))
    outputs = np.asarray(jax.jit(jax.vmap(lambda t: chip.respond(t, jnp.asarray(x), key=KEY)))(theta), np.float64)
    right = outputs.argmax(-1) == y.argmax(-1)[None]
    assert np.allclose(accuracy, right.mean(1), rtol=0, atol=1e-6)
    assert np.allclose(cost, ((outputs - y[None]) ** 2).mean((1, 2)), rtol=1e-5)
    assert accuracy.shape == cost.shape == (n_replicas,)


def test_one_output_is_right_on_its_side_of_a_half():
    chip = from_function(
        lambda theta, x, y: jnp.float32(0), init=lambda key: jnp.zeros(1), respond=lambda theta, x: x + theta[None]
    )
    x = np.array([[0.1], [0.49], [0.51], [0.9]], np.float32)
    y = np.array([[0.0], [1.0], [1.0], [0.0]], np.float32)
    accuracy, cost = evaluate(chip, jnp.array([[0.0], [0.1]]), Data.of(Samples(x, y)))
    assert accuracy.tolist() == [0.5, 0.75]
    assert np.allclose(cost, [((x - y) ** 2).mean(), ((x + 0.1 - y) ** 2).mean()], rtol=1e-5)


def test_stored_bytes_are_shown_as_features():
    data = Data.of(Samples(np.array([[0], [255]], np.uint8), np.zeros((2, 1), np.float32), 127.5, 1 / 127.5))
    x, _ = data.show(jnp.array([1, 0]))
    assert x.tolist() == [[1.0], [-1.0]]


def breaking(step: int, value: float):
    """A chip whose cost, −θ₀ going up by 1 a write, is no number once θ₀ has reached `step`."""
    return from_function(
        lambda theta, x, y: jnp.where(theta[0] > step - 0.5, value, -theta[0]), init=lambda key: jnp.zeros(1)
    )


@pytest.mark.parametrize(("value", "n_replicas"), [(float("nan"), 1), (float("inf"), 2)])
def test_the_step_at_which_a_cost_is_no_number_is_known(value, n_replicas):
    algorithm = discrete(perturbation=Rademacher(0.25), optimizer=optax.sgd(1.0))
    engine = Measured(breaking(6, value), algorithm)
    progress = engine.advance(DATA, engine.init(n_replicas, key=KEY), 6)
    assert not progress.diverged.any()
    for n in (1, 20):
        progress = engine.advance(DATA, progress, n)
        assert progress.diverged.all()
        assert np.array_equal(progress.diverged_at.low, np.full(n_replicas, 6))


def test_training_stops_with_the_step():
    algorithm = discrete(perturbation=Rademacher(0.25), optimizer=optax.sgd(1.0))
    with pytest.raises(
        mgd.DivergedError, match=r"of 2 of 2 replicas was NaN or infinite, first at step 6: lower"
    ) as caught:
        mgd.train(breaking(6, float("nan")), TASK, algorithm, n_steps=100, key=KEY, n_replicas=2, log_every=50)
    assert caught.value.step == 6
