"""What every imperfection must do: one row each, and each gets all of these tests."""

import dataclasses
from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd._train import Session
from mgd.chips import imperfections, mlp
from mgd.chips.imperfections import (
    ADC,
    DAC,
    AbstractImperfection,
    ActivationVariation,
    CostNoise,
    CrossTalk,
    Delay,
    Drift,
    FlickerNoise,
    Imperfect,
    ParameterRange,
    PerturbationGain,
    Settling,
    SoftBoundsWrite,
    StuckCells,
    UpdateNoise,
    imperfect,
)

KEY = jax.random.key(14)
# In the order of the signal's path: those to the parameters from the network outwards, then those of the cost.
MILD = {
    "activation-variation": ActivationVariation(0.1),
    "stuck-cells": StuckCells(stuck=0.1, dead=0.1),
    "cross-talk": CrossTalk(0.05),
    "parameter-range": ParameterRange(-2.0, 2.0),
    "soft-bounds-write": SoftBoundsWrite(
        0.002, 0.1, 3.0, -3.0, 0.2, 0.3, up_down_dtod=0.05, w_max_dtod=0.1, w_min_dtod=0.1
    ),
    "update-noise": UpdateNoise(1e-3),
    "drift": Drift(leak=1e-5, sigma=1e-4),
    "perturbation-gain": PerturbationGain(0.2),
    "dac": DAC(10, -4.0, 4.0, stochastic=True, own_line=True),
    "dac, shared and to the nearest": DAC(16, -4.0, 4.0),
    "settling": Settling(0.5),
    "cost-noise": CostNoise(1e-4),
    "cost-noise, relative": CostNoise(1e-4, relative=1e-3),
    "flicker-noise": FlickerNoise(1e-4),
    "adc": ADC(20, 0.0, 1.0),
    "delay": Delay(1),
}
ZERO = {
    "activation-variation": ActivationVariation(0.0),
    "stuck-cells": StuckCells(),
    "cross-talk": CrossTalk(0.0),
    "update-noise": UpdateNoise(0.0),
    "drift": Drift(),
    "perturbation-gain": PerturbationGain(0.0),
    "settling": Settling(0.0),
    "cost-noise": CostNoise(0.0),
    "flicker-noise": FlickerNoise(0.0),
    "delay": Delay(0),
}
REMEMBER = {"drift", "settling", "flicker-noise", "delay"}
COARSE = {"dac, shared and to the nearest", "adc"}
TASK = mgd.datasets.parity(bits=2)
# A perturbation held for two steps, so that the delay of one measurement leaves it something to see.
ALGORITHM = mgd.discrete(
    perturbation=mgd.perturbations.Rademacher(amplitude=0.02),
    time_constants=mgd.TimeConstants(tau_p=2, tau_x=4, tau_theta=4),
    optimizer=optax.sgd(0.3),
)


@cache
def chip_with(name: str):
    return imperfect(mlp((2, 2, 1)), MILD[name])


@cache
def measured_engine(name: str):
    return mgd.engines.Measured(chip_with(name), ALGORITHM, 4)


def leaves(tree) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


def test_every_imperfection_is_in_the_table():
    kinds = {v for v in vars(imperfections).values() if isinstance(v, type) and issubclass(v, AbstractImperfection)}
    final = {kind for kind in kinds if not kind.__name__.startswith("Abstract")}
    assert {type(one) for one in MILD.values()} == final
    assert {name.partition(",")[0] for name in MILD} == {kind.name for kind in final}


@pytest.mark.parametrize("name", MILD)
@pytest.mark.quick("cross-talk")
def test_it_trains_in_pieces_as_in_one_go(name):
    engine, data = measured_engine(name), mgd.engines.Data.of(TASK.train)
    start = engine.init(2, key=KEY)
    x, y = data.show(jnp.arange(4))

    def cost_now(theta, device):
        return jnp.mean(engine.chip.cost(engine.chip.respond(theta, x, device=device, key=KEY), y))

    cost = jax.jit(jax.vmap(cost_now))
    before = cost(start.state.theta, start.device)
    whole = engine.advance(data, start, 800)
    pieces = engine.init(2, key=KEY)
    for n in (1, 2, 350, 446, 1):  # cuts within windows, holds and perturbations
        pieces = engine.advance(data, pieces, n)
    assert leaves(pieces) == leaves(whole)
    assert whole.state.theta.dtype == jnp.float32
    assert not whole.diverged.any()
    after = cost(whole.state.theta, whole.device)
    assert (np.asarray(after) < np.asarray(before) - 0.001).all(), (before, after)


