"""Numbers are data: what is only tuned compiles nothing again, and replicas may differ in it."""

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
import pytest

import mgd
from mgd import MgdWarning
from mgd._numbers import as_data
from mgd.algorithm import (
    AbstractAlgorithm,
    Accumulate,
    Algorithm,
    Backprop,
    HighPass,
    LowPass,
    TimeConstants,
    TwoSided,
    discrete,
    retuned,
)
from mgd.algorithm._rule import rule_of
from mgd.chips import AbstractChip, imperfect, mlp
from mgd.chips.imperfections import (
    ADC,
    DAC,
    ActivationVariation,
    CostNoise,
    CrossTalk,
    Drift,
    FlickerNoise,
    ParameterRange,
    PerturbationGain,
    Settling,
    SoftBoundsWrite,
    StuckCells,
    UpdateNoise,
)
from mgd.datasets import parity
from mgd.perturbations import LFSR, Block, Gaussian, Rademacher, Sequential, Sinusoid, Walsh

KEY = jax.random.key(7)
TASK = parity(bits=2)
_COMPILED = "/jax/core/compile/backend_compile_duration"


@contextmanager
def compilations() -> Iterator[list[str]]:
    """What is compiled meanwhile, one entry each."""
    seen: list[str] = []

    def note(event: str, duration_secs: float, **kwargs: object) -> None:
        if event == _COMPILED:
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        yield seen
    finally:
        jax.monitoring.unregister_event_duration_listener(note)  # pyright: ignore[reportArgumentType]


class Numbers(NamedTuple):
    """What is tuned of a run."""

    rate: float = 0.05
    decay: float = 0.005
    amplitude: float = 0.05
    sigma: float = 0.005
    limit: float = 0.07


VARY = {
    "learning_rate": "rate",
    "weight_decay": "decay",
    "amplitude": "amplitude",
    "cost-noise.sigma": "sigma",
    "modulation_limit": "limit",
}
TUNED = Numbers(0.04, 0.004, 0.03, 0.006, 0.08)


def descent(numbers: Numbers, momentum: float | None = None) -> optax.GradientTransformation:
    return optax.chain(optax.add_decayed_weights(numbers.decay), optax.sgd(numbers.rate, momentum))


def adam(numbers: Numbers) -> optax.GradientTransformation:
    falling = optax.cosine_decay_schedule(numbers.rate, 100)
    return optax.chain(optax.add_decayed_weights(numbers.decay), optax.adam(falling))


def noisy(numbers: Numbers) -> AbstractChip:
    return imperfect(mlp((2, 2, 1)), ActivationVariation(0.05), UpdateNoise(0.001), CostNoise(numbers.sigma))


def measured(numbers: Numbers) -> AbstractAlgorithm:
    return discrete(perturbation=Rademacher(numbers.amplitude), optimizer=adam(numbers), modulation_limit=numbers.limit)


def fused(numbers: Numbers) -> AbstractAlgorithm:
    return discrete(
        perturbation=Rademacher(numbers.amplitude), optimizer=descent(numbers, 0.9), modulation_limit=numbers.limit
    )


def sampled(numbers: Numbers) -> AbstractAlgorithm:
    return discrete(
        perturbation=Walsh(numbers.amplitude),
        time_constants=TimeConstants(tau_x=4, tau_theta=8),
        optimizer=descent(numbers),
        modulation_limit=numbers.limit,
    )


def backprop(numbers: Numbers) -> AbstractAlgorithm:
    return Backprop(descent(numbers, 0.9))


ENGINES = {"measured": measured, "fused": fused, "sampled": sampled, "backprop": backprop}


def trained(chip, algorithm, engine="measured", *, n_replicas=3, n_steps=64, **settings):
    if engine == "fused":
        pytest.importorskip("numba")
    name = "auto" if engine == "backprop" else engine
    with jax.numpy_dtype_promotion("standard"):  # optax's own Adam mixes integers and floats
        return mgd.train(
            chip, TASK, algorithm, engine=name, n_steps=n_steps, n_replicas=n_replicas, key=KEY, **settings
        )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.quick("measured")
