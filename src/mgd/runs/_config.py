"""A run's settings, as they stand in TOML. Nothing here imports JAX."""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from .._input import first_error, nearest, read_toml
from ..datasets import check_name
from ..engines import ENGINES
from ._imperfect import Imperfections
from ._names import ALGORITHMS, BASELINES, IMPERFECTIONS, OPTIMIZERS, PERTURBATIONS, SCHEDULES

# Beyond this nothing can be counted or kept, and 32-bit numbers end.
Positive = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
Steps = Annotated[int, Field(ge=1, lt=2**63, strict=True)]
Tau = Annotated[int, Field(ge=1, le=2**31, strict=True)]
# What float32 holds.
Amount = Annotated[float, Field(gt=0, le=3e38, allow_inf_nan=False, strict=True)]
Sizes = tuple[Positive, ...]
Activation = Literal["logistic", "tanh", "relu"]
Init = Literal["uniform", "glorot"]
Cost = Literal["mse", "cross-entropy"]
Smoothing = Annotated[float, Field(ge=0, le=1, strict=True)]
_CHOICES = {
    "algorithm": ALGORITHMS,
    "perturbation": PERTURBATIONS,
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


class RunConfig(BaseModel):
    """Every setting of a run. What is None is the task's default, filled in by `resolve`.

    Attributes:
        task: what is learnt.
        bits: of parity.
        hidden: neurons of each hidden layer: makes the chip a perceptron.
        channels: of each convolution: makes the chip a convolutional network.
        activation: of a perceptron's hidden neurons.
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
        log_every: timesteps between evaluations; None: evenly in the logarithm.
        holdout: the last so many training samples are kept out of training.
        data: folder of the images.
        imperfect: what is imperfect about the chips.
        fleet: whether several chips train one set of parameters ("shared") or each its own ("own").
        record: file to record all exchanges with the chip in, for `mgd replay`; of several, the start of their names.
        instrument: the table of a chip file that says where a real chip is, or those of several; None for simulated
            ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    bits: Annotated[int, Field(ge=2, le=16, strict=True)] | None = None
    hidden: Sizes | None = None
    channels: Sizes | None = None
    activation: Activation | None = None
    init: Init | None = None
    cost: Cost | None = None
    label_smoothing: Smoothing | None = None
    algorithm: str | None = None
    perturbation: str | None = None
    blocks: Positive | None = None
    baseline: str | None = None
    amplitude: Amount | None = None
    modulation_limit: Amount | None = None
    optimizer: str | None = None
    learning_rate: Amount | None = None
    schedule: str | None = None
    weight_decay: Annotated[float, Field(ge=0, le=3e38, allow_inf_nan=False, strict=True)] | None = None
    tau_p: Tau | None = None
    tau_x: Tau | None = None
    tau_theta: Tau | None = None
    tau_hp: Annotated[float, Field(gt=0, le=2**31, allow_inf_nan=False, strict=True)] | None = None
    batch: Positive | None = None
    steps: Steps | None = None
    replicas: Steps | None = None  # how many fit in memory is told later
    devices: Positive | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32, strict=True)] | None = None
    engine: str | None = None
    bitwise: Annotated[bool, Field(strict=True)] | None = None
    log_every: Steps | None = None
    holdout: Positive | None = None
    data: str | None = None
    fleet: Literal["shared", "own"] | None = None
    record: str | None = None
    # A table, which in TOML comes after all that is none.
    imperfect: Imperfections | None = None
    instrument: dict[str, Any] | tuple[dict[str, Any], ...] | None = None

    @field_validator("imperfect")
    @classmethod
    def _none_is_none(cls, imperfect: Imperfections | None) -> Imperfections | None:
        return imperfect if imperfect and imperfect.model_fields_set else None

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
        check_name(config.task)
        for field, choices in _CHOICES.items():
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
    def method(self) -> str:
        """The algorithm and its perturbation, for people."""
        return ", ".join(name for name in (self.algorithm, self.perturbation) if name)

    def identity(self) -> str:
        """A digest of all that the outcome depends on: two runs with the same one give the same bits."""
        text = self.model_copy(update={"data": None, "record": None, "instrument": None}).toml()
        return hashlib.sha256(text.encode()).hexdigest()

    def toml(self) -> str:
        """These settings as TOML, without those that are None."""
        return tomli_w.dumps(self.model_dump(exclude_none=True, mode="json", by_alias=True))


CHIP = ("hidden", "channels", "activation", "init", "cost", "label_smoothing", "imperfect", "instrument")


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
    if "imperfect" in settings and "imperfect" in changes:
        both["imperfect"] = settings["imperfect"] | changes["imperfect"]
    return both


def one_line(error: ValidationError, fields: list[str]) -> str:
    """What is wrong with settings, of these names, in one line."""
    first = error.errors()[0]
    *tables, last = (str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden" and tables == ["imperfect"]:
        choices = ", ".join(IMPERFECTIONS)
        return f"unknown imperfection {last!r}{nearest(last, IMPERFECTIONS) or ';'} choose {choices}"
    return first_error(error, fields)
