"""Whether the gradient of a chip is its slope: where it is, chips pass from every start; where it is not, none does."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import mgd
from mgd.chips import NetworkChip, from_function, from_module, imperfect
from mgd.chips.imperfections import CostNoise, CrossTalk, PerturbationGain
from mgd.engines import Data, Sampled

XOR = mgd.datasets.from_arrays(
    np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.eye(2, dtype=np.float32)[[0, 1, 1, 0]]
)


class Net(eqx.Module):
    """Two layers, each with something done to its weights, and an activation between."""

    w1: jax.Array
    w2: jax.Array
    first: object = eqx.field(static=True)
    last: object = eqx.field(static=True)
    activation: object = eqx.field(static=True)

    def __call__(self, x):
        one = jnp.ones(1)
        hidden = self.activation(self.first(self.w1) @ jnp.concatenate([x, one]))  # pyright: ignore[reportCallIssue]
        return 2 * self.last(self.w2) @ jnp.concatenate([hidden, one])  # pyright: ignore[reportCallIssue]


def same(w):
    return w


def net(first=same, last=same, activation=jnp.tanh, scale=0.7):
    def make(key):
        a, b = jax.random.split(key)
        return Net(scale * jax.random.normal(a, (8, 3)), scale * jax.random.normal(b, (2, 9)), first, last, activation)

    return from_module(make, cost="cross-entropy")


TIMES = mgd.TimeConstants(tau_x=16, tau_theta=16)
ALGORITHMS = {
    amplitude: mgd.discrete(perturbation=mgd.perturbations.Rademacher(amplitude), time_constants=TIMES)
    for amplitude in (1e-3, 1e-2, 0.3)
}


def check(chip, amplitude: float, seed: int, task: mgd.datasets.Task = XOR) -> None:
    progress = Sampled(chip, ALGORITHMS[0.01]).init(1, key=jax.random.key(seed))  # no amplitude is in it
    Sampled(chip, ALGORITHMS[amplitude]).check_start(progress, Data.of(task.train))


class Own(mgd.chips.AbstractCost):
    """A cost of one's own: with it, nothing of a chip is taken to be known."""

    loss: mgd.chips.AbstractCost

    def __call__(self, outputs, target):
        return self.loss(outputs, target)


def unknown(chip):
    return NetworkChip(chip.make, Own(chip.loss))


def images() -> mgd.datasets.Task:
    """Black but for a blob: values on kinks, and flat regions under max-pooling."""
    rng = np.random.default_rng(0)
    x = np.zeros((16, 12, 12, 1), np.float32)
    x[:, 3:8, 3:8] = rng.random((16, 5, 5, 1))
    return mgd.datasets.from_arrays(x, np.eye(3, dtype=np.float32)[rng.integers(0, 3, 16)])


LETTERS = mgd.datasets.nist7x7()
HEALTHY = {
    "tanh": (net(), XOR),
    "relu": (net(activation=jax.nn.relu), XOR),
    "hard tanh": (net(activation=jax.nn.hard_tanh), XOR),
    "abs": (net(activation=jnp.abs), XOR),
    "saturated": (net(scale=100.0), XOR),
    "saturated logistic": (net(activation=jax.nn.sigmoid, scale=1e3), XOR),
    "zeros": (net(scale=0.0, activation=jax.nn.relu), XOR),
    "rounded beyond float32": (net(first=lambda w: w + 1000.0 - 1000.0), XOR),
    "flat": (from_function(lambda theta, x, y: 1.0 + 1e-9 * jnp.sum(theta), init=lambda key: jnp.ones(5)), XOR),
    "imperfect": (imperfect(net(), CrossTalk(0.1), PerturbationGain(0.3), CostNoise(0.1)), XOR),
    "perceptron": (unknown(mgd.chips.mlp((49, 4, 4))), LETTERS),
    "perceptron of relu": (unknown(mgd.chips.mlp((49, 16, 4), activation="relu", init="glorot")), LETTERS),
    "convolutions": (unknown(mgd.chips.cnn((12, 12, 1), (4, 6), 3)), images()),
}


def sorted_out(table: dict, quick: tuple[str, ...]) -> list:
    """The names of a table, of which those that are not quick are left to the slow tests: each is compiled again."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in table]


@pytest.mark.parametrize("name", sorted_out(HEALTHY, ("relu", "saturated", "zeros", "convolutions")))
@pytest.mark.quick("zeros")
def test_healthy_chips_pass_at_every_amplitude_from_every_start(name):
    chip, task = HEALTHY[name]
    for amplitude in ALGORITHMS:
        for seed in range(4):
            check(chip, amplitude, seed, task)


def through(function):
    return lambda w: w + lax.stop_gradient(function(w) - w)


@jax.custom_vjp
def spike(v):
    return (v > 0).astype(v.dtype)


spike.defvjp(lambda v: (spike(v), v), lambda v, g: (g / (1 + 10 * jnp.abs(v)) ** 2,))
ternary = through(lambda w: jnp.clip(jnp.round(w), -1, 1))
eight_bits = through(lambda w: jnp.round(w * 64) / 64)
BAD = {
    "straight-through": net(ternary, ternary),
    "in the first layer": net(ternary, same),
    "in the last layer": net(same, ternary),
    "of 8 bits": net(eight_bits, eight_bits),
    "signs of neurons": net(activation=through(jnp.sign)),
    "spikes": net(activation=spike),
    "a gradient of three times the slope": net(first=lambda w: w + 2 * (w - lax.stop_gradient(w))),
    "a part without a gradient": from_function(
        lambda theta, x, y: jnp.sum(theta[:2]) + jnp.sum(lax.stop_gradient(theta[2:]) ** 2), init=lambda k: jnp.ones(4)
    ),
}


@pytest.mark.parametrize("name", sorted_out(BAD, ("in the last layer", "of 8 bits", "a part without a gradient")))
@pytest.mark.quick("a part without a gradient")
def test_chips_that_do_not_follow_their_gradient_are_refused(name):
    for amplitude in ALGORITHMS:
        for seed in range(3):
            with pytest.raises(ValueError, match=r"^jax\.grad is not the slope of this chip's cost in "):
                check(BAD[name], amplitude, seed)


@pytest.mark.parametrize(
    "chip",
    [pytest.param(net(jnp.round, jnp.round), marks=pytest.mark.slow), net(activation=jnp.sign)],
    ids=["weights", "neurons"],
)
def test_rounding_without_a_gradient_is_refused_at_the_amplitude_where_it_moves_the_cost(chip):
    for seed in range(3):
        with pytest.raises(ValueError, match=r"^jax\.grad is not the slope of this chip's cost in "):
            check(chip, 0.3, seed)


def test_a_chip_that_jax_cannot_differentiate_is_refused_in_one_line():
    def cost(theta, x, y):
        _, total = lax.while_loop(lambda c: c[0] < x.size, lambda c: (c[0] + 1, c[1] + theta @ theta), (0, 1.0))
        return total

    chip = from_function(cost, init=lambda key: jnp.ones(2))
    with pytest.raises(
        ValueError, match=r"^the sampled engine needs jax\.grad of the chip, which JAX cannot compute: Re"
    ) as e:
        check(chip, 0.01, 0)
    assert "\n" not in str(e.value)