@pytest.mark.enough("fused")
def test_equal_or_tuned_again_it_compiles_nothing(engine):
    make = ENGINES[engine]
    first = trained(noisy(Numbers()), make(Numbers()), engine)
    with compilations() as seen:
        again = trained(noisy(Numbers()), make(Numbers()), engine)
        tuned = trained(noisy(TUNED), make(TUNED), engine)
    assert seen == []
    assert np.array_equal(first.theta, again.theta)
    assert not np.array_equal(first.theta, tuned.theta)
    with compilations() as seen:  # as a change of structure does
        trained(noisy(Numbers()), make(Numbers()), engine, n_replicas=4)
    assert seen


@pytest.mark.long
def test_one_chip_alone_equal_or_tuned_again_compiles_nothing():
    first = trained(noisy(Numbers()), measured(Numbers()), n_replicas=1)
    with compilations() as seen:
        again = trained(noisy(Numbers()), measured(Numbers()), n_replicas=1)
        tuned = trained(noisy(TUNED), measured(TUNED), n_replicas=1)
    assert seen == []
    assert np.array_equal(first.theta, again.theta)
    assert not np.array_equal(first.theta, tuned.theta)


def test_what_is_doubted_is_said_in_each_run():
    for amplitude in (0.05, 0.05, 0.04):
        with pytest.warns(MgdWarning, match="frequencies are"):
            trained(mlp((2, 2, 1)), discrete(perturbation=Sinusoid(amplitude), optimizer=optax.sgd(0.1)))


@pytest.mark.filterwarnings("ignore:Sinusoid")
@pytest.mark.parametrize(
    "family", [Walsh, Gaussian, LFSR, Sequential, Sinusoid, lambda a: Block(Rademacher(a), n_blocks=2)]
)
@pytest.mark.quick("Walsh")
def test_amplitudes_of_all_families_are_data(family):
    def run(amplitude: float):
        return trained(mlp((2, 2, 1)), discrete(perturbation=family(amplitude), optimizer=optax.sgd(0.1)))

    run(0.05)
    with compilations() as seen:
        run(0.04)
    assert seen == []


IMPERFECTIONS = {
    "activation-variation.sigma": lambda size: ActivationVariation(size),
    "stuck-cells.stuck": lambda size: StuckCells(stuck=size, dead=0.1),
    "cross-talk.coupling": CrossTalk,
    "parameter-range.high": lambda size: ParameterRange(-0.5, size),
    "soft-bounds-write.dw_min": lambda size: SoftBoundsWrite(size / 100, 0.1, 2.0, -2.0, 0.1, 0.1, 0.1, 0.1, 0.1),
    "update-noise.sigma": lambda size: UpdateNoise(size / 10),
    "drift.sigma": lambda size: Drift(1e-3, size / 10),
    "perturbation-gain.sigma": PerturbationGain,
    "dac.high": lambda size: DAC(8, -2.0, 2.0 + size, own_line=True),
    "settling.tau": Settling,
    "cost-noise.sigma": lambda size: CostNoise(size / 10),
    "cost-noise.relative": lambda size: CostNoise(0.01, size / 10),
    "flicker-noise.sigma": lambda size: FlickerNoise(size / 10, octaves=4),
    "adc.high": lambda size: ADC(16, -0.1, 1.0 + size),
}
NO_STEPS = pytest.mark.filterwarnings("ignore:an amplitude", "ignore:the chip remembers", "ignore:the cost on")


