"""The analog circuit in ngspice: how many starts of XOR it learns, and how far it is from the algorithm.

`python benchmarks/analog_circuit.py xor` prints a markdown table of 16 starts, or as many as are given (replicas of
key 0): the mean cost of the last forty samples, whether all four are on the right side of 0.5 with θ as it is at the
end, the same of `mgd.train` with the same start, and how far θ is from that of the algorithm in timesteps a sixteenth
as long, after 4,000, 40,000 and all timesteps, as a share of the largest move of a parameter. Before the table it
prints η λ τ_θ, with λ the largest curvature of the mean cost at the start and after each fortieth of the run.

`python benchmarks/analog_circuit.py figure` draws docs/figures/analog-circuit.png: the two parameters of
examples/analog-bowl.cir, and XOR from start 1 of the table beside the algorithm in timesteps a quarter as long.

`python benchmarks/analog_circuit.py ringing` prints how far the two parameters of examples/analog-bowl.cir go beyond
their targets, as a share of the way, by η λ τ_θ.
"""

import dataclasses
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import mgd
from mgd.onchip import AnalogSpec, generate_analog

ROOT = Path(__file__).parents[1]
SPEC = AnalogSpec(layers=(2, 2, 1))
EARLY = (4_000, 40_000)
FINER = 16


def table_of(deck: Path, name: str) -> np.ndarray:
    """What ngspice writes: time, cost, parameters."""
    subprocess.run(["ngspice", "-n", "-b", deck.name], cwd=deck.parent, capture_output=True, check=True)
    return np.loadtxt(deck.parent / name, skiprows=1)


def circuit(spec: AnalogSpec) -> np.ndarray:
    """The table of the network that learns XOR."""
    with tempfile.TemporaryDirectory() as folder:
        generate_analog(spec, folder)
        return table_of(Path(folder, "learn.cir"), "learn.txt")


def bowl(spec: AnalogSpec) -> np.ndarray:
    """The table of the deck with two parameters."""
    with tempfile.TemporaryDirectory() as folder:
        generate_analog(spec, Path(folder, "learner"))
        return table_of(Path(shutil.copy(ROOT / "examples" / "analog-bowl.cir", folder)), "bowl.txt")


def algorithm(spec: AnalogSpec, n_steps: int, replicas: int) -> np.ndarray:
    """θ of the first chips after so many timesteps, by the algorithm."""
    xor = dataclasses.replace(mgd.datasets.parity(bits=2), order="sequential")
    run = {"n_steps": n_steps, "n_replicas": replicas, "key": jax.random.key(spec.seed), "progress": False}
    return np.asarray(mgd.train(spec.network, xor, spec.algorithm, engine="measured", **run).theta, np.float64)


def outputs(theta: np.ndarray) -> jax.Array:
    """What the network answers to the four samples."""
    x = jnp.asarray(mgd.datasets.parity(bits=2).train.x)
    device = SPEC.network.fabricate(key=jax.random.key(0))
    return SPEC.network.respond(jnp.asarray(theta, jnp.float32), x, device=device, key=jax.random.key(0))


def solved(theta: np.ndarray) -> bool:
    """Whether all four samples are on the right side."""
    return bool(((np.asarray(outputs(theta)) > 0.5) == (mgd.datasets.parity(bits=2).train.y > 0.5)).all())


def curvature(theta: np.ndarray) -> float:
    """The largest eigenvalue of the Hessian of the mean cost."""
    target = jnp.asarray(mgd.datasets.parity(bits=2).train.y)
    hessian = jax.hessian(lambda theta: jnp.mean((outputs(theta) - target) ** 2))(jnp.asarray(theta, jnp.float32))
    return float(np.linalg.eigvalsh(np.asarray(hessian, np.float64))[-1])


