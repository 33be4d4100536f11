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
from ._chip_table import OwnChip, placed
from ._imperfect import Given, Imperfections
from ._names import ALGORITHMS, BASELINES, SCHEDULES
from ._onchip import circuit_of, without_said
from ._option import Option
from ._table import Table
from ._task_table import TaskTable, task_given

# Beyond this nothing can be counted or kept, and 32-bit numbers end.
Positive = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
Steps = Annotated[int, Field(ge=1, lt=2**63, strict=True)]
Tau = Annotated[int, Field(ge=1, le=2**31, strict=True)]
# What float32 holds.
Amount = Annotated[float, Field(gt=0, le=3e38, allow_inf_nan=False, strict=True)]
# With fewer, noise and learning look alike.
Windows = Annotated[int, Field(ge=32, lt=2**31, strict=True)]
_Bits = Annotated[int, Field(ge=2, le=16, strict=True)]
Accuracy = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False, strict=True)]
_Decay = Annotated[float, Field(ge=0, le=3e38, allow_inf_nan=False, strict=True)]
_Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, strict=True)]
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


class PythonRun(BaseModel, extra="forbid", frozen=True):
    """What identifies the parts of a run of a Python program, which its settings do not describe.

    Attributes:
        chip: the chip's class and number of parameters, for users.
        algorithm: the algorithm, for users.
        given: names of the arguments of `mgd.train` that were given and that settings cannot describe.
        samples: a digest of the task's samples.
        key: the key of the run.
        answers: two costs of a simulated chip at its start, by which it is recognised.
        behind_io: whether the chip is an instrument.
        pickled: a digest of the pickled arguments; None if there are none.
    """

    chip: str
    algorithm: str
    given: tuple[str, ...] = ()
    samples: str
    key: tuple[int, ...]
    answers: tuple[float, ...] = ()
    behind_io: bool = False
    pickled: str | None = None


