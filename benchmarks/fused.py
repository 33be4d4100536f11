"""The fused engine against the yardstick and the measured engine; how its cost grows; what starting it takes.

`python benchmarks/fused.py` prints the section of docs/benchmarks.md. Pairs are timed in turn, A B A B, in one run and
with as many threads, and medians of the ratios are given.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import jax
import numpy as np
import optax

import mgd
from mgd.chips.imperfections import ActivationVariation, CostNoise, UpdateNoise
from mgd.engines import Data, Fused, Measured
from yardsticks import build_roofline, roofline_seconds

ROUNDS, SAMPLES = 7, 4096
# Network, replicas, steps of one timing.
NETWORKS = (((2, 2, 1), 4096, 6000), ((4, 4, 1), 4096, 4000), ((49, 4, 4), 2048, 600), ((784, 32, 10), 128, 60))
VARIATION, NOISE, WRITES = ActivationVariation(0.1), CostNoise(1e-3), UpdateNoise(1e-6)
SGD, MOMENTUM = optax.sgd(0.01), optax.sgd(0.01, 0.9)
# What is around the chip, the optimizer, and the multiple of the yardstick's time that is allowed.
VARIANTS = {
    "plain": ((), SGD, 1.5),
    "variation": ((VARIATION,), SGD, 2.0),
    "cost noise": ((NOISE,), SGD, 2.0),
    "momentum": ((), MOMENTUM, 2.0),
    "cost noise, variation, momentum": ((VARIATION, NOISE), MOMENTUM, 2.0),
    "the same and update noise": ((VARIATION, WRITES, NOISE), MOMENTUM, 2.0),
}


def task_of(sizes: tuple[int, ...]) -> mgd.datasets.Task:
    """Random samples that fit a network, as many as the yardstick has."""
    rng, classes = np.random.default_rng(0), max(2, sizes[-1])
    y = np.eye(classes, dtype=np.float32)[rng.integers(0, classes, SAMPLES)]
    return mgd.datasets.from_arrays(rng.random((SAMPLES, sizes[0]), np.float32), y[:, : sizes[-1]])


def timer(engine: Fused | Measured, task: mgd.datasets.Task, replicas: int, steps: int) -> Callable[[], float]:
    """A timer of `steps` timesteps; it checks that they learn: the cost falls below that of the start."""
    data = Data.of(task.train)
    progress = engine.init(replicas, key=jax.random.key(0))
    before = np.asarray(engine.evaluate(progress, data)[1]).mean()
    progress = engine.advance(data, progress, steps)

    def run() -> float:
        nonlocal progress
        started = time.perf_counter()
        progress = jax.block_until_ready(engine.advance(data, progress, steps))
        seconds = time.perf_counter() - started
        after = np.asarray(engine.evaluate(progress, data)[1]).mean()
        assert np.isfinite(after), "a fast wrong answer"
        assert after < before, f"a fast wrong answer: the cost went from {before} to {after}"
        return seconds

    return run


def against_yardstick() -> list[str]:
    """Rows: each network and variant against the hand-vectorised loop, with all cores and with one."""
    program, rows = build_roofline(), []
    every = len(os.sched_getaffinity(0))
    for sizes, replicas, steps in NETWORKS:
        for name, (around, optimizer, allowed) in VARIANTS.items():
            chip = mgd.chips.imperfect(mgd.chips.mlp(sizes, cost="mse", init="uniform"), *around)
            times = {}
            for threads in (1, every):
                os.environ["OMP_NUM_THREADS"] = str(threads)
                ours = timer(
                    Fused(chip, mgd.discrete(optimizer=optimizer), threads=threads), task_of(sizes), replicas, steps
                )
                times[threads] = [(ours(), roofline_seconds(program, sizes, replicas, steps)) for _ in range(ROUNDS)]
            ratios = {threads: statistics.median(a / b for a, b in pairs) for threads, pairs in times.items()}
            step = statistics.median(a for a, _ in times[every]) / steps / replicas * 1e9
            reached = "yes" if max(ratios.values()) <= allowed else "**no**"
            rows.append(
                f"| {'-'.join(map(str, sizes))} | {name} | {step:.3g} ns | {ratios[1]:.2f}× | {ratios[every]:.2f}× | "
                f"{allowed}× | {reached} |"
            )
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def against_measured() -> list[str]:
    """Rows: how much faster than the measured engine, by number of replicas."""
    rows = []
    for sizes, replicas, steps in (
        ((2, 2, 1), 8, 100_000),
        ((2, 2, 1), 1000, 4000),
        ((49, 4, 4), 8, 20_000),
        ((49, 4, 4), 1000, 1000),
        ((784, 32, 10), 8, 400),
        ((784, 32, 10), 64, 60),
    ):
        algorithm, task = mgd.discrete(optimizer=optax.sgd(0.01)), task_of(sizes)
        fused, measured = (
            timer(e(mgd.chips.mlp(sizes, cost="mse", init="uniform"), algorithm), task, replicas, steps)
            for e in (Fused, Measured)
        )
        pairs = [(measured(), fused()) for _ in range(ROUNDS)]
        ratio = statistics.median(a / b for a, b in pairs)
        step = statistics.median(b for _, b in pairs) / steps / replicas * 1e9
        rows.append(f"| {'-'.join(map(str, sizes))} | {replicas:,} | {step:.3g} ns | {ratio:.1f}× |")
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def exponent(name: str, points: list[int], seconds: Callable[[int], Callable[[], float]], expected: str) -> str:
    """A row: the exponent of the time in one quantity, by least squares over its points."""
    timers = {n: seconds(n) for n in points}
    best = {n: min(run() for _ in range(3)) for n, run in timers.items()}
    slope = np.polyfit(np.log(points), np.log([best[n] for n in points]), 1)[0]
    return f"| {name} | {', '.join(f'{n:,}' for n in points)} | {slope:.2f} | {expected} |"


def growth() -> list[str]:
    """Rows: how the time of a run grows with what it is made of."""

    def of(sizes=(49, 4, 4), replicas=256, steps=1000, **times):
        algorithm = mgd.discrete(time_constants=mgd.TimeConstants(**times), optimizer=optax.sgd(0.01))
        return timer(
            Fused(mgd.chips.mlp(sizes, cost="mse", init="uniform"), algorithm, threads=1),
            task_of(sizes),
            replicas,
            steps,
        )

    def square(n: int) -> Callable[[], float]:  # the parameters go with its square
        return of((n, n, 4), 32, 400_000 // n**2)

    rows = [
        exponent("steps", [1000, 4000, 16000], lambda n: of(steps=n), "1"),
        exponent("replicas", [256, 1024, 4096], lambda n: of(replicas=n, steps=300), "1"),
        exponent("layers of 16 neurons", [2, 8, 32], lambda n: of((16,) * (n + 1), 64, 300), "1"),
        exponent(
            "width of a square layer, steps in proportion to 1/P", [20, 60, 180], square, "0: P to the power of 1"
        ),
        *(
            exponent(f"{tau} (the others 1)", [1, 10, 100], lambda n, tau=tau: of(steps=3000, **{tau: n}), "0 or less")
            for tau in ("tau_p", "tau_x", "tau_theta")
        ),
    ]
    print("\n".join(rows), file=sys.stderr, flush=True)
    return rows


def starting() -> list[str]:
    """Rows: the first step of a process, where the kernel has been compiled before and where it has not."""
    program = (
        "import time; started = time.perf_counter(); import jax, mgd\n"
        "engine = mgd.engines.Fused(mgd.chips.mlp((2, 2, 1)), mgd.discrete())\n"
        "data = mgd.engines.Data.of(mgd.datasets.parity(2).train)\n"
        "progress = engine.init(64, key=jax.random.key(0)); ready = time.perf_counter()\n"
        "engine.advance(data, progress, 1); print(ready - started, time.perf_counter() - ready)"
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("never compiled here", "compiled before"):
            env = os.environ | {"NUMBA_CACHE_DIR": folder}
            printed = subprocess.run(
                [sys.executable, "-c", program], env=env, check=True, capture_output=True, text=True
            )
            ready, first = map(float, printed.stdout.split())
            rows.append(f"| {name} | {ready:.1f} s | {first:.1f} s |")
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def section() -> str:
    """The section of docs/benchmarks.md."""
    return f"""## Fused engine

Discrete, signs, all τ = 1, re-measured baseline. The yardstick does only the plain variant; all
variants are compared with it. "All threads" are {len(os.sched_getaffinity(0))}. Update noise draws a normal number for
every parameter at every step, which is more work than everything else.

| network | variant | per chip and step | of the yardstick's time, one thread | all threads | allowed | reached |
|---|---|---|---|---|---|---|
{chr(10).join(against_yardstick())}

Against the measured engine, both with all cores:

| network | replicas | per chip and step | faster than measured by |
|---|---|---|---|
{chr(10).join(against_measured())}

How the time of a run grows (49-4-4 unless it says otherwise, one thread; exponents by least squares):

| with | at | exponent | expected |
|---|---|---|---|
{chr(10).join(growth())}

The first step of a process (XOR, 64 replicas):

| the kernel | imports and chip | first step |
|---|---|---|
{chr(10).join(starting())}
"""


if __name__ == "__main__":
    print(section())
