"""Settings of how an instrument speaks where that is not plain SCPI. Nothing here imports JAX."""

import re
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Seconds = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False, strict=True)]
Number = Annotated[float, Field(ge=-3e38, le=3e38, allow_inf_nan=False, strict=True)]
Truth = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(ge=1, le=2**31, strict=True)]
Text = Annotated[str, Field(strict=True)]
# The header of a reply, such as ":VOLT " or "*IDN ".
_HEADER = r":?\*?[A-Za-z][\w:]*\s+"
Kind = Literal["float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32"]


class Table(BaseModel):
    """A table of settings, none of which may be misspelt."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    patterns: ClassVar[tuple[str, ...]] = ()

    @field_validator("*")
    @classmethod
    def _check_pattern(cls, given: object, info: object) -> object:
        if getattr(info, "field_name", "") in cls.patterns and isinstance(given, str):
            try:
                re.compile(given)
            except re.error as error:
                raise ValueError(f"is a regular expression, and {given!r} is none: {error}") from None
        return given


class LineSettings(Table):
    r"""The manners of a line.

    Attributes:
        write_end: what ends a message; "" if nothing does, or the line itself (END).
        read_end: what ends a reply: "\n" (a "\r" before it is dropped), "\r", "\u0000"; "" if the line itself does.
        wait_seconds: from opening to the first message, for boards that restart; what they say meanwhile is dropped.
        greeting: pattern of a line that is waited for after that, and dropped.
        spacing_seconds: from a message, or a reply, to the next message, at least.
        longest: bytes of a message with its end, at most. Commands that are too many for one message go in several.
        echo: whether every message is repeated before it is answered.
        prompt: what it prints when it is ready for the next message, such as ">"; "" if nothing.
        acknowledge: pattern of the line that answers each command that sets something; "" if none does.
    """

    patterns = ("greeting", "acknowledge")

    write_end: Annotated[Text, Field(max_length=8)] = "\n"
    read_end: Annotated[Text, Field(max_length=8)] = "\n"
    wait_seconds: Seconds = 0.0
    greeting: Text = ""
    spacing_seconds: Seconds = 0.0
    longest: Whole | None = None
    echo: Truth = False
    prompt: Annotated[Text, Field(max_length=64)] = ""
    acknowledge: Text = ""

    @field_validator("write_end", "read_end")
    @classmethod
    def _check_end(cls, end: str) -> str:
        if not end.isascii():
            raise ValueError(f"is of ASCII characters, got {end!r}")
        if end and end[-1] in '0123456789+-.,;eE#" ':
            raise ValueError(f"cannot be {end!r}, which may be within a reply or a command")
        return end

    @property
    def is_polite(self) -> bool:
        """Whether there is more to a message than its end."""
        return self.model_copy(update={"write_end": "\n", "read_end": "\n", "longest": None}) != LineSettings()


class NumberSettings(Table):
    """How numbers are written in commands; by default with all digits, and without exponents as far as possible.

    Attributes:
        decimals: digits after the point.
        significant: digits in all, instead.
        exponent: whether these have an exponent, as in -1.234E-02.
        codes: the least and the greatest of the whole numbers that it takes, instead.
        scale: what one of the instrument's numbers is in our unit: ours = scale × its + offset.
        offset: what its zero is in our unit. A perturbation is a difference, and has none.
    """

    decimals: Annotated[int, Field(ge=0, le=15, strict=True)] | None = None
    significant: Annotated[int, Field(ge=1, le=17, strict=True)] | None = None
    exponent: Truth = False
    codes: tuple[Annotated[int, Field(strict=True)], Annotated[int, Field(strict=True)]] | None = None
    scale: Number = 1.0
    offset: Number = 0.0

    @model_validator(mode="after")
    def _check(self) -> "NumberSettings":
        given = [name for name in ("decimals", "significant", "codes") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {given[0]} and {given[1]}, which contradict each other")
        if self.exponent and self.significant is None:
            raise ValueError("exponent = true is for significant digits: give significant too")
        if self.codes is not None and not self.codes[0] < self.codes[1]:
            raise ValueError(f"codes are the least and the greatest number, got {list(self.codes)}")
        if self.scale == 0:
            raise ValueError("scale cannot be 0")
        return self


class BlockSettings(Table):
    """Numbers in blocks (IEEE 488.2), beside `binary` and `byte_order`.

    Attributes:
        read: what they are in replies.
        write: what they are in commands.
        read_scale: what 1 is worth where whole numbers are read.
        ended: whether a reply that ends in a block has an end after it.
        indefinite: whether blocks in replies have no length (#0), and go to the end of the reply.
    """

    read: Kind = "float32"
    write: Kind = "float32"
    read_scale: Number = 1.0
    ended: Truth = True
    indefinite: Truth = False

    @model_validator(mode="after")
    def _check(self) -> "BlockSettings":
        if self.read_scale != 1 and np.dtype(self.read).kind == "f":
            raise ValueError(f'read_scale is for whole numbers, and read = "{self.read}": leave read_scale out')
        if self.read_scale == 0:
            raise ValueError("read_scale cannot be 0")
        if self.indefinite and not self.ended:
            raise ValueError("indefinite blocks go to the end of a reply, and ended = false: leave one of them out")
        return self


class ReplySettings(Table):
    r"""What replies look like, beyond numbers with commas between them.

    Attributes:
        header: whether a reply begins with the header of its question, as in ":VOLT 1.2"; or a pattern of it: 'CH\d='.
        units: what may stand after a number, and by what it is multiplied: {V = 1.0, mV = 0.001}.
        separator: between the numbers of a reply; " " for any blanks.
        decimal_comma: whether numbers have a comma for the point.
        no_number: numbers and texts that stand for no reading, beside NaN and all from 1e18 on.
        scale: what 1 of the outputs, or of the cost, is to be: taken × scale + offset.
        offset: what 0 of them is to be.
        identity: pattern of the whole answer to commands.identify. Its groups `maker`, `model`, `serial` and `version`
            are used; without groups, an answer of fewer than three parts is the model.
        no_error: pattern of the whole answer to commands.error if there is no error; by default the number 0.
        error_bits: which bits of that answer are errors, where it is a status byte: 60 for `*ESR?`.
        error_line: pattern of a line by which errors are told unasked.
    """

    patterns = ("header", "identity", "no_error", "error_line")

    header: Truth | Text = False
    units: dict[Text, Number] = {}
    separator: Annotated[Text, Field(min_length=1, max_length=8)] = ","
    decimal_comma: Truth = False
    no_number: tuple[Number | Text, ...] = ()
    scale: Number = 1.0
    offset: Number = 0.0
    identity: Text = ""
    no_error: Text = ""
    error_bits: Annotated[int, Field(ge=1, le=65535, strict=True)] | None = None
    error_line: Text = ""

    @model_validator(mode="after")
    def _check(self) -> "ReplySettings":
        if self.decimal_comma and self.separator == ",":
            raise ValueError('decimal_comma = true, and separator = ",": give another separator')
        if self.no_error and self.error_bits is not None:
            raise ValueError("give no_error for a text, or error_bits for a number, not both")
        for name in ("identity", "no_error", "error_line"):
            pattern = getattr(self, name)
            if pattern and re.fullmatch(pattern, ""):
                raise ValueError(f"{name} = {pattern!r} takes an empty line too: be more definite")
        for unit in self.units:
            if not unit.strip() or any(letter.isdigit() or letter in "+-.," for letter in unit):
                raise ValueError(f"units: {unit!r} is no unit")
        if self.scale == 0 or 0 in self.units.values():
            raise ValueError("a scale, or a unit's, cannot be 0")
        return self

    @property
    def headers(self) -> str:
        """The pattern of the header of a reply; empty if there is none."""
        return _HEADER if self.header is True else self.header or ""

    @property
    def has_own_numbers(self) -> bool:
        """Whether numbers in replies are read in another way than by default."""
        plain = ReplySettings()
        return any(
            getattr(self, name) != getattr(plain, name)
            for name in ("header", "units", "separator", "decimal_comma", "no_number")
        )
