"""The fused engine goes the measured engine's way, whatever is set; and says what it does not cover."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import optax
import pytest

import mgd
from mgd._train import Session
from mgd.algorithm import HighPass, TimeConstants, TwoSided, analog, discrete
from mgd.chips import CrossEntropy, imperfect, mlp
from mgd.chips.imperfections import (
    ADC,
    DAC,
    ActivationVariation,
    CostNoise,
    Delay,
    FlickerNoise,
    ParameterRange,
    Settling,
    SoftBoundsWrite,
    UpdateNoise,
)
from mgd.datasets import nist7x7, parity
from mgd.engines import Data, Fused, Measured
from mgd.engines.simulated._fused import _engine
from mgd.engines.simulated._fused._stretches import stretches_of
from mgd.perturbations import LFSR, Block, Gaussian, Rademacher, Sequential, Sinusoid, Walsh

pytest.importorskip("numba")

KEY = jax.random.key(5)
TASK, LETTERS = parity(bits=2), nist7x7()
STATE = ("theta", "gradient", "optimizer", "baseline")
CHIP = mlp((2, 3, 2, 1))
RATES = -np.linspace(0.01, 0.02, CHIP.n_params, dtype=np.float32)


def stateless(rule):
    """A rule that remembers nothing, from G to Δθ."""
    return optax.stateless(lambda gradient, _: rule(gradient))


def by_twos():
    """A rule that counts, and not by ones."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return -0.1 * updates / (1.0 + state), state + 2

    return optax.GradientTransformation(lambda params: jax.numpy.zeros((), jax.numpy.int32), update)


def trained(engine, task, n_replicas, cuts, key=KEY):
    data, progress = Data.of(task.train), engine.init(n_replicas, key=key)
    start = np.asarray(progress.state.theta)
    for n in cuts:
        progress = engine.advance(data, progress, n)
    return start, progress


def same(chip, algorithm, task, *, cuts=(150,), n_replicas=5, batch=1, tolerance=2e-3):
    """Compares all that the two engines go on from, relative to how far parameters went."""
    start, measured = trained(Measured(chip, algorithm, batch), task, n_replicas, cuts)
    _, fused = trained(Fused(chip, algorithm, batch), task, n_replicas, cuts)
    assert int(measured.state.clock.step) == int(fused.state.clock.step) == sum(cuts)
    assert int(measured.state.clock.slot) == int(fused.state.clock.slot)
    assert jax.tree.structure(measured) == jax.tree.structure(fused)
    assert np.array_equal(measured.diverged, fused.diverged)
    well = ~np.asarray(measured.diverged)
    assert well.mean() > 0.9
    moved = np.abs(np.asarray(measured.state.theta) - start)[well].max()
    assert moved > 1e-3
    parts = {name: (getattr(fused.state, name), getattr(measured.state, name)) for name in STATE}
    parts["device"] = fused.device, measured.device
    for name, (ours_of_all, theirs_of_all) in parts.items():
        for ours, theirs in zip(jax.tree.leaves(ours_of_all), jax.tree.leaves(theirs_of_all), strict=True):
            assert ours.shape == theirs.shape
            assert ours.dtype == theirs.dtype
            ours, theirs = ours[well], theirs[well]
            size = moved if name == "theta" else max(1e-2, np.abs(np.asarray(theirs)).max())
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * size, err_msg=name)
    return moved


def falling(rate, n_updates):
    """A rate that falls to a tenth, as half a cosine, and stays there."""

    def after(count):
        turn = jax.numpy.minimum(jax.numpy.asarray(count, jax.numpy.float32) / n_updates, 1.0)
        return rate * (0.55 + 0.45 * jax.numpy.cos(np.float32(np.pi) * turn))

    return after


