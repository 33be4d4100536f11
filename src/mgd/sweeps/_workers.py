"""Who computes points: this process, or workers of Dask on this machine or a cluster. Nothing here imports JAX."""

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._errors import RunError
from ..clusters import distributed, keep_to, there
from ._points import Point
from ._rows import VALUES, values_text
from ._store import Store, unwritable

_TURN_SECONDS = 0.5


@dataclass(frozen=True)
class Report:
    """How a batch of points was computed; what it came to is in the store.

    Attributes:
        compiling: seconds before the first timesteps were made.
        training: seconds of the rest.
        part: the name of the part of the store that has its rows.
        doubts: what users are to be warned of.
    """

    compiling: float
    training: float
    part: str
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a batch.

    Attributes:
        batch: its points.
        report: how it was computed; None if its worker died.
    """

    batch: tuple[Point, ...]
    report: Report | None


class AbstractCrew(ABC):
    """Who computes."""

    @property
    @abstractmethod
    def room(self) -> int:
        """How many more batches can be begun now."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many batches are computed at a time."""

    @abstractmethod
    def begin(self, batch: Sequence[Point]) -> None:
        """Takes a batch."""

    @abstractmethod
    def finished(self) -> list[Outcome]:
        """The batches that are finished, after at most about half a second without one.

        Raises:
            ValueError, MgdError, OSError: from computing.
        """


class Here(AbstractCrew):
    """This process.

    Args:
        store: where results go.
        on_steps: called with the chip-steps that were made since the last call.
        stop: asked whether to stop; then `Stopped` is raised.
    """

    def __init__(self, store: Store, on_steps: Callable[[int], object], stop: Callable[[], bool]):
        self._store, self._on_steps, self._stop = store, on_steps, stop
        self._waiting: deque[tuple[Point, ...]] = deque()

    @property
    def room(self) -> int:
        return 1 - len(self._waiting)

    @property
    def size(self) -> int:
        return 1

    def begin(self, batch: Sequence[Point]) -> None:
        self._waiting.append(tuple(batch))

    def finished(self) -> list[Outcome]:
        batch = self._waiting.popleft()
        report = computed([_plain(point) for point in batch], self._store.folder, self._on_steps, self._stop)
        return [Outcome(batch, report)]


class Crew(AbstractCrew):
    """Workers of Dask.

    Args:
        client: of the cluster.
        store: where results go, which all workers see.
        cores: for workers of this machine, those of each; otherwise none.
        where: what the cluster is called.
    """

    def __init__(self, client: Any, store: Store, cores: list[list[int]], where: str):
        self._client, self._store, self._cores, self._where = client, store, cores, where
        self._running: dict[Any, tuple[Point, ...]] = {}

    @property
    def room(self) -> int:
        return max(1, self.size) - len(self._running)

    @property
    def size(self) -> int:
        with self._there():
            return len(self._client.nthreads())

    def begin(self, batch: Sequence[Point]) -> None:
        points = [_plain(point) for point in batch]
        with self._there():
            future = self._client.submit(_in_worker, points, str(self._store.folder.resolve()), self._cores, pure=False)
        self._running[future] = tuple(batch)

    def finished(self) -> list[Outcome]:
        if not self._running:
            return []
        with self._there():
            try:
                done = (
                    distributed().wait(list(self._running), timeout=_TURN_SECONDS, return_when="FIRST_COMPLETED").done
                )
            except TimeoutError:
                return []
        return [self._outcome(future) for future in done]

    def _there(self) -> AbstractContextManager[None]:
        return there(self._client, self._where, "points")

    def _outcome(self, future: Any) -> Outcome:
        batch = self._running.pop(future)
        try:
            report = None if future.status in ("cancelled", "lost") else future.result()
        except distributed().KilledWorker:
            report = None
        finally:
            future.release()  # or a result that is on disk would be computed again if its worker dies
        if report is not None and not self._store.has_part(report.part):
            raise RunError(
                f"the workers of {self._where} do not write to this {self._store.folder}: give an out that all "
                "machines share"
            )
        return Outcome(batch, report)


def computed(
    points: Sequence[tuple[str, str, dict[str, Any]]],
    folder: Path,
    on_steps: Callable[[int], object] = lambda n: None,
    stop: Callable[[], bool] = lambda: False,
) -> Report:
    """Computes points and puts their rows into the store.

    Args:
        points: of each point its name, its values and its settings.
        folder: of the store.
        on_steps: as of `compute`.
        stop: as of `compute`.
    """
    from ..runs import Settings
    from ._compute import compute

    names, values, plain = zip(*points, strict=True)
    settings, store = [Settings.of(one) for one in plain], Store(folder)
    part = store.part_of([one.identity() for one in settings])
    if store.has_part(part):  # by a worker that died before it could say so
        return Report(0.0, 0.0, part)
    done = compute(settings, names=names, on_steps=on_steps, stop=stop)
    store.put(done.rows.assign({VALUES: ("point", np.array(values, object))}))
    return Report(done.compiling, done.training, part, tuple(done.doubts))


def _plain(point: Point) -> tuple[str, str, dict[str, Any]]:
    return point.named, values_text(point.values), point.plain()


_one_at_a_time = threading.Lock()


def _in_worker(points: Sequence[tuple[str, str, dict[str, Any]]], folder: str, cores: list[list[int]]) -> Report:
    """Computes a batch in a worker of Dask."""
    keep_to(cores)
    with _one_at_a_time:  # whatever threads a worker has: JAX uses all of its cores
        try:
            return computed(points, Path(folder))
        except OSError as error:
            raise unwritable(Path(folder), error) from None
