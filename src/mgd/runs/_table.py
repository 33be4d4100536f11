"""The table of a chip file that says where a real chip is: read once, with each default here. No JAX is imported."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from jaxtyping import Float
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
from ..instruments import GIVE_UP_SECONDS, checked_range
from ._after import SAFE, check_after, check_fits, parameters_after

if TYPE_CHECKING:
    from ..instruments import AbstractInstrument

_Text = Annotated[str, Field(min_length=1, strict=True)]
_Patience = Annotated[float, Field(gt=0, le=1e7, allow_inf_nan=False, strict=True)]
_Many = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
# What is put into an instrument's table beside what its file says there.
_ADDED = ("folder", "chip_inputs", "chip_outputs", "chip_network")


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
    """

    common: InstrumentTable
    own: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()
    inputs: list[int] | None = None
    outputs: int | None = None
    is_network: bool = False

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
        is_network = bool(table.get("chip_network"))
        return Table(read, own, Path(folder), table.get("chip_inputs"), table.get("chip_outputs"), is_network)

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
        from ..instruments import check_outlives, load_instrument

        if self.common.guardian:
            check_outlives(self.common.kind)
        instrument = load_instrument(self.common.kind, dict(self.own), self.folder)
        if self.common.leave_seconds is not None:
            instrument.leave_seconds = self.common.leave_seconds
        if self.common.believable is not None:
            _check_signs(self.own, self.common.believable)
            instrument.believable = self.common.believable
        return instrument

    def after(self, instrument: "AbstractInstrument") -> Float[np.ndarray, " p"] | None:
        """The parameters of a file with which a chip is to be left; None if it is not.

        Args:
            instrument: made by `load`.

        Raises:
            ValueError: if they cannot be read, or the chip is known not to take them.
        """
        theta = parameters_after(self.common.after, self.folder)
        if theta is not None and instrument.declared:
            check_fits(theta, instrument)
        return theta

    def check_fits(self, task: str, input_shape: tuple[int, ...], n_outputs: int) -> None:
        """Raises: ValueError: if the chip has other inputs or outputs than a task."""
        for name, mine, theirs in (
            ("inputs", self.inputs, list(input_shape)),
            ("outputs", self.outputs, n_outputs),
        ):
            if mine is not None and mine != theirs:
                raise ValueError(f"chip.{name} is {mine}, and {task} has {theirs}: correct it, or take another task")


def _check_signs(own: Mapping[str, Any], believable: tuple[float, float]) -> None:
    """Raises: ValueError: if a number that stands for no reading is one that is to be believed.

    Args:
        own: the checked settings of a kind of instrument; with a table for each if there are several.
        believable: the lowest and the highest reading.
    """
    several = {f"instrument.{name}": each for name, each in own.items() if isinstance(each, Mapping)}
    for where, table in {"instrument": own, **several}.items():
        replies, commands = table.get("replies", {}), table.get("commands", {})
        if table is not own and not (commands.get("cost") or commands.get("outputs")):
            continue
        for none in replies.get("no_number", ()):
            if isinstance(none, int | float):
                reading = replies.get("scale", 1.0) * none + replies.get("offset", 0.0)
                if believable[0] <= reading <= believable[1]:
                    raise ValueError(
                        f"{where}.replies.no_number: {none:g} stands for no reading, and is within believable = "
                        f"{list(believable)}: narrow that, or leave it out"
                    )
