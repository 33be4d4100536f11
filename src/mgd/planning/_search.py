"""From the closed form's structures to the best that simulation finds, within a budget."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .._errors import Interrupted
from ..theory import Landscape
from ._guess import Guess, guess_of, guesses
from ._kept import Kept
from ._moves import COORDINATES, moves
from ._problem import Problem
from ._simulate import Passage, Simulator
from ._structure import Structure

# Guesses that are simulated: those that the law puts within this factor of its best.
_MOST_GUESSES, _NEAR = 4, 1.6
# A first simulation may take this many times what the law says, later ones as long as the best did.
_PATIENCE, _NO_LONGER = 30.0, 1.02
# What is better by less is scatter.
_BETTER = 0.98
# The best ones, which are simulated again with other chips.
_FINALISTS = 3
# The search may take this share of the time, one simulation of it this, and what confirms the best as long again.
_SEARCHING, _LONGEST, _CONFIRMING = 0.7, 0.25, 1.0


def seeds(seed: int) -> tuple[int, int]:
    """The seed of the chips that a search sees, and of those that confirm it."""
    return 2 * seed, 2 * seed + 1


@dataclass
class Course:
    """How far a plan is.

    Attributes:
        simulations: done so far.
        of: as many as there may be.
        best: the best structure so far, and its hardware time.
        seconds: since it began.
    """

    simulations: int
    of: int
    best: tuple[Structure, float] | None = None
    seconds: float = 0.0


OnCourse = Callable[[Course], None]


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        structure: the best.
        guess: what the law makes of it.
        passage: of chips that the search did not see.
        simulations: how many there were.
        stopped: whether the time was over before the search had ended.
        best: the best mean score of all simulations.
    """

    structure: Structure
    guess: Guess
    passage: Passage
    simulations: int
    stopped: bool
    best: float


@dataclass
class Search:
    """A search for the best structure.

    Args:
        problem: what is planned.
        land: facts of the task.
        simulator: of its chips, or of chips like them that are simulated sooner.
        confirming: of its chips.
        kept: simulations of an earlier call.
        simulations: as many as there may be.
        seconds: time after which no new simulation begins.
        seed: of all random numbers.
        on_course: told after each simulation.
        stop: asked before each whether to stop.

    Raises:
        ValueError: if by the law no structure reaches the target in as many timesteps as can be simulated.
    """

    problem: Problem
    land: Landscape
    simulator: Simulator
    confirming: Simulator
    kept: Kept
    simulations: int
    seconds: float
    seed: int
    on_course: OnCourse
    stop: Callable[[], bool] = lambda: False
    tried: dict[Structure, Passage] = field(default_factory=dict)

    def __post_init__(self):
        self._began = time.monotonic()
        self._guesses = guesses(self.problem, self.land)
        self._done = 0
        self._late = False
        self._deadline = 0.0

    def run(self) -> Found:
        """The best structure, confirmed by chips that the search did not see.

        Raises:
            Interrupted: if it was asked to stop.
        """
        found = self._guesses
        budget = max(1, self.simulations - _FINALISTS)
        best = self._first_rate(found[0], budget)
        ratio = best.rate / found[0].structure.rate
        for guess in found[1:_MOST_GUESSES]:
            if guess.seconds < _NEAR * found[0].seconds:
                best = self._better(best, guess.structure.with_rate(guess.structure.rate * ratio), budget)
        improved = True
        while improved and self._may(budget):
            improved = False
            for coordinate in COORDINATES:
                after = self._along(best, coordinate, budget)
                improved |= after != best
                best = after
        self._check_not_stopped()
        confirmed = self._confirmed()
        self._check_not_stopped()
        return confirmed

    def _check_not_stopped(self) -> None:
        if self.stop():
            n = self._done
            raise Interrupted(f"stopped after {n} simulations; with the same folder, the same call continues", step=n)

    def _first_rate(self, guess: Guess, budget: int) -> Structure:
        """The guess at the better of some rates: the law's may be several times too large or small."""
        best = guess.structure
        for ratio in (1.0, 0.5, 2.0, 0.25):
            best = self._better(best, guess.structure.with_rate(guess.structure.rate * ratio), budget)
        return best

    def _along(self, best: Structure, coordinate: str, budget: int) -> Structure:
        """The best along one coordinate, as far as each step is better than the one before."""
        for way in moves(self.problem, self.land, best, coordinate):
            here = best
            for there in way:
                after = self._better(here, there, budget)
                if after == here:
                    break
                here = after
            if here != best:
                return here
        return best

    def _better(self, best: Structure, other: Structure, budget: int) -> Structure:
        """The better of two, as far as simulations are left."""
        if other not in self.tried:
            if not self._may(budget):
                return best
            self._simulate(other)
        if best not in self.tried:
            return other
        return other if self.tried[other].seconds < _BETTER * self.tried[best].seconds else best

    def _may(self, budget: int) -> bool:
        over = self.elapsed > _SEARCHING * self.seconds and bool(self.tried)  # one there must be
        self._late = self._late or self.stop() or over
        return self._done < budget and not self._late

    def _ends(self) -> bool:
        """Whether the simulation under way is to end."""
        return self.stop() or self.elapsed > self._deadline

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def _simulate(self, structure: Structure) -> None:
        best = min((one.seconds for one in self.tried.values()), default=np.inf)
        guess = guess_of(self.problem, self.land, structure)
        most = _NO_LONGER * best if np.isfinite(best) else _PATIENCE * self._guesses[0].seconds
        self._deadline = self.elapsed + _LONGEST * self.seconds
        self.tried[structure] = self._passage(structure, guess, most, confirms=False)

    def _passage(self, structure: Structure, guess: Guess, most: float, *, confirms: bool) -> Passage:
        """A simulation, or what is kept of it."""
        simulator, seed = (self.confirming if confirms else self.simulator), seeds(self.seed)[confirms]
        settings = simulator.problem.settings(structure, seed=seed, replicas=simulator.replicas).identity()
        key = f"{settings} {self.problem.target!r} {most!r} {confirms}"
        passage = self.kept.get(key)
        if passage is None:
            passage = simulator.passage(
                structure, seed=seed, guess=guess.windows, most=most, each=confirms, stop=self._ends
            )
            if not self._ends():  # otherwise it was cut short
                self.kept.put(key, passage)
        self._done += 1
        reached = {one: result.seconds for one, result in self.tried.items() if np.isfinite(result.seconds)}
        best = min(reached.items(), key=lambda one: one[1], default=None)
        self.on_course(Course(self._done, self.simulations, best, self.elapsed))
        return passage

    def _confirmed(self) -> Found:
        """The best of the finalists, by chips that the search did not see."""
        ranked = sorted(self.tried, key=lambda one: (self.tried[one].seconds, -self.tried[one].best))
        sums, passages = {}, {}
        for one in ranked[:_FINALISTS]:
            if sums and not (np.isfinite(self.tried[one].seconds) and self.elapsed < self.seconds):
                continue
            self._deadline = self.elapsed + _CONFIRMING * self.seconds if not sums else self.seconds
            guess = guess_of(self.problem, self.land, one)
            most = 3 * self.tried[one].seconds
            if not np.isfinite(most):
                most = _PATIENCE * self._guesses[0].seconds
            passages[one] = self._passage(one, guess, most, confirms=True)
            sums[one] = passages[one].seconds + self.tried[one].seconds
        structure = min(sums, key=lambda one: sums[one])
        best = max(one.best for one in (*self.tried.values(), *passages.values()))
        guess = guess_of(self.problem, self.land, structure)
        return Found(structure, guess, passages[structure], self._done, self._late, best)
