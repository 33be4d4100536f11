"""Speed and outcome beside what others use: hand-written NumPy and PyTorch loops, and other packages' optimizers.

`python benchmarks/peers.py` prints `section()`, which is a part of docs/benchmarks.md. Whatever does not bring its cost
down as it should fails the benchmark. A peer that is not installed, or does not import, is named with its error.
"""

import importlib
import importlib.metadata
import statistics
import sys
from collections.abc import Iterable

import jax
import numpy as np
import optax

import mgd
import peer_optimizers
from mgd.engines import Fused, Measured, Sampled
from peer_compare import ALONE, MANY, ROUNDS, Ours, check, compared, seconds_of
from peer_loops import CHANNELS, SHAPE, Problem

# Of a package the module, which is imported where it is used.
PEERS = {"torch": "torch", "evosax": "evosax", "nevergrad": "nevergrad", "qiskit-algorithms": "qiskit_algorithms"}
CHIPS, STEPS = 10_000, 100_000  # of the yield study
# Sizes, replicas, η, and timesteps after which costs are compared.
NETWORKS = (((2, 2, 1), 1000, 0.3, 3000), ((49, 4, 4), 1000, 0.1, 100), ((784, 32, 10), 64, 0.03, 100))
# Batch, η, and the same.
BATCHES = ((1, 1e-4, 10_000), (100, 1e-3, 200), (1000, 1e-3, 40))
WINDOW, WINDOWS, WINDOW_RATE = 1000, 3, 0.05


