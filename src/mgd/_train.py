"""The one entry function, the session behind it, and its result."""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from ._arguments import MOST, MOST_STEPS, check_arguments, check_fit, check_log, check_whole, warn_of_order
from ._counter import Counter
from ._errors import DivergedError, MgdWarning
from ._judge import Judge
from ._vary import Vary, choose_varied
from .algorithm import AbstractAlgorithm, Algorithm, Counts, defaults, discrete, fitted
from .chips import AbstractChip, AbstractCost, cost_named
from .datasets import Task, check_batch
from .engines import (
    AbstractEngine,
    Data,
    Instrumented,
    Options,
    Progress,
    check_inputs,
    parameters_at_start,
)
from .instruments import Guarded

if TYPE_CHECKING:
    import xarray as xr

_CHUNK_SECONDS = 0.5
_LONGEST_CHUNK = 1_000_000_000


@dataclass(frozen=True)
class Result:
    """What training gave.

    Attributes:
        theta: final parameters of each replica.
        metric: what `score` is, by the kind of the task's targets: "accuracy" or "label_accuracy", 0 … 1, or "r2";
            None if the chip gives no outputs.
        score: of each replica on the test samples; NaN if the chip gives no outputs.
        cost: of each replica on the test samples, unperturbed and without noise.
        solved: whether each replica's score is at least the task's threshold. None has solved a task without one
            (values, if no R² is given), or whose test samples were not all evaluated (an instrument's `test_samples`).
        counts: what each chip went through, exact integers.
        history: score (by its name; R² with the RMSE) and cost over (replica, step), with the counts at each logged
            step.
        n_steps: timesteps made.
        seconds: wall time, compilation and evaluation included.
        device: what each replica's chip is made of and remembers, a tree of arrays with a leading replica axis; None
            for perfect chips, and for those behind I/O.
        varied: the numbers in which replicas differ, by their names; numbers are coordinates of `history` too.
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
        """The score where it is an accuracy, or one by label; otherwise NaN."""
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


def train(
    chip: AbstractChip | Guarded,
    task: Task,
    algorithm: AbstractAlgorithm | None = None,
    *,
    n_steps: int,
    key: PRNGKeyArray,
    n_replicas: int = 1,
    batch: int | None = None,
    engine: str = "auto",
    log_every: int | None = None,
    devices: int = 1,
    start: Float[np.ndarray, " p"] | None = None,
    cost: str | AbstractCost | None = None,
    options: Options | None = None,
    vary: Vary | None = None,
) -> Result:
    """Trains replicas of a simulated chip, or a chip behind I/O.

    Args:
        chip: what is trained. Replicas of a simulated chip differ by their keys. A chip behind I/O is one that
            `mgd.instruments.opened` gives; there is one replica, and no run directory: `mgd train --chip` keeps one.
        task: what it is trained on.
        algorithm: how; `mgd.discrete()` by default, whose parts that are not given are chosen here for the chip and
            the number of steps (`mgd.algorithm.fitted`).
        n_steps: timesteps.
        key: everything random is drawn from it: same key, same run, to the bit.
        n_replicas: chips trained side by side.
        batch: samples a measurement is averaged over; by default 1, or where time constants are chosen here, up to 64.
        engine: of simulated chips: "measured", "fused" (many small chips), "sampled" (long windows of large chips), or
            "auto": fused where it covers chip and algorithm, there are enough of them and it is installed, otherwise
            measured.
        log_every: timesteps between two evaluations on the test set; by default they are spaced evenly in the
            logarithm of the step.
        devices: JAX devices that share the replicas, or, of one chip, the perturbations within a hold; measured engine
            only. The run is that of one device, to rounding.
        start: of a chip behind I/O, the parameters at the start; by default the chip's own, if it has some, or else
            drawn about the middle of its limits.
        cost: of such a chip's outputs, "mse" (the default) or "cross-entropy"; a simulated chip is made with its own.
        options: how such a chip is trained, beyond the algorithm.
        vary: of simulated chips, numbers in which replicas differ: for each name a sequence with one for each replica.
            Names are "learning_rate", "momentum", "weight_decay" or another number of the optimizer, "amplitude",
            "modulation_limit", those of an imperfection, as "cost-noise.sigma", and "optimizer", of which values are
            optax transformations. What is no number, or makes another program of one, cannot vary.

    Returns:
        Final parameters, score, counts and history.

    Warns:
        MgdWarning: if the cost on the test set never changed.

    Raises:
        ValueError: if chip and task do not fit, a number is out of range, an argument is not for such a chip, replicas
            do not fit in memory, or the sampled engine finds that `jax.grad` is not the slope of the chip.
        DivergedError: if a measured cost was NaN or infinite.
        HardwareError, LimitError: of a chip behind I/O, as `mgd.engines.Instrumented.advance`.

    >>> import mgd
    >>> task = mgd.datasets.parity(bits=2)
    >>> result = mgd.train(
    ...     mgd.chips.mlp((2, 2, 1)), task, mgd.discrete(), n_steps=1000, n_replicas=3, key=jax.random.key(0)
    ... )
    >>> result.theta.shape, result.counts.cost_measurements
    ((3, 9), 1334)
    """
    check_arguments(chip, engine, {"start": start, "cost": cost, "options": options}, vary)
    check_whole(n_steps=n_steps, batch=1 if batch is None else batch, most=MOST_STEPS)
    algorithm, batch = _chosen(chip, task, algorithm or discrete(), n_steps, batch)
    of_instrument = None
    if isinstance(chip, Guarded):
        of_instrument = _instrumented(chip, algorithm, batch, start, "mse" if cost is None else cost, options, key)
    session = Session(
        None if isinstance(chip, Guarded) else chip,
        task,
        algorithm,
        n_steps=n_steps,
        key=key,
        n_replicas=n_replicas,
        batch=batch,
        engine=of_instrument or engine,
        log_every=log_every,
        devices=devices,
        vary=vary,
    )
    while not session.finished:
        session.advance()
    for doubt in session.doubts():
        warnings.warn(doubt, MgdWarning, stacklevel=2)
    return session.result()


def _chosen(
    chip: AbstractChip | Guarded, task: Task, algorithm: AbstractAlgorithm, n_steps: int, batch: int | None
) -> tuple[AbstractAlgorithm, int]:
    """The algorithm with what nobody chose, and the batch."""
    if not (isinstance(algorithm, Algorithm) and algorithm.open):
        return algorithm, batch or 1
    chosen = defaults(chip.n_params, n_steps, len(task.train))
    together = chosen.batch if "time_constants" in algorithm.open else 1
    return fitted(algorithm, chosen, n_steps), batch or together


def _instrumented(
    chip: Guarded,
    algorithm: AbstractAlgorithm,
    batch: int,
    start: Float[np.ndarray, " p"] | None,
    cost: str | AbstractCost,
    options: Options | None,
    key: PRNGKeyArray,
) -> Instrumented:
    """The engine of a chip behind I/O."""
    if not isinstance(algorithm, Algorithm):
        raise ValueError(f"a chip behind I/O is trained by an Algorithm, got {type(algorithm).__name__}")
    start = parameters_at_start(chip, key=key, given=start)
    return Instrumented(chip, algorithm, start, cost=cost_named(cost), batch=batch, options=options)


@dataclass
class Snapshot:
    """All that a run goes on from.

    Attributes:
        progress: the engine's, between two timesteps.
        steps: the logged steps.
        marks: at each logged step, of each replica, as the engine's `evaluate` gives them.
        cost: likewise.
        seconds: wall time so far.
    """

    progress: Progress
    steps: list[int] = field(default_factory=list)
    marks: list[np.ndarray] = field(default_factory=list)
    cost: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def step(self) -> int:
        """Timesteps made."""
        return int(self.progress.state.clock.step)


class Session:
    """A run in progress: it is advanced by pieces, and can be put down and taken up between any two.

    Takes the arguments of `train`; or in place of a chip and an engine's name, an engine that has a chip of its own
    (`Instrumented`, `Fleet`, or one from elsewhere). How the run is cut into pieces does not change a bit of its
    outcome.

    Attributes:
        snapshot: where the run is. It may be replaced by one of an earlier run with the same settings.
        engine: the name of the engine that runs it.
        groups: names of slices of θ (layers, banks).
        varied: the numbers in which replicas differ, by their names.
        judge: by what it is judged.
        steps_per_second: timesteps a second in the last piece, each of all replicas.
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
    ):
        check_whole(n_steps=n_steps, log_every=n_steps if log_every is None else log_every, most=MOST_STEPS)
        check_whole(n_replicas=n_replicas, most=MOST_STEPS)  # how many fit in memory is told below
        check_whole(batch=batch, devices=devices, most=MOST)
        check_log(n_steps, log_every, n_replicas)
        check_batch(batch, task)
        self.chip, self.task, self.algorithm = chip, task, algorithm
        self.n_steps, self.n_replicas, self.batch = n_steps, n_replicas, batch
        self.steps_per_second = math.nan
        self.figures: Callable[[], dict[str, float]] = dict
        self.varied: dict[str, np.ndarray] = {}
        if isinstance(engine, str):
            assert chip is not None, "an engine that is named needs a chip"
            check_whole(**{"the number of parameters": chip.n_params}, most=MOST)
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
                raise ValueError(f"a chip behind I/O is one, and computed by itself: leave devices out, got {devices}")
            if engine.batch != batch or engine.algorithm is not algorithm:
                raise ValueError(
                    "the engine has an algorithm and a batch of its own: give the session the same, got batch = "
                    f"{batch} where the engine's is {engine.batch}"
                )
        self._train, self._test = Data.of(task.train, task.kind, task.order), Data.of(task.test, task.kind)
        outputs, shown = first.gives_outputs(self._test), first.shown_of(len(task.test))
        self.judge = Judge.of(task, outputs=outputs, shown=shown, cost=first.cost_of_outputs)
        self.engine = first.name
        self._log_steps = log_steps(n_steps, every=log_every, multiple=first.stride)
        first.check(n_replicas, self._train, key=key)
        if isinstance(engine, str) and chip is not None:
            check_inputs(chip, task)
        self._chunk = 1
        self._clock = time.perf_counter()
        self.snapshot = Snapshot(self._engine.init(n_replicas, key=key))
        named = self._engine.groups or (chip.groups if chip is not None else {})
        self.groups = named or {"theta": slice(0, self.n_params)}
        first.check_start(self.snapshot.progress, self._train)

    @property
    def finished(self) -> bool:
        """Whether all steps are made and logged."""
        return self.n_steps in self.snapshot.steps[-1:]

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
            advice = "no parameter had been changed yet, so look at the chip's cost, its start and the amplitude"
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
