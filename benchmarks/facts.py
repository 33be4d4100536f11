"""Facts of a task by a chip's own measurements, beside the exact ones of the piece that answered.

    python benchmarks/facts.py                     # NIST7x7, 49-4-4, 600 measurements, seeds 0 to 4
    python benchmarks/facts.py --measure 300 --seeds 2

Each chip is served by `mgd chip serve`, a process of its own behind a socket, and knows what `mgd plan --measure` does
not: how much its weights do, its noise, and how its neurons differ. Exact facts are derivatives of the served piece, at
the parameters at which it was measured: gradients of 8,000 samples, and second derivatives of 2,000. Ratios are the
middle ones of all seeds; what a plan goes by is told for each.
At the target a chip C(θ) = C_model(gθ) has g² times the model's facts. *Off* is the root mean square, in the standard
errors that were said, of what was measured of the chip minus what is exact.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mgd.chips import AbstractChip
from mgd.chips._pieces import first_piece
from mgd.planning import Problem, ask_chip, chip_of
from mgd.runs import read_chip_file
from mgd.runs._build import build_served_chip

TASK, TARGET, SEED, SAMPLES, CURVED = "nist7x7", 0.85, 3, 8000, 2000
NETWORK = """
[chip]
inputs = [49]
outputs = 4
hidden = [4]
"""
PROFILE = """
[profile.seconds]
inference = 1e-6
perturbation = 1e-7
write = 1e-3
load = 1e-5
latency = 5e-7
"""
SERVED = f"[serve]\nseed = {SEED}\nlimits = [-40.0, 40.0]\n"


VARIED = "[imperfect]\nactivation-variation = 0.25\n"


@dataclass(frozen=True)
class Case:
    """A chip that is not the model's: how much its weights do, and its imperfections."""

    gain: float = 1.0
    imperfect: str = ""


CASES = {
    "as its model": Case(),
    "weights do twice as much": Case(2.0),
    "noise 0.01": Case(1.0, "[imperfect]\ncost-noise = 0.01\n"),
    "twice, and noise 0.01": Case(2.0, "[imperfect]\ncost-noise = 0.01\n"),
    "neurons vary by 0.25": Case(1.0, VARIED),
}
NAMES = {"spread": "S", "gradient": "‖∇C‖²", "trace": "tr H", "mixed": "λ_max"}


@contextmanager
def served(text: str, folder: Path) -> Iterator[str]:
    """The resource of the chip of this text, which another process serves."""
    file = folder / "served.toml"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mgd", "chip", "serve", str(file), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        found = re.search(r"TCPIP0::\S+::SOCKET", process.stdout.readline())
        assert found, "it is not served"
        yield found[0]
        process.terminate()


@eqx.filter_jit
def exact(
    chip: AbstractChip, device: Any, gain: Array, theta: Float[Array, " p"], x: Array, y: Array
) -> dict[str, Array]:
    """S, ‖∇C‖², tr H and the root of the sum of squares of H off its diagonal."""

    def cost(theta: Float[Array, " p"], x: Array, y: Array) -> Array:
        key = jax.random.key(0)
        return chip.measure(gain * theta, jnp.zeros_like(theta), x[None], y[None], device=device, key=key)[0]

    each = jax.lax.map(lambda one: jax.grad(cost)(theta, *one), (x, y), batch_size=500)
    mean = each.mean(axis=0)
    curved = jax.lax.map(
        lambda one: jax.jacfwd(jax.grad(cost))(theta, *one), (x[:CURVED], y[:CURVED]), batch_size=50
    ).mean(axis=0)
    off = curved - jnp.diag(jnp.diag(curved))
    spread = jnp.mean(jnp.sum((each - mean) ** 2, axis=1))
    return {
        "spread": spread,
        "gradient": mean @ mean,
        "trace": jnp.trace(curved),
        "mixed": jnp.sqrt(jnp.sum(off**2)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    given = parser.parse_args()
    print("| chip | fact | exact ratio | measured | the plan goes by | at the target | off |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in given.cases:
            for line in table(name, CASES[name], given.measure, given.seeds, Path(folder)):
                print(line, flush=True)


def table(name: str, case: Case, measure: int, seeds: int, folder: Path) -> list[str]:
    """The rows of a chip: a fact each."""
    text = NETWORK + case.imperfect + SERVED
    with served(text, folder) as resource:
        found = [measured(case, resource, measure, seed, folder) for seed in range(seeds)]
    at_target = f"{case.gain**2:g}" if case.imperfect != VARIED else "–"
    rows = []
    for fact, called in NAMES.items():
        truth, model, chip, ratio, factor = (
            np.array([one[fact][k] for one in found]) for k in ("truth", "model", "chip", "ratio", "factor")
        )
        off = (chip[:, 0] - truth) / chip[:, 1]
        value, error = np.median(ratio, axis=0)
        said = " ".join(f"{one:.3g}" for one in sorted(factor))
        rows.append(
            f"| {name} | {called} | {np.median(truth / model):.3g} | {value:.3g} ± {error:.1g} | {said} | {at_target} "
            f"| {np.sqrt(np.mean(off**2)):.2f} |"
        )
    return rows


def measured(case: Case, resource: str, measure: int, seed: int, folder: Path) -> dict[str, dict[str, Any]]:
    """Each fact of a chip: exact, of its model, as it was measured, and what a plan makes of it."""
    bench = folder / "bench.toml"
    line = f'[instrument]\nkind = "scpi"\nresource = "{resource}"\n'
    # One unit of θ is so many of what the served chip's lines take.
    line += f"[instrument.groups.all]\nfirst = 0\nlast = 219\nscale = {case.gain}\n"
    bench.write_text(NETWORK + line + PROFILE, encoding="utf-8")
    planned = chip_of(bench)
    problem = Problem.of({**planned.settings, "task": TASK}, planned.profile, TARGET)
    facts = ask_chip(problem, planned, measure, seed=seed, folder=None, stop=lambda: False).facts
    model = exact_of(problem, 1.0, None, seed)
    truth = exact_of(problem, case.gain, folder / "served.toml" if case.imperfect == VARIED else None, seed)
    found = {name: getattr(facts, name) for name in NAMES}
    return {
        name: {
            "truth": truth[name],
            "model": model[name],
            "chip": (fact.chip.value, fact.chip.error),
            "ratio": (fact.ratio.value, fact.ratio.error),
            "factor": fact.factor,
        }
        for name, fact in found.items()
    }


KNOWN: dict[tuple, dict[str, float]] = {}


def exact_of(problem: Problem, gain: float, served_by: Path | None, seed: int) -> dict[str, float]:
    """The exact facts of the model, or of the piece that this file serves, whose weights do so many times as much."""
    if (gain, served_by, seed) in KNOWN:
        return KNOWN[gain, served_by, seed]
    ideal, samples = problem.ideal(), problem.task.train
    rows = np.random.default_rng(seed).permutation(len(samples))[:SAMPLES]
    shown = jnp.asarray(samples.features(jnp.asarray(samples.x[rows]))), jnp.asarray(samples.y[rows])
    own_key, _ = jax.random.split(jax.random.fold_in(jax.random.key(seed), 0))  # where a run with this seed starts
    theta = ideal.init(key=own_key)
    chip, device = ideal, ideal.fabricate(key=own_key)
    if served_by is not None:
        chip = build_served_chip(read_chip_file(served_by))
        device = first_piece(chip, jax.random.key(SEED))[1]
    found = exact(chip, device, jnp.float32(gain), theta, *shown)
    return KNOWN.setdefault((gain, served_by, seed), {name: float(value) for name, value in found.items()})


if __name__ == "__main__":
    main()