SIGNS, FALLING = Rademacher(0.05), falling(0.1, 30)
CASES = {
    "signs": discrete(perturbation=SIGNS),
    "Walsh": discrete(perturbation=Walsh(0.05), time_constants=TimeConstants(tau_theta=3)),
    "Walsh codes that share a bit": discrete(perturbation=Walsh(0.05, shared_bit=True)),
    "LFSR": discrete(perturbation=LFSR(0.05), time_constants=TimeConstants(tau_p=2)),
    "narrow LFSR": discrete(perturbation=LFSR(0.05, width=5)),
    "Gaussian": discrete(perturbation=Gaussian(0.05)),
    "sequential": discrete(perturbation=Sequential(0.05), time_constants=TimeConstants(2, 3, 7)),
    "sinusoid": discrete(perturbation=Sinusoid(0.05), time_constants=TimeConstants(1, 5, 50)),
    "times": discrete(perturbation=SIGNS, time_constants=TimeConstants(3, 4, 6)),
    "two-sided": discrete(perturbation=SIGNS, baseline=TwoSided(), time_constants=TimeConstants(1, 2, 3)),
    "blocks": discrete(perturbation=Block(SIGNS, n_blocks=4), time_constants=TimeConstants(2, 3, 6)),
    "blocks of Walsh codes": discrete(perturbation=Block(Walsh(0.05), n_blocks=3)),
    "blocks of Walsh codes that share a bit": discrete(perturbation=Block(Walsh(0.05, shared_bit=True), n_blocks=3)),
    "blocks of registers": discrete(perturbation=Block(LFSR(0.05), n_blocks=3), time_constants=TimeConstants(tau_p=2)),
    "blocks of normals": discrete(perturbation=Block(Gaussian(0.05), n_blocks=2)),
    "blocks in sequence": discrete(perturbation=Block(Sequential(0.05), n_blocks=3)),
    "blocks of sinusoids": discrete(perturbation=Block(Sinusoid(0.05), n_blocks=2)),
    "analog": analog(optimizer=optax.sgd(0.1), perturbation=Sinusoid(0.05)),
    "analog signs": analog(
        optimizer=optax.sgd(0.02), perturbation=Walsh(0.05), time_constants=TimeConstants(2, 30, 10, 20.0)
    ),
    "momentum": discrete(perturbation=SIGNS, optimizer=optax.sgd(0.02, 0.9)),
    "Nesterov and decay": discrete(
        perturbation=SIGNS,
        optimizer=optax.chain(optax.add_decayed_weights(1e-2), optax.sgd(0.02, 0.9, nesterov=True)),
    ),
    "falling": discrete(perturbation=SIGNS, optimizer=optax.sgd(FALLING), time_constants=TimeConstants(tau_theta=4)),
    "falling at every step": discrete(perturbation=SIGNS, optimizer=optax.sgd(FALLING)),
    "falling with momentum and decay": discrete(
        perturbation=Walsh(0.05),
        optimizer=optax.chain(optax.add_decayed_weights(1e-2), optax.sgd(FALLING, 0.9)),
        time_constants=TimeConstants(1, 4, 8),
    ),
    "analog that falls": analog(optimizer=optax.sgd(FALLING), perturbation=Sinusoid(0.05)),
    "by length": discrete(perturbation=SIGNS, optimizer=stateless(lambda g: -0.2 / g.size * g)),
    "clamp": discrete(perturbation=SIGNS, modulation_limit=1e-3),
}


@pytest.mark.filterwarnings("ignore:Sinusoid")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.quick("signs", "Walsh", "LFSR", "Gaussian", "two-sided", "blocks", "analog", "momentum")
def test_it_goes_the_measured_engines_way(name):
    same(CHIP, CASES[name], TASK)


