"""Speed and memory of the measured engine, as ratios in one run; a section of docs/benchmarks.md.

Every pair is timed in turn, A B A B, and the median of the ratios is given: the machine's speed drifts.
"""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mgd
from mgd.engines import Data, Measured
from yardsticks import build_roofline, numpy_loop, roofline_seconds, sgemm_rate

ROUNDS = 7
# Network, replicas, steps, and the ratio that must not be exceeded: the page says whether it is.
CONVOLUTIONAL = (("Fashion-MNIST", (28, 28, 1), (16, 32, 32)), ("CIFAR-10", (32, 32, 3), (16, 32, 64)))
SMALL = (((2, 2, 1), 1000, 4000, 15), ((49, 4, 4), 1000, 400, 20), ((2, 2, 1), 1, 200_000, 12))


def engine_seconds(
    engine: Any, task: mgd.datasets.Task, replicas: int, steps: int, *, before: int = 10
) -> Callable[[], float]:
    """A timer of `steps` timesteps in an engine, after some before them; it checks that θ has not become nonsense."""
    data = Data.of(task.train)
    progress = engine.init(replicas, key=jax.random.key(0))
    progress = engine.advance(data, progress, before)

    def run() -> float:
        nonlocal progress
        started = time.perf_counter()
        progress = engine.advance(data, progress, steps)
        jax.block_until_ready(progress.state.theta)
        seconds = time.perf_counter() - started
        assert bool(jnp.isfinite(progress.state.theta).all()), "a fast wrong answer"
        return seconds

    return run


def small_networks() -> list[str]:
    """Rows of the table of small networks."""
    program, rows = build_roofline(), []
    for sizes, replicas, steps, allowed in SMALL:
        task = mgd.datasets.parity(2) if sizes[0] == 2 else mgd.datasets.nist7x7()
        engine = Measured(mgd.chips.mlp(sizes, cost="mse", init="uniform"), mgd.discrete(optimizer=optax.sgd(0.1)))
        ours = engine_seconds(engine, task, replicas, steps)
        lanes = max(8, replicas)
        numpy_steps = max(20, steps // (100 if replicas == 1 else 20))
        x, y = task.train.x, task.train.y
        pairs = []
        for _ in range(ROUNDS):
            a, b = ours(), roofline_seconds(program, sizes, lanes, steps)
            started = time.perf_counter()
            numpy_loop(sizes, x, y, replicas, numpy_steps)
            pairs.append((a, b, (time.perf_counter() - started) * steps / numpy_steps))
        ratio = statistics.median(a / b for a, b, _ in pairs)
        loop = statistics.median(c / a for a, _, c in pairs)
        step = statistics.median(a for a, _, _ in pairs) / steps / replicas * 1e9
        name = "-".join(map(str, sizes))
        against = "one group of 8" if replicas == 1 else f"{replicas:,}"
        rows.append(
            f"| {name} | {replicas:,} | {step:,.0f} ns | {ratio:.1f}× the yardstick's time for {against} | "
            f"{allowed}× | {'yes' if ratio <= allowed else '**no**'} | {loop:,.0f}× faster |"
        )
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def multiply_adds(shape: tuple[int, int, int], channels: tuple[int, ...], seen_only: bool) -> int:
    """Multiply-adds of an image: of all outputs of all convolutions, or of those that the logits depend on."""
    (height, width, inputs), sizes = shape, []
    for outputs in channels:
        sizes.append((height - 2, width - 2, 9 * inputs * outputs))
        height, width, inputs = (height - 2) // 2, (width - 2) // 2, outputs
    total = height * width * inputs * 10
    for rows, columns, each in reversed(sizes):
        height, width = 2 * height, 2 * width  # what pooling keeps
        total += each * (height * width if seen_only else rows * columns)
        height, width = height + 2, width + 2
    return total


def convolutional_networks() -> list[str]:
    """Rows of the table of the published convolutional networks."""
    rng = np.random.default_rng(0)
    rows = []
    for name, shape, channels in CONVOLUTIONAL:
        x = rng.random((4096, *shape), np.float32)
        y = np.eye(10, dtype=np.float32)[rng.integers(0, 10, 4096)]
        task = mgd.datasets.from_arrays(x, y)
        share = multiply_adds(shape, channels, True) / multiply_adds(shape, channels, False)
        for batch in (1, 100, 1000):
            engine = Measured(mgd.chips.cnn(shape, channels), mgd.discrete(optimizer=optax.sgd(1e-6)), batch)
            steps = max(5, 4000 // batch)
            run = engine_seconds(engine, task, 1, steps)
            work = 2 * batch * multiply_adds(shape, channels, False)
            pairs = [(run() / steps, work / sgemm_rate()) for _ in range(ROUNDS)]
            ratio = statistics.median(a / b for a, b in pairs)
            step = statistics.median(a for a, _ in pairs) * 1e3
            limit = ("2×", "yes" if ratio <= 2 else "**no**") if batch == 1000 else ("", "")
            ratios = f"{ratio:.1f}× | {ratio / share:.1f}×"
            rows.append(f"| {name} | {batch:,} | {step:.3g} ms | {ratios} | {limit[0]} | {limit[1]} |")
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def holds() -> list[str]:
    """Rows of the table of holds measured as one batch."""
    rows = []
    for sizes, steps in (((2, 2, 1), 200_000), ((49, 4, 4), 20_000)):
        task = mgd.datasets.parity(2) if sizes[0] == 2 else mgd.datasets.nist7x7()
        times = mgd.TimeConstants(tau_x=100, tau_theta=100)
        algorithm = mgd.discrete(time_constants=times, optimizer=optax.sgd(0.1))
        chip = mgd.chips.mlp(sizes, cost="mse", init="uniform")
        alone, together = (engine_seconds(Measured(chip, algorithm, together=k), task, 1, steps) for k in (1, 100))
        pairs = [(alone(), together()) for _ in range(ROUNDS)]
        ratio = statistics.median(a / b for a, b in pairs)
        step = statistics.median(b for _, b in pairs) / steps * 1e9
        rows.append(f"| {'-'.join(map(str, sizes))} | {step:,.0f} ns | {ratio:.1f}× |")
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def peak_megabytes(steps: int) -> float:
    """Peak memory of `use_memory` in a process of its own."""
    command = [sys.executable, __file__, str(steps)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["megabytes"]


def use_memory(steps: int) -> None:
    """Trains and prints the peak resident memory."""
    task, chip = mgd.datasets.parity(2), mgd.chips.mlp((2, 2, 1))
    result = mgd.train(chip, task, mgd.discrete(), n_steps=steps, n_replicas=64, key=jax.random.key(0))
    assert bool(jnp.isfinite(result.cost).all())
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"megabytes": megabytes, "n_params": chip.n_params}))


