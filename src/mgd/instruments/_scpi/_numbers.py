"""The numbers of an instrument's commands and replies, in our unit. Nothing here imports JAX."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from .._limits import Limits
from .._wire import Item, block, decimals, numbers, text
from ._dialect import NumberSettings
from ._formats import NumberFormat, Readings, check_no_number
from ._settings import ScpiSettings

What = Literal["parameters", "perturbation", "inputs"]


class Numbers:
    """Numbers as one instrument has them; those of most instruments go through here untouched.

    Args:
        settings: of the instrument.

    Raises:
        ValueError: if its numbers cannot be written so.

    Attributes:
        readings: how replies are read, if not in the way of most instruments.
        no_number: outputs or costs that stand for no reading, in our unit.
    """

    def __init__(self, settings: ScpiSettings):
        self._settings, self._order, self._largest = settings, settings.order, 1.0
        self._inputs = self._format("input_numbers", None)
        self._parameters = self._format("numbers", None)
        replies, read_scale = settings.replies, settings.blocks.read_scale
        self.readings = Readings(replies, read_scale) if replies.has_own_numbers else None
        self._scale, self._offset = settings.replies.scale, settings.replies.offset
        self._is_scaled = bool(self._scale != 1 or self._offset)
        numbers_of_none = [each for each in settings.replies.no_number if not isinstance(each, str)]
        self.no_number = tuple(self._scale * each + self._offset for each in numbers_of_none)

    def adopt(self, limits: Limits, n_params: int, commands: dict[str, int]) -> None:
        """Takes the limits of the parameters.

        Args:
            limits: of each, or of all.
            n_params: P, or 0 if it is not known yet.
            commands: how many bytes the commands that set parameters have without their numbers.

        Raises:
            ValueError: if numbers cannot be written within the limits, or one in them stands for no reading.
        """
        settings = self._settings
        self._largest = float(max(np.abs(limits.low).max(), np.abs(limits.high).max()))
        self._parameters = self._format("numbers", limits)
        if settings.verify and settings.commands.readback:
            check_no_number(settings.replies, settings.numbers, limits)
        if settings.line.longest is None or not n_params:
            return
        form = self._parameters or NumberFormat(NumberSettings(), limits, settings.block)
        each = settings.commands.by_channel(*commands)
        for name, size in commands.items():
            longest = size + form.longest(1 if name in each else n_params) + len(settings.line.write_end)
            if longest > settings.line.longest:
                raise ValueError(
                    f"line.longest: commands.{name} can be of {longest} bytes, and {settings.line.longest} is the "
                    "most: give numbers fewer digits (numbers.decimals), or a command with {channel} and {value}"
                )

    def written(self, values: Float[np.ndarray, "..."], what: What) -> bytes:
        """Numbers as they stand in a command."""
        form = self._form(what)
        if form is not None:
            return form.data(values, difference=what == "perturbation")
        if self._settings.binary:
            return block(values, self._order)
        return text(values, None if what == "inputs" else self._largest)

    def converts(self, what: What) -> bool:
        """Whether they have a format, or a unit, of the instrument's own."""
        return self._form(what) is not None

    def sent(self, values: Float[np.ndarray, " n"], what: What) -> Float[np.ndarray, " n"]:
        """What they are set to by what is sent for them."""
        form = self._form(what)
        return np.array(values, np.float32) if form is None else form.sent(values)

    def ours(self, theirs: Float[np.ndarray, " n"], what: What) -> Float[np.ndarray, " n"]:
        """The instrument's numbers in our unit."""
        form = self._form(what)
        return theirs if form is None else form.ours(theirs)

    def room(self, item: Item, due: Float[np.ndarray, " n"], what: What) -> float:
        """How far numbers that are read back may be off, because of how they were written and read."""
        settings, room = self._settings, 0.0
        if self._form(what) is None and not settings.binary:
            digits = decimals(float(np.abs(due).max(initial=0.0)) if what == "inputs" else self._largest)
            room = 0.0 if digits is None else 10.0**-digits
        if not isinstance(item, bytes) and settings.blocks.read_scale != 1:
            scale = (settings.input_numbers if what == "inputs" else settings.numbers).scale
            room += abs(settings.blocks.read_scale * scale) / 2
        return room

    def read(self, item: Item) -> Float[np.ndarray, " n"]:
        """The numbers of a reply.

        Raises:
            WireError: if it has others than numbers.
        """
        return numbers(item) if self.readings is None else self.readings.numbers(item)

    def limits_of(self, item: Item) -> Float[np.ndarray, " n"]:
        """The limits in a reply, low and high in turn, in our unit and with all their digits.

        Raises:
            WireError: if it has others than numbers.
        """
        values = self.read(item).astype(np.float64)
        if isinstance(item, bytes):
            parts = self.readings.values(item) if self.readings else [float(part) for part in item.split(b",")]
            values = np.where(np.isnan(values), np.nan, parts)
        settings = self._settings.numbers
        if settings.scale == 1 and not settings.offset:
            return values
        ours = settings.scale * values + settings.offset
        return np.sort(ours.reshape(-1, 2)).ravel() if ours.size % 2 == 0 else ours

    def scaled(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Outputs or costs in our unit."""
        return values * self._scale + self._offset if self._is_scaled else values

    def _form(self, what: What) -> NumberFormat | None:
        return self._inputs if what == "inputs" else self._parameters

    def _format(self, name: str, limits: Limits | None) -> NumberFormat | None:
        """How numbers are written; None for the way of most instruments."""
        given: NumberSettings = getattr(self._settings, name)
        if given == NumberSettings() and (self._settings.blocks.write == "float32" or not self._settings.binary):
            return None
        try:
            return NumberFormat(given, limits, self._settings.block)
        except ValueError as error:
            raise ValueError(f"{name}.{error}") from None