@NO_STEPS
@pytest.mark.parametrize("name", IMPERFECTIONS)
@pytest.mark.quick("update-noise.sigma")
@pytest.mark.enough("cost-noise.relative", "dac.high")
def test_each_replica_of_a_varied_imperfection_is_that_of_a_run_with_its_number(name):
    algorithm = discrete(perturbation=Rademacher(0.05), optimizer=optax.sgd(0.5))
    make, sizes = IMPERFECTIONS[name], [0.1, 0.3, 0.2]
    field = name.split(".")[1]
    numbers = [getattr(make(size), field) for size in sizes]
    together = trained(imperfect(mlp((2, 2, 1)), make(0.15)), algorithm, vary={name: numbers})
    with compilations() as seen:
        for replica, size in enumerate(sizes):
            alone = trained(imperfect(mlp((2, 2, 1)), make(size)), algorithm)
            assert np.allclose(together.theta[replica], alone.theta[replica], rtol=0, atol=1e-6)
            assert np.array_equal(together.theta[replica], alone.theta[replica])
            assert together.cost[replica] == alone.cost[replica]
    assert len(seen) <= 12  # one program of each kind for all numbers
    assert not np.array_equal(together.theta[0], trained(imperfect(mlp((2, 2, 1)), make(0.3)), algorithm).theta[0])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.quick("measured")
def test_each_replica_of_a_varied_run_is_that_of_a_run_with_its_numbers(engine):
    make, mixed = ENGINES[engine], Numbers(0.11, 0.05, 0.02, 0.1, 0.03)
    each = [Numbers(), TUNED, mixed]
    names = [name for name in VARY if engine != "backprop" or name not in ("amplitude", "modulation_limit")]
    vary = {name: [getattr(numbers, VARY[name]) for numbers in each] for name in names}
    together = trained(noisy(Numbers()), make(Numbers()), engine, vary=vary)
    for replica, numbers in enumerate(each):
        alone = trained(noisy(numbers), make(numbers), engine)
        assert np.allclose(together.theta[replica], alone.theta[replica], rtol=0, atol=1e-6)
        if engine != "sampled":  # whose sums XLA orders by program
            assert np.array_equal(together.theta[replica], alone.theta[replica])
    assert together.varied.keys() == vary.keys()
    assert {name: together.history[name].values.tolist() for name in vary} == vary


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.quick("measured")
def test_a_run_of_equal_values_is_the_run_without(engine):
    chip, algorithm, numbers = noisy(Numbers()), ENGINES[engine](Numbers()), Numbers()
    plain = trained(chip, algorithm, engine)
    vary = {"learning_rate": [numbers.rate] * 3, "cost-noise.sigma": [numbers.sigma] * 3}
    same = trained(chip, algorithm, engine, vary=vary)
    assert np.array_equal(plain.theta, same.theta)
    assert np.array_equal(plain.cost, same.cost)


@pytest.mark.parametrize("engine", ["measured", "fused"])
@pytest.mark.long
def test_zero_beside_other_numbers_is_a_run_without(engine):
    none = imperfect(mlp((2, 2, 1)), ActivationVariation(0.05), UpdateNoise(0.0), CostNoise(0.0))
    vary = {"update-noise.sigma": [0.01, 0.0, 0.02], "cost-noise.sigma": [0.1, 0.0, 0.2]}
    together = trained(noisy(Numbers()), fused(Numbers()), engine, vary=vary)
    alone = trained(none, fused(Numbers()), engine)
    assert np.abs(together.theta[1] - alone.theta[1]).max() < 1e-4  # rounding, of a few hundred timesteps


@pytest.mark.parametrize("engine", ["measured", "fused"])
@pytest.mark.long
def test_chips_with_the_same_numbers_are_those_of_a_run_with_them(engine):
    rates, sigmas = np.tile([0.02, 0.05], 4), np.repeat([0.01, 0.1], 4)
    vary = {"learning_rate": rates, "cost-noise.sigma": sigmas}
    result = trained(noisy(Numbers()), fused(Numbers()), engine, n_replicas=8, vary=vary)
    for rate, sigma in itertools.product((0.02, 0.05), (0.01, 0.1)):
        numbers = Numbers(rate=rate, sigma=sigma)
        alone, mine = trained(noisy(numbers), fused(numbers), engine, n_replicas=8), (rates == rate) & (sigmas == sigma)
        assert np.array_equal(result.theta[mine], alone.theta[mine])
    assert result.history["cost-noise.sigma"].dims == ("replica",)


