"""Time of a gradient against that of a forward pass, for the published convolutional networks, as ratios in one run:
of ours, and of the same network in the obvious operations (naive), against both of which the gradient is told.

`python benchmarks/gradients.py` prints markdown tables: of networks, and of their layers alone, with the rate of their
multiply-adds. Networks are timed in turn, and medians are given of times and of ratios. All runs inside a compiled
loop whose parameters and images change, as in training: outside of one, fresh memory takes most of the time, and of
what does not change, such as patches of the same images, XLA would prepare only once.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

import mgd
from mgd.networks import CNN, Dense
from mgd.networks import _cnn as of_layers
from yardsticks import sgemm_rate

ROUNDS = 7
SECONDS = 0.1
BATCHES = 4  # shown in turn
PART = of_layers._CHUNK  # images that a network takes together
NETWORKS = (("Fashion-MNIST", (28, 28, 1), (16, 32, 32)), ("CIFAR-10", (32, 32, 3), (16, 32, 64)))


class NaiveConvPool(eqx.Module):
    """The same layer in the obvious operations, with the gradients that JAX gives them."""

    weight: Float[Array, "3 3 inputs outputs"]
    bias: Float[Array, " outputs"]

    def __call__(self, x: Float[Array, "batch height width inputs"]) -> Float[Array, "batch h w outputs"]:
        y = lax.conv_general_dilated(x, self.weight, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        y = jax.nn.relu(y + self.bias[None, None, None])
        return lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


class NaiveCNN(eqx.Module):
    """A network of such layers, with its parameters in the same order."""

    convolutions: tuple[NaiveConvPool, ...]
    dense: Dense

    def __call__(self, x: Float[Array, "batch height width channels"]) -> Float[Array, "batch outputs"]:
        for layer in self.convolutions:
            x = layer(x)
        return self.dense(x.reshape(x.shape[0], -1))


def naive(network: CNN) -> NaiveCNN:
    """That network in naive layers."""
    return NaiveCNN(tuple(NaiveConvPool(layer.weight, layer.bias) for layer in network.convolutions), network.dense)


def forward(cost: Callable[..., Array]) -> Callable[..., tuple[Array, Array]]:
    """A step that measures the cost and changes the parameters a little."""
    return lambda theta, last, x, target: (theta * (1 + 1e-9 * last) + 1e-9 * last, cost(theta, x, target))


def descend(cost: Callable[..., Array]) -> Callable[..., tuple[Array, Array]]:
    """A small step of gradient descent."""

    def step(theta, _, x, target):
        value, gradient = jax.value_and_grad(cost)(theta, x, target)
        return theta - 1e-6 * gradient, value

    return step


def timer(step: Callable[..., tuple[Array, Array]], theta: Array, xs: Array, targets: Array) -> Callable[[], float]:
    """A timer of one step (θ, last cost, x, target) → (θ, cost), in seconds, inside a compiled loop."""

    @jax.jit
    def loop(n, theta, xs, targets):
        return lax.fori_loop(
            0, n, lambda i, c: step(*c, xs[i % BATCHES], targets[i % BATCHES]), (theta, jnp.float32(0))
        )

    def seconds(n: int) -> float:
        started = time.perf_counter()
        jax.block_until_ready(loop(n, theta, xs, targets))
        return time.perf_counter() - started

    seconds(1)
    n = max(2, int(SECONDS / (seconds(2) / 2)))
    return lambda: seconds(n) / n


def rows(name: str, shape: tuple[int, ...], channels: tuple[int, ...]) -> list[str]:
    """Rows of one network."""
    key = jax.random.key(0)
    chip = mgd.chips.cnn(shape, channels)
    reference = mgd.chips.NetworkChip(
        lambda key: naive(mgd.networks.cnn(shape, channels, 10, key=key)), "cross-entropy"
    )
    theta, rng, table = chip.init(key=key), np.random.default_rng(0), []
    for batch in (1, 100, 1000):
        xs = jnp.asarray(rng.random((BATCHES, batch, *shape), np.float32))
        targets = jnp.asarray(np.eye(10, dtype=np.float32)[rng.integers(0, 10, (BATCHES, batch))])

        def cost(theta, x, target, chip=chip):
            return chip.measure(theta, jnp.zeros_like(theta), x, target, key=key)[0]

        def naive_cost(theta, x, target, cost=cost):
            return cost(theta, x, target, reference)

        # In double precision: rounding in single may make another of two almost equal outputs the largest.
        with jax.enable_x64(True):
            double = [jnp.asarray(np.asarray(a, np.float64)) for a in (theta, xs[0], targets[0])]
            ours, expected = (np.asarray(jax.jit(jax.grad(f))(*double)) for f in (cost, naive_cost))
            assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())

        steps = forward(cost), descend(cost), forward(naive_cost), descend(naive_cost)
        timers = [timer(step, theta, xs, targets) for step in steps]
        taken = [tuple(run() for run in timers) for _ in range(ROUNDS)]
        f, g, naive_f, _ = (1e3 * statistics.median(column) for column in zip(*taken, strict=True))
        ratio = statistics.median(t[1] / t[0] for t in taken)
        of_naive, slow = (statistics.median(t[k] / t[2] for t in taken) for k in (1, 3))
        table.append(
            f"| {name} | {batch:,} | {f:.3g} ms | {naive_f:.3g} ms | {g:.3g} ms | {ratio:.1f}× | {of_naive:.1f}× | "
            f"{slow:.1f}× |"
        )
    return table


def seconds_of(work: Callable[..., tuple[Any, ...]], *stacks: Array) -> float:
    """The median time of some work on each element of these stacks in turn, in a compiled loop."""

    @jax.jit
    def loop(*stacks):
        def one(total, element):
            return total + sum(jnp.sum(made[..., :1]) for made in work(*element)), None

        return lax.scan(one, jnp.float32(0), stacks, unroll=4)[0]

    taken = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        jax.block_until_ready(loop(*stacks))
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


def layer_rows(name: str, shape: tuple[int, ...], channels: tuple[int, ...], best: float) -> list[str]:
    """Rows of each layer of a network, for 1,000 images in parts as the network takes them."""
    rng, table = np.random.default_rng(0), []
    size, inputs, parts = of_layers._seen(shape[0], len(channels)), shape[2], 1000 // PART

    def random(*shape: int) -> Array:
        return jnp.asarray(rng.standard_normal((parts, PART, *shape), np.float32))

    for number, outputs in enumerate(channels, 1):
        pooled = (size - 2) // 2
        x, slope = random(size, size, inputs), random(pooled, pooled, outputs)
        place = jnp.asarray(rng.integers(0, 5, slope.shape).astype(np.float32))
        kernel, bias = random(3, 3, inputs, outputs)[0, 0], jnp.zeros(outputs)

        def largest(x, kernel=kernel, bias=bias):
            return (of_layers._largest(of_layers._outputs(x, kernel, bias), 0.0),)

        def with_places(x, kernel=kernel, bias=bias):
            y = of_layers._outputs(x, kernel, bias)
            return of_layers._largest(y, 0.0), of_layers._place(y, 0.0)

        def of_kernel(x, place, slope, shape=kernel.shape):
            return of_layers._parameter_slopes(x, shape, place, slope)

        def of_image(place, slope, shape=x.shape[1:], kernel=kernel):
            return (of_layers._input_slope(shape, kernel, place, slope),)

        times = [
            seconds_of(largest, x),
            seconds_of(with_places, x),
            seconds_of(of_kernel, x, place, slope),
            seconds_of(of_image, place, slope) if number > 1 else None,
        ]
        products = 1000 * (2 * pooled) ** 2 * 9 * inputs * outputs
        cells = ["–" if t is None else f"{1e3 * t:.3g} ms, {products / t / best:.2f}" for t in times]
        table.append(f"| {name}, layer {number} | {products / 1e6:,.0f} | {' | '.join(cells)} |")
        size, inputs = pooled, outputs
    return table


if __name__ == "__main__":
    columns = "network", "batch", "forward", "naive", "value and gradient", "of forward", "of naive", "naive, of naive"
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for network in NETWORKS:
        print("\n".join(rows(*network)), flush=True)
    best = sgemm_rate()
    print(f"""
This table is for single layers with 1,000 images. It has milliseconds, and the rate of the multiply-adds that pooling
uses, relative to that of a product of 2048 × 2048 matrices ({best / 1e9:.0f} · 10⁹ a second).

| layer | million multiply-adds | forward | forward, and places | slope of the kernel | slope of the image |
|---|---|---|---|---|---|""")
    for network in NETWORKS:
        print("\n".join(layer_rows(*network, best)), flush=True)