def missing_peers() -> dict[str, str]:
    """Peers that cannot be imported, and why, in a line."""
    missing = {}
    for name, module in PEERS.items():
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever a package raises when it is imported
            missing[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return missing


def prototypes(shape: tuple[int, ...]) -> mgd.datasets.Task:
    """4,096 samples of ten classes: a random image for each, under noise. Only their shape matters for speed."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 4096)
    clean = rng.random((10, *shape), np.float32)[labels]
    x = 0.7 * clean + 0.3 * rng.random(clean.shape, np.float32)
    return mgd.datasets.from_arrays(x, np.eye(10, dtype=np.float32)[labels], name="prototypes")


def small_networks(with_torch: bool) -> tuple[list[str], dict[str, float]]:
    """Rows of the table of perceptrons, and a timestep's seconds of 1,000 replicas of 49-4-4, by kind of loop."""
    rows, of_letters = [], {}
    for sizes, replicas, rate, steps in NETWORKS:
        if sizes[0] == 2:
            task = mgd.datasets.parity(2)
        else:
            task = mgd.datasets.nist7x7() if sizes[0] == 49 else prototypes((784,))
        chip = mgd.chips.mlp(sizes, cost="mse", init="glorot" if sizes[0] == 784 else "uniform")
        algorithm = mgd.discrete(optimizer=optax.sgd(rate))
        ours = [Ours(engine(chip, algorithm), task, replicas) for engine in (Measured, Fused)]
        problem = Problem(ours[0].parameters(), np.asarray(task.train.x, np.float32), task.train.y, rate, sizes)
        title = f"{'-'.join(map(str, sizes))}, {replicas:,}"
        table, seconds = compared(title, problem, ours, steps, with_torch)
        rows += table
        if sizes[0] == 49:
            of_letters = {kind: each / replicas for kind, each in seconds.items()}
    return rows, of_letters


def images(with_torch: bool) -> list[str]:
    """Rows of the table of the Fashion-MNIST network."""
    task, chip, rows = prototypes(SHAPE), mgd.chips.cnn(SHAPE, CHANNELS), []
    for batch, rate, steps in BATCHES:
        ours = Ours(Measured(chip, mgd.discrete(optimizer=optax.sgd(rate)), batch), task, 1)
        problem = Problem(ours.parameters(), task.train.x, task.train.y, rate, batch=batch)
        rows += compared(f"batch {batch:,}", problem, [ours], steps, with_torch)[0]
    return rows


def yield_study(of_letters: dict[str, float]) -> list[str]:
    """Rows of what 10⁴ chips of 49-4-4 for 10⁵ timesteps would take at the measured rates."""
    rows = []
    for kind, each in of_letters.items():
        minutes = each * CHIPS * STEPS / 60
        rows.append(f"| {kind} | {each * 1e9:,.0f} ns | {minutes:.2g} min |")
    return rows


def sampled() -> str:
    """The row of the sampled engine against the measured one."""
    task, chip = prototypes(SHAPE), mgd.chips.cnn(SHAPE, CHANNELS)
    times = mgd.TimeConstants(tau_x=WINDOW, tau_theta=WINDOW)
    algorithm = mgd.discrete(time_constants=times, optimizer=optax.sgd(WINDOW_RATE))
    measured, law, same = (Ours(engine(chip, algorithm, 100), task, 1) for engine in (Measured, Sampled, Sampled))
    at_start = measured.cost(measured.parameters())
    law.run(WINDOW)  # compiles
    measured.run(1)
    pairs = []
    for n in range(WINDOWS):
        slow = seconds_of(measured, WINDOW - (n == 0))
        pairs.append((slow / 2, seconds_of(law, 20 * WINDOW) / 2))  # two measurements a timestep
    fallen = at_start - measured.cost(measured.parameters())
    same.run(WINDOW * WINDOWS)
    cost = check(measured, at_start, fallen, same)
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    return (
        f"| {a * 1e6:,.0f} µs | {b * 1e6:.3g} µs | {ratio:,.0f}× | "
        f"{at_start:.4g} → {at_start - fallen:.4g} | {at_start:.4g} → {cost:.4g} |"
    )


def optimizers(missing: dict[str, str]) -> list[str]:
    """Rows of the table of optimizers."""
    return [row for contest in peer_optimizers.contests() for row in peer_optimizers.rows(contest, missing)]


def loops_by_hand(with_torch: bool) -> str:
    """Markdown of the loops by hand."""
    rows, of_letters = small_networks(with_torch)
    lines = "\n".join
    return f"""### Loops by hand: perceptrons

`benchmarks/peer_loops.py`, for the same algorithm: discrete, all τ = 1, signs, re-measured baseline, plain gradient
descent. PyTorch (`benchmarks/peer_torch.py`) runs in inference mode, in the fastest of its layouts, and in one layout
for the compiled loop; the times exclude the first call, which compiles. Every loop starts with the same parameters.
Its mean cost after {_numbers(n[3] for n in NETWORKS)} timesteps must have fallen by {MANY[0]:g} to {MANY[1]:g} times as
much as in our measured engine.

| network, replicas | loop | how | a step of all | against our measured engine's time | mean cost |
|---|---|---|---|---|---|
{lines(rows)}

A yield study, 49-4-4, {CHIPS:,} chips for {STEPS:,} timesteps, projected from the rates above:

| loop | per chip and step | the study |
|---|---|---|
{lines(yield_study(of_letters))}

### Loops by hand: the Fashion-MNIST network

As above, with images of that shape and one replica, so the cost must fall by {ALONE[0]:g} to {ALONE[1]:g} times as much
as ours, after {_numbers(b[2] for b in BATCHES)} timesteps.

| measurement | loop | how | a step | against our measured engine's time | mean cost |
|---|---|---|---|---|---|
{lines(images(with_torch))}
"""


def section() -> str:
    """Markdown, from its heading on."""
    missing = missing_peers()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PEERS if name not in missing]
    found = [f"- {', '.join([*versions, f'NumPy {np.__version__}', f'JAX {jax.__version__}'])}"]
    absent = [f"- Missing: {name} ({why})" for name, why in missing.items()]
    loops, window, contest = loops_by_hand("torch" not in missing), sampled(), optimizers(missing)
    lines = "\n".join
    return f"""## Beside other programs

Written by `benchmarks/peers.py`: medians of {ROUNDS} turns; ratios are medians of the ratios within a turn.

{lines(found + absent)}

{loops}
### The sampled engine

The same network, τ_θ = {WINDOW:,}, a batch of 100 held for the window; the cost after {WINDOWS} windows.

| measured engine, per measurement | sampled engine | faster by | cost, measured | cost, sampled |
|---|---|---|---|---|
{window}

### Other packages' optimizers

The same deterministic cost, the same starts, the same number of measurements, {len(peer_optimizers.SEEDS)} seeds. The
time is for one run; the first run, which compiles, is listed separately. Tuned means that we tried a few values by
hand. A tuned optimizer's median cost must fall below three quarters of its start for XOR, below half for NIST7x7.

| cost | optimizer | settings | measurements | time | against ours | first run | start | reached, median | from … to |
|---|---|---|---|---|---|---|---|---|---|
{lines(contest)}
"""


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(f"{n:,}" for n in numbers)


if __name__ == "__main__":
    parts = {"small": lambda: small_networks(True), "images": lambda: images(True), "sampled": lambda: print(sampled())}
    if len(sys.argv) > 1:
        parts[sys.argv[1]]()
    else:
        print(section())
