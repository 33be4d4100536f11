"""When simulated chips get to a target."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from .._judge import Judge
from ..algorithm import Counts
from ..engines import Data, choose
from ..runs import build_algorithm, build_chip
from ..timing import HardwareTime, hardware_time
from ._problem import Problem
from ._structure import Structure

# An evaluation follows after this share of what was done, and there are at least so many before the guessed end.
_SPACING, _BEFORE = 1.08, 0.05
# Chips are given this many times as long as their mean took, to get there each by itself.
_LATE = 3.0
# A mean that has not become better for so many times as long as its best took has settled.
_SETTLED = 2.5
# However few steps there are, chips in lanes are worth compiling for.
_MANY_STEPS = 2**62


@dataclass(frozen=True)
class Passage:
    """When chips got to the target, in timesteps.

    Attributes:
        mean: when their mean score did; infinite if it did not.
        each: when each of them first did; infinite if it did not.
        best: the best mean score.
        steps: how far they were simulated.
        seconds: of hardware, to `mean`.
        engine: that simulated them.
    """

    mean: float
    each: tuple[float, ...]
    best: float
    steps: int
    seconds: float
    engine: str


class Simulator:
    """Simulates structures, of one problem.

    Args:
        problem: what is learnt, on what chip.
        replicas: chips of each simulation.
    """

    def __init__(self, problem: Problem, replicas: int):
        self.problem, self.replicas = problem, replicas
        self._data = Data.of(problem.task.train, problem.task.kind, problem.task.order)
        self._test = Data.of(problem.task.test, problem.task.kind)
        self._starts: dict[tuple, Any] = {}

    def passage(
        self,
        structure: Structure,
        *,
        seed: int,
        guess: float,
        most: float,
        each: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> Passage:
        """When chips that are trained in this way get to the target.

        Args:
            structure: how they are trained.
            seed: of the chips, the samples and the noise.
            guess: the windows that are expected to be needed, about.
            most: seconds of hardware after which it ends.
            each: whether to go on until each chip is there, or three times as long as the mean took.
            stop: asked at each evaluation whether to end.
        """
        settings = self.problem.settings(structure, replicas=self.replicas, seed=seed)
        chip, algorithm = build_chip(settings, self.problem.task), build_algorithm(settings)
        engine = choose(
            settings.engine, chip, algorithm, n_replicas=self.replicas, batch=settings.batch, n_steps=_MANY_STEPS
        )
        judge = Judge.of(
            self.problem.task,
            outputs=engine.gives_outputs(self._test),
            shown=len(self.problem.task.test),
            cost=engine.cost_of_outputs,
        )
        progress: Any = self._begun(engine, structure, seed)
        window, last = structure.window * structure.tau_p, self._steps_within(algorithm, structure, most)
        guess = min(guess, last / window)  # by the law it may never get there
        step, goal = 0, max(1, round(guess * _BEFORE)) * window
        seen, scores = [], []
        while step < last:  # which comes nearer once the mean is there
            goal = min(max(goal, step + window), last)
            progress = jax.block_until_ready(engine.advance(self._data, progress, goal - step))
            step, goal = goal, round(goal * _SPACING / window) * window
            marks, _ = engine.evaluate(progress, self._test)
            seen.append(step)
            scores.append(np.where(np.asarray(progress.diverged), 0.0, judge.scores(np.asarray(marks))))
            if scores[-1].mean() >= self.problem.target:
                last = min(last, round(step * _LATE)) if each else step
            if self._has_settled(seen, scores, guess * window) or stop():
                break
            there = (np.array(scores) >= self.problem.target).any(0) | np.asarray(progress.diverged)
            if there.all() and (scores[-1].mean() >= self.problem.target or np.asarray(progress.diverged).all()):
                break
        return self._passed(engine, np.array(seen), np.array(scores), step)

    def time_of(self, structure: Structure, steps: float) -> HardwareTime:
        """What so many timesteps take on the chip."""
        return hardware_time(self.counts(structure, steps), self.problem.profile)

    def counts(self, structure: Structure, steps: float) -> Counts:
        """What so many timesteps do to the chip."""
        settings = self.problem.settings(structure)
        return build_algorithm(settings).counts(int(steps), batch=structure.batch)

    def _begun(self, engine: Any, structure: Structure, seed: int) -> Any:
        """A run that begins, which is the same for all time constants: XLA compiles only the first."""
        kind = structure.baseline, structure.optimizer, seed
        if kind not in self._starts:
            progress = engine.init(self.replicas, key=jax.random.key(seed))
            if not engine.measures:  # it goes by the gradient, which may not be what a chip shows
                engine.check_start(progress, self._data)
            self._starts[kind] = jax.tree.map(np.asarray, progress)
        progress = jax.tree.map(jax.numpy.asarray, self._starts[kind])
        return type(progress)(
            progress.state.with_clock(engine.algorithm.clock_at(0)),
            progress.device,
            progress.diverged,
            progress.diverged_at,
        )

    def _has_settled(self, seen: list[int], scores: list[Float[np.ndarray, " chips"]], guess: float) -> bool:
        """Whether the mean has become no better for so long that it will not get to the target."""
        means = [score.mean() for score in scores]
        best = seen[int(np.argmax(means))]
        return max(means) < self.problem.target and seen[-1] > _SETTLED * max(best, guess)

    def _steps_within(self, algorithm: Any, structure: Structure, seconds: float) -> int:
        """The timesteps of whole windows that take no longer than this and wear nothing out, of one at least."""
        window = structure.window * structure.tau_p
        many = 1000 * window
        each = hardware_time(algorithm.counts(many, batch=structure.batch), self.problem.profile).seconds / 1000
        return max(1, int(min(seconds / each, self.problem.most_writes))) * window

    def _passed(self, engine: Any, seen: np.ndarray, scores: Float[np.ndarray, "times chips"], steps: int) -> Passage:
        target, seconds = self.problem.target, np.inf
        mean = crossing(seen, scores.mean(1), target)
        each = tuple(crossing(seen, scores[:, k], target) for k in range(scores.shape[1]))
        if np.isfinite(mean):
            counts = engine.algorithm.counts(round(mean), batch=engine.batch)
            seconds = hardware_time(counts, self.problem.profile).seconds
        return Passage(mean, each, float(scores.mean(1).max()), steps, seconds, engine.name)


def crossing(steps: np.ndarray, scores: np.ndarray, target: float) -> float:
    """When scores first reach a target, between two evaluations in proportion; infinite if they do not.

    >>> crossing(np.array([10, 20, 40]), np.array([0.2, 0.4, 0.6]), 0.5)
    30.0
    """
    reached = np.flatnonzero(scores >= target)
    if not len(reached):
        return np.inf
    k = int(reached[0])
    if k == 0 or not np.isfinite(scores[k - 1]):
        return float(steps[k])
    share = (target - scores[k - 1]) / (scores[k] - scores[k - 1])
    return float(steps[k - 1] + share * (steps[k] - steps[k - 1]))
