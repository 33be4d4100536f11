"""A run's settings, as they stand in TOML. Nothing here imports JAX."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import BaseModel, Field, ValidationError, field_validator

from .._input import first_error, nearest, read_toml
from ..datasets import check_name
from ..engines import ENGINES
from ..rows import FAMILIES, IMPERFECTIONS, OPTIMIZERS, TASKS
from ._imperfect import Given, Imperfections
from ._names import ALGORITHMS, BASELINES, SCHEDULES
from ._option import Option
from ._table import Table
from ._task_table import TaskTable, task_given

# Beyond this nothing can be counted or kept, and 32-bit numbers end.
Positive = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
Steps = Annotated[int, Field(ge=1, lt=2**63, strict=True)]
Tau = Annotated[int, Field(ge=1, le=2**31, strict=True)]
# What float32 holds.
Amount = Annotated[float, Field(gt=0, le=3e38, allow_inf_nan=False, strict=True)]
_Bits = Annotated[int, Field(ge=2, le=16, strict=True)]
_Decay = Annotated[float, Field(ge=0, le=3e38, allow_inf_nan=False, strict=True)]
_Constant = Annotated[float, Field(gt=0, le=2**31, allow_inf_nan=False, strict=True)]
_Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
_Truth = Annotated[bool, Field(strict=True)]
Sizes = tuple[Positive, ...]
Activation = Literal["logistic", "tanh", "relu"]
Output = Literal["logistic", "tanh", "relu", "linear"]
Init = Literal["uniform", "glorot"]
Cost = Literal["mse", "cross-entropy"]
Smoothing = Annotated[float, Field(ge=0, le=1, strict=True)]
CHOICES = {
    "algorithm": ALGORITHMS,
    "perturbation": FAMILIES,
    "baseline": BASELINES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "engine": ENGINES,
}


# Settings that mean nothing to backprop.
_OF_PERTURBATION = (
    "perturbation",
    "blocks",
    "baseline",
    "amplitude",
    "modulation_limit",
    "tau_p",
    "tau_x",
    "tau_theta",
    "tau_hp",
    "bitwise",
)


class RunConfig(BaseModel, extra="forbid", frozen=True):
    """The settings of a run as they are given. What is None was not: `resolve` fills it in.

    Attributes:
        task: what is learnt: a task by its name, or the table of one's own.
        bits: of parity.
        hidden: neurons of each hidden layer: makes the chip a perceptron.
        channels: of each convolution: makes the chip a convolutional network.
        activation: of a perceptron's hidden neurons.
        output: of a perceptron's output neurons; None for logistic, or linear where the cost is cross-entropy.
        init: how parameters start.
        cost: mse or cross-entropy.
        label_smoothing: of cross-entropy.
        algorithm: discrete, analog or backprop.
        perturbation: the family.
        blocks: if given, parameters are perturbed in that many blocks, one after the other.
        baseline: what the perturbed cost is compared with.
        amplitude: Δθ of one parameter.
        modulation_limit: clamp on C̃.
        optimizer: the update rule.
        learning_rate: η on the ordinary gradient.
        schedule: how it changes over the run.
        weight_decay: added to the gradient, times θ: a leak of the weights.
        tau_p: timesteps a perturbation is held.
        tau_x: timesteps a sample is held.
        tau_theta: timesteps between updates, or the low-pass's constant.
        tau_hp: the high-pass's constant.
        batch: samples a measurement is averaged over.
        steps: timesteps.
        replicas: chips trained side by side.
        devices: JAX devices that share the replicas, or the perturbations of one chip; None for one.
        seed: everything random is drawn from it.
        engine: how it is simulated.
        bitwise: whether simulated chips and those behind I/O come to the same bits.
        order: in which training samples are presented; None for that of the task.
        log_every: timesteps between evaluations; None: evenly in the logarithm.
        holdout: the last so many training samples are kept out of training.
        data: folder of the images.
        imperfect: what is imperfect about the chips.
        fleet: whether several chips train one set of parameters ("shared") or each its own ("own").
        record: file to record all exchanges with the chip in, for `mgd replay`; of several, the start of their names.
        instrument: the table of a chip file that says where a real chip is, or those of several; None for simulated
            ones.
    """

    task: str | TaskTable
    bits: Annotated[_Bits | None, Option("Bits of parity.")] = None
    hidden: Annotated[Sizes | None, Option("Neurons of each hidden layer: a perceptron.", metavar="N[,N…]")] = None
    channels: Annotated[Sizes | None, Option("Channels of each convolution: a CNN.", metavar="N[,N…]")] = None
    activation: Activation | None = None
    output: Output | None = None
    init: Init | None = None
    cost: Cost | None = None
    label_smoothing: Smoothing | None = None
    algorithm: Annotated[str | None, Option("How costs become updates.")] = None
    perturbation: Annotated[str | None, Option("Family of the perturbation.")] = None
    blocks: Annotated[Positive | None, Option("Perturb parameters in that many blocks, one at a time.")] = None
    baseline: Annotated[str | None, Option("What the perturbed cost is compared with.")] = None
    amplitude: Annotated[Amount | None, Option("Perturbation of one parameter.")] = None
    modulation_limit: Annotated[Amount | None, Option("Clamp on the change in cost.")] = None
    optimizer: Annotated[str | None, Option("The update rule.")] = None
    learning_rate: Annotated[
        Amount | None, Option("On the ordinary gradient; without --optimizer that of plain descent.")
    ] = None
    schedule: Annotated[str | None, Option("How the learning rate changes over the run.")] = None
    weight_decay: Annotated[_Decay | None, Option("Leak of the parameters, per update and learning rate.")] = None
    tau_p: Annotated[Tau | None, Option("Timesteps a perturbation is held.")] = None
    tau_x: Annotated[Tau | None, Option("Timesteps a sample is held.")] = None
    tau_theta: Annotated[Tau | None, Option("Timesteps between parameter updates.")] = None
    tau_hp: Annotated[_Constant | None, Option("Time constant of the high-pass.")] = None
    batch: Annotated[Positive | None, Option("Samples a measurement is averaged over.")] = None
    steps: Annotated[Steps | None, Option("Timesteps.")] = None
    # How many fit in memory is told later.
    replicas: Annotated[Steps | None, Option("Chips trained side by side.")] = None
    devices: Annotated[
        Positive | None, Option("JAX devices, or cores, that share the replicas or one chip's perturbations.")
    ] = None
    seed: Annotated[_Seed | None, Option("Everything random is drawn from it.")] = None
    engine: Annotated[str | None, Option("How chips are simulated.")] = None
    bitwise: Annotated[_Truth | None, Option("Come to the same bits, simulated and in the loop; slower if small.")] = (
        None
    )
    order: Annotated[Literal["shuffled", "sequential"] | None, Option("In which training samples are presented.")] = (
        None
    )
    log_every: Steps | None = None
    holdout: Annotated[Positive | None, Option("Keep the last so many training samples out of training.")] = None
    data: Annotated[str | None, Option("Folder of the images.", metavar="PATH")] = None
    fleet: Annotated[
        Literal["shared", "own"] | None, Option("Whether several chips train one set of parameters or each its own.")
    ] = None
    record: str | None = None
    # A table, which in TOML comes after all that is none.
    imperfect: Annotated[
        Given | None,
        Option(
            "Imperfections of the chips, by the names in mgd list; may be given again.",
            metavar="NAME=VALUE[,…]",
            several=True,
        ),
    ] = None
    instrument: dict[str, Any] | tuple[dict[str, Any], ...] | None = None

    @field_validator("task", mode="before")
    @classmethod
    def _task(cls, task: Any) -> Any:
        if isinstance(task, dict):
            return TaskTable.of(task)
        if not isinstance(task, str | TaskTable):
            raise ValueError(f"give the name of a task, or a table [task], got {task!r}")
        return task

    @field_validator("imperfect")
    @classmethod
    def _none_is_none(cls, imperfect: Imperfections | None) -> Imperfections | None:
        return imperfect or None

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Self:
        """The settings of a dictionary.

        Raises:
            ValueError: if one is unknown, of the wrong type or out of range: one line.
        """
        try:
            config = cls(**settings)
        except ValidationError as error:
            raise ValueError(one_line(error, list(cls.model_fields))) from None
        if isinstance(config.task, str):
            _check_name(config.task)
        for field, choices in CHOICES.items():
            value = getattr(config, field)
            if value is not None and value not in choices:
                raise ValueError(f"unknown {field} {value!r}{nearest(value, choices)}; choose {', '.join(choices)}")
        if config.hidden is not None and config.channels is not None:
            raise ValueError("a chip has hidden (perceptron) or channels (convolutional network), not both")
        given = [field for field in _OF_PERTURBATION if getattr(config, field) is not None]
        if config.algorithm == "backprop" and given:
            raise ValueError(f"backprop perturbs and measures nothing: leave out {', '.join(given)}")
        return config

    @classmethod
    def read(cls, path: Path, changes: dict[str, Any] | None = None, chip: dict[str, Any] | None = None) -> Self:
        """The settings in a TOML file, some of them changed.

        Args:
            path: the file.
            changes: settings that go before the file's.
            chip: a chip as `read_chip` gives it, in place of the file's.

        Raises:
            ValueError: if the file cannot be read or a setting is wrong; the file is named.
        """
        settings = read_toml(path)
        try:
            if isinstance(settings.get("task"), dict):
                settings["task"] = TaskTable.of(settings["task"]).placed(path.parent)
            config = cls.of(settings)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        return cls.of(merged(settings, changes or {}, chip)) if changes or chip else config

    @property
    def instruments(self) -> tuple[dict[str, Any], ...]:
        """The tables of all real chips; none if chips are simulated."""
        if self.instrument is None:
            return ()
        return (self.instrument,) if isinstance(self.instrument, dict) else self.instrument

    @property
    def task_name(self) -> str:
        """What the task is called."""
        return self.task if isinstance(self.task, str) else self.task.name

    @property
    def code(self) -> tuple[dict[str, Any], ...]:
        """The tables that may name code of the user's."""
        own = {} if isinstance(self.task, str) else self.task.code
        return (*self.instruments, own) if own else self.instruments

    @property
    def method(self) -> str:
        """The algorithm and its perturbation, for people."""
        return ", ".join(name for name in (self.algorithm, self.perturbation) if name)

    def identity(self) -> str:
        """A digest of all that the outcome depends on: two runs with the same one give the same bits."""
        where: dict[str, Any] = {"data": None, "record": None, "instrument": None}
        if not isinstance(self.task, str):
            where["task"] = self.task.anywhere
        text = self.model_copy(update=where).toml()
        return hashlib.sha256(text.encode()).hexdigest()

    def toml(self) -> str:
        """These settings as TOML, without those that are None."""
        return tomli_w.dumps(self.model_dump(exclude_none=True, mode="json", by_alias=True))