def xor(starts: int) -> None:
    """The table of starts."""
    places = [n_steps // SPEC.tau_x - 1 for n_steps in (*EARLY, SPEC.steps)]
    finer = [algorithm(SPEC.finer(FINER), FINER * SPEC.tau_x * (place + 1), starts) for place in places]
    coarse = algorithm(SPEC, SPEC.steps, starts)
    rows, largest, learnt = [], 0.0, [0, 0]
    for replica in range(starts):
        spec = dataclasses.replace(SPEC, replica=replica)
        cost, path = np.split(circuit(spec)[:, 1:], [1], axis=1)
        moved = [np.abs(path[place] - spec.start()[0]).max() for place in places]
        off = [np.abs(path[place] - theta[replica]).max() for place, theta in zip(places, finer, strict=True)]
        marks = solved(path[-1]), solved(coarse[replica])
        learnt = [n + mark for n, mark in zip(learnt, marks, strict=True)]
        of_path = np.concatenate([spec.start()[0][None], path[len(path) // 40 - 1 :: len(path) // 40]])
        largest = max(largest, *map(curvature, of_path))
        said = [f"{cost[-40:].mean():.4f}", *("yes" if mark else "no" for mark in marks)]
        said += [f"{apart / move:.1%}" for apart, move in zip(off, moved, strict=True)]
        rows.append(f"| {replica} | {' | '.join(said)} |")
        print(rows[-1], file=sys.stderr, flush=True)
    print(f"largest η λ τ_θ: {SPEC.learning_rate * largest * SPEC.tau_theta:.2f}\n")
    print("| start | last cost | learnt | learnt by mgd.train | apart after 4,000 | after 40,000 | at the end |")
    print(f"|---|---|---|---|---|---|---|\n{chr(10).join(rows)}")
    print(f"| {starts} starts | | {learnt[0]} | {learnt[1]} | | | |")


def ringing() -> None:
    """The table of what goes beyond the targets."""
    spec = AnalogSpec.read(ROOT / "examples" / "analog-bowl.toml")
    print("| η λ τ_θ | beyond the targets |\n|---|---|")
    for share in (0.1, 0.2, 0.25, 0.5, 1.0, 2.0):
        rate = share / (2 * spec.tau_theta)  # the curvature of the bowl is 2
        path = bowl(dataclasses.replace(spec, learning_rate=rate))[:, 2:]
        beyond = (path / np.array([1.0, -0.7])).max() - 1
        print(f"| {share:g} | {max(0.0, beyond):.1%} |", flush=True)


def figure() -> None:
    """Two parameters, and XOR."""
    _, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
    spec = AnalogSpec.read(ROOT / "examples" / "analog-bowl.toml")
    table = bowl(spec)
    for k, target in enumerate((1.0, -0.7)):
        left.plot(1e3 * table[:, 0], table[:, 2 + k], f"C{k}", label=f"θ{k + 1}")
        left.axhline(target, color="0.7", lw=0.8, zorder=0)
    left.set(title="two parameters", xlabel="time (ms)", ylabel="θ (V)")
    left.legend(frameon=False)
    spec = dataclasses.replace(SPEC, replica=1)
    table = circuit(spec)
    time = 1e3 * table[:, 0]
    for sample in range(4):
        label = f"{sample >> 1} {sample & 1}"
        middle.plot(time[sample::4], table[sample::4, 1], lw=0.5, label=label)
    middle.set(title="XOR: cost of each sample", xlabel="time (ms)", ylabel="cost (V)")
    middle.legend(frameon=False, title="inputs")
    right.plot(time, table[:, 2:], lw=0.8)
    points = np.linspace(0, spec.steps, 9)[1:].astype(int) // spec.tau_x * spec.tau_x
    ends = [algorithm(spec.finer(4), 4 * int(n_steps), 2)[1] for n_steps in points]
    dots = right.plot(1e3 * spec.timestep_seconds * points, ends, "k.", ms=3)
    right.legend(dots[:1], ["mgd.analog"], frameon=False, loc="center right")
    right.set(title="XOR: nine parameters", xlabel="time (ms)", ylabel="θ (V)")
    plt.savefig(ROOT / "docs" / "figures" / "analog-circuit.png", dpi=130)


if __name__ == "__main__":
    if sys.argv[1:2] == ["xor"] and len(sys.argv) <= 3:
        xor(int(sys.argv[2]) if len(sys.argv) == 3 else 16)
    elif sys.argv[1:] in (["figure"], ["ringing"]):
        {"figure": figure, "ringing": ringing}[sys.argv[1]]()
    else:
        sys.exit(__doc__)