IMPERFECT = {
    "cost noise": (CostNoise(0.01),),
    "relative noise": (CostNoise(0.001, relative=0.03),),
    "update noise": (UpdateNoise(0.01),),
    "range": (ParameterRange(-0.4, 0.4),),
    "variation": (ActivationVariation(0.2),),
    "in another order": (ActivationVariation(0.1), CostNoise(0.002), ParameterRange(-1.0, 1.0), UpdateNoise(0.01)),
    "converter": (DAC(16, -4.0, 4.0),),
    "own line": (DAC(12, -4.0, 4.0, stochastic=True, own_line=True),),
    "finer copy": (DAC(16, -4.0, 4.0, finer_copy=True),),
    "read by a converter": (CostNoise(0.002), ADC(16, 0.05, 0.9)),
    "late": (Delay(3),),
    "not settled, noisy, read by a converter, late": (Settling(0.5), CostNoise(1e-3), ADC(16, 0.0, 1.0), Delay(2)),
    "pulses": (SoftBoundsWrite(1e-3, 0.2, 0.5, -0.4),),
    "noisy pulses of cells that differ": (
        SoftBoundsWrite(1e-3, 0.2, 1.0, -0.8, 0.2, dw_min_ctoc=0.5, up_down_dtod=0.1, w_max_dtod=0.3, w_min_dtod=0.3),
    ),
    "pulses within a range": (ParameterRange(-0.3, 0.3), SoftBoundsWrite(1e-3), UpdateNoise(0.01)),
    "pulses by a converter": (SoftBoundsWrite(1e-4, dw_min_ctoc=0.3), DAC(14, -4.0, 4.0, stochastic=True)),
}


@pytest.mark.parametrize("name", IMPERFECT)
@pytest.mark.quick(
    "range",
    "own line",
    "update noise",
    "cost noise",
    "relative noise",
    "read by a converter",
    "not settled, noisy, read by a converter, late",
    "noisy pulses of cells that differ",
)
def test_it_makes_chips_imperfect_in_the_same_way(name):
    # A level of a converter, or a pulse, or a few, may be rounded the other way.
    rounds = any(isinstance(each, DAC | ADC | SoftBoundsWrite) for each in IMPERFECT[name])
    tolerance = 5e-3 if rounds else 2e-3
    same(imperfect(CHIP, *IMPERFECT[name]), discrete(perturbation=Rademacher(0.1)), TASK, tolerance=tolerance)


@pytest.mark.as_shipped
@pytest.mark.filterwarnings("ignore:Sinusoid")
@pytest.mark.parametrize("name", [*CASES, *IMPERFECT])
@pytest.mark.long
@pytest.mark.enough(
    "signs",
    "Walsh",
    "Gaussian",
    "two-sided",
    "analog",
    "momentum",
    "Nesterov and decay",
    "cost noise",
    "in another order",
    "own line",
)
def test_wide_vectors_make_the_same_bits(name, monkeypatch):
    chip, algorithm = imperfect(CHIP, *IMPERFECT.get(name, ())), CASES.get(name, discrete(perturbation=Rademacher(0.1)))
    _, narrow = trained(Fused(chip, algorithm), TASK, 5, (90, 60))
    monkeypatch.setattr(_engine, "_NARROW", 64)
    _, wide = trained(Fused(chip, algorithm), TASK, 5, (90, 60))
    assert all(map(np.array_equal, jax.tree.leaves(narrow), jax.tree.leaves(wide)))


def test_wide_vectors_are_for_many_small_chips():
    def lanes(sizes, n_replicas, *, threads=2, batch=1, around=(), **how):
        engine = Fused(imperfect(mlp(sizes), *around), discrete(**how), batch, threads=threads)
        return engine._group_size(n_replicas, engine._plan)

    assert lanes((2, 2, 1), 128) == lanes((2, 2, 1), 122) == lanes((2, 2, 1), 10_000) == 64
    # Groups of 32 are more evenly spread over threads.
    assert (
        lanes((2, 2, 1), 64) == lanes((2, 2, 1), 160) == lanes((2, 2, 1), 320) == lanes((2, 2, 1), 128, threads=4) == 32
    )
    # Parameters, or inputs, of 64 are too many for the first-level cache; where there is more to do, for the second.
    assert lanes((49, 4, 4), 128) == lanes((2, 2, 1), 128, batch=64) == 32
    for more in (
        {"optimizer": optax.sgd(0.1, 0.9)},
        {"around": (UpdateNoise(0.01),)},
        {"perturbation": Gaussian(0.01)},
    ):
        assert lanes((49, 4, 4), 128, **more) == 64 > lanes((784, 32, 10), 10_000, **more)  # pyright: ignore[reportArgumentType]