class Settings(RunConfig, frozen=True):
    """The settings of a run as it is made: those that were given, and a default for each that was not.

    What is still None is left out on purpose: there are no blocks, no clamp, no imperfections, and for backprop no
    perturbation.

    Attributes:
        perturbed: how costs are made to tell a gradient; None for backprop.
    """

    algorithm: str = Field(...)
    activation: Activation = Field(...)
    init: Init = Field(...)
    cost: Cost = Field(...)
    optimizer: str = Field(...)
    learning_rate: Amount = Field(...)
    schedule: str = Field(...)
    weight_decay: _Decay = Field(...)
    batch: Positive = Field(...)
    steps: Steps = Field(...)
    replicas: Steps = Field(...)
    seed: _Seed = Field(...)
    engine: str = Field(...)

    @property
    def perturbed(self) -> "Perturbed | None":
        if self.algorithm == "backprop":
            return None
        values = {name: getattr(self, name) for name in Perturbed.__dataclass_fields__}
        if missing := [name for name, value in values.items() if value is None]:
            raise ValueError(f"the setting {missing[0]!r} is needed and was not given")
        return Perturbed(**values)

    @property
    def tables(self) -> "tuple[Table, ...]":
        """Where all real chips are; none if chips are simulated."""
        return tuple(map(Table.of, self.instruments))


