"""How fast this checkout of mgd is beside another one.

`python benchmarks/beside.py FOLDER` times the same work here and there, in two processes that wait for their turns:
there, here, here, there, and so on. Of each work it prints the least time of both, the median of the ratios of
neighbouring turns with the interval that holds it in 19 of 20 cases (by ranks, so it asks nothing of their
distribution), and the ratio of the least times. A machine that does other things disturbs both, and the longer time
more; ratios of the least times are disturbed least.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optax

import mgd
from checkouts import checkout, environment
from measured import engine_seconds
from mgd.algorithm import Accumulate, Algorithm, Remeasured, TimeConstants
from mgd.chips import imperfect, mlp
from mgd.chips.imperfections import ActivationVariation, CostNoise
from mgd.engines import Fused, Instrumented, Measured, Sampled
from mgd.instruments import Guarded, Limits, from_callables
from mgd.perturbations import Rademacher, Walsh

ONE, WINDOW = TimeConstants(), TimeConstants(tau_x=16, tau_theta=256)
XOR, LETTERS = mgd.datasets.parity(bits=2), mgd.datasets.nist7x7()
# Seconds of a turn, about.
TURN = 0.2


def _algorithm(times: TimeConstants = ONE, *, walsh: bool = False, momentum: float | None = None) -> Algorithm:
    family = Walsh(0.01) if walsh else Rademacher(0.01)
    return Algorithm(
        perturbation=family,
        baseline=Remeasured(),
        integrator=Accumulate(),
        optimizer=optax.sgd(0.01, momentum),
        time_constants=times,
    )


def _chip(sizes: tuple[int, ...], *, noisy: bool = False):
    chip = mlp(sizes, cost="mse", init="uniform")
    return imperfect(chip, ActivationVariation(0.1), CostNoise(1e-3)) if noisy else chip


def _answering_at_once() -> Instrumented:
    """A chip of this process whose every cost is ½: what training costs beside it."""
    limits = Limits.uniform(220, -4.0, 4.0)
    chip = from_callables(
        set_parameters=lambda theta: None, present=lambda x, y: None, measure_cost=lambda: 0.5, limits=limits
    )
    guarded = Guarded(chip)
    guarded.open()
    cost = mgd.chips.MeanSquaredError()
    return Instrumented(guarded, _algorithm(), np.zeros(220, np.float32), cost=cost, batch=64)


SMALL, LETTER = _chip((2, 2, 1)), _chip((49, 4, 4))
# Engine, task, replicas.
WORKS: dict[str, tuple[Callable, mgd.datasets.Task, int]] = {
    "fused 2-2-1 × 1,000": (lambda: Fused(SMALL, _algorithm()), XOR, 1000),
    "fused 2-2-1 × 1,000, noise": (lambda: Fused(_chip((2, 2, 1), noisy=True), _algorithm()), XOR, 1000),
    "fused 2-2-1 × 1,000, momentum": (lambda: Fused(SMALL, _algorithm(momentum=0.9)), XOR, 1000),
    "fused 49-4-4 × 256": (lambda: Fused(LETTER, _algorithm()), LETTERS, 256),
    "fused 49-4-4 × 256, momentum": (lambda: Fused(LETTER, _algorithm(momentum=0.9)), LETTERS, 256),
    "measured 2-2-1 × 1": (lambda: Measured(SMALL, _algorithm()), XOR, 1),
    "measured 2-2-1 × 1, noise": (lambda: Measured(_chip((2, 2, 1), noisy=True), _algorithm()), XOR, 1),
    "measured 2-2-1 × 1,000": (lambda: Measured(SMALL, _algorithm()), XOR, 1000),
    "measured 49-4-4 × 1": (lambda: Measured(LETTER, _algorithm()), LETTERS, 1),
    "measured 49-4-4 × 1,000": (lambda: Measured(LETTER, _algorithm()), LETTERS, 1000),
    "sampled 49-4-4 × 16, signs": (lambda: Sampled(LETTER, _algorithm(WINDOW)), LETTERS, 16),
    "sampled 49-4-4 × 16, Walsh": (lambda: Sampled(LETTER, _algorithm(WINDOW, walsh=True)), LETTERS, 16),
    "instrument, answered at once": (_answering_at_once, LETTERS, 1),
}


def timer(name: str) -> Callable[[], float]:
    """A timer of a work's turn, in seconds a timestep."""
    make, task, replicas = WORKS[name]
    engine = make()
    window = steps = engine.algorithm.interval
    while True:  # until it takes about as long as a turn should
        run = engine_seconds(engine, task, replicas, steps, before=window)
        run()
        seconds = run()
        if seconds > TURN / 2:
            return lambda: run() / steps
        steps *= max(2, min(100, int(TURN / seconds)))


def serve() -> None:
    """Makes the work of each line that is read, and prints what a timestep took."""
    timers: dict[str, Callable[[], float]] = {}
    for line in sys.stdin:
        name = json.loads(line)
        if name not in timers:
            timers = {name: timer(name)}  # the others are let go of
        print(json.dumps(timers[name]()), flush=True)


class Server:
    """A process that works for a checkout when it is asked to."""

    def __init__(self, folder: Path):
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            env=environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, name: str) -> float:
        """What a timestep of a work took."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(name) + "\n")
        process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise SystemExit(f"{name}: the process ended with code {process.wait()}")
        return json.loads(answer)

    def end(self) -> None:
        self._process.terminate()
        self._process.communicate()


def interval(ratios: list[float]) -> tuple[float, float]:
    """Ranks between which the median of the distribution is in 19 of 20 cases, or more.

    The number of values below it is binomial, with a half.
    """
    n, below, rank = len(ratios), 0.0, 0
    while rank < n // 2 and below + math.comb(n, rank) / 2**n <= 0.025:
        below += math.comb(n, rank) / 2**n
        rank += 1
    ordered = sorted(ratios)
    first = max(0, rank - 1)
    return ordered[first], ordered[n - 1 - first]


def row(name: str, there: Server, here: Server, rounds: int) -> str:
    """A row of the table."""
    for server in (there, here):  # compiles
        server.seconds(name)
    old, new = [], []
    for number in range(rounds):
        order = [(old, there), (new, here)]
        for seconds, server in order if number % 2 else reversed(order):
            seconds.append(server.seconds(name))
    ratios = [b / a for a, b in zip(old, new, strict=True)]
    low, high = interval(ratios)
    least_old, least_new = min(old), min(new)
    return (
        f"| {name} | {1e6 * least_old:.4g} µs | {1e6 * least_new:.4g} µs | {statistics.median(ratios):.3f} | "
        f"{low:.3f} … {high:.3f} | {least_new / least_old:.3f} |"
    )


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description="How fast this checkout of mgd is beside another one.")
    parser.add_argument("folder", type=checkout, nargs="?", metavar="FOLDER", help="another checkout of mgd")
    parser.add_argument("--rounds", type=int, default=15, help="pairs of turns of each work (15)")
    parser.add_argument("--only", default="", metavar="TEXT", help="works with this in their names")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mgd.MgdWarning)
            return serve()
    if given.folder is None:
        parser.error("name a checkout of mgd to be compared with")
    there, here = Server(given.folder), Server(Path(__file__).resolve().parents[1])
    try:
        print("| work | there, a timestep | here | ratio | 19 of 20 | of the least |\n|---|---|---|---|---|---|")
        for name in WORKS:
            if given.only in name:
                print(row(name, there, here, given.rounds), flush=True)
    finally:
        there.end()
        here.end()


if __name__ == "__main__":
    main()
