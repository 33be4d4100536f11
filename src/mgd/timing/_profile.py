"""What one chip takes for each thing that is done to it. Nothing here imports JAX."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from .._input import nearest, read_toml

# Each event, and the count of `mgd.algorithm.Counts` that says how often it happens.
EVENTS = {
    "inference": "inferences",
    "perturbation": "perturbations",
    "write": "parameter_writes",
    "load": "sample_loads",
    "latency": "cost_measurements",
}
# So large that nothing real is refused, so small that no total is beyond what a float holds.
_LARGEST = 1e30
Amount = Annotated[float, Field(ge=0, le=_LARGEST, allow_inf_nan=False, strict=True)]
Positive = Annotated[float, Field(gt=0, le=_LARGEST, allow_inf_nan=False, strict=True)]
# TOML's 1e6 is no whole number, and people mean one.
_Meant = BeforeValidator(lambda given: int(given) if isinstance(given, float) and given.is_integer() else given)
Whole = Annotated[int, Field(ge=1, le=10**18, strict=True), _Meant]
Text = Annotated[str, Field(min_length=1, strict=True)]


class PerEvent(BaseModel):
    """Seconds, or joules, of one event of each kind.

    Attributes:
        inference: one forward pass of one sample, its readout included.
        perturbation: the perturbation on the chip changes, all parameters together.
        write: the parameter vector is written.
        load: one sample is presented.
        latency: converters and control, once per cost measurement.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    inference: Amount
    perturbation: Amount
    write: Amount
    load: Amount
    latency: Amount


class Profile(BaseModel):
    """The times of the events on a chip, and their energies, if known.

    Attributes:
        name: a short name, for tables.
        description: the chip, in one line.
        source: the source of the numbers.
        seconds: the time of each event.
        joules: the energy of each event; None if they are not known, and then no energies are reported.
        idle_watts: the power that the chip always draws, in watts; given with `joules` or not at all.
        overlap: groups of events that happen at the same time. A group takes as long as the event with the longest
            total, as if its events could always run side by side: a lower bound.
        published_step_seconds: the fixed time of a timestep in a published formula.
        one_by_one: events whose seconds and joules are those of one parameter, because parameters take turns.
        buffer: the samples that the chip keeps; a larger batch is loaded again at every measurement. None if it keeps
            any batch.
        presentation_seconds: how long a sample stays on the chip, at the most; the measurements of a presentation must
            fit within it. None if a sample stays until the next is loaded.
        noise_of: whether the noise of a cost is that of one measurement, whatever the batch, or that of one sample, of
            which a batch takes the mean.
        endurance: how often a parameter can be written; None if that is not known, or without a limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Text
    description: Text
    source: Text
    seconds: PerEvent
    joules: PerEvent | None = None
    idle_watts: Amount | None = None
    overlap: tuple[tuple[str, ...], ...] = ()
    published_step_seconds: Amount | None = None
    one_by_one: tuple[Literal["perturbation", "write"], ...] = ()
    buffer: Whole | None = None
    presentation_seconds: Positive | None = None
    noise_of: Literal["measurement", "sample"] = "measurement"
    endurance: Whole | None = None

    @field_validator("overlap")
    @classmethod
    def _check_overlap(cls, groups: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        seen = set()
        for group in groups:
            if len(group) < 2:
                raise ValueError(f"a group of one, {list(group)}, cannot overlap: name two events or more")
            for event in group:
                if event not in EVENTS:
                    raise ValueError(f"unknown event {event!r}{nearest(event, EVENTS)}; choose {', '.join(EVENTS)}")
                if event in seen:
                    raise ValueError(f"{event!r} is named twice: an event may be in only one group, and only once")
                seen.add(event)
        return groups

    @model_validator(mode="after")
    def _check_energies(self) -> Self:
        if self.joules is None and self.idle_watts is not None:
            raise ValueError("joules is missing beside idle_watts: give the table [joules], or leave both out")
        if self.joules is not None and self.idle_watts is None:
            raise ValueError(
                "idle_watts is missing beside [joules]: give watts (0 if it draws none), or leave both out"
            )
        return self

    def whole(self, n_params: int) -> "Profile":
        """The profile of a chip of that many parameters, whose events are all those of the whole vector."""
        many = dict.fromkeys(self.one_by_one, n_params)
        tables = {}
        for name in ("seconds", "joules"):
            table = getattr(self, name)
            each = {} if table is None else {event: n * getattr(table, event) for event, n in many.items()}
            tables[name] = None if table is None else table.model_copy(update=each)
        return self.model_copy(update=tables | {"one_by_one": ()})

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """The profile from a dictionary, with the structure of the TOML file.

        Raises:
            ValueError: if a field is missing, unknown, of the wrong type or out of range: one line.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            raise ValueError(_one_line(error)) from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """The profile in a TOML file.

        Raises:
            ValueError: if the file cannot be read or a field is wrong; the file is named.
        """
        fields = read_toml(path)
        try:
            return cls.of(fields)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


_TABLES = ("seconds", "joules")
_COUNTED = {"buffer": "samples", "endurance": "writes"}


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    field = str(first["loc"][-1]) if first["loc"] else ""
    unit = _unit(first["loc"])
    match first["type"]:
        case "value_error":
            # pydantic puts this before the words of our own errors.
            said = first["msg"].removeprefix("Value error, ")
            return f"{name}: {said}" if name else said
        case "extra_forbidden":
            known = PerEvent.model_fields if unit else Profile.model_fields
            return f"unknown field {name!r}{nearest(field, known)}; choose {', '.join(known)}"
        case "missing" if unit:
            return f"{name} is missing: give {unit} (0 if it takes none)"
        case "missing" if name in _TABLES:
            return f"{name} is missing: give the table [{name}] with {', '.join(EVENTS)}"
        case "missing":
            return f"{name} is missing: give a text"
    if name == "presentation_seconds":
        return f"{name} must be a number of seconds above 0, at most {_LARGEST:g}, got {first['input']!r}"
    if unit:
        return f"{name} must be a number of {unit} from 0 to {_LARGEST:g}, got {first['input']!r}"
    if name in _TABLES:
        return f"{name} must be a table [{name}] with {', '.join(EVENTS)}, got {first['input']!r}"
    if name == "noise_of":
        return f'noise_of must be "measurement" or "sample", got {first["input"]!r}'
    if name.startswith("one_by_one"):
        return f'one_by_one must be a list of "perturbation" and "write", got {first["input"]!r}'
    if name in ("buffer", "endurance"):
        return f"{name} must be a whole number of {_COUNTED[name]}, 1 or more, got {first['input']!r}"
    if name.startswith("overlap"):
        return f'overlap must be a list of groups such as [["load", "perturbation"]], got {first["input"]!r}'
    return f"{name} must be a text that is not empty, got {first['input']!r}"


def _unit(place: tuple[int | str, ...]) -> str:
    """The unit of the number at a place in a profile; empty if there is none."""
    match place:
        case (("seconds" | "joules") as table, _):
            return str(table)
        case ("published_step_seconds",):
            return "seconds"
        case ("idle_watts",):
            return "watts"
    return ""
