"""A run in progress, and its result."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ._arguments import MOST, MOST_STEPS, check_counts, check_fit, check_log, checked_start, warn_of_order
from ._counter import Counter
from ._errors import DivergedError
from ._judge import Judge
from ._until import Until
from ._vary import Vary, choose_varied
from .algorithm import AbstractAlgorithm, Counts
from .chips import AbstractChip
from .datasets import Task, check_batch
from .engines import AbstractEngine, Data, Progress, check_inputs

if TYPE_CHECKING:
    import xarray as xr

_CHUNK_SECONDS = 0.5
_LONGEST_CHUNK = 1_000_000_000


@dataclass(frozen=True)
class Result:
    """The results of a training.

    Attributes:
        theta: final parameters of each replica.
        metric: the name of the measure in `score`, which follows from the kind of the task's targets: "accuracy" or
            "label_accuracy", 0 … 1, or "r2"; None if the chip gives no outputs.
        score: of each replica on the test samples; NaN if the chip gives no outputs.
        cost: of each replica on the test samples, unperturbed and without noise.
        solved: whether each replica's score is at least the task's threshold. False for all if the task has no
            threshold (values, if no R² is given), or if not all test samples were evaluated (an instrument's
            `test_samples`).
        counts: how often each chip was measured and written, as exact integers.
        history: the score under its name (for R², also the RMSE) and the cost on the test samples over (replica, step),
            with the counts at each logged step; and `measured_cost`, the last unperturbed cost that training measured:
            the chip's own cost with its noise, NaN if none was measured yet.
        n_steps: timesteps made.
        seconds: wall time, compilation and evaluation included.
        device: the individual values and the memory of each replica's chip, a tree of arrays with a leading replica
            axis; None for perfect chips, and for instruments.
        varied: the numbers in which replicas differ, by their names; they are also coordinates of `history`.
    """

    theta: Float[Array, "replica p"]
    metric: str | None
    score: Float[Array, " replica"]
    cost: Float[Array, " replica"]
    solved: Bool[Array, " replica"]
    counts: Counts
    history: "xr.Dataset"
    n_steps: int
    seconds: float
    device: Any = None
    varied: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def accuracy(self) -> Float[Array, " replica"]:
        """The score if it is an accuracy, or an accuracy by label; otherwise NaN."""
        return self.score if self.metric in ("accuracy", "label_accuracy") else jnp.full_like(self.score, jnp.nan)

    def piece(self, replica: int) -> tuple[Float[Array, " p"], Any]:
        """Parameters and device of one chip, with which it responds as it did at the end of the run.

        >>> import mgd
        >>> task = mgd.datasets.parity(bits=2)
        >>> chip = mgd.chips.imperfect(mgd.chips.mlp((2, 2, 1)), mgd.chips.imperfections.ActivationVariation(0.2))
        >>> result = mgd.train(chip, task, mgd.discrete(), n_steps=100, n_replicas=2, key=jax.random.key(0))
        >>> theta, device = result.piece(1)
        >>> outputs = chip.respond(theta, jnp.asarray(task.test.x), device=device, key=jax.random.key(0))
        >>> bool(jnp.allclose(jnp.mean((outputs - task.test.y) ** 2), result.cost[1]))
        True
        """
        return self.theta[replica], jax.tree.map(lambda leaf: leaf[replica], self.device)


@dataclass
class Snapshot:
    """All that a run goes on from.

    Attributes:
        progress: the engine's, between two timesteps.
        steps: the logged steps.
        marks: at each logged step, of each replica, as the engine's `evaluate` gives them.
        cost: likewise.
        measured: likewise the last cost that was measured without a perturbation, in training; NaN before the first.
        seconds: wall time so far.
    """

    progress: Progress
    steps: list[int] = field(default_factory=list)
    marks: list[np.ndarray] = field(default_factory=list)
    cost: list[np.ndarray] = field(default_factory=list)
    measured: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def step(self) -> int:
        """Timesteps made."""
        return int(self.progress.state.clock.step)


class Session:
    """A run in progress: it is advanced by pieces, and can be put down and taken up between any two.

    Takes the arguments of `mgd.train`; or in place of a chip and an engine's name, an engine that has a chip of its own
    (`Instrumented`, `Fleet`, or one from elsewhere). How the run is cut into pieces does not change a bit of its
    outcome.

    Attributes:
        snapshot: where the run is. It may be replaced by one of an earlier run with the same settings.
        engine: the name of the engine that runs it.
        groups: names of slices of θ (layers, banks).
        varied: the numbers in which replicas differ, by their names.
        judge: by what it is judged.
        steps_per_second: timesteps a second in the last piece, each of all replicas.
        until: what it ends by before its last timestep.
        begin: makes the run at its start once more.
        figures: what is known of the run beside cost and accuracy, by name: diagnostics of a real chip.
    """

    snapshot: Snapshot

    def __init__(
        self,
        chip: AbstractChip | None,
        task: Task,
        algorithm: AbstractAlgorithm,
        *,
        n_steps: int,
        key: PRNGKeyArray,
        n_replicas: int = 1,
        batch: int = 1,
        engine: str | AbstractEngine[Any] = "auto",
        log_every: int | None = None,
        devices: int = 1,
        vary: Vary | None = None,
        start: Float[np.ndarray, "*replica p"] | None = None,
        until: Until | None = None,
    ):
        check_counts(n_steps=n_steps, log_every=n_steps if log_every is None else log_every, most=MOST_STEPS)
        check_counts(n_replicas=n_replicas, most=MOST_STEPS)  # whether they fit in memory is checked below
        check_counts(batch=batch, devices=devices, most=MOST)
        self.until = until or Until()
        log_every = self.until.spacing(n_steps) if log_every is None else log_every
        check_log(n_steps, log_every, n_replicas)
        check_batch(batch, task)
        self.chip, self.task, self.algorithm = chip, task, algorithm
        self.n_steps, self.n_replicas, self.batch = n_steps, n_replicas, batch
        self.steps_per_second = math.nan
        self.figures: Callable[[], dict[str, float]] = dict
        self.varied: dict[str, np.ndarray] = {}
        if isinstance(engine, str):
            assert chip is not None, "to name an engine, give a chip"
            check_counts(**{"the number of parameters": chip.n_params}, most=MOST)
            check_fit(chip, task)
            settings = {"n_replicas": n_replicas, "batch": batch, "n_steps": n_steps, "devices": devices}
            settings["n_numbers"] = int(task.train.x.size)
            chosen = choose_varied(engine, chip, algorithm, vary or {}, **settings)
            self._engine: AbstractEngine[Any] = chosen.engine
            first, self.varied = chosen.first, chosen.values
            warn_of_order(chip, task)
        else:
            self._engine = first = engine
            if devices > 1:
                raise ValueError(f"an instrument uses no JAX devices: leave devices out, got {devices}")
            if engine.batch != batch or engine.algorithm is not algorithm:
                raise ValueError(
                    "the engine and the session must have the same algorithm and batch, got batch = "
                    f"{batch} for the session and {engine.batch} for the engine"
                )
        self._train, self._test = Data.of(task.train, task.kind, task.order), Data.of(task.test, task.kind)
        outputs, shown = first.gives_outputs(self._test), first.shown_of(len(task.test))
        self.judge = Judge.of(task, outputs=outputs, shown=shown, cost=first.cost_of_outputs)
        self.until.check(self.judge)
        self.engine = first.name
        self._log_steps = log_steps(n_steps, every=log_every, multiple=first.stride)
        first.check(n_replicas, self._train, key=key)
        if isinstance(engine, str) and chip is not None:
            check_inputs(chip, task)
        self._chunk = 1
        self._clock = time.perf_counter()
        if start is not None:
            own = self._engine.init(n_replicas, key=key).state.theta.shape[1] if chip is None else chip.n_params
            start = checked_start(start, n_replicas, own)
        self.begin = partial(self._engine.init, n_replicas, key=key, start=start)
        self.snapshot = Snapshot(self.begin())
        named = self._engine.groups or (chip.groups if chip is not None else {})
        self.groups = named or {"theta": slice(0, self.n_params)}
        first.check_start(self.snapshot.progress, self._train)

    @property
    def finished(self) -> bool:
        """Whether all steps are made and logged, or the run has ended before."""
        return self.n_steps in self.snapshot.steps[-1:] or bool(self.ended_by)

    @property
    def ended_by(self) -> str:
        """Why the run ends before its last timestep, in words; empty if it does not."""
        if self.snapshot.step not in self.snapshot.steps[-1:]:
            return ""
        return self.until.reached(self.judge, self.snapshot.steps, self.snapshot.marks, self.snapshot.cost)

    def advance(self) -> None:
        """Goes on for about half a second, or to the next logged step and its evaluation.

        Raises:
            DivergedError: if a measured cost was NaN or infinite; the snapshot must not be kept.
        """
        step = self.snapshot.step
        goal = next(s for s in self._log_steps if s > (self.snapshot.steps or [-1])[-1])
        if goal > step:
            n = min(goal - step, -(-self._chunk // self._engine.stride) * self._engine.stride)
            started = time.perf_counter()
            self.snapshot.progress = self._engine.advance(self._train, self.snapshot.progress, n)
            self._check_finite()
            self._pace(n, time.perf_counter() - started)
        if goal == self.snapshot.step:
            marks, cost = self._engine.evaluate(self.snapshot.progress, self._test)
            self.snapshot.steps.append(goal)
            self.snapshot.marks.append(np.asarray(marks))
            self.snapshot.cost.append(np.asarray(cost))
            self.snapshot.measured.append(self._measured())
        now = time.perf_counter()
        self.snapshot.seconds += now - self._clock
        self._clock = now

    @property
    def n_params(self) -> int:
        """Parameters of each chip."""
        return self.snapshot.progress.state.theta.shape[1]

    @property
    def scores(self) -> Float[np.ndarray, " replica"]:
        """The score of each replica at the last evaluation."""
        return self.judge.scores(self.snapshot.marks[-1])

    def _measured(self) -> Float[np.ndarray, " replica"]:
        """The last cost that each replica measured in training; NaN where there is none."""
        baseline = jax.tree.leaves(getattr(self.snapshot.progress.state, "baseline", None))
        if not (self._engine.measures and baseline and self.snapshot.step):
            return np.full(self.n_replicas, np.nan, np.float32)
        return np.asarray(baseline[0], np.float32)

    def held_out(self) -> Float[np.ndarray, " replica"] | None:
        """The score of each replica on the samples held out of training, if there are any."""
        held_out = self.task.held_out
        if held_out is None or self.judge.metric is None:
            return None
        marks, _ = self._engine.evaluate(self.snapshot.progress, Data.of(held_out, self.task.kind))
        return self.judge.scores(np.asarray(marks), held_out)

    def doubts(self) -> list[str]:
        """What is to be doubted about a finished run, in sentences."""
        writes = self.algorithm.counts(self.snapshot.step, batch=self.batch).parameter_writes
        return self.judge.doubts(np.array(self.snapshot.cost).T, self.judge.solved(self.scores), writes)

    def history(self) -> "xr.Dataset":
        """What has been logged so far, over (replica, step)."""
        import xarray as xr  # takes as long to load as Equinox and Optax together

        counts = [self.algorithm.counts(step, batch=self.batch) for step in self.snapshot.steps]
        shape = (self.n_replicas, len(self.snapshot.steps))
        coordinates: dict[str, Any] = {
            "replica": np.arange(self.n_replicas),
            "step": np.array(self.snapshot.steps, np.int64),
        }
        for name in Counts.__dataclass_fields__:
            coordinates[name] = ("step", np.array([getattr(c, name) for c in counts], np.int64))
        coordinates |= {name: ("replica", numbers) for name, numbers in self.varied.items() if name != "optimizer"}
        values = self.judge.variables(np.array(self.snapshot.marks, np.float32).T.reshape(shape))
        values["cost"] = np.array(self.snapshot.cost, np.float32).T.reshape(shape)
        values["measured_cost"] = np.array(self.snapshot.measured, np.float32).T.reshape(shape)
        variables = {name: (("replica", "step"), of) for name, of in values.items()}
        return xr.Dataset(variables, coordinates, {"task": self.task.name, "batch": self.batch})

    def result(self) -> Result:
        """What the run has given; meant for a finished one."""
        progress, scores = self.snapshot.progress, self.scores
        return Result(
            theta=progress.state.theta,
            metric=self.judge.metric,
            score=jnp.asarray(scores),
            cost=jnp.asarray(self.snapshot.cost[-1]),
            solved=jnp.asarray(self.judge.solved(scores)),
            counts=self.algorithm.counts(self.snapshot.step, batch=self.batch),
            history=self.history(),
            n_steps=self.snapshot.step,
            seconds=self.snapshot.seconds,
            device=progress.device,
            varied=self.varied,
        )

    def _pace(self, n: int, seconds: float) -> None:
        """Sets how many steps the next piece has."""
        self.steps_per_second = n / seconds
        target = max(1, int(n * _CHUNK_SECONDS / max(seconds, 1e-6)))
        self._chunk = min(target, 8 * max(n, self._chunk // 8), _LONGEST_CHUNK)

    def _check_finite(self) -> None:
        progress = self.snapshot.progress
        diverged = np.asarray(progress.diverged)
        if not diverged.any():
            if not bool(_all_finite(progress.state.theta)):
                step = self.snapshot.step
                raise DivergedError(
                    f"parameters became NaN or infinite by step {step}: lower the learning rate", step=step
                )
            return
        at = progress.diverged_at
        steps = [int(Counter(at.high[r], at.low[r])) for r in np.flatnonzero(diverged)]
        whose = "" if self.n_replicas == 1 else f" of {len(steps)} of {self.n_replicas} replicas"
        advice = "lower the learning rate or the amplitude, or clamp the modulation"
        if max(steps) == 0:
            advice = "no parameter had changed yet, so check the chip's cost, its start and the amplitude"
        raise DivergedError(
            f"the measured cost{whose} was NaN or infinite, first at step {min(steps)}: {advice}", step=min(steps)
        )


_all_finite = jax.jit(lambda theta: jnp.isfinite(jnp.max(jnp.abs(theta))))  # it needs no array of its own


def log_steps(n_steps: int, *, every: int | None = None, per_decade: int = 8, multiple: int = 1) -> list[int]:
    """The steps after which a run is evaluated: the first, the last, and evenly spaced ones between.

    Args:
        n_steps: timesteps of the run.
        every: spacing; None for an even spacing in the logarithm.
        per_decade: how many in a factor of ten, where the spacing is logarithmic.
        multiple: of which all but the last are made multiples.

    >>> log_steps(30, every=10)
    [0, 10, 20, 30]
    >>> log_steps(20, per_decade=2)
    [0, 1, 3, 10, 20]
    """
    if every is not None:
        inner = range(0, n_steps, every)
    else:
        decades = math.log10(n_steps)
        inner = (round(10 ** (k / per_decade)) for k in range(math.ceil(decades * per_decade)))
    return sorted({0, *(min(n_steps, -(-step // multiple) * multiple) for step in inner), n_steps})