@dataclass(frozen=True)
class Perturbed:
    """The part of resolved settings that is about perturbations, by the names they have there."""

    perturbation: str
    baseline: str
    amplitude: float
    tau_p: int
    tau_x: int
    tau_theta: int
    tau_hp: float


CHIP = ("hidden", "channels", "activation", "output", "init", "cost", "label_smoothing", "imperfect", "instrument")


def merged(settings: dict[str, Any], changes: dict[str, Any], chip: dict[str, Any] | None = None) -> dict[str, Any]:
    """Settings, some of them changed; imperfections one by one.

    Args:
        settings: right ones.
        changes: what goes before them.
        chip: a whole chip, in place of that of the settings; the changes go before it too.
    """
    if chip is not None:
        settings = {name: value for name, value in settings.items() if name not in CHIP} | chip
        for kind, other in (("hidden", "channels"), ("channels", "hidden")):
            if kind in changes:  # another kind of chip than the file's
                settings.pop(other, None)
    both = settings | changes
    if isinstance(changes.get("task"), dict) and "task" in settings:
        both["task"] = _changed(settings["task"], changes["task"])
    if "imperfect" in settings and "imperfect" in changes:
        both["imperfect"] = settings["imperfect"] | changes["imperfect"]
    return both


def _changed(task: Any, changes: dict[str, Any]) -> dict[str, Any]:
    """The table of a task of one's own, some of its settings changed.

    Raises:
        ValueError: if the task is one by its name.
    """
    if isinstance(task, str):
        raise ValueError(f"{', '.join(changes)} is of data of your own, and {task} is a task by its name: leave it out")
    table = task.model_dump(exclude_none=True) if isinstance(task, TaskTable) else dict(task)
    return table | changes


def _check_name(task: str) -> None:
    """Raises: ValueError: if no task is called that; a path has a table of its own."""
    if task not in TASKS and isinstance(task_given(task), dict):
        raise ValueError(
            f"no task is called {task!r}: for a file or function of yours give a table, [task] with path or build"
        )
    check_name(task)


def one_line(error: ValidationError, fields: list[str]) -> str:
    """What is wrong with settings, of these names, in one line."""
    first = error.errors()[0]
    *tables, last = (str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden" and tables == ["imperfect"]:
        choices = ", ".join(IMPERFECTIONS)
        return f"unknown imperfection {last!r}{nearest(last, IMPERFECTIONS) or ';'} choose {choices}"
    return first_error(error, fields)
