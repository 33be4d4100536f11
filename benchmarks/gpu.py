"""What a GPU does: its results beside the CPU's, and its speed, in under eight minutes; `--small` in a minute.

    pip install "jax[cuda13]"
    python benchmarks/gpu.py --out gpu.md

Each line of the table is a process of its own on the GPU and one on the CPU. The measured and the sampled engine train
the same chips from the same key on both, and the parameters must agree to a thousandth of how far they moved; otherwise
the command ends with exit code 1. Then speeds are measured: 100,000 chips of 49-4-4 side by side, the two published
convolutional networks, and a perceptron of 10⁸ parameters. All products are in full float32: in TF32, which JAX takes
on NVIDIA's GPUs, a cost has three digits, and the modulation is lost in them. The last check says by how much. Without
a GPU, only the CPU's speeds are measured, which the table says.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MOST_SECONDS = 450.0
# Agreement of θ on both, in units of how far it moved.
TOLERANCE = 1e-3
LEAST_SECONDS, SMALL_SECONDS = 4.0, 0.5
CHECKS = ("measured", "sampled", "measured, as JAX multiplies")
# Of each speed: what it is, chips, and the batch.
FASHION, CIFAR = ((28, 28, 1), (16, 32, 32)), ((32, 32, 3), (16, 32, 64))
SPEEDS = {
    "fleet": ("49-4-4 on NIST7x7, measured", 100_000, 1),
    "fleet, sampled": ("49-4-4 on NIST7x7, sampled, windows of 64", 100_000, 1),
    "fashion": ("Fashion-MNIST's CNN, measured", 1, 1000),
    "fashion, sampled": ("Fashion-MNIST's CNN, sampled, windows of 100", 1, 1000),
    "cifar": ("CIFAR-10's CNN, measured", 1, 1000),
    "cifar, sampled": ("CIFAR-10's CNN, sampled, windows of 100", 1, 1000),
    "large": ("a perceptron of 784-H-H-10, measured, in place", 1, 1),
}
SMALL = {"fleet": (1000, 1), "fashion": (1, 10), "cifar": (1, 10), "large": (1, 1)}
HIDDEN, SMALL_HIDDEN = 9617, 1200  # both are trained in place


def engine_of(name: str, chip: Any, *, batch: int, window: int, chips: int, rate: float) -> Any:
    """The engine of that name, with plain descent."""
    import optax

    import mgd
    from mgd.engines import choose

    algorithm = mgd.discrete(
        perturbation=mgd.perturbations.Rademacher(0.02),
        optimizer=optax.sgd(rate),
        time_constants=mgd.TimeConstants(tau_theta=window),
    )
    return choose(name, chip, algorithm, n_replicas=chips, batch=batch, n_steps=10**6, n_numbers=10**6)


def check(name: str, path: Path) -> dict:
    """Trains chips, and keeps how far each moved."""
    import jax

    import mgd
    from mgd.engines import Data

    task, chip = mgd.datasets.nist7x7(), mgd.chips.mlp((49, 4, 4), cost="mse", init="glorot")
    engine = engine_of(name.partition(",")[0], chip, batch=4, window=16, chips=16, rate=0.1)
    progress = engine.init(16, key=jax.random.key(0))
    start = np.asarray(progress.state.theta)
    progress = engine.advance(Data.of(task.train, task.kind, task.order), progress, 16 * 64)
    np.savez(path, start=start, end=np.asarray(progress.state.theta))
    return {}


def speed(name: str, least: float, *, small: bool) -> dict:
    """Timesteps of a chip in a second."""
    import jax

    import mgd
    from mgd.engines import Data

    _, chips, batch = SPEEDS[name]
    kind, _, engine_name = name.partition(", ")
    if small:
        chips, batch = SMALL[kind]
    window = 64 if kind == "fleet" else 100
    if kind == "fleet":
        task, chip = mgd.datasets.nist7x7(), mgd.chips.mlp((49, 4, 4), cost="mse", init="glorot")
    elif kind == "large":
        hidden = SMALL_HIDDEN if small else HIDDEN
        task, chip = noise_of((784,)), mgd.chips.mlp((784, hidden, hidden, 10), cost="mse", init="glorot")
        window = 1
    else:
        shape, channels = FASHION if kind == "fashion" else CIFAR
        task, chip = noise_of(shape), mgd.chips.cnn(shape, channels)
    engine = engine_of(engine_name or "measured", chip, batch=batch, window=window, chips=chips, rate=1e-9)
    data = Data.of(task.train, task.kind, task.order)
    progress = engine.init(chips, key=jax.random.key(0))
    told: dict[str, Any] = {"n_params": chip.n_params, "chips": chips, "batch": batch}
    n, seconds = engine.stride, 0.0
    progress = jax.block_until_ready(engine.advance(data, progress, n))  # compiles
    while seconds < least:
        n = max(n, int(n * min(8.0, 1.2 * least / seconds)) // engine.stride * engine.stride) if seconds else n
        began = time.perf_counter()
        progress = jax.block_until_ready(engine.advance(data, progress, n))
        seconds = time.perf_counter() - began
    assert np.isfinite(np.asarray(progress.state.theta)).all(), "a fast wrong answer"
    memory = jax.devices()[0].memory_stats() or {}
    return told | {"rate": n * chips / seconds, "bytes": memory.get("peak_bytes_in_use")}


def noise_of(shape: tuple[int, ...]) -> Any:
    """Images of noise, of ten classes: how fast they are learnt does not depend on what they show."""
    import mgd

    rng = np.random.default_rng(0)
    targets = np.eye(10, dtype=np.float32)[rng.integers(0, 10, 2000)]
    return mgd.datasets.from_arrays(rng.random((2000, *shape), np.float32), targets)


def child(platform: str, what: str, name: str, path: Path, *, small: bool) -> None:
    """A line of the table on one platform; prints what it found."""
    import jax

    if not name.endswith("as JAX multiplies"):
        jax.config.update("jax_default_matmul_precision", "highest")
    found = (
        check(name, path) if what == "check" else speed(name, SMALL_SECONDS if small else LEAST_SECONDS, small=small)
    )
    print(json.dumps(found | {"device": jax.devices()[0].device_kind, "platform": platform}))


def asked(platform: str, what: str, name: str, path: Path, ends: float, *, small: bool) -> dict | None:
    """What a process of its own found; None if the time was over before."""
    command = [sys.executable, __file__, "--child", platform, what, name, str(path), *(["--small"] if small else [])]
    environment = dict(os.environ)
    if platform == "cpu":
        environment["JAX_PLATFORMS"] = "cpu"
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=max(1.0, ends - time.monotonic()),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise SystemExit(f"{name} on {platform}: {(done.stderr.strip().splitlines() or ['ended'])[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def moved_alike(paths: list[Path]) -> float:
    """The largest difference of θ between the two, in units of how far chips moved."""
    one, other = (np.load(path) for path in paths)
    assert np.array_equal(one["start"], other["start"]) or np.allclose(one["start"], other["start"], atol=1e-6)
    moved = np.linalg.norm(one["end"] - one["start"], axis=1)
    assert np.isfinite(moved).all(), "parameters are not finite"
    assert (moved > 0).all(), "nothing was trained"
    return float((np.linalg.norm(one["end"] - other["end"], axis=1) / moved).max())


def table(places: list[str], small: bool, say: Callable[[str], None]) -> bool:
    """Every line; whether the results of engines agree."""
    ends, good = time.monotonic() + MOST_SECONDS, True
    with tempfile.TemporaryDirectory() as folder:
        say("| engine, 16 chips of 49-4-4, 64 updates | θ differs by (of its way) | |\n|---|---|---|")
        for name in CHECKS:
            paths = [Path(folder) / f"{number}.npz" for number in range(2)]
            if all(
                asked(place, "check", name, path, ends, small=small) is not None
                for place, path in zip(places, paths, strict=True)
            ):
                far = moved_alike(paths)
                fine = far <= TOLERANCE
                good &= fine or name not in CHECKS[:2]
                say(f"| {name} | {far:.1e} | {'agrees' if fine else 'differs'} |")
            else:
                good = False
                say(f"| {name} | not in time | |")
        say(
            "\n| what | parameters | chips × batch | on the GPU, timesteps/s | on the CPU | ratio | peak memory |\n"
            "|---|---|---|---|---|---|---|"
        )
        for name, (line, _, _) in SPEEDS.items():
            if small and name not in SMALL:
                continue
            gpu = None if places[0] == "cpu" else asked(places[0], "speed", name, Path(folder), ends, small=small)
            cpu = asked("cpu", "speed", name, Path(folder), ends, small=small)
            first = gpu or cpu or {"n_params": 0, "chips": 0, "batch": 0}
            rates = [f"{one['rate']:,.3g}" if one else "not measured" for one in (gpu, cpu)]
            ratio = f"{gpu['rate'] / cpu['rate']:.1f}" if gpu and cpu else ""
            memory = f"{gpu['bytes'] / 2**30:.1f} GB" if gpu and gpu["bytes"] else ""
            size = f"{first['n_params']:,} | {first['chips']:,} × {first['batch']:,}"
            say(f"| {line} | {size} | {rates[0]} | {rates[1]} | {ratio} | {memory} |")
    return good


def main() -> None:
    """The table, on the terminal and in a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu.md"))
    parser.add_argument("--small", action="store_true", help="small chips, and speeds that mean nothing")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        platform, what, name, path = given.child
        child(platform, what, name, Path(path), small=given.small)
        return
    began = time.monotonic()
    code = "import jax; print(jax.default_backend(), jax.devices()[0].device_kind, sep='|')"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    backend, _, device = seen.strip().splitlines()[-1].partition("|")
    places = [backend, "cpu"]
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    if backend == "cpu":
        say("No GPU was found: the engines are compared with themselves on the CPU.\n")
    say(f"`python benchmarks/gpu.py{' --small' if given.small else ''}` on {device}\n")
    good = table(places, given.small, say)
    say(f"\nAll in {time.monotonic() - began:.0f} s.")
    given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if not good:
        raise SystemExit("the engines do not agree with the CPU's results, or not all was checked in time")


if __name__ == "__main__":
    main()