@pytest.mark.parametrize("name", MILD)
def test_shapes_and_types_of_its_device_do_not_change(name):
    chip = chip_with(name)
    x, y = jnp.ones((3, 2)), jnp.zeros((3, 1))
    device = chip.fabricate(key=KEY)
    theta = chip.init(key=KEY)
    measure = eqx.filter_jit(lambda device: chip.measure(theta, theta, x, y, device=device, key=KEY))
    cost, after = measure(device)
    assert (cost.shape, cost.dtype) == ((), jnp.float32)
    kinds = [[(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(d)] for d in (device, after)]
    assert kinds[0] == kinds[1]
    assert jax.tree.structure(device) == jax.tree.structure(after)
    changed = leaves(device) != leaves(after)
    assert changed == (name in REMEMBER)
    assert leaves(measure(device)) == leaves((cost, after))


@pytest.mark.parametrize("name", MILD)
@pytest.mark.quick("stuck-cells", "flicker-noise")
def test_side_by_side_is_one_by_one(name):
    chip = chip_with(name)
    x, y = jnp.ones((3, 2)), jnp.zeros((3, 1))

    def life(key):
        device, theta = chip.fabricate(key=key), chip.init(key=key)
        _, device = chip.measure(theta, 0.1 * theta, x, y, device=device, key=key)
        theta = chip.write(theta, theta, device=device, key=key)
        return chip.measure(theta, 0.1 * theta, x, y, device=device, key=key), theta

    keys = jax.random.split(KEY, 2)
    together, alone = jax.jit(jax.vmap(life))(keys), jax.jit(life)(keys[1])
    for one, other in zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True):
        assert np.allclose(one, other[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["activation-variation", "stuck-cells", "soft-bounds-write", "perturbation-gain"])
@pytest.mark.quick("perturbation-gain", "stuck-cells")
def test_what_differs_between_pieces_differs_and_stays(name):
    engine = measured_engine(name)
    start = engine.init(2, key=KEY)
    before = leaves(start.device)
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(start.device)]
    assert any(not np.array_equal(leaf[0], leaf[1]) for leaf in arrays)
    assert leaves(engine.advance(mgd.engines.Data.of(TASK.train), start, 50).device) == before


# About bits: with other machine code than the shipped one, programs that differ in nothing else differ in rounding.
@pytest.mark.long
@pytest.mark.as_shipped
@pytest.mark.parametrize("name", ZERO)
@pytest.mark.enough("activation-variation", "drift", "cost-noise", "delay")
def test_a_setting_of_zero_is_the_perfect_chip_to_the_bit(name):
    assert after_training(imperfect(mlp((2, 2, 1)), ZERO[name])) == perfect()


def after_training(chip) -> list[bytes]:
    engine = mgd.engines.Measured(chip, ALGORITHM, 4)
    return leaves(engine.advance(mgd.engines.Data.of(TASK.train), engine.init(2, key=KEY), 200).state)


@cache
def perfect() -> list[bytes]:
    return after_training(mlp((2, 2, 1)))


@pytest.mark.parametrize("name", MILD)
@pytest.mark.quick("dac, shared and to the nearest", "perturbation-gain")
def test_a_setting_above_zero_is_not_the_perfect_chip(name):
    ideal, real = mlp((2, 2, 1)), chip_with(name)
    x, y = jnp.ones((3, 2)), jnp.zeros((3, 1))
    theta, device = 3 * ideal.init(key=KEY), real.fabricate(key=jax.random.key(0))
    seen = []
    for chip, d in ((ideal, None), (real, device)):
        costs = []
        for k in range(3):
            cost, d = chip.measure(theta * (1 + 0.1 * k), 0.1 * theta, x, y, device=d, key=jax.random.key(k))
            costs.append(float(cost))
        seen.append((costs, chip.write(theta, 0.3 * theta, device=d, key=KEY).tolist()))
    assert seen[0] != seen[1]


@pytest.mark.parametrize("name", MILD)
def test_engines_are_told_what_remembers_and_what_is_coarse(name):
    traits = chip_with(name).traits
    real = MILD[name].name
    assert traits.remembers == ((real,) if name in REMEMBER else ())
    assert traits.coarse == ((real,) if name in COARSE else ())
    if name in ZERO:
        assert imperfect(mlp((2, 2, 1)), ZERO[name]).traits == mlp((2, 2, 1)).traits


