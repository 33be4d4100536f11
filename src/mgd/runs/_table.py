"""The table of a chip file that says where a real chip is: read once, with each default here. No JAX is imported."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from .._input import first_error
from ..instruments import GIVE_UP_SECONDS, checked_range, common_amplitude, for_each, groups_of
from ._after import SAFE, Left, check_after, check_fits, parameters_after

if TYPE_CHECKING:
    from ..instruments import AbstractInstrument, Group

_Text = Annotated[str, Field(min_length=1, strict=True)]
_Patience = Annotated[float, Field(gt=0, le=1e7, allow_inf_nan=False, strict=True)]
_Many = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
# What is put into an instrument's table beside what its file says there.
_ADDED = ("folder", "chip_inputs", "chip_outputs", "chip_network")


# The kinds that take limits of each parameter, and how far what is read back may be off.
_TAKE_LIMITS, _READ_BACK = ("scpi", "spice"), ("scpi",)


class InstrumentTable(BaseModel):
    """What instruments of every kind have; all else is the kind's own.

    Attributes:
        kind: as `mgd instruments` lists it.
        serial: that the chip must have.
        start: parameters at the start: "network", those of the network of [chip], or how far from the middle.
        at_limit: whether a parameter that would leave its limits ends the run or stops short of them.
        after: how it is left after a run that came to its end: in its safe state ("safe"), with what it learnt
            ("keep"), or with the parameters of a file. Before, it was called at_end, which is still read.
        give_up_seconds: how long it may fail to answer.
        leave_seconds: that its safe state may take; by default what the kind says.
        guardian: whether a process of its own makes the chip safe if the trainer ends without doing so.
        believable: the lowest and the highest reading that can be, of the cost, or of the outputs of a chip that gives
            these alone.
        test_samples: how many samples of a test set it is shown.
        calibration: path of what `mgd calibrate` wrote.
        groups: parameters of different kinds, a table for each group; see `mgd.instruments.Group`.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: _Text
    serial: _Text | None = None
    start: Literal["network"] | Annotated[float, Field(ge=0, le=3e38, allow_inf_nan=False, strict=True)] | None = None
    at_limit: Literal["stop", "saturate"] = "stop"
    after: Annotated[_Text, AfterValidator(check_after)] = SAFE
    give_up_seconds: _Patience = GIVE_UP_SECONDS
    leave_seconds: _Patience | None = None
    guardian: Annotated[bool, Field(strict=True)] = False
    believable: tuple[float, float] | None = None
    test_samples: _Many = 500
    calibration: _Text | None = None
    groups: Annotated[dict[str, Any], Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_before(cls, given: Any) -> Any:
        """Chip files and runs of old versions have `at_end`."""
        if not isinstance(given, Mapping) or "at_end" not in given:
            return given
        if "after" in given:
            raise ValueError("after and at_end are the same setting: give after alone")
        return {"after" if name == "at_end" else name: value for name, value in given.items()}

    @field_validator("believable", mode="before")
    @classmethod
    def _range(cls, given: Any) -> Any:
        return None if given is None else checked_range(given)


@dataclass(frozen=True)
class Table:
    """The table of a real chip: the settings common to all kinds of instruments, and the kind's own.

    Attributes:
        common: the settings of every kind of instrument, with defaults.
        own: the kind's own settings.
        folder: the folder to which paths in it are relative.
        inputs: shape of one input of the chip, if given.
        outputs: number of its outputs, if given.
        is_network: whether the file also describes the chip's network.
        groups: the groups of its parameters, by name.
    """

    common: InstrumentTable
    own: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    inputs: list[int] | None = None
    outputs: int | None = None
    is_network: bool = False
    groups: Mapping[str, "Group"] = field(default_factory=dict)

    @staticmethod
    def of(table: Mapping[str, Any]) -> "Table":
        """The table from settings.

        Raises:
            ValueError: if a setting common to all kinds is wrong.
        """
        try:
            read = InstrumentTable(**{name: value for name, value in table.items() if name not in _ADDED})
        except ValidationError as error:
            raise ValueError(f"instrument: {first_error(error, list(InstrumentTable.model_fields))}") from None
        folder = table.get("folder", ".")
        if not isinstance(folder, str):
            raise ValueError(f"instrument: folder must be a path, got {folder!r}")
        own = dict(read.model_extra or {})
        groups = groups_of(read.groups or {})
        if "resource" in (read.groups or {}):
            raise ValueError("instrument.groups is the table of groups of parameters: give the instrument another name")
        is_network = bool(table.get("chip_network"))
        return Table(read, own, Path(folder), table.get("chip_inputs"), table.get("chip_outputs"), is_network, groups)

    @property
    def calibration(self) -> Path | None:
        """The path of the calibration, if the table names one."""
        return None if self.common.calibration is None else self.folder / self.common.calibration

    @property
    def needs_network(self) -> bool:
        """Whether the file describes a network, or training should start as one."""
        return self.is_network or self.common.start == "network"

    def load(self) -> "AbstractInstrument":
        """The instrument, not yet open.

        Raises:
            ValueError: if a setting is wrong.
        """
        from ..instruments import check_outlives, in_groups, load_instrument

        if self.common.guardian:
            check_outlives(self.common.kind)
        instrument = load_instrument(self.common.kind, self._own_with_groups(), self.folder)
        if self.common.believable is not None:
            low, high = instrument.believable = self.common.believable
            if within := [each for each in instrument.no_number if low <= each <= high]:
                raise ValueError(
                    f"instrument.believable: {within[0]:g} is within {low:g} … {high:g}, and replies.no_number says "
                    "that it stands for no reading: make the range smaller, or leave the number out"
                )
        if self.groups:
            instrument = in_groups(instrument, self.groups)
        if self.common.leave_seconds is not None:
            if self.common.leave_seconds <= instrument.ramp_seconds:
                raise ValueError(
                    f"instrument.leave_seconds is {self.common.leave_seconds:g}, and to ramp the parameters takes up "
                    f"to {instrument.ramp_seconds:.3g} s (ramp_per_second): give more, or leave it out"
                )
            instrument.leave_seconds = self.common.leave_seconds
        return instrument

    @property
    def amplitude(self) -> float | None:
        """The Δθ that gives each group its amplitude; None if no group says one."""
        return common_amplitude(self.groups)

    def _own_with_groups(self) -> dict[str, Any]:
        """The kind's own settings, with the limits and the read-back that groups say."""
        own, kind = dict(self.own), self.common.kind
        if limited := [name for name, group in self.groups.items() if group.low is not None or group.high is not None]:
            own = self._limited(own, limited[0])
        said = [name for name, group in self.groups.items() if group.verify_within is not None]
        if not said:
            return own
        where = f"instrument.groups.{said[0]}.verify_within"
        if kind not in _READ_BACK or self._has_several:
            raise ValueError(
                f"{where} is for one instrument of the kind scpi, and several have theirs in [instrument.NAME]: leave "
                "it out"
            )
        within = for_each(self.groups, "verify_within", own.get("verify_within", 0.0))
        if within is None or own.get("n_params", len(within)) != len(within):
            raise ValueError(f"{where} needs groups that have every parameter: give first and last to all")
        return own | {"verify_within": within}

    @property
    def _has_several(self) -> bool:
        """Whether there are tables of several instruments."""
        return any(isinstance(table, Mapping) and "resource" in table for table in self.own.values())

    def _limited(self, own: dict[str, Any], name: str) -> dict[str, Any]:
        """The kind's own settings, with the limits of groups."""
        where = f"instrument.groups.{name}: low and high"
        if self.common.kind not in _TAKE_LIMITS or self._has_several:
            there = "[instrument.NAME.limits]" if self._has_several else "the limits of the instrument itself"
            raise ValueError(f"{where} of this instrument are given in {there}: leave them out")
        given = own.get("limits", {})
        if not isinstance(given, Mapping) or {"low", "high"} & given.keys():
            raise ValueError(f"{where} are given in [instrument.limits] too: give them once")
        low, high = (for_each(self.groups, end) for end in ("low", "high"))
        if low is None or high is None:
            raise ValueError(
                f"{where} need groups that have every parameter: give first and last, low and high to all of them"
            )
        if own.get("n_params", len(low)) != len(low):
            raise ValueError(
                f"instrument.n_params is {own['n_params']}, and instrument.groups have parameters 0 to {len(low) - 1}: "
                "give groups for all of them"
            )
        count = {"n_params": len(low)} if self.common.kind == "scpi" else {}
        return own | count | {"limits": {**given, "low": low, "high": high}}

    def after(self, instrument: "AbstractInstrument") -> Left | None:
        """The parameters of a file with which a chip is to be left; None if it is not.

        Args:
            instrument: made by `load`.

        Raises:
            ValueError: if they cannot be read, or the chip is known not to take them.
        """
        left = parameters_after(self.common.after, self.folder)
        if left is not None and instrument.declared:
            check_fits(left, instrument)
        return left

    def check_fits(self, task: str, input_shape: tuple[int, ...], n_outputs: int) -> None:
        """Raises: ValueError: if the chip has other inputs or outputs than a task."""
        for name, mine, theirs in (
            ("inputs", self.inputs, list(input_shape)),
            ("outputs", self.outputs, n_outputs),
        ):
            if mine is not None and mine != theirs:
                raise ValueError(f"chip.{name} is {mine}, and {task} has {theirs}: correct it, or take another task")
