"""How well the defaults learn, with every perturbation that suits them: `make defaults` writes docs/defaults.md.

Each row is `mgd train TASK --algorithm A --perturbation P --seed 1` and nothing else, but for what the table says; sets
that are no tasks are in raw_sets.py. The starts of rows as arguments (such as "NIST7x7 | discrete", or "wine") make
these anew, and leave the others of the page as they are.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import raw_sets

PAGE = Path(__file__).parents[1] / "docs" / "defaults.md"
DISCRETE = ("rademacher", "walsh", "lfsr", "gaussian", "sequential", "sinusoid")
ANALOG = ("sinusoid", "rademacher", "walsh", "lfsr", "gaussian")
TASKS = {"XOR": ("parity", "--bits", "2"), "4-bit parity": ("parity", "--bits", "4"), "NIST7x7": ("nist7x7",)}
OTHERS = {"Yin-Yang": ("yin-yang",), "digits": ("digits",)}


def row(name: str, arguments: tuple[str, ...], algorithm: str, family: str, *more: str) -> str:
    """One run and its row."""
    command = [sys.executable, "-m", "mgd", "train", *arguments, "--algorithm", algorithm, "--perturbation", family]
    with tempfile.TemporaryDirectory() as folder:
        command += [*more, "--seed", "1", "--json", "--out", f"{folder}/run"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"| {name} | {algorithm} | {family} | | | | {done.stderr.strip().splitlines()[-1]} |"
    summary = json.loads(done.stdout)
    accuracies = sorted(summary["accuracy_per_replica"])
    n = len(accuracies)
    return (
        f"| {name} | {algorithm} | {family} | {summary['solved_fraction']:.0%} of {n} | {summary['accuracy']:.1%} | "
        f"{accuracies[0]:.1%} … {accuracies[-1]:.1%} | {summary['counts']['cost_measurements']:,} |"
    )


def makers() -> tuple[dict[str, Callable[[], str]], dict[str, Callable[[], str]]]:
    """What makes each row of both tables, by how the row starts."""
    of_tasks: dict[str, Callable[[], str]] = {}
    for name, arguments in {**TASKS, **OTHERS}.items():
        for algorithm, families in (("discrete", DISCRETE), ("analog", ANALOG)):
            for family in families if name in TASKS else families[:1]:
                of_tasks[f"| {name} | {algorithm} | {family} |"] = partial(row, name, arguments, algorithm, family)
    return of_tasks, {f"| {name} |": partial(raw_sets.row, name) for name in raw_sets.SETS}


def remade(wanted: list[str]) -> dict[str, str]:
    """The rows that are wanted, made anew, by how they start; all if none is named."""
    made = {}
    for start, make in (makers()[0] | makers()[1]).items():
        if not wanted or any(start.startswith(f"| {one}") for one in wanted):
            made[start] = make()
            print(made[start], flush=True)
    return made


def page(kept: str, made: dict[str, str]) -> str:
    """The whole page, with rows that were not made anew as they were."""
    tables = []
    for starts in makers():
        lines = [[made[s]] if s in made else [k for k in kept.splitlines() if k.startswith(s)] for s in starts]
        tables.append(chr(10).join(line for one in lines for line in one))
    rows, sets = tables[0], raw_sets.section(tables[1])
    return f"""# Defaults and what they reach

Written by `make defaults` ({time.strftime("%Y-%m-%d")}, seed 1). Every row of the first table is `mgd train` with the
task's default settings for that algorithm. Only the perturbation changes, so one learning rate serves all families of a
task. *Solved* is the fraction of chips at or above the task's level: 100 % for parity, 95 % for NIST7x7 (a
linear classifier reaches 91 %), 90 % for Yin-Yang and digits. Accuracy is on the test set: mean, then worst and best
chip.

One rule, `mgd.algorithm.defaults`, chooses the settings that you leave out, for `mgd.train` in Python and for the
perceptrons of `mgd train nist7x7 | yin-yang | digits`: Adam with a rate that falls to zero over the run, as half a
cosine; windows of P/3 perturbations, up to 16, on one mini-batch of 64 samples; cross-entropy and Glorot's start.
Parity and the convolutional networks have rates of their own, for plain descent.

## Tasks

| task | algorithm | perturbation | solved | accuracy | worst … best | cost measurements a chip |
|---|---|---|---|---|---|---|
{rows}

The analog algorithm refuses sequential and block-wise codes, because its high-pass would take the step from one
parameter to the next for a gradient. The windows of the discrete sinusoid are too short to separate its frequencies; it
warns, and learns from the sum of many windows.

Parity needs the weight decay of its defaults: without it about a quarter of 2-2-1 chips end with neurons so far in
saturation that perturbations do not change the cost.

{sets}"""


if __name__ == "__main__":
    rows_made = remade(sys.argv[1:])
    PAGE.write_text(page(PAGE.read_text() if PAGE.exists() else "", rows_made))
    print(f"written: {PAGE}")
