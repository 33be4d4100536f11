"""Inputs that a simulated chip can make nothing of are warned of, and no others."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris, load_wine

import mgd
from mgd.chips import cnn, from_function, from_module, mlp
from mgd.datasets import Samples, Task, from_arrays, nist7x7, parity
from mgd.engines import check_inputs

RNG = np.random.default_rng(1)
SETS = {"wine": load_wine(), "breast cancer": load_breast_cancer(), "iris": load_iris()}


def raw(name: str, **settings) -> Task:
    found = SETS[name]
    return from_arrays(found.data, np.eye(len(found.target_names), dtype=np.float32)[found.target], **settings)  # pyright: ignore[reportAttributeAccessIssue]


def said(chip, task) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_inputs(chip, task)
    assert all(one.category is mgd.MgdWarning for one in caught)
    return [str(one.message) for one in caught]


def make_module(key):
    return eqx.nn.MLP(13, 3, 8, 1, activation=jnp.tanh, key=key)


@pytest.mark.parametrize("activation", ["logistic", "tanh"])
@pytest.mark.parametrize("settings", [{}, {"cost": "mse", "init": "uniform"}])
def test_raw_inputs_that_saturate_are_warned_of_with_the_largest_and_a_remedy(activation, settings):
    for name, largest in (("wine", "1,680"), ("breast cancer", "4,254")):
        task = raw(name)
        chip = mlp((task.input_shape[0], 8, task.n_outputs), activation=activation, **settings)
        (message,) = said(chip, task)
        assert message == (
            f"inputs saturate the chip: they go up to {largest}, and its outputs hardly change when all are halved: "
            'give scaling="standard" with data of your own (--scaling standard), or scale them yourself'
        )


@pytest.mark.long
def test_training_says_it():
    with pytest.warns(mgd.MgdWarning, match=r"^inputs saturate the chip: they go up to 1,680, "):
        mgd.train(mlp((13, 8, 3)), raw("wine"), n_steps=3, key=jax.random.key(0))


def test_modules_of_ones_own_are_looked_at_too():
    assert said(from_module(make_module), raw("wine"))[0].startswith("inputs saturate the chip: they go up to 1,680")


def test_chips_that_do_not_saturate_are_told_that_their_outputs_are_large():
    (message,) = said(mlp((13, 8, 3), activation="relu"), raw("wine"))
    assert message.startswith("inputs are large for this chip: they go up to 1,680, and its outputs to ")


def test_inputs_too_small_to_be_seen_are_warned_of():
    x = 1e-6 * RNG.normal(size=(100, 4))
    (message,) = said(mlp((4, 8, 2)), from_arrays(x, np.eye(2, dtype=np.float32)[RNG.integers(0, 2, 100)]))
    assert message.startswith(
        "inputs are too small for this chip: their standard deviations over samples are at most 1"
    )


def with_outliers() -> np.ndarray:
    x = RNG.normal(size=(300, 10))
    x[::17, 3] = 1e4
    return x


def sparse() -> np.ndarray:
    x = np.zeros((300, 200))
    x[RNG.integers(0, 300, 900), RNG.integers(0, 200, 900)] = RNG.integers(1, 50, 900)
    return x


@pytest.mark.parametrize(
    "x",
    [
        with_outliers(),
        sparse(),
        RNG.integers(0, 2, (100, 30)),
        RNG.normal(size=(100, 30)),
        RNG.uniform(-1, 1, (100, 3)),
        np.ones((20, 5)),
        np.zeros((1, 1)),
    ],
    ids=["outliers", "sparse counts", "binary", "normal", "uniform", "all alike", "nothing"],
)
@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu"])
def test_inputs_of_an_ordinary_size_are_not(x, activation):
    target = np.eye(2, dtype=np.float32)[np.arange(len(x)) % 2]
    assert said(mlp((x.shape[1], 6, 2), activation=activation), from_arrays(x.astype(np.float32), target)) == []


def test_scaled_sets_and_tasks_that_ship_are_not():
    for name in SETS:
        for how in ("standard", "min-max"):
            task = raw(name, scaling=how)
            assert said(mlp((task.input_shape[0], 8, task.n_outputs)), task) == []
    assert said(mlp((4, 8, 3)), raw("iris")) == []  # centimetres, which learn as they are
    assert said(mlp((49, 4, 4)), nist7x7()) == []
    assert said(mlp((2, 2, 1)), parity(bits=2)) == []


def images(**stored) -> Task:
    pixels = RNG.integers(0, 256, (60, 12, 12, 1)).astype(np.uint8)
    samples = Samples(pixels, np.eye(10, dtype=np.float32)[RNG.integers(0, 10, 60)], **stored)
    return Task("images", samples, samples, tuple("0123456789"), 1.0, "made here")


def test_bytes_are_judged_as_the_chip_is_shown_them():
    assert said(cnn((12, 12, 1), (4,)), images(offset=128.0, scale=1 / 74)) == []
    assert said(mlp((144, 8, 10)), images(scale=1 / 255)) == []
    assert said(mlp((144, 8, 10)), images())[0].startswith("inputs saturate the chip: they go up to 255")


def test_chips_made_for_large_inputs_are_not():
    scaled = from_function(
        lambda theta, x, y: jnp.mean((jnp.tanh(x @ theta / 1000)[:, None] - y) ** 2),
        init=lambda key: jax.random.normal(key, (13,)),
        respond=lambda theta, x: jnp.tanh(x @ theta / 1000)[:, None],
    )
    one_output = from_arrays(SETS["wine"].data, (SETS["wine"].target[:, None] == 0).astype(np.float32))  # pyright: ignore[reportAttributeAccessIssue]
    assert said(scaled, one_output) == []
    assert said(from_module(lambda key: eqx.nn.Sequential([eqx.nn.LayerNorm(13), make_module(key)])), raw("wine")) == []
    alone = from_function(lambda theta, x, y: jnp.sum(theta**2), init=lambda key: jnp.zeros(2))
    assert said(alone, raw("wine")) == []