@pytest.mark.long
def test_whole_optimizers_vary_if_they_are_one_rule():
    rates = [0.02, 0.05, 0.1]
    chip = mlp((2, 2, 1))
    result = trained(chip, discrete(optimizer=optax.lion(0.1)), vary={"optimizer": [optax.lion(r) for r in rates]})
    for replica, rate in enumerate(rates):
        alone = trained(chip, discrete(optimizer=optax.lion(rate)))
        assert np.array_equal(result.theta[replica], alone.theta[replica])


@pytest.mark.long
def test_chips_are_judged_each_with_its_own_numbers():
    chip = imperfect(mlp((2, 2, 1)), CrossTalk(0.1))
    result = trained(chip, discrete(optimizer=optax.sgd(0.1)), vary={"cross-talk.coupling": [0.0, 0.2, 0.4]})
    x, y = (jax.numpy.asarray(a) for a in (TASK.test.x, TASK.test.y))
    for replica, coupling in enumerate((0.0, 0.2, 0.4)):
        own = imperfect(mlp((2, 2, 1)), CrossTalk(coupling))
        theta, device = result.piece(replica)
        outputs = own.respond(theta, x, device=device, key=KEY)
        assert np.allclose(np.mean((outputs - y) ** 2), result.cost[replica], rtol=1e-5)


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        ({"tau_x": [1, 2, 3]}, "vary: tau_x is structure, which all replicas share: vary it from run to run"),
        ({"adc.bits": [8, 9, 10]}, "vary: bits of adc is structure"),
        ({"adc.width": [8, 9, 10]}, "vary: adc has no width; it has low, high"),
        ({"dac.low": [-1, -2, -3]}, "vary: the chip has no imperfection 'dac' around it"),
        ({"learning_rate": [0.1, 0.2]}, "vary: learning_rate has 2 values, and there are n_replicas = 3"),
        ({"learning_rate": 0.1}, "vary: learning_rate must be a sequence of numbers, one for each replica, got 0.1"),
        ({"learning_rate": [[0.1], [0.2], [0.3]]}, "vary: learning_rate must be a sequence of numbers"),
        ({"learning_rate": [0.1, 0.2, float("nan")]}, "vary: learning_rate must be finite numbers, got nan"),
        ({"learning_rate": [0.1, 0.2, "fast"]}, "vary: learning_rate must be finite numbers, got 'fast'"),
        ({"learning_rate": [0.1, 0.2, True]}, "vary: learning_rate must be finite numbers, got True"),
        ({"momentum": [0.1, 0.2, 0.3]}, "vary: the optimizer has no momentum to vary"),
        ({"amplitude": [0.1, 0.2, -0.3]}, "vary: amplitude must be a finite number above 0, got -0.3"),
        ({"adc.low": [0.0, 0.5, 2.0]}, "vary: adc: low must be below high, got 2.0 and 1.0"),
        ({"optimizer": [optax.sgd(0.1), optax.sgd(0.1), "sgd"]}, "vary: optimizer must be optax transformations"),
        ({"optimizer": [optax.sgd(0.1), optax.sgd(0.1), optax.adam(0.1)]}, "vary: optimizer changes more than numbers"),
        (
            {"amplitude": [0.1, 0.2, 0.3], "optimizer": [optax.sgd(0.1), optax.sgd(0.1), optax.adam(0.1)]},
            "vary: optimizer changes more than numbers",
        ),
    ],
)
def test_what_cannot_vary_is_refused_in_one_line(vary, said):
    chip = imperfect(mlp((2, 2, 1)), ADC(16, 0.0, 1.0))
    with pytest.raises(ValueError, match=f"^{re.escape(said)}.*$") as error:
        trained(chip, discrete(optimizer=optax.sgd(0.1)), vary=vary)
    assert "\n" not in str(error.value)


def test_a_chip_behind_io_varies_in_nothing():
    from mgd.instruments import Simulated, opened

    with opened(Simulated(mlp((2, 2, 1)), key=KEY)) as chip, pytest.raises(ValueError, match="vary is for replicas"):
        mgd.train(chip, TASK, discrete(), n_steps=10, key=KEY, vary={"learning_rate": [0.1]})