@pytest.mark.long
def test_groups_of_any_width_are_put_together_again_in_order():
    _, of_two = trained(Fused(CHIP, discrete(), threads=2), TASK, 150, (50,))
    _, of_five = trained(Fused(CHIP, discrete(), threads=5), TASK, 150, (50,))
    assert np.array_equal(of_two.state.theta, of_five.state.theta)


APART = {
    "signs": lambda a: discrete(perturbation=Rademacher(a), optimizer=optax.sgd(a)),
    "a window of Walsh codes": lambda a: discrete(
        perturbation=Walsh(a),
        optimizer=optax.sgd(a),
        modulation_limit=a / 10,
        time_constants=TimeConstants(1, 2, 3),
    ),
    "normals": lambda a: discrete(perturbation=Gaussian(a), optimizer=optax.sgd(0.1)),
    "sequential": lambda a: discrete(perturbation=Sequential(a), optimizer=optax.sgd(0.1)),
    "blocks": lambda a: discrete(perturbation=Block(Rademacher(a), n_blocks=3), optimizer=optax.sgd(0.1)),
    # Its high-pass gives each parameter a gain of its own.
    "analog": lambda a: analog(optimizer=optax.sgd(a), perturbation=Sinusoid(a)),
}


@pytest.mark.filterwarnings("ignore:Sinusoid")
@pytest.mark.parametrize("name", APART)
@pytest.mark.quick("blocks")
def test_chips_of_different_numbers_share_vectors(name):
    of_each = []
    for size in (0.05, 0.1, 0.07):
        chip = imperfect(CHIP, ActivationVariation(0.1), UpdateNoise(size / 50), CostNoise(size / 50))
        of_each.append(Fused(chip, APART[name](size)))
    which = np.array([0, 2, 1, 1])
    together = of_each[0].for_each(of_each, which)
    assert [group.members.tolist() for group in together._groups(4, [()] * 3)] == [[0, 1, 2, 3]]
    _, varied = trained(together, TASK, 4, (40, 20))
    for number, engine in enumerate(of_each):
        _, alone = trained(engine, TASK, 4, (40, 20))
        mine = which == number
        assert np.array_equal(varied.state.theta[mine], alone.state.theta[mine])
    assert len({row.tobytes() for row in np.asarray(varied.state.theta)}) == 4


def test_chips_without_noise_have_vectors_of_their_own():
    quiet, noisy, louder = (Fused(imperfect(CHIP, CostNoise(sigma)), discrete()) for sigma in (0.0, 0.1, 0.2))
    together = noisy.for_each([noisy, quiet, louder], np.array([0, 1, 2, 1]))
    assert [group.members.tolist() for group in together._groups(4, [()] * 3)] == [[0, 2], [1, 3]]


@pytest.mark.parametrize("cuts", [(60,), (1, 2, 10, 47)])
def test_chips_whose_rates_fall_alike_share_vectors(cuts):
    times = TimeConstants(tau_theta=4)
    engines = []
    for sigma, rate in ((0.01, 0.1), (0.02, 0.1), (0.01, 0.2)):
        algorithm = discrete(optimizer=optax.sgd(falling(rate, 10)), time_constants=times)
        engines.append(Fused(imperfect(CHIP, CostNoise(sigma)), algorithm))
    which = np.array([0, 2, 1, 0])
    together = engines[0].for_each(engines, which)
    progress = together.init(4, key=KEY)
    stretches = [stretches_of(engine._plan, progress.state.optimizer, 0, 60) for engine in engines]
    assert [group.members.tolist() for group in together._groups(4, stretches)] == [[0, 2, 3], [1]]
    assert [one.n_steps for one in stretches[0]] == [4] * 10 + [20]
    _, varied = trained(together, TASK, 4, cuts)
    for number, engine in enumerate(engines):
        _, alone = trained(engine, TASK, 4, (60,))
        mine = which == number
        assert np.array_equal(varied.state.theta[mine], alone.state.theta[mine])


