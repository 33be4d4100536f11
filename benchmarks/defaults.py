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


def remade(kept: str, wanted: list[str], rows: dict[str, Callable[[], str]]) -> str:
    """Rows by how they start: those that are wanted (all, if none is named) made anew, others as on the page."""
    lines = []
    for start, make in rows.items():
        if not wanted or any(start.startswith(f"| {one}") for one in wanted):
            lines.append(make())
            print(lines[-1], flush=True)
        else:
            lines += [line for line in kept.splitlines() if line.startswith(start)]
    return chr(10).join(lines)


def page(kept: str, wanted: list[str]) -> str:
    """The whole page, with what is not wanted as it was."""
    of_tasks: dict[str, Callable[[], str]] = {}
    for name, arguments in {**TASKS, **OTHERS}.items():
        for algorithm, families in (("discrete", DISCRETE), ("analog", ANALOG)):
            for family in families if name in TASKS else families[:1]:
                of_tasks[f"| {name} | {algorithm} | {family} |"] = partial(row, name, arguments, algorithm, family)
    of_sets = {f"| {name} |": partial(raw_sets.row, name) for name in raw_sets.SETS}
    rows, sets = remade(kept, wanted, of_tasks), raw_sets.section(remade(kept, wanted, of_sets))
    return f"""# Defaults and what they reach

Written by `make defaults` ({time.strftime("%Y-%m-%d")}, seed 1). Every row of the first table is `mgd train` with the
task's default settings for that algorithm and only the perturbation changed, so one learning rate serves all families
of a row's task. *Solved* is the fraction of chips at or above the task's level: 100 % for parity, 95 % for NIST7x7 (a
linear classifier reaches 91 %), 90 % for Yin-Yang and digits. Accuracy is on the test set: mean, then worst and best
chip.

What nobody chose is chosen by one rule, `mgd.algorithm.defaults`, for `mgd.train` in Python and for the perceptrons of
`mgd train nist7x7 | yin-yang | digits`: Adam whose rate falls to zero over the run, as half a cosine; windows of P/3
perturbations, up to 64, on one mini-batch; 64 samples in it; cross-entropy and Glorot's start. Parity and the
convolutional networks keep rates of their own, for plain descent.

## Tasks

| task | algorithm | perturbation | solved | accuracy | worst … best | cost measurements a chip |
|---|---|---|---|---|---|---|
{rows}

Sequential and block-wise codes do not go with the high-pass of the analog algorithm, and are refused there: the step
from one parameter to the next is taken for a gradient. A discrete sinusoid has windows shorter than its frequencies
need to be told apart; it warns, and learns as the sum of many windows.

Parity needs the weight decay that its defaults have: without it about a quarter of 2-2-1 chips end with neurons so
far in saturation that no perturbation shows in the cost.

{sets}"""


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text() if PAGE.exists() else "", sys.argv[1:]))
    print(f"written: {PAGE}")