def section() -> str:
    """The section of docs/benchmarks.md."""
    small, held, large = small_networks(), holds(), convolutional_networks()
    short, long = peak_megabytes(100_000), peak_megabytes(2_000_000)
    return f"""## Small networks, measured engine

Discrete, signs, all τ = 1, re-measured baseline, plain gradient descent. The yardstick is `benchmarks/roofline.c`,
hand-vectorised C that does only this; the NumPy loop is `numpy_loop` in `benchmarks/yardsticks.py`.

| network | replicas | per chip and step | against the yardstick | allowed | reached | against NumPy |
|---|---|---|---|---|---|---|
{chr(10).join(small)}

## A hold measured as one batch

One chip, with sample and parameters held for 100 timesteps, compared with the same measurements one by one.

| network | per step | faster by |
|---|---|---|
{chr(10).join(held)}

## Convolutional networks, measured engine

The published networks (14,378 and 26,154 parameters). One step is two measurements (C and C₀) of a batch. The first
ratio compares it with the time of the multiply-adds for all outputs of its convolutions and dense layer, at the rate of
a 2048 × 2048 single-precision matrix product timed beside it; the second counts only those that affect the logits.

| network | batch | a step | against the matrix product | against what is seen | allowed (of the first) | reached |
|---|---|---|---|---|---|---|
{chr(10).join(large)}

## Memory

| run | peak resident memory |
|---|---|
| XOR, 64 replicas, 100,000 steps | {short:.0f} MB |
| the same, 2,000,000 steps | {long:.0f} MB |
"""


if __name__ == "__main__":
    if len(sys.argv) == 2:
        use_memory(int(sys.argv[1]))
    else:
        print(section())
