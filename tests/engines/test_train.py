"""The one entry function and its session."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd._train import Session, log_steps
from mgd.algorithm import TimeConstants, discrete
from mgd.chips import from_function, mlp
from mgd.datasets import parity
from mgd.perturbations import Rademacher

KEY = jax.random.key(0)
TASK = parity(bits=2)
# One chip and one algorithm for many tests, so that they share what is compiled.
CHIP = mlp((2, 2, 1))
ALGORITHM = discrete(perturbation=Rademacher(0.05), time_constants=TimeConstants(2, 3, 5))


@pytest.mark.parametrize(
    ("n_steps", "settings", "expected"),
    [
        (1, {}, [0, 1]),
        (2, {}, [0, 1, 2]),
        (10, {"per_decade": 1}, [0, 1, 10]),
        (1000, {"per_decade": 1}, [0, 1, 10, 100, 1000]),
        (1001, {"per_decade": 1}, [0, 1, 10, 100, 1000, 1001]),
        (10, {"every": 3}, [0, 3, 6, 9, 10]),
        (10, {"every": 100}, [0, 10]),
        (2, {"every": 1}, [0, 1, 2]),
    ],
)
def test_logged_steps(n_steps, settings, expected):
    assert log_steps(n_steps, **settings) == expected


@pytest.mark.parametrize("n_steps", [999, 1000, 1001, 10**6, 10**10])
def test_logged_steps_are_in_order_and_end_with_the_last(n_steps):
    steps = log_steps(n_steps)
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, n_steps)
    later = np.array([s for s in steps if s > 30])[:-1]
    assert np.allclose(np.diff(np.log10(later)), 1 / 8, rtol=0, atol=0.02)


@pytest.mark.long
def test_xor_is_learnt_and_logged():
    algorithm = discrete(perturbation=Rademacher(0.05), optimizer=optax.sgd(0.5), time_constants=TimeConstants(1, 1, 4))
    result = mgd.train(CHIP, TASK, algorithm, n_steps=20_000, key=KEY, n_replicas=8)
    history = result.history
    assert history.step.values.tolist() == log_steps(20_000)
    assert np.array_equal(history.cost.values[:, -1], result.cost)
    assert np.array_equal(history.accuracy.values[:, -1], result.accuracy)
    assert np.array_equal(result.solved, result.accuracy >= 1.0)
    # Most of 2-2-1 networks learn XOR; all get better than the constant 1/2, whose cost is 1/4.
    assert result.cost.max() < 0.25
    assert result.solved.sum() >= 4
    outputs = jax.vmap(lambda t: CHIP.respond(t, jnp.asarray(TASK.test.x), key=KEY))(result.theta)
    cost = ((np.asarray(outputs) - TASK.test.y[None]) ** 2).mean((1, 2))
    assert np.allclose(result.cost, cost, rtol=1e-4)
    assert result.counts == algorithm.counts(20_000)
    assert history.cost_measurements.values.tolist() == [
        algorithm.counts(int(s)).cost_measurements for s in history.step.values
    ]
    assert result.n_steps == 20_000


def test_the_same_key_is_the_same_run_to_the_bit_however_it_is_logged():
    runs = [
        mgd.train(CHIP, TASK, ALGORITHM, n_steps=200, key=jax.random.key(k), log_every=every)
        for k, every in ((1, 200), (1, 30), (2, 200))
    ]
    assert np.array_equal(runs[0].theta, runs[1].theta)
    assert not np.array_equal(runs[0].theta, runs[2].theta)
    assert runs[1].history.step.values.tolist() == [0, 30, 60, 90, 120, 150, 180, 200]


@pytest.mark.parametrize("name", ["n_steps", "n_replicas", "batch", "log_every"])
@pytest.mark.parametrize("value", [0, -1, True, 1.5])
def test_numbers_out_of_range_are_refused(name, value):
    settings = {"n_steps": 10, name: value}
    with pytest.raises(ValueError, match=f"^{name} must be a whole number of at least 1, got {value!r}$"):
        Session(CHIP, TASK, ALGORITHM, key=KEY, **settings)


def test_unknown_engines_are_refused():
    with pytest.raises(ValueError, match=r"^unknown engine 'warp': choose one of auto, measured"):
        Session(CHIP, TASK, ALGORITHM, n_steps=10, key=KEY, engine="warp")


def test_chips_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"^the chip cannot be measured on parity, whose inputs have shape \(2,\) and"):
        Session(mlp((3, 2, 1)), TASK, discrete(), n_steps=10, key=KEY)
    with pytest.raises(ValueError, match=r"^the chip has 2 outputs, and parity needs 1$"):
        Session(mlp((2, 2, 2)), TASK, discrete(), n_steps=10, key=KEY)
    chip = from_function(lambda theta, x, y: theta, init=lambda key: jnp.zeros(2))
    with pytest.raises(ValueError, match=r"^a chip's cost must be one scalar, got shape \(2,\) on parity$"):
        Session(chip, TASK, discrete(), n_steps=10, key=KEY)


def session(amplitude: float) -> Session:
    return Session(CHIP, TASK, discrete(perturbation=Rademacher(amplitude)), n_steps=10, key=KEY)


def test_amplitudes_that_float32_cannot_see_are_warned_of_with_one_that_it_can():
    with pytest.warns(mgd.MgdWarning, match=r"^an amplitude of 1e-09 changes the cost, .* float32") as caught:
        session(1e-9)
    advised = float(str(caught[0].message).split("use an amplitude of ")[1].split(" or more")[0])
    assert 1e-9 < advised < 1e-2
    session(advised)


def test_amplitudes_are_checked_on_chips_without_derivatives_in_reverse():
    def cost(theta, x, y):
        _, total = jax.lax.while_loop(lambda c: c[0] < x.size, lambda c: (c[0] + 1, c[1] + theta @ theta), (0, 1.0))
        return total

    chip = from_function(cost, init=lambda key: jnp.ones(2))
    with pytest.warns(mgd.MgdWarning, match=r"^an amplitude of 1e-09 changes the cost"):
        Session(chip, TASK, discrete(perturbation=Rademacher(1e-9)), n_steps=10, key=KEY)


def test_a_session_goes_on_from_a_snapshot():
    make = lambda: Session(CHIP, TASK, ALGORITHM, n_steps=50, key=KEY, log_every=20)
    whole, first, second = make(), make(), make()
    while not whole.finished:
        whole.advance()
    while first.snapshot.step < 20:
        first.advance()
    second.snapshot = first.snapshot
    while not second.finished:
        second.advance()
    assert eqx.tree_equal(whole.result().theta, second.result().theta)
    assert whole.history().equals(second.history())


# No argument is left out in silence.

OWN_ENGINE = "^an instrument has its own engine: leave engine out, got '{}'$"


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"cost": "no such"}, "cost is"),
        ({"cost": "mse"}, "cost is"),
        ({"options": mgd.engines.Options()}, "options is"),
        ({"cost": "mse", "options": mgd.engines.Options()}, "cost and options are"),
    ],
)
def test_what_is_for_chips_behind_io_is_refused_with_a_simulated_one(given, names):
    with pytest.raises(ValueError, match=f"^{names} for an instrument: a simulated chip has the cost"):
        mgd.train(CHIP, TASK, ALGORITHM, n_steps=4, key=KEY, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"engine": "no such"}, r"^unknown engine 'no such': choose one of auto, measured, fused, sampled$"),
        ({"engine": "sampled"}, OWN_ENGINE.format("sampled")),
        ({"engine": "measured"}, OWN_ENGINE.format("measured")),
        ({"n_replicas": 2}, r"^an instrument is one chip: replicas must be 1, got 2$"),
        ({"devices": 2}, r"^an instrument uses no JAX devices: leave devices out, got 2$"),
        ({"cost": "no such"}, r"^unknown cost 'no such'"),
    ],
)
def test_what_is_for_simulated_chips_is_refused_with_one_behind_io(given, message):
    piece = mgd.instruments.Simulated(CHIP, key=KEY)
    with mgd.instruments.opened(piece) as guarded, pytest.raises(ValueError, match=message):
        mgd.train(guarded, TASK, ALGORITHM, n_steps=4, key=KEY, **given)


def test_what_is_no_chip_is_refused():
    piece = mgd.instruments.Simulated(CHIP, key=KEY)
    for thing, words in (
        (piece, "got a Simulated: open it first: with mgd.instruments.opened"),
        (eqx.nn.Linear(2, 1, key=KEY), "got a Linear: make it one with mgd.chips.from_module"),
        (None, "got a NoneType: make one with mgd.chips"),
    ):
        with pytest.raises(ValueError, match=f"^a chip is needed, {words}"):
            mgd.train(thing, TASK, ALGORITHM, n_steps=4, key=KEY)  # pyright: ignore[reportArgumentType]


def test_a_session_has_the_batch_and_the_algorithm_of_its_engine():
    with mgd.instruments.opened(mgd.instruments.Simulated(CHIP, key=KEY)) as guarded:
        engine = mgd.engines.Instrumented(guarded, ALGORITHM, np.zeros(9), cost=mgd.chips.MeanSquaredError(), batch=2)
        for algorithm, batch in ((ALGORITHM, 1), (discrete(), 2)):
            with pytest.raises(ValueError, match=r"^the engine and the session must have the same algorithm and batch"):
                Session(None, TASK, algorithm, n_steps=4, key=KEY, batch=batch, engine=engine)
