"""Which arrays of a network are trained, in which type, and which are frozen."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest
from jax import lax

import mgd
from mgd.chips import NetworkChip, from_function, from_module, imperfect
from mgd.chips.imperfections import CostNoise, Delay, Drift, FlickerNoise, Settling

KEY = jax.random.key(3)
TASK = mgd.datasets.parity(bits=2)


class Two(eqx.Module):
    """Two arrays, and how they are used: `a` is always trained."""

    a: jax.Array
    b: jax.Array
    how: object = eqx.field(static=True)

    def __call__(self, x):
        return self.how(self.a, self.b, x)  # pyright: ignore[reportCallIssue]


def two(how, dtype=jnp.float32):
    return lambda key: Two(jax.random.normal(key, (1, 2), dtype), jnp.full(1, 0.5, dtype), how)


def in_scan(a, b, x):
    def turn(carry, value):
        total, kept = carry
        return (total + value * lax.stop_gradient(kept), kept), total

    return lax.scan(turn, (jnp.zeros(1), b), a[0] * x)[0][0]


def in_while(a, b, x):
    return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * lax.stop_gradient(b)), (0, a @ x))[1]


@jax.custom_vjp
def hidden(a, b):
    return a * lax.stop_gradient(b)


hidden.defvjp(lambda a, b: (a * b, b), lambda b, g: (g * b, jnp.zeros_like(b)))
STOPPED = {
    "plain": lambda a, b, x: a @ x + lax.stop_gradient(b),
    "of what is made of it": lambda a, b, x: a @ x + lax.stop_gradient(jnp.exp(b) * 2),
    "twice": lambda a, b, x: a @ x * lax.stop_gradient(b) + lax.stop_gradient(b),
    "jit": lambda a, b, x: a @ x + jax.jit(lambda v: lax.stop_gradient(v))(b),
    "cond": lambda a, b, x: a @ x + lax.cond(x[0] > 0, lambda v: lax.stop_gradient(v), lambda v: jnp.ones(1), b),
    "scan": in_scan,
    "while": in_while,
    "custom": lambda a, b, x: hidden(a @ x, b),
    "checkpoint": lambda a, b, x: a @ x + jax.checkpoint(lambda v: lax.stop_gradient(jnp.sin(v)))(b),
}
OPEN = {
    "straight-through": lambda a, b, x: a @ x + b + lax.stop_gradient(jnp.round(b) - b),
    "one way of two": lambda a, b, x: a @ x * b + lax.stop_gradient(b),
    "rounded": lambda a, b, x: a @ x + jnp.round(b),
    "compared": lambda a, b, x: jnp.where(a @ x > b, 1.0, 0.0),
    "one branch": lambda a, b, x: a @ x + lax.cond(x[0] > 0, lambda v: lax.stop_gradient(v), lambda v: v, b),
    "times in a loop": lambda a, b, x: lax.while_loop(
        lambda c: c[0] < b[0], lambda c: (c[0] + 1, c[1] * 2), (0.0, a @ x)
    )[1],
    "not at all": lambda a, b, x: a @ x,
}


@pytest.mark.parametrize("name", STOPPED)
def test_what_is_only_behind_stop_gradient_is_no_parameter(name):
    chip = from_module(two(STOPPED[name]))
    assert list(chip.groups) == ["module.a"]
    assert chip.n_params == 2
    assert chip.network(jnp.zeros(2)).module.b.tolist() == [0.5]


@pytest.mark.parametrize("name", OPEN)
def test_what_has_another_way_to_the_outputs_is_a_parameter(name):
    assert from_module(two(OPEN[name])).n_params == 3


def test_inputs_need_not_be_known_by_the_shapes_of_arrays():
    """The mean of an image: its shape is in no array, so training asks for it, and then it is frozen."""

    def how(a, b, x):
        assert x.shape == (5, 3, 1)
        return (a @ jnp.ones(2)) * jnp.mean(x) + lax.stop_gradient(b)

    task = mgd.datasets.from_arrays(np.ones((4, 5, 3, 1), np.float32), np.array([[0.5], [0.7]] * 2))
    with pytest.raises(
        ValueError, match=r"without the shape of an input it was not known .* \(module\.b\): give input_shape=\(5, 3"
    ):
        mgd.train(from_module(two(how)), task, mgd.discrete(), n_steps=4, key=KEY)
    chip = from_module(two(how), input_shape=(5, 3, 1))
    assert list(chip.groups) == ["module.a"]
    assert mgd.train(chip, task, mgd.discrete(), n_steps=4, key=KEY).theta.shape == (1, 2)
    with pytest.raises(ValueError, match=r"^the network takes no inputs of shape \(2,\), given as input_shape$"):
        from_module(two(how), input_shape=(2,))


def test_a_network_all_behind_stop_gradient_is_refused():
    with pytest.raises(
        ValueError, match=r"nothing to train: module\.a, module\.b are all behind jax\.lax\.stop_gradient$"
    ):
        from_module(two(lambda a, b, x: lax.stop_gradient(a @ x + b)))


# What is left out by the user.


def mlp(key):
    return eqx.nn.MLP(2, 1, 4, 1, final_activation=jax.nn.sigmoid, key=key)


def first_frozen():
    module = mlp(KEY)
    return eqx.tree_at(lambda m: m.layers[1], jax.tree.map(lambda _: False, module), mlp_of_true(module.layers[1]))


def mlp_of_true(layer):
    return jax.tree.map(lambda _: True, layer)


@pytest.mark.parametrize(
    ("trainable", "n_params"),
    [
        (lambda leaf: leaf.ndim == 1, 4 + 1),
        (True, 8 + 4 + 4 + 1),
        (eqx.is_inexact_array, 8 + 4 + 4 + 1),
        (first_frozen(), 4 + 1),
        (
            eqx.tree_at(lambda m: m.layers[0].weight, jax.tree.map(lambda _: True, mlp(KEY)), lambda leaf: False),
            4 + 4 + 1,
        ),
    ],
)
def test_a_filter_spec_says_what_is_trained(trainable, n_params):
    assert from_module(mlp, trainable=trainable).n_params == n_params


@pytest.mark.parametrize("engine", ["measured", "sampled", "backprop"])
@pytest.mark.enough("backprop")
@pytest.mark.long
def test_frozen_arrays_stay_as_they_are_in_every_engine(engine):
    chip = imperfect(from_module(mlp, trainable=first_frozen()), CostNoise(1e-3))
    times = mgd.TimeConstants(tau_x=4, tau_theta=4)
    algorithm = mgd.Backprop(optax.sgd(1.0)) if engine == "backprop" else mgd.discrete(time_constants=times)
    named = "auto" if engine == "backprop" else engine
    result = mgd.train(chip, TASK, algorithm, n_steps=400, n_replicas=3, engine=named, key=KEY)
    for theta in result.theta:
        layers = chip.chip.network(theta).module.layers  # pyright: ignore[reportAttributeAccessIssue]
        assert np.array_equal(layers[0].weight, mlp(jax.random.key(0)).layers[0].weight)
        assert not np.array_equal(layers[1].weight, mlp(jax.random.key(0)).layers[1].weight)


def test_the_fused_engine_refuses_a_perceptron_of_which_a_part_is_frozen():
    make = lambda key: mgd.networks.mlp((2, 2, 1), key=key)
    whole, part = NetworkChip(make), NetworkChip(make, trainable=lambda leaf: leaf.ndim == 2)
    assert (whole.whole, part.whole, part.n_params) == (True, False, 6)
    pytest.importorskip("numba")
    with pytest.raises(ValueError, match=r"^the fused engine does not cover a network with frozen arrays"):
        mgd.train(part, TASK, mgd.discrete(), n_steps=4, n_replicas=8, engine="fused", key=KEY)


@pytest.mark.parametrize("trainable", [{"weight": True}, [True, False], jax.tree.map(lambda _: 1, mlp(KEY)), "weight"])
def test_a_filter_spec_of_another_tree_is_refused(trainable):
    words = r"^trainable must be names of arrays, a predicate of an array, or a tree like the module with"
    with pytest.raises(ValueError, match=words):
        from_module(mlp, trainable=trainable)


def test_a_filter_spec_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match=r"^trainable leaves nothing to train of module\.layers\[0\]\.bias, module"):
        from_module(mlp, trainable=False)


# Types.


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_arrays_of_16_bits_are_computed_in_their_own_type(dtype):
    seen = []

    def how(a, b, x):
        seen.append((a.dtype, b.dtype))
        return a @ x.astype(dtype) + b

    chip = from_module(two(how, dtype))
    theta = chip.init(key=KEY)
    assert theta.dtype == jnp.float32
    x = jnp.array([[1.0, 0.3], [0.2, 1.0]])
    outputs = chip.respond(theta + 1e-4, x, key=KEY)  # less than a step of either type
    assert set(seen) == {(np.dtype(dtype), np.dtype(dtype))}
    assert outputs.dtype == jnp.float32
    assert np.array_equal(outputs, chip.respond(theta, x, key=KEY))
    assert chip.measure(theta, jnp.zeros(3), x, jnp.ones((2, 1)), key=KEY)[0].dtype == jnp.float32


@pytest.mark.long
def test_an_amplitude_below_the_steps_of_16_bits_is_warned_of():
    chip = from_module(two(lambda a, b, x: a @ x.astype(jnp.bfloat16) + b, jnp.bfloat16))
    algorithm = mgd.discrete(perturbation=mgd.perturbations.Rademacher(1e-3))
    with pytest.warns(
        mgd.MgdWarning, match=r"^an amplitude of 0.001 is below the resolution of module\.\w, which is bfloat16"
    ):
        mgd.train(chip, TASK, algorithm, n_steps=4, key=KEY)


def test_arrays_of_numpy_are_parameters_of_the_type_that_jax_makes_of_them():
    how = lambda a, b, x: jnp.asarray(a) @ x + b.astype(jnp.float32)
    make = lambda key: Two(np.ones((1, 2)), np.full(1, 0.5, ml_dtypes.bfloat16), how)  # pyright: ignore[reportArgumentType]
    chip = from_module(make)
    assert chip.leaves.dtypes == (np.dtype(np.float32), np.dtype(ml_dtypes.bfloat16))
    assert chip.init(key=KEY).tolist() == [1.0, 1.0, 0.5]


def test_integers_and_booleans_are_no_parameters():
    chip = from_module(lambda key: Two(jnp.ones((1, 2)), jnp.array([True]), lambda a, b, x: jnp.where(b, a @ x, 0.0)))
    assert list(chip.groups) == ["module.a"]
    assert chip.network(jnp.zeros(2)).module.b.dtype == jnp.bool


def test_a_function_sees_its_vector_in_the_type_that_it_gave():
    chip = from_function(
        lambda z, x, y: jnp.sum(jnp.abs(z - (1 + 2j)) ** 2), init=lambda key: jnp.full(2, 3 - 1j, jnp.complex64)
    )
    assert (chip.n_params, chip.init(key=KEY).tolist()) == (4, [3.0, 3.0, -1.0, -1.0])
    at = chip.measure(jnp.array([1.0, 1.0, 2.0, 2.5]), jnp.zeros(4), jnp.ones((1, 2)), jnp.ones((1, 1)), key=KEY)[0]
    assert float(at) == 0.25


@pytest.mark.parametrize(
    ("init", "message"),
    [
        (lambda key: jnp.arange(3), r"^init must give floating-point numbers, which can be trained, got int32$"),
        (lambda key: [0.0, 1.0], r"^init must give a vector of at least one parameter, got a list$"),
    ],
)
def test_vectors_that_cannot_be_trained_are_refused(init, message):
    with pytest.raises(ValueError, match=message):
        from_function(lambda theta, x, y: jnp.float32(0), init=init)


def test_a_cost_of_no_outputs_is_refused():
    with pytest.raises(
        ValueError, match=r"^cost needs the outputs of respond: give respond, or leave cost out, got 'mse'$"
    ):
        from_function(lambda theta, x, y: jnp.sum(theta), init=lambda key: jnp.zeros(2), cost="mse")


# State, as Equinox has it.


class Norm(eqx.Module):
    norm: eqx.nn.BatchNorm
    lin: eqx.nn.Linear
    state: eqx.nn.State | None

    def __call__(self, x):
        state = jax.tree.unflatten(jax.tree.structure(self.state), jax.tree.leaves(self.state))
        return self.lin(self.norm(x, state, inference=True)[0])


def norm(key):
    made, state = eqx.nn.make_with_state(eqx.nn.BatchNorm)(2, "batch", mode="ema")
    return Norm(made, eqx.nn.Linear(2, 1, key=key), state)


def test_a_state_that_a_module_holds_is_frozen():
    chip = from_module(norm)
    assert list(chip.groups) == ["module.norm.weight", "module.norm.bias", "module.lin.weight", "module.lin.bias"]


@pytest.mark.parametrize(
    "make",
    [
        lambda key: eqx.nn.BatchNorm(2, "batch", mode="ema"),
        lambda key: eqx.nn.make_with_state(eqx.nn.BatchNorm)(2, "batch", mode="ema"),
        lambda key: Norm(norm(key).norm, norm(key).lin, None),
    ],
)
def test_a_state_that_a_module_must_be_handed_is_refused(make):
    with pytest.raises(ValueError, match=r"^the module needs a state \(eqx\.nn\.State, as in BatchNorm\), which"):
        from_module(make)


# Traits.


def test_traits_are_declared_and_obeyed():
    traits = mgd.chips.Traits(coarse=("ternary weights",))
    times = mgd.TimeConstants(tau_x=4, tau_theta=4)
    for chip in (
        from_module(mlp, traits=traits),
        from_function(lambda theta, x, y: jnp.sum(theta), init=lambda key: jnp.zeros(2), traits=traits),
    ):
        with pytest.raises(ValueError, match="law does not cover a chip with ternary weights: use the measured engine"):
            mgd.train(chip, TASK, mgd.discrete(time_constants=times), n_steps=4, engine="sampled", key=KEY)


@pytest.mark.parametrize(
    ("chip", "names"),
    [
        (
            imperfect(from_module(mlp, traits=mgd.chips.Traits(remembers=("delay line",))), CostNoise(0.01)),
            "delay line",
        ),
        (imperfect(from_module(mlp), Settling(0.5), CostNoise(0.01), Delay(1)), "delay, settling"),
        (imperfect(from_module(mlp), Settling(0.0), Drift(sigma=0.01), FlickerNoise(0.01), Delay(0)), ""),
    ],
    ids=["own", "late cost", "memory that no sample is in"],
)
@pytest.mark.quick("own")
def test_a_chip_that_mixes_samples_is_warned_of_before_it_sees_them_shuffled(chip, names):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mgd.train(chip, TASK, mgd.discrete(), n_steps=4, key=KEY)
    said = [str(one.message) for one in caught if "the chip remembers" in str(one.message)]
    assert len(said) == bool(names)
    assert all(f"measurements ({names}), and the samples of" in one for one in said)


def unchecked_traits(**settings) -> None:
    """Traits without the tests' type checker, which would refuse some before the code does."""
    traits = object.__new__(mgd.chips.Traits)
    for name, value in settings.items():
        object.__setattr__(traits, name, value)
    traits.__post_init__()


@pytest.mark.parametrize(
    "settings", [{"cost_noise": -1.0}, {"cost_noise": float("nan")}, {"coarse": "ternary"}, {"remembers": ["state"]}]
)
def test_traits_that_mean_nothing_are_refused(settings):
    with pytest.raises(ValueError, match=r"^(cost_noise|coarse|remembers) must be a "):
        unchecked_traits(**settings)
