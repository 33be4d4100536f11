"""When simulated chips get to a target."""

from collections.abc import Callable
from dataclasses import dataclass, replace
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
# Of chips, by which the scatter of their mean is told.
_DRAWS = 1000
# However few steps there are, chips in lanes are worth compiling for.
_MANY_STEPS = 2**62


@dataclass(frozen=True)
class Passage:
    """When chips got to the target, in timesteps.

    Attributes:
        mean: when their mean score did; infinite if it did not.
        each: when each of them first did; infinite if it did not.
        steps: how far they were simulated.
        seconds: of hardware, to `mean`.
        engine: that simulated them.
        seen: when they were evaluated.
        means: their mean scores then.
        ended: whether nothing would follow: they are there, or have settled elsewhere.
        between: when the mean of as many chips, drawn from these again and again, is there in all but the 2.5 % of
            draws on each side; infinite if it is not.
    """

    mean: float
    each: tuple[float, ...]
    steps: int
    seconds: float
    engine: str
    seen: tuple[int, ...]
    means: tuple[float, ...]
    ended: bool
    between: tuple[float, float]

    @property
    def best(self) -> float:
        """The best mean score; 0 if there was no time for any."""
        return max(self.means, default=0.0)

    def until(self, last: int) -> "Passage":
        """The same with no more than so many timesteps, whatever it was simulated for."""
        if self.steps <= last:
            return self
        n = sum(step <= last for step in self.seen)
        there = self.mean <= last
        return replace(
            self,
            mean=self.mean if there else np.inf,
            each=tuple(one if one <= last else np.inf for one in self.each),
            between=tuple(one if one <= last else np.inf for one in self.between),
            steps=last,
            seconds=self.seconds if there else np.inf,
            seen=self.seen[:n],
            means=self.means[:n],
            ended=False,
        )


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
        longest: float | None = None,
        each: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> Passage:
        """When chips that are trained in this way get to the target.

        What `most` cuts off does not change what comes before it.

        Args:
            structure: how they are trained.
            seed: of the chips, the samples and the noise.
            guess: the windows that are expected to be needed, about; it says how often chips are evaluated.
            most: seconds of hardware after which it ends.
            longest: seconds of hardware that a guess is limited to; None for `most`.
            each: whether to go on until each chip is there, or three times as long as the mean took.
            stop: asked at each evaluation whether to end.
        """
        engine = self._engine(structure, seed)
        judge = Judge.of(
            self.problem.task,
            outputs=engine.gives_outputs(self._test),
            shown=len(self.problem.task.test),
            cost=engine.cost_of_outputs,
        )
        progress: Any = self._begun(engine, structure, seed)
        window, last = structure.window * structure.tau_p, self.last_step(structure, most)
        # By the law it may never get there.
        guess = min(guess, self.last_step(structure, most if longest is None else longest) / window)
        step, goal, late = 0, max(1, round(guess * _BEFORE)) * window, np.inf
        seen, scores, ended = [], [], False
        while step < last and not ended:
            progress = jax.block_until_ready(engine.advance(self._data, progress, goal - step))
            step, goal = goal, max(goal + window, round(goal * _SPACING / window) * window)
            marks, _ = engine.evaluate(progress, self._test)
            diverged = np.asarray(progress.diverged)
            seen.append(step)
            scores.append(np.where(diverged, 0.0, judge.scores(np.asarray(marks))))
            if scores[-1].mean() >= self.problem.target:
                late = min(late, _LATE * step if each else step)
            there = (np.array(scores) >= self.problem.target).any(0) | diverged
            ended = step >= late or bool(diverged.all() or (there.all() and late < np.inf))
            ended = ended or self._has_settled(seen, scores, guess * window)
            if stop():
                break
        return self._passed(structure, engine.name, np.array(seen), np.array(scores), step, ended).until(last)

    def _engine(self, structure: Structure, seed: int) -> Any:
        settings = self.problem.settings(structure, replicas=self.replicas, seed=seed)
        chip, algorithm = build_chip(settings, self.problem.task), build_algorithm(settings)
        return choose(
            settings.engine, chip, algorithm, n_replicas=self.replicas, batch=settings.batch, n_steps=_MANY_STEPS
        )

    def time_of(self, structure: Structure, steps: float) -> HardwareTime:
        """What so many timesteps take on the chip."""
        return hardware_time(self.counts(structure, steps), self.problem.profile)

    def counts(self, structure: Structure, steps: float) -> Counts:
        """What so many timesteps do to the chip."""
        settings = self.problem.settings(structure)
        return build_algorithm(settings).counts(int(steps), batch=structure.batch)

    def _begun(self, engine: Any, structure: Structure, seed: int) -> Any:
        """A run that begins, which is the same for all time constants: XLA compiles only the first."""
        kind = engine.name, structure.baseline, structure.optimizer, bool(structure.falls), seed
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

    def last_step(self, structure: Structure, seconds: float) -> int:
        """The timesteps of whole windows that take no longer than this and wear nothing out, of one at least."""
        window = structure.window * structure.tau_p
        each = self.time_of(structure, 1000 * window).seconds / 1000
        return max(1, int(min(seconds / each, self.problem.most_writes))) * window

    def _passed(
        self,
        structure: Structure,
        engine: str,
        seen: np.ndarray,
        scores: Float[np.ndarray, "times chips"],
        steps: int,
        ended: bool,
    ) -> Passage:
        target, seconds = self.problem.target, np.inf
        mean = crossing(seen, scores.mean(1), target)
        each = tuple(crossing(seen, scores[:, k], target) for k in range(scores.shape[1]))
        if np.isfinite(mean):
            seconds = self.time_of(structure, round(mean)).seconds
        means = tuple(map(float, scores.mean(1)))
        between = drawn_again(seen, scores, target)
        return Passage(mean, each, steps, seconds, engine, tuple(map(int, seen)), means, ended, between)


def drawn_again(seen: np.ndarray, scores: Float[np.ndarray, "times chips"], target: float) -> tuple[float, float]:
    """Between which times the means of chips that are drawn from these, and put back, reach the target."""
    n_chips = scores.shape[1]
    draws = np.random.default_rng(0).multinomial(n_chips, np.full(n_chips, 1 / n_chips), _DRAWS)
    there = [crossing(seen, mean, target) for mean in draws @ scores.T / n_chips]
    low, high = np.quantile(there, (0.025, 0.975), method="nearest")  # which may be infinite: nothing in between
    return float(low), float(high)


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