@pytest.mark.parametrize(
    ("chip", "rate"),
    [
        (mlp((49, 4, 4), cost="mse", init="uniform"), 0.3),
        (mlp((49, 5, 4), activation="tanh", cost="cross-entropy"), 1e-3),
        (mlp((49, 5, 6, 4), activation="relu", cost=CrossEntropy(0.1)), 1e-3),
        (mlp((49, 4), output="linear"), 1e-3),
    ],
)
@pytest.mark.enough("chip3-0.001")
@pytest.mark.long
def test_networks_and_costs(chip, rate):
    algorithm = discrete(perturbation=SIGNS, optimizer=optax.sgd(rate))
    same(chip, algorithm, LETTERS, batch=3)
    same(chip, replace(algorithm, perturbation=Gaussian(0.05)), LETTERS)


def random_setting(seed):
    """A chip, an algorithm and how they are run, of all that the engine covers."""
    rng = np.random.default_rng(seed)

    def choose(*of):
        return of[rng.integers(len(of))]

    task = choose(TASK, LETTERS)
    chip = mlp(
        (task.train.x.shape[1], *(int(n) for n in rng.integers(1, 7, rng.integers(0, 3))), task.n_outputs),
        activation=choose("logistic", "tanh", "relu"),
        cost="mse" if task is TASK else choose("mse", "cross-entropy"),
    )
    rate = min(0.02, 0.4 / chip.n_params)  # beyond, trajectories are chaotic, and part for any rounding
    is_analog = rng.random() < 0.2
    tau_p, tau_x, tau_theta = (int(choose(1, 1, 2, 3, 5, 8)) for _ in range(3))
    families = (Rademacher, Walsh, LFSR, Gaussian)
    family = choose(*families, *(() if is_analog else (Sequential,)))(float(choose(0.03, 0.1)))
    if not is_analog and rng.random() < 0.3:
        family = Block(family, n_blocks=int(choose(2, 3)))
    settings = {
        "perturbation": family,
        "optimizer": choose(
            optax.sgd(rate), optax.sgd(rate / 5, 0.9), optax.chain(optax.add_decayed_weights(1e-3), optax.sgd(rate))
        ),
        "modulation_limit": choose(None, None, 0.01),
    }
    if is_analog:
        baseline, tau_x = HighPass(), tau_p * 10 + 1
    else:
        baseline = choose(None, None, TwoSided())
    algorithm = (analog if is_analog else discrete)(
        **settings,
        baseline=baseline,
        time_constants=TimeConstants(tau_p, tau_x, tau_theta, *((15.0,) if is_analog else ())),
    )
    around = [
        each
        for each in (
            ActivationVariation(0.1), ParameterRange(-2.0, 2.0), UpdateNoise(1e-3), DAC(20, -4.0, 4.0),
            Settling(0.7), CostNoise(1e-3), Delay(2),
        )
        if rng.random() < 0.3
    ]  # fmt: skip
    return imperfect(chip, *around), algorithm, task, int(choose(1, 1, 2, 7)), int(rng.integers(1, 40))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.long
def test_random_settings(seed):
    chip, algorithm, task, batch, n_replicas = random_setting(seed)
    same(chip, algorithm, task, cuts=(37, 1, 82), n_replicas=n_replicas, batch=batch, tolerance=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 60))
def test_many_random_settings(seed):
    test_random_settings(seed)


@pytest.mark.long
def test_ten_thousand_steps_of_the_same_trajectory():
    algorithm = discrete(perturbation=SIGNS, optimizer=optax.sgd(0.05))
    same(mlp((2, 2, 1)), algorithm, TASK, cuts=(10_000,), n_replicas=40)


