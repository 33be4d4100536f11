"""The parameters of a run on a real chip: set, read back and evaluated."""

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
from ..instruments import Guarded, Units, opened, other_meaning
from ..runs import ChipFile, Table, build_cost, read_chip_file, resolve
from ._loaded import LoadedRun, load_run, made_in_python, samples_of


@dataclass(frozen=True)
class Applied:
    """The result of setting a chip to the parameters of a run.

    Attributes:
        run: the run that the parameters are from.
        replica: the chip of the run that they are from.
        identity: the identity of the real chip.
        metric: the measure of the scores; None if the chip gives only a cost.
        score: the score of the real chip; None if there is none.
        cost: the mean cost of the real chip over the samples; None if it could not be measured.
        reported: the run's own score of that replica at its last evaluation; None if there is none.
        shown: how many test samples the chip was evaluated on.
        samples: how many test samples there are.
        read_back: whether the parameters were read back, and are as they were set.
        kept: whether the chip was left with the parameters.
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
        """This result in types of JSON."""
        names = ("replica", "identity", "metric", "score", "cost", "reported", "shown", "samples", "read_back", "kept")
        summary = {"run": str(self.run.folder), "finished": self.run.finished, "step": self.run.step}
        return summary | {name: getattr(self, name) for name in names}


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
    """Sets a real chip to the parameters of a run, and evaluates it.

    Parameters outside the chip's limits are refused before any is sent. If the chip can read its parameters back
    (`AbstractInstrument.reads_back`), they are checked. The chip is then left in its safe state, also after an error;
    with `keep` and without an error, it is left with the parameters.

    Args:
        folder: the run directory, finished or not.
        chip_file: the TOML file of the chip, with a table [instrument].
        replica: the chip of the run: its number, or "best".
        test_samples: how many of the task's test samples to use; by default the number in the chip file.
        keep: whether the chip is left with the parameters.
        chip: as in `load_run`; only its cost is used.
        task: as in `load_run`; its test samples are used.

    Raises:
        RunError, DataError: as `load_run`.
        ValueError: as `load_run`; also if the chip file has no [instrument], the chip has another number of parameters,
            other inputs or outputs, or another unit, or a parameter is outside its limits.
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
    with opened(instrument, serial=table.common.serial, guardian=table.common.guardian) as guarded:
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
    """Evaluates the chip with these parameters, in the same way as a training that starts from them."""
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
    """Raises: ValueError: if the run's parameters do not fit this chip."""
    theta, limits = run.theta[number], chip.limits
    if theta.size != chip.n_params:
        raise ValueError(
            f"{run.folder} has {theta.size:,} parameters, and the chip of {file.path} has {chip.n_params:,}: give a "
            "run of such a chip"
        )
    if run.unit and limits.unit and run.unit != limits.unit:
        raise ValueError(
            f"the parameters of {run.folder} are in {run.unit}, and those of the chip of {file.path} in {limits.unit}: "
            "give a run of such a chip, or correct the unit in its file"
        )
    before = run.units_of(number) or Units.plain((run.unit,) * theta.size)
    if run.on_bench and (why := other_meaning(before, limits.meaning)):
        raise ValueError(
            f"the parameters of {run.folder} were trained in other units of their groups than those of the chip of "
            f"{file.path}: {why}: restore that in instrument.groups"
        )
    outside = np.flatnonzero(~((theta >= limits.low) & (theta <= limits.high)))
    if outside.size:
        k = int(outside[0])
        value = f"{theta[k]:.6g}" if limits.units is None else limits.said(k, float(theta[k]))
        raise ValueError(
            f"parameter {limits.name(k)} of chip {number} of {run.folder} is {value}, outside the limits "
            f"{limits.ends(k)} of the chip of {file.path} ({outside.size:,} of {theta.size:,} are outside): nothing "
            f"was sent; train within them, as with --imperfect parameter-range={limits.high[k]:g}"
        )


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