RULES = {
    "sgd": (optax.sgd, "learning_rate", 0.3),
    "momentum": (lambda momentum: optax.sgd(0.1, momentum), "momentum", 0.5),
    "nesterov": (lambda rate: optax.sgd(rate, 0.9, nesterov=True), "learning_rate", 0.3),
    "adam": (optax.adam, "learning_rate", 0.3),
    "adamw's decay": (lambda decay: optax.adamw(0.1, weight_decay=decay), "weight_decay", 0.3),
    "cosine": (lambda rate: optax.adam(optax.cosine_decay_schedule(rate, 50)), "learning_rate", 0.3),
    "decayed weights": (
        lambda decay: optax.chain(optax.add_decayed_weights(decay), optax.sgd(0.1)),
        "weight_decay",
        0.3,
    ),
    "rmsprop": (optax.rmsprop, "learning_rate", 0.3),
    "lion": (optax.lion, "learning_rate", 0.3),
    "no momentum": (lambda momentum: optax.sgd(0.1, momentum), "momentum", 0.0),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_made_again_with_another_number_is_that_with_the_number(name):
    make, number, value = RULES[name]
    with jax.numpy_dtype_promotion("standard"):
        old, new = rule_of(make(0.25), 5), rule_of(retuned(make(0.25), number, value), 5)
        asked = rule_of(make(value), 5)
    assert new.turn == old.turn
    assert jax.tree.structure(new) == jax.tree.structure(old)
    assert new.of_turn == asked.of_turn
    assert new.of_turn != old.of_turn


@pytest.mark.parametrize("name", RULES)
def test_a_rule_as_data_does_what_optax_does(name):
    make, *_ = RULES[name]
    optimizer, rng = make(0.25), np.random.default_rng(0)
    with jax.numpy_dtype_promotion("standard"):
        rule = rule_of(optimizer, 5)
        theta = jax.numpy.asarray(rng.normal(size=5), jax.numpy.float32)
        state, theirs = rule.init(theta), optimizer.init(theta)
        assert jax.tree.structure(state) == jax.tree.structure(theirs)
        for _ in range(3):
            gradient = jax.numpy.asarray(rng.normal(size=5), jax.numpy.float32)
            delta, state = rule.update(gradient, state, theta)
            expected, theirs = optimizer.update(gradient, theirs, theta)
            assert np.allclose(delta, expected, rtol=1e-6)
            assert delta.dtype == np.float32
    for ours, other in zip(jax.tree.leaves(state), jax.tree.leaves(theirs), strict=True):
        assert ours.dtype == other.dtype


def test_rules_that_do_something_else_are_not_equal():
    rules = [optax.sgd(0.1), optax.sgd(0.1, 0.9), optax.adam(0.1), optax.adam(0.1, b1=0.8), optax.sign_sgd(0.1)]
    with jax.numpy_dtype_promotion("standard"):
        programs = [rule_of(rule, 5).turn for rule in rules]
    assert len(set(programs)) == len(rules)


def test_numbers_are_arrays_and_zero_is_structure():
    chip: Any = as_data(imperfect(mlp((2, 2, 1)), UpdateNoise(0.0), CostNoise(0.1)))
    assert chip.imperfection.sigma.dtype == np.float32
    assert chip.chip.imperfection.sigma == 0.0
    assert isinstance(chip.chip.imperfection.sigma, float)
    assert as_data(chip) is chip


def test_an_algorithm_with_other_parts_is_data_too():
    parts: tuple[dict[str, Any], ...] = (
        {"perturbation": Gaussian(0.1), "baseline": TwoSided(), "integrator": LowPass()},
        {
            "perturbation": Sinusoid(0.1),
            "baseline": HighPass(),
            "integrator": Accumulate(),
            "time_constants": TimeConstants(1, 4, 8, 10.0),
        },
    )
    for given in parts:
        algorithm = Algorithm(**{"time_constants": TimeConstants(), "optimizer": optax.sgd(0.1)} | given)
        data = as_data(algorithm.for_program(9, 9))
        assert data.interval == algorithm.interval
        assert np.array_equal(data.scale(9), algorithm.scale(9))
        assert all(isinstance(leaf, np.ndarray) for leaf in (data.perturbation.amplitude, data.scale(9)))