@pytest.mark.slow
def test_how_a_run_is_cut_and_how_many_replicas_there_are_change_no_bit():
    chip = imperfect(CHIP, ActivationVariation(0.1), UpdateNoise(1e-3), CostNoise(1e-3))
    for algorithm in (
        discrete(perturbation=LFSR(0.05), time_constants=TimeConstants(3, 5, 7)),
        discrete(perturbation=Block(LFSR(0.05), n_blocks=3), time_constants=TimeConstants(3, 5, 7)),
        analog(perturbation=Walsh(0.05), time_constants=TimeConstants(2, 31, 5, 20.0)),
    ):
        engine = Fused(chip, algorithm, 3)
        outcomes = [trained(engine, TASK, n, cuts)[1] for n, cuts in ((70, (90,)), (70, (1, 0, 20, 3, 66)), (3, (90,)))]
        for name in ("theta", "gradient", "baseline"):
            whole, cut, few = (jax.tree.leaves(getattr(each.state, name)) for each in outcomes)
            for a, b, c in zip(whole, cut, few, strict=True):
                assert np.array_equal(a, b), name
                assert np.array_equal(a[:3], c), name


@pytest.mark.long
def test_a_count_beyond_32_bits():
    algorithm = discrete(perturbation=Walsh(0.05), time_constants=TimeConstants(3, 5, 7))
    far, outcomes = 2**33 + 17, []
    for engine in (Measured(CHIP, algorithm), Fused(CHIP, algorithm)):
        progress = engine.init(3, key=KEY)
        progress = replace(progress, state=progress.state.with_clock(algorithm.clock_at(far)))
        progress = engine.advance(Data.of(TASK.train), progress, 100)
        assert int(progress.state.clock.step) == far + 100
        outcomes.append(np.asarray(progress.state.theta))
    np.testing.assert_allclose(*outcomes, rtol=0, atol=1e-3)


@pytest.mark.long
def test_what_is_not_finite_is_told_with_its_step():
    algorithm = discrete(perturbation=SIGNS, optimizer=optax.sgd(1e30), time_constants=TimeConstants(tau_theta=5))
    chip = mlp((2, 2, 1), output="linear")
    outcomes = [trained(engine(chip, algorithm), TASK, 40, (3, 9))[1] for engine in (Measured, Fused)]
    for each in outcomes:
        assert np.asarray(each.diverged).all()
        assert (np.asarray(each.diverged_at.low) == 5).all()
    with pytest.raises(mgd.DivergedError, match="NaN or infinite, first at step 5"):
        mgd.train(chip, TASK, algorithm, n_steps=400, n_replicas=40, engine="fused", key=KEY)


@pytest.mark.long
def test_training_by_it_learns():
    chip = mlp((2, 2, 1))
    algorithm = discrete(perturbation=SIGNS, optimizer=optax.chain(optax.add_decayed_weights(3e-4), optax.sgd(0.5)))
    result = mgd.train(chip, TASK, algorithm, n_steps=60_000, n_replicas=32, engine="fused", key=KEY)
    assert result.solved.mean() > 0.8
    assert result.counts.cost_measurements == 120_000


@pytest.mark.parametrize(
    ("chip", "algorithm", "message"),
    [
        (imperfect(CHIP, FlickerNoise(0.01)), discrete(), "does not cover a chip with flicker-noise"),
        (mgd.chips.cnn((28, 28, 1), (4,)), discrete(), r"does not cover a CNN network \(only layered perceptrons\)"),
        (
            mgd.chips.from_function(lambda theta, x, y: theta.sum(), init=lambda key: jax.numpy.zeros(3)),
            discrete(),
            "does not cover a FunctionChip",
        ),
        (CHIP, discrete(optimizer=optax.adam(0.1)), r"does not cover this optimizer \(only gradient descent"),
        (CHIP, discrete(perturbation=LFSR(0.05), optimizer=optax.sgd(FALLING)), "a rate that changes with LFSR"),
        (CHIP, discrete(optimizer=by_twos()), "does not cover this optimizer"),
        (CHIP, discrete(optimizer=optax.chain(optax.clip(1e3), optax.sgd(0.1))), "does not cover this optimizer"),
        (CHIP, discrete(optimizer=stateless(lambda g: g / jax.numpy.linalg.norm(g))), "does not cover this optimizer"),
        (CHIP, discrete(optimizer=stateless(lambda g: g * RATES)), "does not cover this optimizer"),
        (CHIP, discrete(perturbation=Block(Block(SIGNS, n_blocks=2), n_blocks=2)), "not cover Block perturbations"),
    ],
)
def test_what_it_does_not_cover_is_named(chip, algorithm, message):
    with pytest.raises(ValueError, match=message) as error:
        Fused(chip, algorithm)
    assert "use the measured engine" in str(error.value)