def test_traits_add_up():
    parts = (DAC(8, -1.0, 1.0), Settling(1.0), CostNoise(0.3), FlickerNoise(0.1), ADC(8, 0.0, 1.0), Delay(2))
    traits = imperfect(mlp((2, 2, 1)), Drift(leak=0.1), *parts).traits
    assert traits.remembers == ("drift", "settling", "flicker-noise", "delay")
    assert traits.coarse == ("dac", "adc")
    assert traits.cost_noise == 0.3


@pytest.mark.filterwarnings("ignore:the chip remembers")
@pytest.mark.parametrize("name", sorted(REMEMBER))
@pytest.mark.quick("settling")
def test_one_chip_alone_remembers_every_measurement(name):
    """Holds measured as one batch would leave the memory as it was."""
    chip = chip_with(name)
    session = Session(chip, TASK, ALGORITHM, n_steps=8, n_replicas=1, key=KEY, log_every=8)
    engine = mgd.engines.Measured(chip, ALGORITHM, 1)
    expected = engine.advance(mgd.engines.Data.of(TASK.train), engine.init(1, key=KEY), 8)
    while not session.finished:
        session.advance()
    assert leaves(session.snapshot.progress) == leaves(expected)


@pytest.mark.parametrize("name", MILD)
def test_what_it_is_made_with_is_structure_or_a_number(name):
    """Structure is part of what is compiled, numbers are data: nothing is left for programs to take as they like."""
    kinds = [
        (bool(each.metadata.get("static")), bool(each.metadata.get("number")))
        for each in dataclasses.fields(MILD[name])
        if each.init
    ]
    assert all(sum(kind) == 1 for kind in kinds), kinds


# The order along the signal's path.

SINGLE = [one for name, one in MILD.items() if "," not in name]


@pytest.mark.parametrize("inner", SINGLE, ids=lambda one: one.name)
@pytest.mark.parametrize("outer", SINGLE, ids=lambda one: one.name)
def test_any_two_go_around_one_another_only_as_their_places_say(inner, outer):
    inside = Imperfect(mlp((2, 2, 1)), inner)  # pyright: ignore[reportCallIssue]
    if inner.name == outer.name:
        message = f"this chip already has {inner.name}: give it once"
    elif inner.side == outer.side and outer.place < inner.place:
        way = "to the parameters" if outer.side == "in" else "of the cost"
        message = (
            f"{outer.name} cannot be put around {inner.name}: on the way {way} it comes nearer to the network; "
            f"put {inner.name} around {outer.name}"
        )
    elif outer.name == "activation-variation":
        message = (
            "activation-variation needs neurons: put it directly around a perceptron or convolutional network, "
            "got Imperfect"
        )
    else:
        assert isinstance(Imperfect(inside, outer), Imperfect)  # pyright: ignore[reportCallIssue]
        return
    with pytest.raises(ValueError) as raised:  # noqa: PT011 (its whole wording is compared)
        Imperfect(inside, outer)  # pyright: ignore[reportCallIssue]
    assert str(raised.value) == message


def test_the_places_are_those_of_the_signals_path():
    ins = [one.name for one in SINGLE if one.side == "in"]
    outs = [one.name for one in SINGLE if one.side == "out"]
    assert [name for name in MILD if "," not in name] == ins + outs
    assert [MILD[name].place for name in ins] == list(range(9))
    assert [MILD[name].place for name in outs] == [0, 1, 1, 2, 3]


@pytest.mark.filterwarnings("ignore:the chip remembers")
@pytest.mark.long
def test_all_of_them_at_once_train():
    chip = imperfect(mlp((2, 2, 1)), *SINGLE)
    result = mgd.train(chip, TASK, ALGORITHM, n_steps=100, n_replicas=2, batch=4, key=KEY, log_every=100)
    assert np.isfinite(result.cost).all()
    assert not np.array_equal(result.theta[0], result.theta[1])


def test_a_chip_with_imperfections_needs_its_device():
    chip = chip_with("drift")
    with pytest.raises(
        ValueError,
        match=r"^an imperfect chip needs a device to respond: for a trained chip give that of its run \(result.device",
    ):
        chip.measure(jnp.zeros(9), jnp.zeros(9), jnp.ones((1, 2)), jnp.ones((1, 1)), key=KEY)
