"""Computes a sweep: the points that are missing, in batches of one structure, whoever computes them."""

import os
import tempfile
import time
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._errors import Interrupted, MgdWarning
from .._input import check_path, check_whole
from .._stops import stop_requested
from ..clusters import Cluster, dashboard_of, has_dask
from ._course import Course, OnCourse
from ._plans import plan_of
from ._points import Plan, Point
from ._shown import shown
from ._store import Store, load_sweep
from ._workers import AbstractCrew, Crew, Here

if TYPE_CHECKING:
    import xarray as xr

# A batch takes about so long: little is lost if it is, and what it costs to write is little of it.
_BATCH_SECONDS = 5.0
# Of more chips side by side, what is done once for each group of lanes takes longer than a piece of training is to.
_MOST_CHIPS = 20_000
# Workers need some seconds to start, and compile anew: what takes no longer than this is done here.
_SOON_SECONDS = 20.0


def sweep(
    task: str | Mapping[str, Any] | os.PathLike,
    *,
    vary: Mapping[str, Any] | None = None,
    design: str | None = None,
    out: str | os.PathLike | None = None,
    workers: int | None = 1,
    cluster: str | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> "xr.Dataset":
    """Trains chips at every combination of settings.

    A point is the run that `mgd.train` or `mgd train` makes of its settings. Each point has a seed of its own, which
    follows from its settings; so it is the same whatever else is computed, and by however many workers.

    Args:
        task: the name of a task, the table of your own task, or a SWEEP.toml.
        vary: for each setting a sequence of values, or a text such as "3..10", "1e-4..1e-2:5:log" or "1,2,5". Settings
            are those of configuration files: of the run ("learning_rate", "tau_theta", "hidden", …), of imperfections
            ("dac-bits", "cost-noise", …), of your own data ("test_fraction", …), and arguments of the function of your
            own chip ("chip.NAME").
        design: "grid" for all combinations; "sobol:N" or "random:N" for N points that are drawn.
        out: a folder, in which a sweep that was stopped continues, and one of more values computes only what is
            missing. None keeps nothing.
        workers: processes, which need `pip install "mgd[sweep]"`; 1 for this process, None for one for each core where
            it is worth it. A script that asks for several needs `if __name__ == "__main__":`. On a cluster, those of
            each machine that ssh reaches, or of all jobs of a queue.
        cluster: in place of workers of this machine, the address of a scheduler of Dask ("tcp://10.0.0.5:8786"),
            machines ("ssh:node1,node2"), or a queue of jobs with arguments of dask-jobqueue
            ("slurm:cores=1,memory=4GB" or "pbs:…"), which need `pip install "mgd[cluster]"`.
        progress: whether to show how far it is; by default on a terminal and in a notebook.
        settings: all other settings of the runs, as in a configuration file: `replicas`, `steps`, `imperfect`, ….

    Returns:
        As `mgd.sweeps.load_sweep`.

    Warns:
        MgdWarning: as runs do; and of points that killed their workers, which are left out.

    Raises:
        ValueError: if a setting is unknown or wrong.
        RunError: if the folder has something else, cannot be written, or another sweep is computed there.
        DataError: if the task's files are not available.
        Interrupted: if it was asked to stop; what was computed is kept in `out`.

    >>> import mgd
    >>> found = mgd.sweep("parity", vary={"cost-noise": [0.0, 0.1]}, replicas=3, steps=200, algorithm="backprop")
    >>> dict(found.score.sizes)
    {'cost-noise': 2, 'replica': 3}
    """
    if out is not None:
        check_path(out=out)
    plan = plan_of(task, vary or {}, design, settings)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()) if out is None else out)
        on_course = stack.enter_context(shown(progress))
        run(plan, folder, workers=workers, cluster=cluster, on_course=on_course)
        return load_sweep(folder)


def run(
    plan: Plan,
    folder: Path,
    *,
    workers: int | None = None,
    cluster: str | None = None,
    on_course: OnCourse = lambda course: None,
) -> None:
    """Computes the points of a plan that are not in the folder yet.

    Args:
        plan: the sweep.
        folder: where results go.
        workers: as of `sweep`.
        cluster: as of `sweep`.
        on_course: called when it begins, and then about twice a second.

    Raises:
        ValueError, MgdError, Interrupted: as `sweep`.
    """
    if workers is not None:
        check_whole(1, workers=workers)
    there = None if cluster is None else Cluster.of(cluster, workers)
    points = list({point.digest: point for point in plan.points()}.values())
    store = Store.claimed(folder, plan)
    with store.alone(), stop_requested("stopped at once; the points that are computed are kept") as stop:
        done = store.done()
        missing = [point for point in points if point.digest not in done]
        work = _Work(missing, Course(len(points), len(missing), sum(one.chip_steps for one in missing), 0), on_course)
        if missing:
            on_course(work.course)
            _compute(work, store, workers, there, stop)
        store.compact([point.digest for point in points])
    for doubt in work.doubts:
        warnings.warn(doubt, MgdWarning, stacklevel=3)


