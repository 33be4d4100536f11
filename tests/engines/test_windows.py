"""The engines that go by whole windows: cuts, replicas, clocks, samples, refusals, and backpropagation by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd import Backprop
from mgd.algorithm import Remeasured, TimeConstants, TwoSided, analog, discrete, rows_of
from mgd.chips import AbstractChip, Traits, from_function, imperfect, mlp
from mgd.chips.imperfections import CostNoise, UpdateNoise
from mgd.datasets import parity
from mgd.engines import Backpropagated, Data, Measured, Sampled
from mgd.perturbations import LFSR, Block, Gaussian, Rademacher, Sequential, Sinusoid, Walsh

KEY = jax.random.key(7)
TASK = parity(bits=2)
DATA = Data.of(TASK.train)
CHIP = mlp((2, 2, 1))
NOISY = imperfect(CHIP, UpdateNoise(1e-3), CostNoise(1e-3))
WINDOWS = {
    "rademacher": discrete(
        perturbation=Rademacher(0.1), time_constants=TimeConstants(1, 2, 6), optimizer=optax.sgd(0.1, momentum=0.9)
    ),
    "walsh": discrete(perturbation=Walsh(0.1), time_constants=TimeConstants(2, 12, 6), baseline=TwoSided()),
    "sequential": discrete(perturbation=Sequential(0.1), time_constants=TimeConstants(3, 1, 6)),
}


def leaves(progress) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(eqx.filter(progress, eqx.is_array))]


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.quick("walsh")
def test_how_a_run_is_cut_at_windows_changes_no_bit(name):
    engine = Sampled(NOISY, WINDOWS[name], 2)
    outcomes = []
    for cuts in ([64], [6, 0, 18, 36, 4]):
        progress = engine.init(3, key=KEY)
        for n in cuts:
            progress = engine.advance(DATA, progress, n)
        outcomes.append(leaves(progress))
        assert int(progress.state.clock.step) == 64
    for one, other in zip(*outcomes, strict=True):
        assert np.array_equal(one, other)
    # The last four timesteps are not a window, and change nothing.
    whole = engine.advance(DATA, engine.init(3, key=KEY), 60)
    assert np.array_equal(whole.state.theta, progress.state.theta)
    assert (np.abs(np.asarray(whole.state.theta - engine.init(3, key=KEY).state.theta)).max(1) > 1e-3).all()


@pytest.mark.parametrize("name", ["rademacher", "walsh"])
@pytest.mark.quick("walsh")
def test_a_replica_is_the_same_however_many_there_are(name):
    engine = Sampled(NOISY, WINDOWS[name])
    many, one = (engine.advance(DATA, engine.init(n, key=KEY), 60) for n in (3, 1))
    assert np.allclose(many.state.theta[0], one.state.theta[0], rtol=0, atol=1e-5)
    assert np.abs(many.state.theta[0] - many.state.theta[1]).max() > 0.01


@pytest.mark.long
def test_large_chips_one_after_the_other_are_as_small_ones_side_by_side(monkeypatch):
    results = []
    for limit, chip in ((10_000, CHIP), (1, mlp((2, 2, 1)))):
        monkeypatch.setattr("mgd.engines._replicas._LARGE_CHIP", limit)
        engine = Sampled(chip, WINDOWS["rademacher"])
        results.append(engine.advance(DATA, engine.init(3, key=KEY), 60))
    assert int(results[0].state.clock.step) == int(results[1].state.clock.step) == 60
    assert np.allclose(results[0].state.theta, results[1].state.theta, rtol=0, atol=1e-5)


@pytest.mark.long
def test_many_presentations_in_pieces_are_as_all_at_once(monkeypatch):
    algorithm = discrete(perturbation=Walsh(0.1), time_constants=TimeConstants(1, 1, 12))
    thetas = []
    for most, chip in ((256, CHIP), (4, mlp((2, 2, 1))), (1, mlp((2, 2, 1)))):
        monkeypatch.setattr("mgd.engines.simulated._sampled._MOST_SAMPLES", most)
        engine = Sampled(chip, algorithm)
        thetas.append(np.asarray(engine.advance(DATA, engine.init(2, key=KEY), 36).state.theta))
    assert np.allclose(thetas[0], thetas[1], rtol=0, atol=1e-6)
    assert np.allclose(thetas[0], thetas[2], rtol=0, atol=1e-6)


@pytest.mark.parametrize("step", [2**32 - 24, 2**40])
@pytest.mark.enough("1099511627776")
@pytest.mark.long
def test_clocks_and_samples_beyond_32_bits_are_those_of_the_measured_engine(step):
    # Walsh windows of a whole period give the gradient, so each update tells which samples were shown.
    algorithm = discrete(
        perturbation=Walsh(1e-2), time_constants=TimeConstants(1, 32, 16), optimizer=optax.sgd(1.0), baseline=TwoSided()
    )
    ends = []
    for kind in (Measured, Sampled):
        engine = kind(CHIP, algorithm, 2)
        progress = engine.init(3, key=KEY)
        start = step - step % 32
        progress = eqx.tree_at(lambda p: p.state, progress, progress.state.with_clock(algorithm.clock_at(start)))
        progress = engine.advance(DATA, progress, 96)
        assert int(progress.state.clock.step) == start + 96
        ends.append(np.asarray(progress.state.theta))
    assert np.allclose(*ends, rtol=0, atol=1e-4)
    assert np.abs(ends[0] - np.asarray(engine.init(3, key=KEY).state.theta)).max() > 0.05


@pytest.mark.parametrize("steps", [60, 64])
@pytest.mark.long
def test_train_counts_what_measuring_would_have_counted(steps):
    results = [
        mgd.train(NOISY, TASK, WINDOWS["rademacher"], n_steps=steps, key=KEY, n_replicas=2, batch=2, engine=engine)
        for engine in ("measured", "sampled")
    ]
    assert results[0].counts == results[1].counts
    assert results[1].counts.parameter_writes == 10
    assert results[1].n_steps == steps
    logged = results[1].history.step.values
    assert logged[-1] == steps
    assert (logged[:-1] % 6 == 0).all()


def breaking(step: int):
    """A chip whose cost, −θ₀ going up by 1 a write, is no number once θ₀ has reached `step`."""
    return from_function(
        lambda theta, x, y: jnp.where(theta[0] > step - 0.5, jnp.nan, -theta[0]), init=lambda key: jnp.zeros(1)
    )


@pytest.mark.long
def test_training_stops_with_the_window_whose_cost_is_no_number():
    algorithm = discrete(perturbation=Sequential(0.25), optimizer=optax.sgd(1.0), time_constants=TimeConstants(1, 4, 4))
    with pytest.raises(mgd.DivergedError, match=r"of 2 of 2 replicas was NaN or infinite, first at step 12") as caught:
        mgd.train(breaking(3), TASK, algorithm, n_steps=100, key=KEY, n_replicas=2, engine="sampled", log_every=50)
    assert caught.value.step == 12
    with pytest.raises(mgd.DivergedError) as caught:
        mgd.train(breaking(3), TASK, Backprop(optax.sgd(1.0)), n_steps=100, key=KEY)
    assert caught.value.step == 3


@pytest.mark.parametrize(
    "optimizer",
    [optax.sgd(0.5), optax.sgd(0.5, momentum=0.9), optax.sgd(optax.cosine_decay_schedule(0.5, 20))],
    ids=["sgd", "momentum", "cosine"],
)
@pytest.mark.quick("sgd")
def test_backprop_is_gradient_descent_on_the_same_rows(optimizer):
    with jax.numpy_dtype_promotion("standard"):  # optax's own schedules mix integers and floats
        _compare_with_hand_written(optimizer)


def _compare_with_hand_written(optimizer):
    engine = Backpropagated(CHIP, Backprop(optimizer), 3)
    progress = engine.init(2, key=KEY)
    theta, seed = progress.state.theta[1], progress.state.seeds.samples[1]
    clock = progress.state.clock.step
    velocity = optimizer.init(theta)

    @jax.jit
    def turn(theta, velocity, step):
        x, y = DATA.show(rows_of(clock.plus(step), seed=seed, n_samples=4, batch=3))
        gradient = jax.grad(lambda t: jnp.mean((CHIP.respond(t, x, key=KEY) - y) ** 2))(theta)
        delta, velocity = optimizer.update(gradient, velocity, theta)
        return theta + delta, velocity

    start = theta
    for step in range(20):
        theta, velocity = turn(theta, velocity, jnp.int32(step))
    for n in (7, 13):
        progress = engine.advance(DATA, progress, n)
    assert np.allclose(progress.state.theta[1], theta, rtol=0, atol=1e-5)
    assert np.abs(theta - start).max() > 0.05


def test_backprop_trains_and_counts_no_measurement():
    result = mgd.train(CHIP, TASK, Backprop(optax.sgd(2.0)), n_steps=2000, key=KEY, n_replicas=8, batch=4)
    assert (result.accuracy == 1.0).mean() > 0.5
    assert result.counts.as_dict() == {
        "cost_measurements": 0,
        "inferences": 8000,
        "parameter_writes": 2000,
        "sample_loads": 8000,
        "perturbations": 0,
    }


class Told(AbstractChip):
    """A chip that says of itself what it is told to."""

    chip: AbstractChip
    told: Traits = eqx.field(static=True)

    @property
    def n_params(self):  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.chip.n_params

    @property
    def groups(self):
        return self.chip.groups

    @property
    def traits(self):
        return self.told

    def init(self, *, key):
        return self.chip.init(key=key)

    def fabricate(self, *, key):
        return self.chip.fabricate(key=key)

    def measure(self, theta, perturbation, x, target, *, device=None, key):
        return self.chip.measure(theta, perturbation, x, target, device=device, key=key)

    def respond(self, theta, x, *, device=None, key):
        return self.chip.respond(theta, x, device=device, key=key)

    def cost(self, outputs, target):
        return self.chip.cost(outputs, target)

    def write(self, theta, delta, *, device=None, key):
        return self.chip.write(theta, delta, device=device, key=key)


NO_LAW = (
    "the sampled engine has no law for {} perturbations, only for Rademacher, Gaussian, Walsh and Sequential: "
    "choose one of these, or the measured engine"
)
UNEVEN = (
    "the sampled engine needs windows that divide evenly: {} and {} do not divide; change one, or use the measured "
    "engine"
)
REFUSED = {
    "lfsr": (CHIP, discrete(perturbation=LFSR(0.1)), NO_LAW.format("LFSR")),
    "sinusoid": (CHIP, discrete(perturbation=Sinusoid(0.1)), NO_LAW.format("Sinusoid")),
    "block": (CHIP, discrete(perturbation=Block(Walsh(0.1), n_blocks=2)), NO_LAW.format("Block")),
    "analog": (
        CHIP,
        analog(perturbation=Rademacher(0.1), time_constants=TimeConstants(1, 6, 6)),
        "the sampled engine draws whole windows; it has no law for a HighPass baseline with a LowPass integrator: "
        "use the measured engine",
    ),
    "tau_x and tau_p": (
        CHIP,
        discrete(time_constants=TimeConstants(2, 3, 6)),
        UNEVEN.format("tau_x = 3", "tau_p = 2"),
    ),
    "tau_x and tau_theta": (
        CHIP,
        discrete(time_constants=TimeConstants(1, 3, 4)),
        UNEVEN.format("tau_x = 3", "tau_theta = 4"),
    ),
    "tau_theta and tau_p": (
        CHIP,
        discrete(time_constants=TimeConstants(4, 2, 2)),
        UNEVEN.format("tau_theta = 2", "tau_p = 4"),
    ),
    "clamp": (
        CHIP,
        discrete(time_constants=TimeConstants(2, 4, 4), modulation_limit=0.1),
        "the sampled engine's law covers a clamp on the modulation only for tau_p = 1, got tau_p = 2: use the measured "
        "engine",
    ),
    "coarse and remembering": (
        Told(CHIP, Traits(remembers=("drift",), coarse=("adc",))),  # pyright: ignore[reportCallIssue]
        discrete(),
        "the sampled engine's law does not cover a chip with drift, adc: use the measured engine",
    ),
}


@pytest.mark.parametrize(("chip", "algorithm", "words"), REFUSED.values(), ids=REFUSED)
def test_what_the_law_does_not_cover_is_refused(chip, algorithm, words):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole wording is compared)
        mgd.train(chip, TASK, algorithm, n_steps=12, key=KEY, engine="sampled")
    assert str(caught.value) == words


@pytest.mark.parametrize("family", [Rademacher, Gaussian, Walsh, Sequential])
@pytest.mark.parametrize("baseline", [Remeasured(), TwoSided()], ids=["remeasured", "two-sided"])
def test_what_it_covers_is_taken(family, baseline):
    for times in (TimeConstants(), TimeConstants(2, 1, 4), TimeConstants(1, 8, 4), TimeConstants(3, 6, 3)):
        Sampled(CHIP, discrete(perturbation=family(0.1), baseline=baseline, time_constants=times))


def test_backprop_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="a chip with adc has no gradient to propagate back: leave these out for"):
        Backpropagated(Told(CHIP, Traits(coarse=("adc",))), Backprop(optax.sgd(0.1)))  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match="takes one mini-batch an update: leave tau_x and tau_theta at 1"):
        Backprop(optax.sgd(0.1), TimeConstants(tau_theta=4))
    for engine in ("measured", "sampled"):
        with pytest.raises(ValueError, match=f"has its own engine: leave engine out, got '{engine}'"):
            mgd.train(CHIP, TASK, Backprop(optax.sgd(0.1)), n_steps=3, key=KEY, engine=engine)
