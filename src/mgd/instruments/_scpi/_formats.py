"""Numbers as an instrument writes and takes them, and in its own units. Nothing here imports JAX."""

import math
import re

import numpy as np
from jaxtyping import Bool, Float

from .._limits import Limits
from .._wire import Item, WireError, decimals, numbers, text
from ._dialect import NumberSettings, ReplySettings

# A range in which a format has fewer values than this is too narrow for it: nothing could be perturbed.
_FEWEST_STEPS = 8
_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*)?", re.DOTALL)
# How near a number is to one that stands for no reading: it may be rounded to float32.
_SAME = 1e-6


def decoded(reply: bytes) -> str:
    r"""Text of an instrument, in UTF-8 or Latin-1: the degree and micro signs of instruments are one or the other.

    >>> decoded("1.5 µV".encode("latin-1")) == decoded("1.5 µV".encode()) == "1.5 µV"
    True
    """
    try:
        return reply.decode()
    except UnicodeDecodeError:
        return reply.decode("latin-1")


class NumberFormat:
    """Numbers as they are written in commands, rounded so that none is outside the limits.

    Args:
        settings: digits, codes, scale and offset.
        limits: of the numbers, in our unit; None if they have none.
        block: NumPy's kind of the numbers in blocks, such as ">i2"; None if they go as text.

    Raises:
        ValueError: if the limits are beyond what the format holds, or too near to each other for it; the setting is
            named.
    """

    def __init__(self, settings: NumberSettings, limits: Limits | None, block: str | None):
        self._settings, self._block = settings, None if block is None else np.dtype(block)
        self._digits = 0 if settings.codes else settings.decimals
        self._codes = settings.codes
        if self._block is not None and self._block.kind != "f":
            held = np.iinfo(self._block)
            self._digits, self._codes = 0, settings.codes or (int(held.min), int(held.max))
            if not (held.min <= self._codes[0] and self._codes[1] <= held.max):
                raise ValueError(
                    f"codes: {list(self._codes)} are more than blocks of {self._block.name} hold, "
                    f"{held.min} … {held.max}: give another blocks.write"
                )
        self._finest = 0.0
        self._low, self._high = self._ends(limits)

    def data(self, values: Float[np.ndarray, "..."], *, difference: bool = False) -> bytes:
        """Numbers in a block, or as text with commas.

        Args:
            values: the numbers, in our unit.
            difference: whether they are perturbations.
        """
        flat = values.ravel()
        if self._block is None:
            return b",".join(self._texts(flat, difference))
        contents = self._rounded(flat, difference).astype(self._block).tobytes()
        size = str(len(contents))
        return f"#{len(size)}{size}".encode() + contents

    def sent(self, values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """What parameters are set to by what is sent for them."""
        if self._block is None:
            return self.ours(np.array([float(each) for each in self._texts(values, False)]))
        return self.ours(self._rounded(values, False).astype(self._block))

    def ours(self, theirs: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The instrument's numbers in our unit."""
        return (self._settings.scale * theirs.astype(np.float64) + self._settings.offset).astype(np.float32)

    def longest(self, n: int) -> int:
        """Bytes of the text of so many parameters, at most: of those farthest from zero, with all their digits."""
        if self._digits is None and self._settings.significant is None:
            largest = max(float(np.abs(self._low).max()), float(np.abs(self._high).max()), 1.0)
            digits = decimals(largest)
            return n * (2 + (16 if digits is None else 2 + int(math.log10(largest)) + digits))
        ends = [self._texts(side, False, theirs=True) for side in (self._low, self._high)]
        longest = max(len(each) for side in ends for each in side)
        if self._finest:
            longest = max(longest, len(f"{-self._finest:.{-round(math.log10(self._finest))}f}"))
        return n * (longest + 1)

    def _ends(self, limits: Limits | None) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
        """The least and greatest of the numbers that may be sent, in the instrument's."""
        codes = np.array(self._codes or (-np.inf, np.inf), np.float64)
        if limits is None:
            return codes[:1], codes[1:]
        ends = np.stack([limits.low, limits.high]).astype(np.float64)
        # Limits are float32, rounded inwards: what they were given as is as near as this.
        room = 2 * np.spacing(np.abs(ends).astype(np.float32)).max(0) / abs(self._settings.scale)
        low, high = np.sort((ends - self._settings.offset) / self._settings.scale, axis=0)
        outside = (low < codes[0] - 0.5 - room) | (high > codes[1] + 0.5 + room)
        if outside.any():
            k = int(np.argmax(outside))
            raise ValueError(
                f"codes: {self._codes[0]} … {self._codes[1]} do not hold the limits of parameter {k}, "  # pyright: ignore[reportOptionalSubscript]
                f"{limits.low[k]:g} … {limits.high[k]:g} {limits.unit}".rstrip()
                + f", which are {low[k]:.7g} … {high[k]:.7g} with this scale and offset: correct one of them"
            )
        if self._settings.significant and not self._settings.exponent:
            # In fixed point, digits far below those of the limits are not written.
            self._finest = 10.0 ** -(decimals(float(max(np.abs(low).max(), np.abs(high).max()))) or 0)
        step = self._steps(np.maximum(np.abs(low), np.abs(high)))
        few = (high - low) / np.where(step > 0, step, 1) < _FEWEST_STEPS
        if ((step > 0) & few).any():
            k = int(np.argmax((step > 0) & few))
            name = next(
                (each for each in ("decimals", "significant", "codes") if getattr(self._settings, each) is not None),
                "scale",
            )
            raise ValueError(
                f"{name}: steps of {step[k] * abs(self._settings.scale):g} are too coarse for the limits of parameter "
                f"{k}, {limits.low[k]:g} … {limits.high[k]:g} {limits.unit}".rstrip()
                + f": at least {_FEWEST_STEPS} steps are needed"
            )
        return np.maximum(low - room, codes[0]), np.minimum(high + room, codes[1])

    def _steps(self, sizes: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The distance of the next number that can be written, for numbers of these sizes; 0 for none to speak of."""
        if self._digits is not None:
            return np.full(sizes.shape, 10.0**-self._digits)
        if self._settings.significant is None:
            return np.zeros(sizes.shape)
        exponents = np.floor(np.log10(np.where(sizes > 0, sizes, 1.0)))
        return np.maximum(10.0 ** (exponents - self._settings.significant + 1), self._finest)

    def _rounded(
        self, values: Float[np.ndarray, " n"], difference: bool, *, theirs: bool = False
    ) -> Float[np.ndarray, " n"]:
        """The instrument's numbers, those between the limits that can be written."""
        found = values.astype(np.float64)
        if not theirs:
            found = (found - (0.0 if difference else self._settings.offset)) / self._settings.scale
        step = self._steps(np.abs(found))
        with np.errstate(divide="ignore", invalid="ignore"):
            rounded = np.where(step > 0, np.rint(found / step) * step, found)
            if difference:
                self._check_perturbs(values, rounded)
                return self._within_codes(rounded) + 0.0
            # One that rounding would carry beyond a limit goes to the next inside of it.
            rounded = np.where((step > 0) & (rounded > self._high), np.floor(self._high / step) * step, rounded)
            rounded = np.where((step > 0) & (rounded < self._low), np.ceil(self._low / step) * step, rounded)
        return rounded + 0.0  # no -0

    def _check_perturbs(self, values: Float[np.ndarray, " n"], rounded: Float[np.ndarray, " n"]) -> None:
        """Raises: ValueError: if nothing is left of a perturbation."""
        if values.any() and not rounded.any():
            raise ValueError(
                f"a perturbation of {np.abs(values).max():g} is 0 in the numbers that the instrument takes: give more "
                "digits or codes in the chip file, or raise the amplitude"
            )

    def _within_codes(self, rounded: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Raises: ValueError: if a perturbation is beyond what blocks, or codes, hold."""
        low, high = self._codes or (-np.inf, np.inf)
        if (rounded < low).any() or (rounded > high).any():
            raise ValueError(
                f"codes: {low} … {high} do not hold a perturbation of {np.abs(rounded).max():g} of them: "
                "lower the amplitude"
            )
        return rounded

    def _texts(self, values: Float[np.ndarray, " n"], difference: bool, *, theirs: bool = False) -> list[bytes]:
        rounded, settings = self._rounded(values, difference, theirs=theirs), self._settings
        if self._digits is not None:
            return [f"{each:.{self._digits}f}".encode() for each in rounded.tolist()]
        if settings.significant is None:
            return text(rounded).split(b",")
        if settings.exponent:
            return [f"{each:.{settings.significant - 1}E}".encode() for each in rounded.tolist()]
        digits = settings.significant - 1 - np.floor(np.log10(np.where(rounded == 0, 1.0, np.abs(rounded))) + 1e-9)
        return [f"{each:.{max(0, int(d))}f}".encode() for each, d in zip(rounded, digits, strict=True)]


def check_no_number(replies: ReplySettings, numbers: NumberSettings, limits: Limits) -> None:
    """Raises: ValueError: if a number that stands for no reading can be read back from a parameter."""
    for none in replies.no_number:
        if isinstance(none, str):
            continue
        ours = numbers.scale * none + numbers.offset
        within = (limits.low <= ours) & (ours <= limits.high)
        if within.any():
            k = int(np.argmax(within))
            raise ValueError(
                f"replies.no_number: {none:g} is within the limits of parameter {k}, "
                f"{limits.low[k]:g} … {limits.high[k]:g} {limits.unit}".rstrip()
                + ", so it can be a reading: narrow the limits, or leave it out"
            )


class Readings:
    """Numbers of replies, as an instrument writes them.

    Args:
        settings: what they look like.

    >>> read = Readings(ReplySettings(units={"V": 1.0, "mV": 0.001}, no_number=("OVLD",), header=True))
    >>> read.numbers(b":MEAS 1.5 V,-20 mV,OVLD")
    array([ 1.5 , -0.02,   nan], dtype=float32)
    """

    def __init__(self, settings: ReplySettings, read_scale: float = 1.0):
        self._settings, self._headers, self._read_scale = settings, re.compile(settings.headers), read_scale
        self._words = {each.strip() for each in settings.no_number if isinstance(each, str)}
        self._none = np.array([each for each in settings.no_number if not isinstance(each, str)], np.float64)

    def numbers(self, item: Item) -> Float[np.ndarray, " n"]:
        """The numbers of an item; NaN for what is none.

        Raises:
            WireError: if it is not one.
        """
        if isinstance(item, bytes):
            values = np.array(self.values(item))
            with np.errstate(over="ignore"):  # what float32 does not hold is no reading
                return numbers(values.astype(np.float32))
        none = self._stand_for_none(np.asarray(item, np.float64) / self._read_scale)
        return np.where(none, np.float32(math.nan), item) if none.any() else numbers(item)

    def values(self, item: bytes) -> list[float]:
        """The numbers of an item as text, with all their digits; NaN for a word that stands for none.

        Raises:
            WireError: if one is not a number.
        """
        parts = self.without_header(decoded(item)).strip()
        separator = self._settings.separator
        return [self._value(part) for part in (parts.split() if separator == " " else parts.split(separator))]

    def without_header(self, reply: str) -> str:
        """A reply without the header of its question."""
        found = self._headers.match(reply.lstrip())
        return reply.lstrip()[found.end() :] if found else reply

    def _value(self, part: str) -> float:
        part = part.strip()
        if part in self._words:
            return math.nan
        units = self._settings.units
        found = _NUMBER.fullmatch(part.replace(",", ".") if self._settings.decimal_comma else part)
        if found is None:
            if part.lower().lstrip("+-") in ("nan", "inf", "infinity"):
                return float(part)
            raise WireError("no number")
        value = float(found[1])
        if self._none.size and self._stand_for_none(np.array([value]))[0]:
            return math.nan
        if not found[2]:
            return value
        if found[2] not in units:
            has = ", ".join(units) or "none"
            raise WireError(f"a number with {found[2]!r} after it, and replies.units has {has}")
        return value * units[found[2]]

    def _stand_for_none(self, values: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Which numbers, as the instrument has them, stand for no reading."""
        return np.asarray((np.abs(values[:, None] - self._none) <= _SAME * np.abs(self._none)).any(1))