class RunConfig(BaseModel, extra="forbid", frozen=True):
    """The settings of a run as they are given. None means not given: `resolve` fills it in.

    Attributes:
        task: the task to learn: its name, or a table of your own task.
        bits: the bits of parity.
        chip: the table of your own chip, which a function builds; None for one of the networks below.
        hidden: neurons of each hidden layer; the chip is a perceptron.
        channels: channels of each convolution; the chip is a convolutional network.
        activation: the activation of a perceptron's hidden neurons.
        output: the activation of its output neurons; None for logistic, or linear if the cost is cross-entropy.
        init: how parameters start.
        cost: mse or cross-entropy.
        label_smoothing: the label smoothing of cross-entropy.
        algorithm: discrete, analog or backprop.
        perturbation: the family.
        blocks: if given, parameters are perturbed in this many blocks, one after the other.
        baseline: the baseline with which the perturbed cost is compared.
        amplitude: Δθ of one parameter.
        modulation_limit: clamp on C̃.
        optimizer: the update rule.
        learning_rate: η on the ordinary gradient.
        schedule: how the learning rate changes over the run.
        fall_steps: timesteps over which the learning rate falls by the schedule; None for the whole run.
        fall_to: what is left of the learning rate then, as a share of it; None for nothing.
        weight_decay: the factor of θ that is added to the gradient: a leak of the weights.
        tau_p: timesteps for which a perturbation is held.
        tau_x: timesteps for which a sample is held.
        tau_theta: timesteps between updates, or the low-pass's constant.
        tau_hp: the high-pass's constant.
        batch: samples over which a measurement is averaged.
        steps: timesteps.
        replicas: chips trained side by side.
        devices: JAX devices that share the replicas, or the perturbations of one chip; None for one.
        seed: the seed of all random numbers.
        engine: the engine that simulates the chips.
        bitwise: whether simulated chips and instruments give the same bits.
        order: the order of the training samples; None for that of the task.
        log_every: timesteps between evaluations; None: evenly in the logarithm.
        until_accuracy: the run ends when the mean test accuracy of all chips is at least this, from 0 to 1.
        until_solved: the run ends when every chip has solved the task.
        patience: the run ends when nothing has improved for this many timesteps.
        stop_unlearnt: for a real chip, the run stops, as at a failure of the chip, when it has learnt nothing in this
            many windows.
        begun_for: for a run that was lengthened, the number of timesteps that were planned first.
        start: a run directory or a file whose parameters the run starts with; `:K` after it names its chip K.
        start_digest: a digest of these parameters.
        holdout: number of training samples, the last ones, that are kept out of training.
        data: folder of the images.
        imperfect: the imperfections of the chips.
        fleet: whether several chips train one set of parameters ("shared") or each its own ("own").
        record: file in which to record all exchanges with the chip, for `mgd replay`; for several chips, the start of
            the files' names.
        instrument: the table of a chip file that says how to reach a real chip, or several tables; None for simulated
            chips.
        onchip: the table of a training circuit, `mgd.onchip.Spec`, whose twin trains the chips; None for an algorithm.
        python: for a run of a Python program, what identifies its parts; None for all others.
    """

    task: str | TaskTable
    bits: Annotated[_Bits | None, Option("Bits of parity.")] = None
    hidden: Annotated[
        Sizes | None, Option("Neurons of each hidden layer; the chip is a perceptron.", metavar="N[,N…]")
    ] = None
    channels: Annotated[Sizes | None, Option("Channels of each convolution; the chip is a CNN.", metavar="N[,N…]")] = (
        None
    )
    activation: Activation | None = None
    output: Output | None = None
    init: Init | None = None
    cost: Cost | None = None
    label_smoothing: Smoothing | None = None
    algorithm: Annotated[str | None, Option("The algorithm that turns costs into updates.")] = None
    perturbation: Annotated[str | None, Option("Family of the perturbation.")] = None
    blocks: Annotated[Positive | None, Option("Perturb the parameters in this many blocks, one at a time.")] = None
    baseline: Annotated[str | None, Option("Baseline with which the perturbed cost is compared.")] = None
    amplitude: Annotated[Amount | None, Option("Size of one parameter's perturbation.")] = None
    modulation_limit: Annotated[Amount | None, Option("Clamp on the change in cost.")] = None
    optimizer: Annotated[str | None, Option("The update rule.")] = None
    learning_rate: Annotated[
        Amount | None, Option("Learning rate on the ordinary gradient; without --optimizer, of plain descent.")
    ] = None
    schedule: Annotated[str | None, Option("How the learning rate changes over the run.")] = None
    fall_steps: Annotated[Steps | None, Option("Timesteps over which a cosine falls; by default the whole run.")] = None
    fall_to: Annotated[_Share | None, Option("Share of the learning rate that is left by a cosine; by default 0.")] = (
        None
    )
    weight_decay: Annotated[_Decay | None, Option("Leak of the parameters, per update and learning rate.")] = None
    tau_p: Annotated[Tau | None, Option("Timesteps for which a perturbation is held.")] = None
    tau_x: Annotated[Tau | None, Option("Timesteps for which a sample is held.")] = None
    tau_theta: Annotated[Tau | None, Option("Timesteps between parameter updates.")] = None
    tau_hp: Annotated[_Constant | None, Option("Time constant of the high-pass.")] = None
    batch: Annotated[Positive | None, Option("Samples over which a measurement is averaged.")] = None
    steps: Annotated[Steps | None, Option("Timesteps of the run.")] = None
    # Whether they fit in memory is checked later.
    replicas: Annotated[Steps | None, Option("Chips trained side by side.")] = None
    devices: Annotated[
        Positive | None, Option("JAX devices, or cores, that share the replicas or one chip's perturbations.")
    ] = None
    seed: Annotated[_Seed | None, Option("Seed of all random numbers.")] = None
    engine: Annotated[str | None, Option("The engine that simulates the chips.")] = None
    bitwise: Annotated[
        _Truth | None, Option("Give the same bits in simulation and on a real chip; slower for small chips.")
    ] = None
    order: Annotated[Literal["shuffled", "sequential"] | None, Option("Order of the training samples.")] = None
    log_every: Annotated[
        Steps | None, Option("Timesteps between evaluations; by default evenly spaced in the logarithm.")
    ] = None
    until_accuracy: Annotated[
        Accuracy | None, Option("End when the mean test accuracy of all chips is at least this, such as 0.9.")
    ] = None
    until_solved: Annotated[_Truth | None, Option("End when every chip has solved the task.")] = None
    patience: Annotated[Steps | None, Option("End when nothing has improved for this many timesteps.")] = None
    stop_unlearnt: Annotated[
        Windows | None,
        Option("Stop with exit code 4 when a real chip has learnt nothing in this many windows, 32 or more."),
    ] = None
    begun_for: Steps | None = None
    start: Annotated[
        str | None,
        Option("Start with the parameters of a run (of its chip K: RUN:K) or of a file.", metavar="RUN|FILE[:K]"),
    ] = None
    start_digest: str | None = None
    holdout: Annotated[
        Positive | None, Option("Number of training samples, the last ones, to keep out of training.")
    ] = None
    data: Annotated[str | None, Option("Folder of the images.", metavar="PATH")] = None
    fleet: Annotated[
        Literal["shared", "own"] | None, Option("Whether several chips train one set of parameters or each its own.")
    ] = None
    record: str | None = None
    # Tables, which in TOML come after all that is none.
    chip: OwnChip | None = None
    imperfect: Annotated[
        Given | None,
        Option(
            "Imperfections of the chips, by the names in mgd list; may be given again.",
            metavar="NAME=VALUE[,…]",
            several=True,
        ),
    ] = None
    instrument: dict[str, Any] | tuple[dict[str, Any], ...] | None = None
    onchip: Annotated[
        dict[str, Any] | None,
        Option("TOML file of a training circuit, whose twin trains the chips in place of an algorithm.", "SPEC.toml"),
    ] = None
    python: PythonRun | None = None

    @field_validator("task", mode="before")
    @classmethod
    def _task(cls, task: Any) -> Any:
        if isinstance(task, dict):
            return TaskTable.of(task)
        if not isinstance(task, str | TaskTable):
            raise ValueError(f"give the name of a task, or a table [task], got {task!r}")
        return task

    @field_validator("onchip")
    @classmethod
    def _whole_table(cls, onchip: dict[str, Any] | None) -> dict[str, Any] | None:
        return None if onchip is None else circuit_of(onchip).table

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
        if config.python is None and isinstance(config.task, str):
            _check_name(config.task)
        for field, choices in CHOICES.items():
            value = getattr(config, field)
            if value is not None and value not in choices:
                raise ValueError(f"unknown {field} {value!r}{nearest(value, choices)}; choose {', '.join(choices)}")
        if config.hidden is not None and config.channels is not None:
            raise ValueError("a chip has hidden (perceptron) or channels (convolutional network), not both")
        if config.chip is not None:
            config.chip.check_alone([name for name in ("hidden", "channels") if getattr(config, name) is not None])
        falling = [field for field in ("fall_steps", "fall_to") if getattr(config, field) is not None]
        if falling and config.schedule == "constant":
            raise ValueError(f"a constant learning rate does not fall: leave out {falling[0]}, or give schedule cosine")
        given = [field for field in _OF_PERTURBATION if getattr(config, field) is not None]
        if config.algorithm == "backprop" and given:
            raise ValueError(f"backprop perturbs and measures nothing: leave out {', '.join(given)}")
        return config

    @classmethod
    def read(cls, path: Path, changes: dict[str, Any] | None = None, chip: dict[str, Any] | None = None) -> Self:
        """The settings in a TOML file, with changes.

        Args:
            path: the file.
            changes: settings that override the file's.
            chip: the settings of a chip, in place of the file's.

        Raises:
            ValueError: if the file cannot be read or a setting is wrong; the file is named.
        """
        settings = read_toml(path)
        try:
            settings = settings_in(settings, path.parent)
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
        own = () if isinstance(self.task, str) else (self.task.code,)
        chip = () if self.chip is None else (self.chip.code,)
        return (*self.instruments, *(table for table in (*own, *chip) if table))

    @property
    def method(self) -> str:
        """The algorithm and its perturbation, for people."""
        if self.python is not None:
            return self.python.algorithm
        if self.onchip is not None:
            return f"training circuit, {self.onchip['code']}"
        return ", ".join(name for name in (self.algorithm, self.perturbation) if name)

    def identity(self) -> str:
        """A digest of all that the outcome depends on: two runs with the same digest give the same bits."""
        # A run that is lengthened stays the same run.
        steps = {"steps": self.begun_for or self.steps, "begun_for": None}
        places: dict[str, Any] = {"data": None, "record": None, "instrument": None, "start": None}
        if not isinstance(self.task, str):
            places["task"] = self.task.anywhere
        if self.chip is not None:
            places["chip"] = self.chip.anywhere
        text = self.model_copy(update=steps | places).toml()
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


def settings_in(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The settings of a file in this folder, to which its paths are relative.

    Raises:
        ValueError: if its table of a task is wrong.
    """
    found = dict(settings)
    if isinstance(found.get("task"), dict):
        found["task"] = TaskTable.of(found["task"]).placed(folder)
    if isinstance(found.get("chip"), dict):
        found["chip"] = placed(found["chip"], folder)
    return found


_NETWORK = ("hidden", "channels", "activation", "output", "init", "cost", "label_smoothing")
CHIP = ("chip", *_NETWORK, "imperfect", "instrument")


def merged(settings: dict[str, Any], changes: dict[str, Any], chip: dict[str, Any] | None = None) -> dict[str, Any]:
    """Settings with changes; each imperfection changes by itself.

    Args:
        settings: valid settings.
        changes: settings that override them.
        chip: a whole chip, in place of that of the settings; the changes override it too.
    """
    if chip is not None:
        settings = {name: value for name, value in settings.items() if name not in CHIP} | chip
        for kind, other in (("hidden", "channels"), ("channels", "hidden")):
            if kind in changes:  # another kind of chip than the file's
                settings.pop(other, None)
    if "onchip" in changes and settings.get("onchip"):  # what the circuit before said is not said by this one
        settings = without_said(settings)
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
