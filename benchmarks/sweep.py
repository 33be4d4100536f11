"""Forty settings of fifty chips in one command and in forty; chips a second; and one worker beside two.

`python benchmarks/sweep.py` prints a table: `mgd sweep` beside a command `mgd train` for each of its points, then a
sweep of many chips in one process, by two workers, and on one core, in turn (`--ways`, best of `--repeats`). Programs
that are compiled are kept from the first command on, as users have it. `--small` is a quick one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

BITS, NOISES = "3..10", "1e-4..1e-2:5:log"
# Settings that the fused engine covers, of 49-4-4 on NIST7x7.
COMMON = "--tau-theta 16 --tau-x 1 --batch 1 --optimizer sgd --learning-rate 0.3 --amplitude 0.05 --engine fused"
# Workers, and the cores that they have together; None for all.
WAYS = {"one-process": ("1", None), "two-workers": ("2", None), "one-core": ("1", 1)}
VIRTUAL = "--imperfect dac-range=5,dac-finer-copy=true,dac-own-line=true"


def mgd(*words: str, environment: dict[str, str]) -> tuple[float, str]:
    """Seconds that a command took, and what it printed."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "mgd", *words], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - started, done.stdout


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("apart", "many"), help="one part of it; by default both")
    parser.add_argument("--many", type=int, default=100_000, help="chips of the second part, in points of 500")
    parser.add_argument("--small", action="store_true", help="few chips, few steps, and four runs in place of forty")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="of the second part")
    given = parser.parse_args()
    steps, chips = ("2000", 10) if given.small else ("20000", 50)
    environment = os.environ | {"MGD_PROGRESS_SECONDS": "0"}
    settings = [*COMMON.split(), *VIRTUAL.split(), "--steps", steps, "--replicas", str(chips)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        print("| what | points × chips × steps | seconds | |\n|---|---|---|---|", flush=True)
        if given.what != "many":
            _forty(settings, chips, int(steps), out, environment, every=10 if given.small else 1)
        if given.what != "apart":
            _many(4000 if given.small else given.many, int(steps), out, environment, given.repeats, given.ways)


def _forty(settings: list[str], chips: int, steps: int, out: Path, environment: dict[str, str], *, every: int) -> None:
    """A sweep, and a run for each of its points, or for one in so many."""
    vary = "--vary", f"dac-bits={BITS}", "--vary", f"cost-noise={NOISES}"
    # What is compiled is kept: all commands that follow begin alike.
    mgd("sweep", "nist7x7", *vary, *settings, "--steps", "32", "--out", str(out / "warm"), environment=environment)
    words = "--out", str(out / "a"), "--json"
    seconds, said = mgd("sweep", "nist7x7", *vary, *settings, *words, environment=environment)
    points = json.loads(said)
    whole = f"{len(points)} × {chips} × {steps:,}"
    print(f"| one `mgd sweep` | {whole} | {seconds:.1f} | |", flush=True)
    each, differing = _apart(points[::every], settings, out, environment)
    ratio = each * len(points) / seconds
    print(f"| a `mgd train` for each | {whole} | {each * len(points):.1f} | {ratio:.1f}× |", flush=True)
    print(f"| points whose scores differ between the two | | | {differing} |", flush=True)


def _apart(points: list[dict], settings: list[str], out: Path, environment: dict[str, str]) -> tuple[float, int]:
    """Seconds of a run by itself, a mean over points, and how many points then come to something else."""
    total, differing = 0.0, 0
    for number, point in enumerate(points):
        own = ["--imperfect", f"dac-bits={point['dac-bits']},cost-noise={point['cost-noise']!r}"]
        run = ["--seed", str(point["seed"]), "--log-every", settings[settings.index("--steps") + 1]]
        folder = out / f"run-{number}"
        seconds, said = mgd(
            "train", "nist7x7", *settings, *own, *run, "--out", str(folder), "--json", environment=environment
        )
        total += seconds
        scores = sorted(json.loads(said)["accuracy_per_replica"])
        middle = (scores[(len(scores) - 1) // 2] + scores[len(scores) // 2]) / 2
        differing += abs(middle - point["score"]) > 1e-6
    return total / len(points), differing


def _many(chips: int, steps: int, out: Path, environment: dict[str, str], repeats: int, ways: Sequence[str]) -> None:
    """A sweep of many chips in each of these ways, in turn."""
    each = 500
    vary = ["--vary", f"cost-noise=1e-4..1e-1:{chips // each}:log"]
    settings = [*COMMON.split(), "--steps", str(steps), "--replicas", str(each)]
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(repeats):
        for n, way in enumerate(ways):
            workers, cores = WAYS[way]
            folder = ["--workers", workers, "--out", str(out / f"{n}-{turn}")]
            all_cores = os.sched_getaffinity(0)
            os.sched_setaffinity(0, sorted(all_cores)[:cores])
            try:
                seconds, _ = mgd("sweep", "nist7x7", *vary, *settings, *folder, environment=environment)
            finally:
                os.sched_setaffinity(0, all_cores)
            taken[way].append(seconds)
            print(f"{way}: {seconds:.0f} s", file=sys.stderr, flush=True)
    whole = f"{chips // each} × {each} × {steps:,}"
    best = {way: min(seconds) for way, seconds in taken.items()}
    for way, seconds in best.items():
        beside = f", {best['one-core'] / seconds:.2f}× one core" if "one-core" in best else ""
        print(f"| {way} | {whole} | {seconds:.1f} | {chips / seconds:,.0f} chips/s{beside} |", flush=True)


if __name__ == "__main__":
    main()
