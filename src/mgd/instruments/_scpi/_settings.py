"""Settings of an instrument that speaks SCPI, as they stand in a chip file. Nothing here imports JAX."""

import inspect
import string
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..._input import first_error
from .._wire import Framing
from ._dialect import (
    BlockSettings,
    LineSettings,
    Number,
    NumberSettings,
    ReplySettings,
    Seconds,
    Text,
    Truth,
    Whole,
)
from ._transports import ends_by_itself

Above0 = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False, strict=True)]
Channels = Annotated[tuple[Annotated[int, Field(strict=True)] | Text, ...], Field(min_length=1)]

# What a command may have in it, and whether it needs it: all numbers in one command, or a command for each channel.
_ALL, _EACH = {"data": True, "channels": False}, {"channel": True, "value": True}
_SHAPED = {"data": True, "shape": False}
_PLACEHOLDERS: dict[str, tuple[dict[str, bool], ...]] = {
    "format": ({"format": True},),
    "set": (_ALL, _EACH),
    "readback": ({"channels": False}, {"channel": True}),
    "perturb": (_ALL, _EACH),
    "input": (_SHAPED | _ALL, _EACH),
    "input_readback": ({}, {"channel": True}),
    "target": (_SHAPED,),
    "batch": (_SHAPED,),
}


class Commands(BaseModel):
    """The chip's own words for what is asked of it; "" for what it lacks. The defaults are the virtual chip's.

    `{data}` becomes numbers, a block or text; `{shape}` their shape, such as `64,49`; `{format}` ASC or REAL. An
    instrument that takes one number in a command has `{channel}` and `{value}`: the command is sent for each channel.
    `{channels}` beside `{data}` becomes a list of all channels.

    `input_readback` gives the inputs as they were presented. `counter` gives the number of the last measurement, which
    goes up by one with each `cost`, `outputs` and `batch`, and is asked with them in the same message.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    needed: ClassVar[tuple[str, ...]] = ("set", "safe")

    identify: Text = "*IDN?"
    reset: Text = "*RST;*CLS"
    error: Text = "SYST:ERR?"
    format: Text = "FORM {format}"
    count: Text = "PAR:COUN?"
    limits: Text = "PAR:LIM?"
    set: Text = "PAR:DATA {data}"
    readback: Text = "PAR:DATA?"
    perturb: Text = "PERT:DATA {data}"
    input: Text = "INP:SHAP {shape};:INP:DATA {data}"
    input_readback: Text = ""
    target: Text = "TARG:DATA {data}"
    cost: Text = "MEAS:COST?"
    outputs: Text = "MEAS:OUTP?"
    batch: Text = "MEAS:BATC? {data}"
    counter: Text = ""
    safe: Text = "SYST:SAFE"

    @model_validator(mode="before")
    @classmethod
    def _no_batch_of_perturbations(cls, given: Any) -> Any:
        """The virtual chip's batch is one of perturbations, which a chip without lines for them cannot mean."""
        if isinstance(given, dict) and given.get("perturb") == "":
            return {"batch": ""} | given
        return given

    @field_validator("*")
    @classmethod
    def _check(cls, command: str, info: Any) -> str:
        name = info.field_name
        if not command:
            if name in cls.needed:
                raise ValueError("a chip cannot be used without it: give its command")
            return command
        if "\n" in command or not command.isascii():
            raise ValueError(f"a command is one line of ASCII, got {command!r}")
        try:
            parsed = list(string.Formatter().parse(command))
        except ValueError as error:
            raise ValueError(f"{error} in {command!r}; write {{{{ for a brace") from None
        fields = [field for _, field, _, _ in parsed if field is not None]
        if any(form or conversion for _, _, form, conversion in parsed):
            raise ValueError(f"what is in braces is a name alone, without a format, got {command!r}")
        ways = _PLACEHOLDERS.get(name, ({},))
        known = [field for way in ways for field in way]
        unknown = [field for field in fields if field not in known]
        if unknown:
            there = ", ".join(f"{{{field}}}" for field in known) or "none"
            raise ValueError(f"this command cannot have {{{unknown[0]}}}, only {there}, got {command!r}")
        way = next((each for each in ways if each.keys() >= set(fields)), None)
        if way is None:
            raise ValueError(f"this command has all numbers, {{data}}, or {{channel}} and {{value}}, got {command!r}")
        missing = [field for field, needed in way.items() if needed and fields.count(field) != 1]
        if missing:
            raise ValueError(f"this command needs {{{missing[0]}}} once, got {command!r}")
        return command

    def by_channel(self, *names: str) -> list[str]:
        """Which of these commands are sent for each channel."""
        return [name for name in names if "{channel}" in getattr(self, name)]

    def of_channels(self, *names: str) -> list[str]:
        """Which of these commands name channels."""
        return [name for name in names if "{channel" in getattr(self, name)]


