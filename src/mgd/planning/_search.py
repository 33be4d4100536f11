"""From the closed form's structures to the best that simulation finds, within a budget."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from .._errors import Interrupted
from ..theory import Landscape
from ._guess import Guess, guess_of, guesses
from ._kept import Kept
from ._moves import COORDINATES, moves
from ._problem import Problem
from ._simulate import Passage, Simulator
from ._structure import Structure
from ._workers import AbstractWorkers, Simulation

# Guesses that are simulated: those that the law puts within this factor of its best.
_MOST_GUESSES, _NEAR = 4, 1.6
# A first simulation may take this many times what the law says, later ones as long as the best did.
_PATIENCE, _NO_LONGER = 30.0, 1.02
# Of the law's rate, in the directions that are tried first.
_RATIOS = (2.0, 4.0, 8.0), (0.5, 0.25, 0.125)
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
        otherwise: how many times as long the best with another `optimizer` took in the search, and the best whose rate
            stays if this one's `falls`, or the other way round; infinite if none was there when its simulation ended,
            and without an entry if none was simulated.
    """

    structure: Structure
    guess: Guess
    passage: Passage
    simulations: int
    stopped: bool
    best: float
    otherwise: Mapping[str, float]


@dataclass
class Search:
    """A search for the best structure.

    Args:
        problem: what is planned.
        land: facts of the task.
        workers: who simulate its chips.
        simulator: of its chips, for what is known without a simulation.
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
    workers: AbstractWorkers
    simulator: Simulator
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

    def run(self) -> Found:
        """The best structure, confirmed by chips that the search did not see.

        Raises:
            Interrupted: if it was asked to stop.
        """
        found = self._guesses
        budget = max(1, self.simulations - _FINALISTS)
        best = self._first_rate(found[0], budget)
        ratio = best.rate / found[0].structure.rate
        near = [guess.structure for guess in found[1:_MOST_GUESSES] if guess.seconds < _NEAR * found[0].seconds]
        others = [other.with_rate(other.rate * ratio) for other in near]
        for n, other in enumerate(others):
            self._expect(others[n:], budget)
            best = self._better(best, other, budget)
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
            raise self._interrupted()

    def _interrupted(self) -> Interrupted:
        n = self._done
        return Interrupted(f"stopped after {n} simulations; with the same folder, the same call continues", step=n)

    def _first_rate(self, guess: Guess, budget: int) -> Structure:
        """The guess at the best of some rates: the law's may be several times too large or small."""
        law = guess.structure
        ways = [[law.with_rate(law.rate * ratio) for ratio in ratios] for ratios in _RATIOS]
        self._expect([law, *(way[0] for way in ways)], budget)
        best = self._better(law, law, budget)  # it is simulated, to compare the others with
        for way in ways:
            after = self._as_far_as_better(best, way, None, budget)
            if after != best:
                return after
        return best

    def _along(self, best: Structure, coordinate: str, budget: int) -> Structure:
        """The best along one coordinate, as far as each step is better than the one before."""
        for way in self._moves(best, coordinate):
            after = self._as_far_as_better(best, way, coordinate, budget)
            if after != best:
                return after
        return best

    def _as_far_as_better(
        self, first: Structure, way: list[Structure], coordinate: str | None, budget: int
    ) -> Structure:
        """The best on a way along a coordinate, up to the first step that is no better."""
        best = first
        for n, there in enumerate(way):
            beside = self._beside(first, coordinate) if coordinate else ()
            self._expect(chain(way[n:], beside), budget)
            after = self._better(best, there, budget)
            if after == best:
                break
            best = after
        return best

    def _beside(self, best: Structure, coordinate: str) -> Iterator[Structure]:
        """What is tried next if this coordinate is as it should be: the first steps along it and all others."""
        first = COORDINATES.index(coordinate)
        for other in (*COORDINATES[first:], *COORDINATES[:first]):
            for way in self._moves(best, other):
                yield way[0]

    def _moves(self, structure: Structure, coordinate: str) -> Iterator[list[Structure]]:
        found = self.tried[structure]
        steps = found.mean if np.isfinite(found.mean) else found.steps
        return moves(self.problem, self.land, structure, coordinate, steps / (structure.window * structure.tau_p))

    def _expect(self, structures: Iterable[Structure], budget: int) -> None:
        """Says what may be simulated next, as far as simulations are left."""
        if self._may(budget):
            self._begin(self._asked(one) for one in structures if one not in self.tried)

    def _begin(self, simulations: Iterable[Simulation]) -> None:
        self.workers.expect(one for one in simulations if self._known(one) is None)

    def _better(self, best: Structure, other: Structure, budget: int) -> Structure:
        """The better of two, as far as simulations are left."""
        if other not in self.tried:
            if not self._may(budget):
                return best
            self._simulate(other)
        if best not in self.tried:
            return other
        this, that = self.tried[best], self.tried[other]
        if np.isinf(this.seconds) and np.isinf(that.seconds):  # what comes nearer in as long
            return other if that.best > this.best else best
        return other if that.seconds < _BETTER * this.seconds else best

    def _may(self, budget: int) -> bool:
        over = self.elapsed > _SEARCHING * self.seconds and bool(self.tried)  # one there must be
        self._late = self._late or self.stop() or over
        return self._done < budget and not self._late

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def _simulate(self, structure: Structure) -> None:
        self.tried[structure] = self._passage(self._asked(structure))

    def _asked(self, structure: Structure) -> Simulation:
        """A simulation of the search, which takes no longer than the best of it so far."""
        best = min((one.seconds for one in self.tried.values()), default=np.inf)
        most = _NO_LONGER * best if np.isfinite(best) else self._longest
        return self._simulation(structure, most, _LONGEST * self.seconds, confirms=False)

    def _simulation(self, structure: Structure, most: float, allowed: float, *, confirms: bool) -> Simulation:
        guess = guess_of(self.problem, self.land, structure).windows
        seed = seeds(self.seed)[confirms]
        return Simulation(structure, seed, guess, most, self._longest, confirms, allowed)

    @property
    def _longest(self) -> float:
        return _PATIENCE * self._guesses[0].seconds

    def _passage(self, asked: Simulation) -> Passage:
        """A simulation, or what is kept of it.

        Raises:
            Interrupted: if it was asked to stop.
        """
        passage = self._known(asked)
        if passage is None:
            made = self.workers.simulated(asked, self.stop)
            if made is None or self.stop():
                raise self._interrupted()
            if made.whole:
                self.kept.put(self._key(asked), made.passage)
            passage = made.passage.until(self._last(asked))
        self._done += 1
        reached = {one: result.seconds for one, result in self.tried.items() if np.isfinite(result.seconds)}
        best = min(reached.items(), key=lambda one: one[1], default=None)
        self.on_course(Course(self._done, self.simulations, best, self.elapsed))
        return passage

    def _known(self, asked: Simulation) -> Passage | None:
        """What is kept of a simulation, if it went as far as it is asked to."""
        passage, last = self.kept.get(self._key(asked)), self._last(asked)
        return None if passage is None or (passage.steps < last and not passage.ended) else passage.until(last)

    def _last(self, asked: Simulation) -> int:
        return self.simulator.last_step(asked.structure, asked.most)

    def _key(self, asked: Simulation) -> str:
        settings = self.simulator.problem.settings(asked.structure, seed=asked.seed, replicas=self.simulator.replicas)
        chip = self.problem.profile.model_dump_json(include={"seconds", "overlap", "buffer"})
        asks = f"{self.problem.target!r} {asked.guess!r} {asked.longest!r} {asked.confirms}"
        return f"{settings.identity()} {asks} {chip}"

    def _confirmed(self) -> Found:
        """The best of the finalists, by chips that the search did not see."""
        ranked = sorted(self.tried, key=lambda one: (self.tried[one].seconds, -self.tried[one].best))[:_FINALISTS]
        sums, passages = {}, {}
        for n, one in enumerate(ranked):
            if sums and not (np.isfinite(self.tried[one].seconds) and self.elapsed < self.seconds):
                continue
            allowed = self.seconds - self.elapsed if sums else _CONFIRMING * self.seconds
            self._begin(self._confirmation(other, allowed) for other in ranked[n:])
            passages[one] = self._passage(self._confirmation(one, allowed))
            sums[one] = passages[one].seconds + self.tried[one].seconds
        structure = min(sums, key=lambda one: sums[one])
        best = max(one.best for one in (*self.tried.values(), *passages.values()))
        guess = guess_of(self.problem, self.land, structure)
        otherwise = self._otherwise(structure)
        return Found(structure, guess, passages[structure], self._done, self._late, best, otherwise)

    def _otherwise(self, structure: Structure) -> dict[str, float]:
        """How many times as long it takes with the other optimizer or schedule, on the same chips."""
        same: dict[str, Callable[[Structure], bool]] = {
            "optimizer": lambda one: one.optimizer == structure.optimizer,
            "falls": lambda one: bool(one.falls) == bool(structure.falls),
        }
        times = {}
        for name, is_same in same.items():
            others = [found.seconds for one, found in self.tried.items() if not is_same(one)]
            if others:
                best = min(others)
                times[name] = best / self.tried[structure].seconds if np.isfinite(best) else np.inf
        return times

    def _confirmation(self, structure: Structure, allowed: float) -> Simulation:
        """A simulation of chips that the search did not see."""
        found = self.tried[structure].seconds
        return self._simulation(structure, 3 * found if np.isfinite(found) else self._longest, allowed, confirms=True)
