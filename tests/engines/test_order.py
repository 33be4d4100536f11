"""Samples in sequence: every engine presents them as they lie."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd._counter import Counter
from mgd.algorithm import Backprop, rows_of
from mgd.engines import Backpropagated, Data, Fleet, Fused, Instrumented, Measured, Options, Sampled
from mgd.engines.loop._chunk import Chunk
from mgd.engines.loop._host_chunk import HostChunk
from mgd.engines.simulated._in_place import InPlace
from mgd.instruments import Guarded, Limits, Simulated

KEY, N = jax.random.key(3), 64
RNG = np.random.default_rng(0)
X, Y = RNG.random((N, 2), np.float32), RNG.integers(0, 2, (N, 1)).astype(np.float32)
CHIP = mgd.chips.mlp((2, 2, 1))
TIMES = mgd.TimeConstants(tau_p=1, tau_x=2, tau_theta=4)
WINDOWS = mgd.discrete(optimizer=optax.sgd(0.5), time_constants=TIMES)
# Weight decay is told by a compiled program; the host tells the others.
COMPILED = mgd.discrete(optimizer=optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.5)), time_constants=TIMES)
START = np.asarray(CHIP.init(key=KEY))


def instrument(algorithm=WINDOWS, batch=2) -> Instrumented:
    chip = Guarded(Simulated(CHIP, key=KEY, limits=Limits.uniform(9, -100.0, 100.0)))
    return Instrumented(chip, algorithm, START, cost=CHIP.loss, batch=batch, options=Options())


ENGINES = {
    "measured": lambda: Measured(CHIP, WINDOWS, 2),
    "fused": lambda: Fused(CHIP, WINDOWS, 2),
    "sampled": lambda: Sampled(CHIP, mgd.discrete(optimizer=optax.sgd(0.5), time_constants=TIMES), 2),
    "backprop": lambda: Backpropagated(CHIP, Backprop(optax.sgd(0.5)), 2),
    "in place": lambda: InPlace(mgd.chips.mlp((2, 30, 1)), WINDOWS, 2),
    "instrument, by the host": instrument,
    "instrument, compiled": lambda: instrument(COMPILED),
    "fleet": lambda: Fleet([instrument()]),
}


def advanced(engine, data: Data, n_steps: int) -> np.ndarray:
    progress = engine.init(1, key=KEY)
    for n in (n_steps // 4, n_steps - n_steps // 4):
        progress = engine.advance(data, progress, n)
    return np.asarray(progress.state.theta[0])


def order_of(engine) -> np.ndarray:
    """The order of the first epoch, shuffled."""
    seed = engine.init(1, key=KEY).state.seeds.samples[0]
    return np.concatenate([rows_of(Counter.of(k), seed=seed, n_samples=N, batch=1) for k in range(N)])


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.enough("fused", "fleet")
@pytest.mark.long
def test_a_sequence_is_what_a_shuffle_of_its_own_shuffled_back_is(name, monkeypatch):
    """Samples laid out so that the shuffled order of the first epoch presents them one after the other."""
    if name == "in place":  # chips of any size are large, and have several pieces
        for setting, value in (
            ("chips._network._HUGE", 1),
            ("networks._pieces._PIECE", 20),
            ("networks._pieces._DRAWN", 16),
        ):
            monkeypatch.setattr(f"mgd.{setting}", value)
    engine, laid_x, laid_y = ENGINES[name](), np.empty_like(X), np.empty_like(Y)
    order = order_of(engine)
    assert not np.array_equal(order, np.arange(N))
    laid_x[order], laid_y[order] = X, Y
    n_steps = N if name != "backprop" else N // 2
    shuffled = advanced(ENGINES[name](), Data(jnp.asarray(laid_x), jnp.asarray(laid_y), 0.0, 1.0), n_steps)
    sequential = advanced(ENGINES[name](), Data(jnp.asarray(X), jnp.asarray(Y), 0.0, 1.0, order="sequential"), n_steps)
    other = advanced(ENGINES[name](), Data(jnp.asarray(X), jnp.asarray(Y), 0.0, 1.0), n_steps)
    np.testing.assert_allclose(sequential, shuffled, rtol=0, atol=1e-5)
    assert np.abs(sequential - other).max() > 1e-3


@pytest.mark.parametrize(("algorithm", "kind"), [(WINDOWS, HostChunk), (COMPILED, Chunk)])
def test_both_kinds_of_chunk_were_tried(algorithm, kind):
    engine = instrument(algorithm)
    advanced(engine, Data(jnp.asarray(X), jnp.asarray(Y), 0.0, 1.0, order="sequential"), 8)
    assert type(engine._chunk) is kind


def test_after_the_last_sample_comes_the_first():
    rows = [
        rows_of(Counter.of(k), seed=jnp.zeros(2, jnp.uint32), n_samples=5, batch=3, order="sequential").tolist()
        for k in range(4)
    ]
    assert rows == [[0, 1, 2], [3, 4, 0], [1, 2, 3], [4, 0, 1]]


@pytest.mark.parametrize("engine", ["measured", "fused"])
@pytest.mark.long
def test_a_task_says_in_which_order(engine):
    task = mgd.datasets.from_arrays(X, Y)
    given = {"n_steps": 40, "key": KEY, "n_replicas": 3, "engine": engine}
    shuffled = mgd.train(CHIP, task, WINDOWS, **given).theta
    sequential = mgd.train(CHIP, dataclasses.replace(task, order="sequential"), WINDOWS, **given).theta
    assert np.abs(np.asarray(shuffled - sequential)).max() > 1e-4
    assert np.array_equal(
        sequential, mgd.train(CHIP, mgd.datasets.from_arrays(X, Y, order="sequential"), WINDOWS, **given).theta
    )


def test_fused_is_the_measured_run_past_the_end_of_the_samples():
    data = Data(jnp.asarray(X[:7]), jnp.asarray(Y[:7]), 0.0, 1.0, order="sequential")
    fused, measured = (advanced(kind(CHIP, WINDOWS, 3), data, 50) for kind in (Fused, Measured))
    np.testing.assert_allclose(fused, measured, rtol=0, atol=1e-5)


def test_the_warning_of_chips_that_remember_names_it_and_is_not_given_in_sequence():
    chip = mgd.chips.imperfect(CHIP, mgd.chips.imperfections.Settling(3.0))
    task = mgd.datasets.from_arrays(X, Y)
    with pytest.warns(mgd.MgdWarning, match='show them in their own order .order = "sequential".'):
        mgd.train(chip, task, WINDOWS, n_steps=4, key=KEY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mgd.train(chip, dataclasses.replace(task, order="sequential"), WINDOWS, n_steps=4, key=KEY)


def test_an_order_that_is_none():
    with pytest.raises(ValueError, match="unknown order 'sequental': did you mean 'sequential'"):
        mgd.datasets.from_arrays(X, Y, order="sequental")
