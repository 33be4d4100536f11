"""Trains the chips of points that have one structure: one compiled program serves them all.

What a chip comes to must not depend on which points are computed beside it. The fused engine keeps each chip in a lane
of its own, so chips of many points are side by side. Of the other engines, XLA makes other machine code for other
numbers of chips, whose sums differ in the last bit. So there the chips of one point are side by side, and points follow
one another through one program, whose data their settings are. All points are evaluated one by one, for that reason.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from .._arguments import check_fit, check_log, warn_of_order
from .._errors import MgdWarning
from .._judge import Judge
from .._numbers import DifferentError
from .._train import log_steps
from ..algorithm import AbstractAlgorithm
from ..chips import AbstractChip
from ..datasets import Task
from ..engines import Data, Fused, Progress, check_inputs, choose
from ..runs import Settings, build_algorithm, build_chip, build_task

_PIECE_SECONDS = 0.5
_FIRST_PIECE, _LONGEST_PIECE = 16, 1_000_000_000
# Small chips are side by side with those of other points, so an engine for many is theirs, however few a point has.
_SMALL, _SIDE_BY_SIDE = 10_000, 8
# At so many timesteps, whatever can be done in lanes is worth to be compiled for that.
_MANY_STEPS = 2**62


class Stopped(Exception):
    """The computation was asked to stop."""


@dataclass
class Computed:
    """What points came to.

    Attributes:
        rows: a row for each point, over (point, replica).
        compiling: seconds until the first timesteps were made.
        training: seconds of the rest.
        doubts: what users are to be warned of.
    """

    rows: xr.Dataset
    compiling: float
    training: float
    doubts: list[str] = field(default_factory=list)


def compute(
    settings: Sequence[Settings],
    *,
    names: Sequence[str] = (),
    on_steps: Callable[[int], object] = lambda n: None,
    stop: Callable[[], bool] = lambda: False,
) -> Computed:
    """Trains the chips of points, which have one structure.

    A chip whose cost or parameters became infinite is a result: it has diverged, and has no score.

    Args:
        settings: of each point.
        names: of the points, for messages.
        on_steps: called with the chip-steps that were made since the last call.
        stop: asked about twice a second whether to stop.

    Raises:
        ValueError, DataError: as `mgd.runs.start`.
        Stopped: if it was asked to stop.
    """
    started = time.perf_counter()
    with _noted() as doubts:
        first = settings[0]
        with _naming(names[0] if names else ""):
            task = _task_of(first)
        check_log(first.steps, first.log_every or first.steps, first.replicas)
        pieces = []
        for k, one in enumerate(settings):
            with _naming(names[k] if names else ""):
                pieces.append(_Piece.of(one, task, names[k] if names else ""))
        check_fit(pieces[0].chip, task)
        check_inputs(pieces[0].chip, task)
        warn_of_order(pieces[0].chip, task)
        clock = _Clock(started, on_steps, stop)
        data = Data.of(task.train, task.kind, task.order), Data.of(task.test, task.kind)
        for group in _groups(pieces):
            _train(group, data, first, clock)
        judge = Judge.of(
            task,
            outputs=pieces[0].engine.gives_outputs(data[1]),
            shown=len(task.test),
            cost=pieces[0].engine.cost_of_outputs,
        )
        rows: Any = xr.concat([piece.row(judge) for piece in pieces], "point")
    ended = time.perf_counter()
    begun = clock.begun or ended
    return Computed(rows, begun - started, ended - begun, doubts)


@dataclass
class _Piece:
    """The chips of one point, in training."""

    settings: Settings
    chip: AbstractChip
    algorithm: AbstractAlgorithm
    engine: Any
    name: str = ""
    progress: Progress | None = None
    steps: list[int] = field(default_factory=list)
    marks: list[np.ndarray] = field(default_factory=list)
    costs: list[np.ndarray] = field(default_factory=list)

    @staticmethod
    def of(settings: Settings, task: Task, name: str) -> "_Piece":
        chip, algorithm = build_chip(settings, task), build_algorithm(settings)
        return _Piece(settings, chip, algorithm, _engine(settings, chip, algorithm, task), name)

    def begin(self, train: Data) -> None:
        key, n = jax.random.key(self.settings.seed), self.settings.replicas
        self.progress = self.engine.init(n, key=key)
        self.engine.check_start(self.progress, train)

    def evaluate(self, step: int, test: Data) -> None:
        marks, cost = self.engine.evaluate(self.progress, test)
        self.steps.append(step)
        self.marks.append(np.asarray(marks, np.float32))
        self.costs.append(np.asarray(cost, np.float32))

    def row(self, judge: Judge) -> xr.Dataset:
        """What the point came to."""
        assert self.progress is not None, "the chips are trained"
        theta = np.asarray(self.progress.state.theta)
        diverged = np.asarray(self.progress.diverged) | ~np.isfinite(theta).all(1) | ~np.isfinite(self.costs[-1])
        scores = [np.asarray(judge.scores(marks), np.float32) for marks in self.marks]
        solved = np.stack([judge.solved(score) for score in scores])
        solved[-1] &= ~diverged
        first = np.array(self.steps, float)[np.argmax(solved, 0)]
        each = {
            "score": np.where(diverged, np.float32(np.nan), scores[-1]),
            "cost": np.where(diverged, np.float32(np.nan), self.costs[-1]),
            "solved": solved[-1],
            "diverged": diverged,
            "solved_step": np.where(solved.any(0), first, np.nan),
        }
        counts = asdict(self.algorithm.counts(self.settings.steps, batch=self.settings.batch))
        whole = {**counts, "n_params": self.chip.n_params, "steps": self.settings.steps, "seed": self.settings.seed}
        threshold = np.nan if judge.task.threshold is None else judge.task.threshold
        texts = {"engine": self.engine.name, "metric": judge.metric or "", "digest": self.settings.identity()}
        return xr.Dataset(
            {name: ("replica", value) for name, value in each.items()}
            | {name: ((), np.int64(value)) for name, value in whole.items()}
            | {name: ((), np.asarray(value, object)) for name, value in texts.items()}
            | {"threshold": ((), np.float64(threshold))},
            {"replica": np.arange(self.settings.replicas)},
        )


@dataclass
class _Clock:
    """Cuts training into pieces of about half a second; the cuts change no bit."""

    started: float
    on_steps: Callable[[int], object]
    stop: Callable[[], bool]
    begun: float | None = None
    most: int = _FIRST_PIECE

    def advance(self, engine: Any, train: Data, progress: Progress, n_steps: int) -> Progress:
        """The run after that many more timesteps."""
        stride, n_replicas = engine.stride, len(progress.diverged)
        while n_steps:
            if self.stop():
                raise Stopped
            n = min(n_steps, -(-self.most // stride) * stride)
            began = time.perf_counter()
            progress = jax.block_until_ready(engine.advance(train, progress, n))
            now = time.perf_counter()
            self.begun = self.begun or now
            faster = int(n * _PIECE_SECONDS / max(now - began, 1e-6))
            self.most = max(1, min(faster, 64 * n, _LONGEST_PIECE))
            self.on_steps(n * n_replicas)
            n_steps -= n
        return progress


def _train(group: list[_Piece], data: tuple[Data, Data], settings: Settings, clock: _Clock) -> None:
    """Trains the chips of these points side by side."""
    train, test = data
    with _naming(group[0].name):
        group[0].engine.check(len(group) * settings.replicas, train, key=jax.random.key(settings.seed))
    for piece in group:
        with _naming(piece.name):
            piece.begin(train)
    engine = group[0].engine
    if len(group) > 1 or group[0].chip.n_params <= _SMALL:
        # Also of one point: its numbers are then data of the program, which the next point takes too.
        which = np.repeat(np.arange(len(group)), settings.replicas)
        engine = engine.for_each([piece.engine for piece in group], which)
    progress: Any = group[0].progress if len(group) == 1 else _joined([piece.progress for piece in group])
    every = settings.steps if settings.log_every is None else settings.log_every
    step = 0
    for goal in log_steps(settings.steps, every=every, multiple=engine.stride):
        progress = clock.advance(engine, train, progress, goal - step)
        step = goal
        if goal or settings.log_every is not None:
            for piece, own in zip(group, _parted(progress, len(group)), strict=True):
                piece.progress = own
                piece.evaluate(goal, test)


def _groups(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    """Points whose chips may be side by side."""
    if not all(isinstance(piece.engine, Fused) for piece in pieces):
        yield from ([piece] for piece in pieces)
        return
    groups: list[list[_Piece]] = []
    for piece in pieces:
        alike = (group for group in groups if _are_alike(group[0], piece))
        group = next(alike, None)
        if group is None:
            groups.append([piece])
        else:
            group.append(piece)
    yield from groups


def _are_alike(one: _Piece, other: _Piece) -> bool:
    try:
        one.engine.for_each([one.engine, other.engine], np.arange(2))
    except DifferentError:
        return False
    return True


def _joined(parts: Sequence[Any]) -> Progress:
    """One run of all chips of several runs that begin."""
    clock = parts[0].state.clock
    bare = [_without_clock(part) for part in parts]
    joined = jax.tree.map(lambda *leaves: jnp.asarray(np.concatenate([np.asarray(leaf) for leaf in leaves])), *bare)
    return Progress(joined.state.with_clock(clock), joined.device, joined.diverged, joined.diverged_at)


def _parted(progress: Any, n: int) -> Iterator[Progress]:
    """The runs of equally many chips each that one run consists of."""
    if n == 1:
        yield progress
        return
    clock, size = progress.state.clock, len(progress.diverged) // n
    whole = jax.tree.map(np.asarray, _without_clock(progress))
    for k in range(n):
        part = jax.tree.map(lambda leaf, k=k: jnp.asarray(leaf[k * size : (k + 1) * size]), whole)
        yield Progress(part.state.with_clock(clock), part.device, part.diverged, part.diverged_at)


def _without_clock(progress: Any) -> Progress:
    return Progress(progress.state.with_clock(None), progress.device, progress.diverged, progress.diverged_at)


def _engine(settings: Settings, chip: AbstractChip, algorithm: AbstractAlgorithm, task: Task) -> Any:
    """The engine of a point: for the same settings the same, whatever is computed beside it."""
    n_replicas, n_steps = settings.replicas, settings.steps
    if settings.engine == "auto" and chip.n_params <= _SMALL:
        n_replicas, n_steps = max(n_replicas, _SIDE_BY_SIDE), _MANY_STEPS
    numbers = int(task.train.x.size)
    return choose(
        settings.engine,
        chip,
        algorithm,
        n_replicas=n_replicas,
        batch=settings.batch,
        n_steps=n_steps,
        n_numbers=numbers,
    )


_tasks: dict[str, Task] = {}


def _task_of(settings: Settings) -> Task:
    """The task of a point, which stays in memory until another is needed."""
    only = settings.model_copy(
        update={"replicas": 1, "seed": 0, "imperfect": None, "learning_rate": 1.0, "amplitude": None, "engine": "auto"}
    )
    key = f"{only.identity()} {settings.data} {settings.task}"
    if key not in _tasks:
        _tasks.clear()
        _tasks[key] = build_task(settings)
    return _tasks[key]


@contextmanager
def _naming(point: str) -> Iterator[None]:
    """Says whose fault it is."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"the point {point}: {error}" if point else str(error)) from None


@contextmanager
def _noted() -> Iterator[list[str]]:
    """Notes warnings of ours, rather than show them here."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MgdWarning)
        yield texts
    for warning in caught:
        if issubclass(warning.category, MgdWarning):
            texts.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    texts[:] = list(dict.fromkeys(texts))
