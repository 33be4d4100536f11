"""Who simulates: this process, or workers of a cluster, which begin what is likely to be asked next."""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ..clusters import Cluster, distributed, keep_to, not_wanted, there
from ..timing import Profile
from ._problem import Problem
from ._simulate import Passage, Simulator
from ._structure import Structure

_TURN_SECONDS = 0.5


@dataclass(frozen=True)
class Simulation:
    """A simulation that is asked for.

    Attributes:
        structure: how the chips are trained.
        seed: of the chips, the samples and the noise.
        guess: the windows that are expected to be needed.
        most: seconds of hardware after which it ends.
        longest: seconds of hardware that the guess is limited to.
        confirms: whether it goes on until each chip is there.
        allowed: seconds after which it is cut short.
    """

    structure: Structure
    seed: int
    guess: float
    most: float
    longest: float
    confirms: bool
    allowed: float

    @property
    def course(self) -> tuple:
        """What decides how it goes; the rest decides how far."""
        return self.structure, self.seed, self.guess, self.longest, self.confirms


@dataclass(frozen=True)
class Simulated:
    """How a simulation went.

    Attributes:
        passage: when the chips got there.
        whole: whether it was not cut short by its time, or by a stop.
    """

    passage: Passage
    whole: bool


class AbstractWorkers(ABC):
    """Who simulates."""

    @abstractmethod
    def expect(self, simulations: Iterable[Simulation]) -> None:
        """Begins what may be asked next, the first ones first, as far as there is room; what else was begun ends."""

    @abstractmethod
    def simulated(self, simulation: Simulation, stop: Callable[[], bool]) -> Simulated | None:
        """How a simulation went; None if it was to stop before anything was known.

        Raises:
            RunError: if those who simulate are gone.
        """


class Here(AbstractWorkers):
    """This process.

    Args:
        problem: what is planned.
        chips: of each simulation.
    """

    def __init__(self, problem: Problem, chips: int):
        self._simulator = Simulator(problem, chips)

    def expect(self, simulations: Iterable[Simulation]) -> None:
        pass  # one thing at a time

    def simulated(self, simulation: Simulation, stop: Callable[[], bool]) -> Simulated:
        until = time.monotonic() + simulation.allowed

        def ends() -> bool:
            return stop() or time.monotonic() > until

        passage = self._simulator.passage(
            simulation.structure,
            seed=simulation.seed,
            guess=simulation.guess,
            most=simulation.most,
            longest=simulation.longest,
            each=simulation.confirms,
            stop=ends,
        )
        return Simulated(passage, not ends())


class Elsewhere(AbstractWorkers):
    """Workers of Dask.

    Args:
        client: of the cluster.
        cluster: that it is of.
        problem: what is planned.
        chips: of each simulation.
    """

    def __init__(self, client: Any, cluster: Cluster, problem: Problem, chips: int):
        self._client, self._where, self._cores = client, cluster.text, cluster.cores()
        self._asked = dict(problem.given), problem.profile, problem.target, chips
        self._begun: dict[tuple, tuple[Simulation, Any]] = {}

    def expect(self, simulations: Iterable[Simulation]) -> None:
        with there(self._client, self._where, "simulations"):
            room = len(self._client.nthreads())
            wanted = {one.course: one for one in islice(simulations, room)}
            for course in [course for course in self._begun if course not in wanted]:
                self._end(course)
            for one in wanted.values():
                self._begin(one)

    def simulated(self, simulation: Simulation, stop: Callable[[], bool]) -> Simulated | None:
        begun, _ = self._begun.get(simulation.course, (simulation, None))
        with there(self._client, self._where, "simulations"):
            if begun.most < simulation.most:
                self._end(simulation.course)
            future = self._begin(simulation)
            while not future.done():
                if stop():
                    return None
                with suppress(TimeoutError):
                    distributed().wait([future], timeout=_TURN_SECONDS)
            try:
                return future.result()
            finally:
                self._end(simulation.course)

    def _begin(self, one: Simulation) -> Any:
        if one.course not in self._begun:
            future = self._client.submit(_in_worker, *self._asked, one, self._cores, pure=False)
            self._begun[one.course] = one, future
        return self._begun[one.course][1]

    def _end(self, course: tuple) -> None:
        _, future = self._begun.pop(course, (None, None))
        if future is not None:
            future.cancel()


_one_at_a_time = threading.Lock()
_known: dict[str, Here] = {}


def _in_worker(
    given: Mapping[str, Any], profile: Profile, target: float, chips: int, one: Simulation, cores: list[list[int]]
) -> Simulated:
    """Simulates in a worker of Dask, which keeps what it has compiled and read."""
    keep_to(cores)
    with _one_at_a_time:  # whatever threads a worker has: JAX uses all of its cores
        which = repr((given, profile, target, chips))
        if which not in _known:
            _known.clear()
            _known[which] = Here(Problem.of(given, profile, target), chips)
        return _known[which].simulated(one, not_wanted())