@pytest.mark.long
def test_auto_takes_it_where_it_pays():
    def engine(n_replicas, n_steps, chip=CHIP):
        session = Session(chip, TASK, discrete(), n_steps=n_steps, n_replicas=n_replicas, key=KEY)
        return session.engine

    assert engine(64, 10**6) == "fused"
    assert engine(64, 1000) == "measured"
    assert engine(1, 10**9) == "measured"
    assert engine(64, 10**6, imperfect(CHIP, FlickerNoise(0.01))) == "measured"  # pyright: ignore[reportArgumentType]


def test_without_numba_it_names_the_extra():
    program = (
        "import sys; sys.modules['numba'] = None\n"
        "import mgd\n"
        "try:\n"
        "    mgd.engines.Fused(mgd.chips.mlp((2, 2, 1)), mgd.discrete())\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert 'pip install "mgd[fused]"' in said


def test_what_is_kept_is_kept_by_the_sources_wherever_that_is(tmp_path, monkeypatch):
    from numba.core import config

    from mgd.engines.simulated._fused import _compiled

    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    folders = []
    for digest in ("one", "another"):
        monkeypatch.setattr(_compiled, "_digest", lambda digest=digest: digest)
        monkeypatch.setattr(_compiled, "_kept", lambda folder, lanes: folders.append(folder) or print)
        _compiled._kernel.__wrapped__(32)
    _compiled._kernel.__wrapped__(64)
    assert [str(folder.relative_to(tmp_path / "mgd" / "fused")) for folder in folders] == [
        "one/32",
        "another/32",
        "another/64",
    ]


def test_what_was_kept_and_cannot_be_read_is_removed(tmp_path, monkeypatch):
    from numba.core import config

    from mgd.engines.simulated._fused import _compiled

    def broken(*_):
        raise EOFError("ran out of input")

    told = []
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(_compiled, "_digest", lambda: "one")
    monkeypatch.setattr(_compiled, "_kept", lambda folder, lanes: broken)
    monkeypatch.setattr(_compiled, "_here", lambda lanes: told.append)
    part = tmp_path / "mgd" / "fused" / "one" / "32" / "part.nbi"
    part.parent.mkdir(parents=True)
    part.touch()
    _compiled._kernel.__wrapped__(32)("group")
    assert told == ["group"]
    assert not part.exists()


def test_samples_and_runs_of_another_chip_are_refused():
    engine = Fused(CHIP, discrete())
    progress = engine.init(2, key=KEY)
    with pytest.raises(ValueError, match="must have 2 inputs and 1 outputs, as the chip has, got 49 and 4"):
        engine.advance(Data.of(LETTERS.train), progress, 1)
    with pytest.raises(ValueError, match="the chip has 20 parameters, got a run of 9"):
        engine.advance(Data.of(TASK.train), Fused(mlp((2, 2, 1)), discrete()).init(2, key=KEY), 1)


def test_threads_are_at_least_one():
    with pytest.raises(ValueError, match="threads must be 1 or more, got 0"):
        Fused(CHIP, discrete(), threads=0)


def test_a_numba_that_cannot_be_imported_is_none(monkeypatch):
    def broken(name):
        raise ImportError("Numba needs NumPy 2.2 or less")

    monkeypatch.setattr("importlib.import_module", broken)
    assert not Fused.applies(CHIP, discrete())
    with pytest.raises(ValueError, match=r"cannot be imported \(Numba needs NumPy 2.2 or less\): pip install"):
        Fused(CHIP, discrete())