class LimitSettings(BaseModel):
    """What parameters may be set to; asked of the chip where low and high are not given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: Number | tuple[Number, ...] | None = None
    high: Number | tuple[Number, ...] | None = None
    unit: Text = ""

    @model_validator(mode="after")
    def _both(self) -> "LimitSettings":
        if (self.low is None) != (self.high is None):
            raise ValueError(f"give both low and high, got {self.low} and {self.high}")
        return self


Settings = TypeVar("Settings", bound="ScpiSettings")


class ScpiSettings(BaseModel):
    """How to reach a chip that speaks SCPI, and how it speaks.

    Attributes:
        resource: its VISA name: TCPIP0::192.0.2.7::5025::SOCKET, ASRL/dev/ttyUSB0::INSTR, USB0::…::INSTR.
        n_params: how many parameters it has; asked of it if not given.
        channels: names of the parameters' channels, for commands with `{channel}`: 1 to P if not given.
        input_channels: names of the inputs' channels, likewise.
        limits: of the parameters, one range or a list for each.
        settle_seconds: from a set parameter to a cost that can be read.
        timeout_seconds: for a reply.
        retries: how often again what can be asked again safely, waiting longer each time.
        verify: whether parameters, and inputs if there is a command for it, are read back after they are set.
        verify_within: how far what is read back may be off, beyond rounding, for chips that tell what they round to:
            one number, or one for each parameter.
        binary: whether numbers go as blocks of float32 (IEEE 488.2) rather than as text. Text is in fixed point, as far
            as the limits allow it, because many boards read no exponents.
        byte_order: of each number in a block, least significant byte first ("little") or last ("big", NORM in SCPI).
        compound: whether several commands may go in one message, with ;: between them.
        own_line: whether the perturbation has lines of its own; by default, if there is a command for them.
        most_together: perturbations in one batch, at most.
        backend: of PyVISA: @py is pyvisa-py, "" a vendor's library.
        visa: attributes of the VISA resource, such as baud_rate. A socket that has some goes through PyVISA too.
        line: ends of messages and replies, echo, acknowledgement and pacing.
        numbers: how parameters and perturbations are written, and in which unit.
        input_numbers: how inputs and targets are, likewise.
        blocks: numbers in blocks.
        replies: what replies look like.
        commands: the chip's own words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    resource: Annotated[str, Field(min_length=1, strict=True)]
    n_params: Whole | None = None
    channels: Channels | None = None
    input_channels: Channels | None = None
    limits: LimitSettings = LimitSettings()
    settle_seconds: Seconds = 0.0
    timeout_seconds: Above0 = 5.0
    retries: Annotated[int, Field(ge=0, le=100, strict=True)] = 3
    verify: Truth = True
    verify_within: Seconds | Annotated[tuple[Seconds, ...], Field(min_length=1)] = 0.0
    binary: Truth = True
    byte_order: Literal["little", "big"] = "little"
    compound: Truth = True
    own_line: Truth | None = None
    most_together: Whole = 10_000
    backend: Text = "@py"
    visa: dict[str, Any] = {}
    line: LineSettings = LineSettings()
    numbers: NumberSettings = NumberSettings()
    input_numbers: NumberSettings = NumberSettings()
    blocks: BlockSettings = BlockSettings()
    replies: ReplySettings = ReplySettings()
    commands: Commands = Commands()

    @model_validator(mode="before")
    @classmethod
    def _one_command_a_message(cls, given: Any) -> Any:
        """Where each command is answered, there is one in a message, unless somebody says that there are more."""
        if isinstance(given, dict) and isinstance(line := given.get("line"), dict) and line.get("acknowledge"):
            return {"compound": False} | given
        return given

    @model_validator(mode="after")
    def _check_dialect(self) -> "ScpiSettings":
        self._check_line()
        self._check_numbers()
        replies, commands = self.replies, self.commands
        if replies.identity and not commands.identify:
            raise ValueError('replies.identity is for an answer to commands.identify, which is ""')
        errors = [name for name in ("no_error", "error_bits") if name in replies.model_fields_set]
        if errors and not commands.error:
            raise ValueError(f'replies.{errors[0]} is for an answer to commands.error, which is ""')
        return self

    def _check_line(self) -> None:
        line = self.line
        if self.compound:
            for name, given in (
                ("line.acknowledge", line.acknowledge),
                ("blocks.indefinite = true", self.blocks.indefinite),
                ('replies.separator = ";"', self.replies.separator == ";"),
            ):
                if given:
                    raise ValueError(f"{name} is for one command in a message: set compound = false")
        if not line.read_end and not ends_by_itself(self.resource):
            raise ValueError(
                f'line.read_end = "" is for lines that end replies by themselves (END), and {self.resource} is none: '
                "give what replies end in (blocks.ended = false for blocks without an end)"
            )
        if not line.write_end and self.compound and not ends_by_itself(self.resource):
            raise ValueError('line.write_end = "" is for lines that end messages by themselves: set compound = false')
        if line.echo and self.binary:
            raise ValueError("line.echo is of text, and binary = true: set binary = false")

    def _check_numbers(self) -> None:
        whole = np.dtype(self.blocks.write).kind != "f"
        if not self.binary and "write" in self.blocks.model_fields_set:
            raise ValueError(f'blocks.write = "{self.blocks.write}" is for binary = true, and binary = false')
        for name in ("numbers", "input_numbers"):
            settings: NumberSettings = getattr(self, name)
            text = [each for each in ("decimals", "significant") if getattr(settings, each) is not None]
            if text and self.binary:
                raise ValueError(f"{name}.{text[0]} is for text, and binary = true: set binary = false")
            if settings.codes and self.binary and not whole:
                raise ValueError(
                    f'{name}.codes are whole numbers, and blocks.write = "{self.blocks.write}": give int16, uint16 or '
                    "another kind of whole numbers"
                )
        if self.commands.perturb:
            codes = self.numbers.codes
            if (codes and codes[0] >= 0) or (self.binary and self.blocks.write.startswith("u")):
                name = "numbers.codes" if codes else "blocks.write"
                raise ValueError(f"{name} holds no negative numbers, which perturbations are (commands.perturb)")
        if self.numbers != NumberSettings() and not self.commands.set:
            raise ValueError("numbers is for an instrument that sets parameters: see input_numbers for inputs")
        if self.input_numbers != NumberSettings() and not (self.commands.input or self.commands.target):
            raise ValueError("input_numbers is for an instrument that presents inputs or targets")

    @property
    def order(self) -> str:
        """NumPy's sign for the order of a number's bytes."""
        return {"little": "<", "big": ">"}[self.byte_order]

    @property
    def framing(self) -> Framing:
        """How replies are put together."""
        return Framing(
            block=self.order + np.dtype(self.blocks.read).str[1:],
            scale=self.blocks.read_scale,
            end=(self.line.read_end or "\n")[-1].encode(),
            ended=self.blocks.ended,
            indefinite=self.blocks.indefinite,
            separator=b"" if self.replies.separator == ";" else b";",
            header=self.replies.header,
        )

    @property
    def block(self) -> str | None:
        """NumPy's kind of numbers in blocks that are written; None if they go as text."""
        return self.order + np.dtype(self.blocks.write).str[1:] if self.binary else None

    @model_validator(mode="after")
    def _check(self) -> "ScpiSettings":
        if not (self.commands.cost or self.commands.outputs):
            raise ValueError("there is no command to measure with: give commands.cost or commands.outputs")
        if self.commands.of_channels("input"):
            raise ValueError(
                "commands.input shows one sample at a time, {channel} by {channel}: that is for an instrument in a "
                'table of its own, [instrument.NAME], with present = "each"'
            )
        if self.input_channels is not None:
            raise ValueError("input_channels is for a commands.input with {channel}: leave it out")
        self.check_setting()
        self.check_readback_of_inputs()
        return self

    def check_setting(self) -> None:
        """Raises: ValueError: if what sets parameters is not complete, or contradicts itself."""
        if self.own_line and not self.commands.perturb:
            raise ValueError('own_line = true needs commands.perturb, got ""')
        if self.n_params is None and not self.commands.count:
            raise ValueError("give n_params, or the command that asks for it (commands.count)")
        if self.limits.low is None and not self.commands.limits:
            raise ValueError("give limits (low and high), or the command that asks for them (commands.limits)")
        if isinstance(self.verify_within, tuple) and self.n_params not in (None, len(self.verify_within)):
            raise ValueError(
                f"verify_within has {len(self.verify_within)} numbers for n_params = {self.n_params}: give as many"
            )
        by_channel = self.commands.by_channel("set", "perturb", "readback")
        of_channels = self.commands.of_channels("set", "perturb", "readback")
        if self.channels is not None and not of_channels:
            raise ValueError('channels is for commands with {channel}, such as set = "SOUR{channel}:VOLT {value}"')
        if not of_channels:
            return
        if self.n_params is None:
            raise ValueError(f"commands.{of_channels[0]} names the channels: give n_params")
        if self.channels is not None and len(self.channels) != self.n_params:
            raise ValueError(f"there are {len(self.channels)} channels for n_params = {self.n_params}: give as many")
        if self.binary and [name for name in by_channel if name != "readback"]:
            raise ValueError(
                f"commands.{by_channel[0]} has a {{value}}, which is text, and binary = true: set binary = false"
            )

    def check_readback_of_inputs(self) -> None:
        """Raises: ValueError: if inputs are read back that are not presented, or not channel by channel as they are."""
        commands = self.commands
        if commands.input_readback and not commands.input:
            raise ValueError("commands.input_readback reads what commands.input presents: give that too")
        if commands.by_channel("input_readback") and not commands.by_channel("input"):
            raise ValueError("commands.input_readback has a {channel}, and commands.input has none: give both one")

    @classmethod
    def of(cls: type[Settings], settings: dict[str, Any], table: str = "instrument") -> Settings:
        """The settings of a dictionary.

        Args:
            settings: by name.
            table: what they are called in messages.

        Raises:
            ValueError: if one is unknown, of the wrong type or out of range: one line.
        """
        try:
            return cls(**settings)
        except ValidationError as error:
            where = error.errors()[0]["loc"]
            field = cls.model_fields.get(str(where[0])) if where else None
            inner = field.annotation if field is not None else None
            known = inner if inspect.isclass(inner) and issubclass(inner, BaseModel) else cls
            raise ValueError(first_error(error, known.model_fields, table)) from None