@dataclass
class _Work:
    """The points that are missing, and how far they are.

    Attributes:
        missing: in order.
        course: for users.
        on_course: to be told.
        doubts: what users are to be warned of.
    """

    missing: list[Point]
    course: Course
    on_course: OnCourse
    doubts: list[str] = field(default_factory=list)

    def __post_init__(self):
        self._began, self._said = time.monotonic(), 0.0
        self._queues: dict[str, deque[Point]] = {}
        for point in self.missing:
            self._queues.setdefault(point.structure, deque()).append(point)
        self.course.programs = len(self._queues)
        self._new = set(self._queues)
        self._compiling = self._per_step = 0.0
        self._again: deque[tuple[Point, ...]] = deque()
        self.suspects: deque[Point] = deque()

    @property
    def left(self) -> bool:
        """Whether there are points that nobody has begun."""
        return bool(self._queues or self._again)

    def next_batch(self, n_workers: int) -> list[Point]:
        """Points of one structure, for some seconds; the first time one, which says how long others take."""
        if self._again:
            return list(self._again.popleft())
        structure, queue = next(iter(self._queues.items()))
        n = 1
        if self._per_step:
            n = int(_BATCH_SECONDS / (self._per_step * queue[0].chip_steps))
            n = max(1, min(n, -(-len(queue) // n_workers), _MOST_CHIPS // queue[0].settings.replicas))
        batch = [queue.popleft() for _ in range(min(n, len(queue)))]
        # Workers take structures in turn, so that each compiles few.
        del self._queues[structure]
        if queue:
            self._queues[structure] = queue
        return batch

    def note_steps(self, n: int) -> None:
        """Timesteps of chips were made."""
        self.course.made += n
        self.say()

    def note(self, batch: Sequence[Point], compiling: float, training: float, *, counted: bool) -> None:
        """A batch is in the store."""
        steps = sum(point.chip_steps for point in batch)
        self.course.computed += len(batch)
        self.course.made += 0 if counted else steps
        if batch[0].structure in self._new:
            self._new.discard(batch[0].structure)
            self._compiling = compiling
        if training:  # or a worker had done it before
            self._per_step = training / steps
        self.course.left = self._seconds_left()
        self.say(now=True)

    def lost(self, batch: Sequence[Point]) -> None:
        """A batch killed its workers: its points are computed one by one, at last each alone."""
        if len(batch) > 1:
            self._again.extend((point,) for point in batch)
        else:
            self.suspects.extend(batch)

    def left_out(self, point: Point) -> None:
        """A point killed its workers when it was alone."""
        self.doubts.append(
            f"the point {point.named} killed its worker three times, and is left out: is there enough memory for it?"
        )

    def say(self, *, now: bool = False) -> None:
        """Tells how far it is, if that was not just said."""
        self.course.seconds = time.monotonic() - self._began
        if now or self.course.seconds - self._said > 0.5:
            self._said = self.course.seconds
            if self.course.left is not None:
                self.course.left = self._seconds_left()
            self.on_course(self.course)

    def _seconds_left(self) -> float:
        course = self.course
        training = (course.chip_steps - course.made) * self._per_step
        first = (training + len(self._new) * self._compiling) / course.workers
        if course.computed < 4 * course.workers or not course.made:
            return first
        # By now it is known how fast all go together, writing and waiting included.
        return (course.chip_steps - course.made) * course.seconds / course.made


def _compute(work: _Work, store: Store, workers: int | None, cluster: Cluster | None, stop: Callable[[], bool]) -> None:
    """All that is missing.

    Raises:
        Interrupted: if it was asked to stop.
    """
    from ._compute import Stopped

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    here = Here(store, work.note_steps, stop)
    n = 1 if cluster is not None else workers or (cores if has_dask() else 1)
    try:
        if cluster is None and n == 1:
            _all_by(here, work, stop)
        elif cluster is None and workers is None:
            # The first point says whether workers are worth their start.
            _all_by(here, work, stop, enough=lambda: (work.course.left or 0.0) > _SOON_SECONDS)
        if work.left or work.suspects:
            with ExitStack() as stack:
                there = cluster or Cluster.here(n)
                client = stack.enter_context(there.opened())
                work.course.dashboard = dashboard_of(client)
                crew = Crew(client, store, there.cores(), there.text)
                _all_by(crew, work, stop)
                _one_by_one(crew, work, stop)
    except Stopped:
        pass
    if stop():
        n_done = work.course.points - work.course.missing + work.course.computed
        raise Interrupted(
            f"stopped with {n_done:,} of {work.course.points:,} points done; the same command continues",
            step=n_done,
        )


def _all_by(
    crew: AbstractCrew, work: _Work, stop: Callable[[], bool], enough: Callable[[], bool] = lambda: False
) -> None:
    """All batches, as many at a time as the crew has room for; no new ones when it is enough."""
    running = 0
    while (running or (work.left and not enough())) and not stop():
        work.course.workers = max(1, crew.size)
        while work.left and crew.room > 0 and not enough():
            crew.begin(work.next_batch(max(1, crew.size)))
            running += 1
        for outcome in crew.finished():
            running -= 1
            if outcome.report is None:
                work.lost(outcome.batch)
                continue
            _note(work, outcome.batch, outcome.report, counted=isinstance(crew, Here))
        work.say()


def _one_by_one(crew: AbstractCrew, work: _Work, stop: Callable[[], bool]) -> None:
    """The points whose workers died, each with nothing beside it, so that the blame is its own."""
    while work.suspects and not stop():
        point = work.suspects.popleft()
        crew.begin([point])
        outcomes: list = []
        while not outcomes and not stop():
            outcomes = crew.finished()
            work.say()
        for outcome in outcomes:
            if outcome.report is None:
                work.left_out(point)
            else:
                _note(work, outcome.batch, outcome.report, counted=False)


def _note(work: _Work, batch: Sequence[Point], report: Any, *, counted: bool) -> None:
    work.note(batch, report.compiling, report.training, counted=counted)
    work.doubts += [doubt for doubt in report.doubts if doubt not in work.doubts]
