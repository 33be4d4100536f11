"""Loops of one problem side by side: each must bring its cost down; the best of a kind is timed in turn with ours."""

import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import mgd
from mgd.engines import Data, Fused, Measured, Sampled
from peer_loops import NumpyLoop, Problem
from peer_torch import IMAGE_LAYOUTS, LAYOUTS, TorchLoop

ROUNDS, SECONDS = 5, 0.15
# How far a loop's cost must fall, against the fall in the measured engine after as many timesteps: of the mean of many
# replicas, and of one alone, which goes its own way.
MANY, ALONE = (0.8, 1.25), (0.5, 2.0)


class Ours:
    """One of our engines, as a loop like the others."""

    def __init__(self, engine: Measured | Fused | Sampled, task: mgd.datasets.Task, replicas: int):
        self.name = f"our {engine.name} engine"
        self.engine, self.data = engine, Data.of(task.train)
        self.progress = engine.init(replicas, key=jax.random.key(0))

    def run(self, steps: int) -> None:
        """Makes timesteps."""
        self.progress = self.engine.advance(self.data, self.progress, steps)
        jax.block_until_ready(self.progress.state.theta)

    def parameters(self) -> np.ndarray:
        """θ `[replicas, P]`."""
        return np.array(self.progress.state.theta)

    def cost(self, theta: np.ndarray) -> float:
        """The mean over replicas and samples, with any loop's parameters."""
        there = eqx.tree_at(lambda progress: progress.state.theta, self.progress, jnp.array(theta))
        return float(jnp.mean(self.engine.evaluate(there, self.data)[1]))


Loop = Ours | NumpyLoop | TorchLoop


def check(reference: Ours, at_start: float, fallen: float, loop: Loop) -> float:
    """The cost that a loop has reached.

    Raises:
        SystemExit: if it has not fallen about as far as in our measured engine.
    """
    theta = loop.parameters()
    cost, (least, most) = reference.cost(theta), ALONE if len(theta) == 1 else MANY
    if not np.isfinite(cost) or not 0 < least * fallen <= at_start - cost <= most * fallen:
        raise SystemExit(
            f"{loop.name}: the cost went from {at_start:.4g} to {cost:.4g}. It must fall by {least:g} to {most:g} "
            f"times {fallen:.3g}, the fall in our measured engine after as many timesteps: a fast wrong answer"
        )
    return cost


def seconds_of(loop: Loop, steps: int) -> float:
    """A timestep's, by the clock."""
    started = time.perf_counter()
    loop.run(steps)
    return (time.perf_counter() - started) / steps


def steps_for(loop: Loop) -> int:
    """Timesteps that take about as long as a timing should."""
    few = 4
    while (once := seconds_of(loop, few) * few) < SECONDS / 3:
        few *= 4
    return max(1, round(few * SECONDS / once / 4)) * 4


def least_seconds(loop: Loop) -> float:
    """The least of three timings: the others were disturbed."""
    steps = steps_for(loop)
    return min(seconds_of(loop, steps) for _ in range(3))


def best(loops: Sequence[Loop]) -> Loop:
    """The fastest of some loops."""
    return loops[0] if len(loops) == 1 else min(loops, key=least_seconds)


def in_turn(loops: Sequence[Loop]) -> list[tuple[float, float]]:
    """Of each loop the median time of a timestep, and the median of its ratio to the first's in the same turn."""
    steps = [steps_for(loop) for loop in loops]
    turns = [[seconds_of(loop, n) for loop, n in zip(loops, steps, strict=True)] for _ in range(ROUNDS)]
    return [
        (statistics.median(t[k] for t in turns), statistics.median(t[k] / t[0] for t in turns))
        for k in range(len(loops))
    ]


def compiled_loop(problem: Problem, threads: int) -> TorchLoop | str:
    """The loop that gains most from a compiler, or why it could not be compiled."""
    layout = "replicas last, multiply and sum" if problem.sizes else "channels last"
    try:
        loop = TorchLoop(problem, layout, True, threads)
        loop.run(1)
    except Exception as error:  # a compiler raises what it likes
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:150]}"
    return loop


Judge = Callable[[Sequence[Loop]], tuple[Loop, float]]


def torch_loops(problem: Problem, judge: Judge) -> tuple[dict[str, tuple[Loop, float]], str]:
    """The best eager loops and a compiled one, with the costs that they reached; and why it could not be compiled."""
    layouts = LAYOUTS if problem.sizes else IMAGE_LAYOUTS
    # Which number of threads is faster depends on what else the machine does: both are shown.
    numbers = sorted({1, len(os.sched_getaffinity(0))})
    eager = {n: judge([TorchLoop(problem, name, False, n) for name in layouts]) for n in numbers}
    chosen = {f"PyTorch, eager, {n} thread{'s' if n > 1 else ''}": found for n, found in eager.items()}
    loop = compiled_loop(problem, min(eager, key=lambda n: least_seconds(eager[n][0])))
    if isinstance(loop, str):
        return chosen, loop
    return {**chosen, "PyTorch, compiled": judge([loop])}, ""


def compared(
    title: str, problem: Problem, ours: Sequence[Ours], steps: int, with_torch: bool
) -> tuple[list[str], dict[str, float]]:
    """Rows of one network, our measured engine first; and the seconds of a timestep by kind of loop."""
    reference, at_start = ours[0], ours[0].cost(problem.theta)
    reference.run(steps)
    fallen = at_start - reference.cost(reference.parameters())

    def judge(loops: Sequence[Loop]) -> tuple[Loop, float]:
        """Checks all loops of a kind, and chooses one."""
        costs = []
        for loop in loops:
            if loop is not reference:
                loop.run(steps)
            costs.append(check(reference, at_start, fallen, loop))
        chosen = best(loops)
        return chosen, costs[list(loops).index(chosen)]

    kinds, table = {loop.name: judge([loop]) for loop in ours}, []
    if problem.sizes:
        kinds["NumPy"] = judge([NumpyLoop(problem, last) for last in (False, True)])
    if with_torch:
        of_torch, failed = torch_loops(problem, judge)
        kinds.update(of_torch)
        table += [f"| {title} | PyTorch, compiled | does not work here: {failed} | | | |"] if failed else []
    seconds, timings = {}, in_turn([loop for loop, _ in kinds.values()])
    for (kind, (loop, cost)), (each, ratio) in zip(kinds.items(), timings, strict=True):
        seconds[kind] = each
        how = "" if isinstance(loop, Ours) else loop.name
        micros = f"{each * 1e6:,.{0 if each > 1e-4 else 1}f}"
        table.append(f"| {title} | {kind} | {how} | {micros} µs | {ratio:.2g}× | {at_start:.4g} → {cost:.4g} |")
    print("\n".join(table), file=sys.stderr, flush=True)
    return table, seconds
