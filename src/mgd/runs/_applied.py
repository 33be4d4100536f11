"""The parameters that a run came to, put on a chip on a bench: verified, evaluated, and left there if that is asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .._judge import Judge
from ..algorithm import discrete
from ..chips import AbstractChip, AbstractCost, cost_named
from ..chips.imperfections import loss_of
from ..datasets import Task
from ..engines import Data, Instrumented, Options
from ..instruments import Guarded, opened
from ._build import build_cost
from ._chip_file import ChipFile, read_chip_file
from ._loaded import LoadedRun, load_run, made_in_python, samples_of
from ._presets import resolve
from ._table import Table


@dataclass(frozen=True)
class Applied:
    """What came of putting a run's parameters on a chip.

    Attributes:
        run: whose parameters they are.
        replica: of which chip of the run.
        identity: who answered.
        metric: what the scores are; None if the chip only tells its cost.
        score: on the chip; None if it gives none.
        cost: on the chip, a mean over the samples; None if it could not be measured.
        reported: the run's own score of that replica, when it was last evaluated; None if there is none.
        shown: how many test samples were shown.
        samples: how many there are.
        read_back: whether the chip was asked for its parameters, and has them as they were set.
        kept: whether it is left with them.
    """

    run: LoadedRun
    replica: int
    identity: str
    metric: str | None
    score: float | None
    cost: float | None
    reported: float | None
    shown: int
    samples: int
    read_back: bool
    kept: bool

    def as_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        names = ("replica", "identity", "metric", "score", "cost", "reported", "shown", "samples", "read_back", "kept")
        told = {"run": str(self.run.folder), "finished": self.run.finished, "step": self.run.step}
        return told | {name: getattr(self, name) for name in names}


def apply(
    folder: str | Path,
    chip_file: str | Path,
    *,
    replica: int | str = "best",
    test_samples: int | None = None,
    keep: bool = False,
    chip: AbstractChip | None = None,
    task: Task | None = None,
) -> Applied:
    """Puts the parameters of a run on a chip on a bench, and evaluates it.

    The chip is opened behind a guard: parameters outside its limits are refused before any is sent. A chip that can be
    asked for its parameters is (`AbstractInstrument.reads_back`). However this ends, the chip is left in its safe
    state, unless it is to keep the parameters and all went well.

    Args:
        folder: the run directory, finished or not.
        chip_file: the TOML file that says where the chip is, with a table [instrument].
        replica: which of the run's chips: its number, or "best".
        test_samples: how many of the task's test samples are shown; by default as many as the file says.
        keep: whether the chip is left with the parameters.
        chip: as in `load_run`; it is needed for nothing but its cost.
        task: likewise; its test samples are shown.

    Raises:
        RunError, DataError: as `load_run`.
        ValueError: as `load_run`; also if the chip file has no [instrument], or the chip has another number of
            parameters, other inputs or outputs, another unit, or limits that the parameters do not keep to.
        HardwareError: if the chip cannot be opened, does not answer, or has other parameters than were set.
    """
    file = read_chip_file(Path(chip_file))
    instrument = file.load_instrument()
    table = Table.of((file.instrument or {}) | file.shapes)
    run = load_run(folder, chip=chip, task=task)
    number = run.one(replica)
    samples = samples_of(run, task)
    table.check_fits(run.task.name, run.task.input_shape, run.task.n_outputs)
    options = Options(
        test_samples=table.common.test_samples if test_samples is None else test_samples,
        give_up_seconds=table.common.give_up_seconds,
    )
    with opened(instrument, serial=table.common.serial) as guarded:
        _check(run, number, guarded, file)
        found = _evaluated(run, number, guarded, samples, options)
        read_back, identity = guarded.reads_back, str(guarded.known())
        if keep:
            found.engine.bench.leave_with(run.theta[number])
    scores = run.scores
    return Applied(
        run=run,
        replica=number,
        identity=identity,
        metric=found.judge.metric,
        score=_number(found.score) if found.judge.metric else None,
        cost=_number(found.cost),
        reported=None if scores is None else _number(scores[number]),
        shown=found.judge.shown,
        samples=len(samples.test),
        read_back=read_back,
        kept=keep,
    )


@dataclass(frozen=True)
class _Evaluated:
    engine: Instrumented
    judge: Judge
    score: float
    cost: float


def _evaluated(run: LoadedRun, number: int, chip: Guarded, task: Task, options: Options) -> _Evaluated:
    """The chip with these parameters, as a training that begins with them would evaluate it."""
    engine = Instrumented(chip, discrete(), run.theta[number], cost=_cost(run), options=options)
    test = Data.of(task.test, task.kind)
    marks, cost = engine.evaluate(engine.init(1, key=jax.random.key(0)), test)
    shown = engine.shown_of(len(task.test))
    judge = Judge.of(task, outputs=engine.gives_outputs(test), shown=shown, cost=engine.cost_of_outputs)
    score = judge.scores(np.asarray(marks)) if judge.metric else np.full(1, np.nan)
    return _Evaluated(engine, judge, float(score[0]), float(cost[0]))


def _cost(run: LoadedRun) -> AbstractCost:
    if run.chip is not None and (loss := loss_of(run.chip)) is not None:
        return loss
    return cost_named("mse") if made_in_python(run.settings) else build_cost(resolve(run.settings))


def _check(run: LoadedRun, number: int, chip: Guarded, file: ChipFile) -> None:
    """Raises: ValueError: if the run's parameters are none for this chip."""
    theta, limits = run.theta[number], chip.limits
    if theta.size != chip.n_params:
        raise ValueError(
            f"{run.folder} has {theta.size:,} parameters, and the chip of {file.path} has {chip.n_params:,}: take a "
            "run of such a chip"
        )
    if run.unit and limits.unit and run.unit != limits.unit:
        raise ValueError(
            f"the parameters of {run.folder} are in {run.unit}, and those of the chip of {file.path} in {limits.unit}: "
            "take a run of such a chip, or mend the unit in its file"
        )
    outside = np.flatnonzero(~((theta >= limits.low) & (theta <= limits.high)))
    if outside.size:
        k = int(outside[0])
        ends = f"{limits.low[k]:g} … {limits.high[k]:g} {limits.unit}".rstrip()
        raise ValueError(
            f"parameter {k} of chip {number} of {run.folder} is {theta[k]:.6g}, outside the limits {ends} of the chip "
            f"of {file.path} ({outside.size:,} of {theta.size:,} are outside): nothing was sent; train within them, as "
            f"with --imperfect parameter-range={limits.high[k]:g}"
        )


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
