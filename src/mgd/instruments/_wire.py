"""Numbers and replies as they go over an instrument's wire (IEEE 488.2). Nothing here imports JAX."""

import functools
import math
import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from .._input import printable

_DIGITS = b"0123456789"
# How the reply to nearly every measurement ends, and what a number before it does not have.
_FINE, _SPECIAL = b';0,"No error"\n', re.compile(rb'[#";\n]')
# SCPI says 9.91E37 for "not a number" and ±9.9E37 for a value over range, which some send rounded to float32.
_NO_NUMBER = 9.8e37
# Largest values whose text is in fixed point, and how far below the largest a digit still counts.
_FIXED, _DIGITS_BELOW = (1e-9, 1e15), 12
# What readings of any unit are between, if they are not zero; and what nearly all are between.
_POSSIBLE, _USUAL = (1e-25, 1e18), (1e-12, 1e12)

_FLOATS = {order: np.dtype(f"{order}f4") for order in "<>"}
# What may stand around a reply and says nothing.
STRAY = b"\0 \t\r\n"

Item = bytes | Float[np.ndarray, " n"]


@dataclass(frozen=True)
class Framing:
    """How a reply is put together.

    Attributes:
        block: NumPy's kind of the numbers in a block.
        scale: what they are multiplied by.
        end: the last byte of a reply.
        ended: whether that comes after a block too.
        indefinite: whether blocks have no length, and go to the end of the reply.
        separator: between the items of a reply; empty if a reply has one.
        headers: pattern of what may be before a block; empty for nothing.
    """

    block: str = "<f4"
    scale: float = 1.0
    end: bytes = b"\n"
    ended: bool = True
    indefinite: bool = False
    separator: bytes = b";"
    headers: bytes = b""

    @functools.cached_property
    def dtype(self) -> np.dtype:
        """The kind of a number in a block."""
        return np.dtype(self.block)

    @functools.cached_property
    def text(self) -> re.Pattern[bytes]:
        """All of an item that is text."""
        stop = re.escape(self.separator + self.end)
        return re.compile(b'(?:[^%b"]|"[^"%b]*")*' % (stop, re.escape(self.end)))

    @functools.cached_property
    def header(self) -> re.Pattern[bytes] | None:
        """What may be before a block."""
        return re.compile(b"(?:%b)(?=#)" % self.headers) if self.headers else None

    @functools.cached_property
    def is_plain(self) -> bool:
        """Whether it is that of most instruments, but for the byte order."""
        return self in (Framing(), Framing(">f4"))


PLAIN = Framing()


class WireError(Exception):
    """Bytes that are no reply."""


def block(values: Float[np.ndarray, "..."], order: str = "<") -> bytes:
    """Numbers as a definite-length block of float32, least significant byte first; ">" for the most significant.

    >>> block(np.array([1.0], np.float32)), block(np.array([1.0], np.float32), ">")
    (b'#14\\x00\\x00\\x80?', b'#14?\\x80\\x00\\x00')
    """
    return _header(values.size * 4) + values.astype(_FLOATS[order], copy=False).tobytes()


def raw(item: Item) -> bytes:
    """An item as bytes; numbers are a block.

    >>> raw(b"1.5"), raw(np.array([1.0], np.float32))
    (b'1.5', b'#14\\x00\\x00\\x80?')
    """
    return item if isinstance(item, bytes) else block(item)


@functools.lru_cache(maxsize=64)
def _header(n_bytes: int) -> bytes:
    digits = str(n_bytes)
    return f"#{len(digits)}{digits}".encode()


def decimals(largest: float) -> int | None:
    """Digits after the point in which numbers up to the largest are sent; None if they need an exponent.

    >>> decimals(5.0), decimals(3e-12)
    (12, None)
    """
    if not _FIXED[0] <= largest <= _FIXED[1]:
        return None
    return max(0, _DIGITS_BELOW - math.floor(math.log10(largest)))


def text(values: Float[np.ndarray, "..."], largest: float | None = None) -> bytes:
    """Numbers as text with commas; nine digits tell any two float32 apart.

    They are in fixed point, since many boards read no exponents: −4.2e-07 would be −4.2. Only where the largest is
    beyond all reason for that, exponents are sent.

    Args:
        values: the numbers.
        largest: that one of them may be; by default the largest that is.

    >>> text(np.array([0.1, -2.0, -4.2e-7], np.float32))
    b'0.100000001,-2,-0.00000042'
    """
    parts = [f"{value:.9g}" for value in values.ravel().tolist()]
    line = ",".join(parts)
    if "e" in line:
        digits = decimals(float(np.abs(values).max()) if largest is None else largest)
        if digits is not None:
            line = ",".join([_fixed(part, digits) if "e" in part else part for part in parts])
    return line.encode()


def _fixed(number: str, digits: int) -> str:
    """A number without its exponent."""
    shown = f"{float(number):.{digits}f}"
    shown = shown.rstrip("0").rstrip(".") if digits else shown
    return "0" if shown == "-0" else shown


def block_end(data: bytes | bytearray, start: int) -> tuple[int, int] | None:
    """Where the contents of a block begin and end; None if its header is not all there yet.

    Args:
        data: what has come.
        start: where in it the block's # is.

    Raises:
        WireError: if it is not a definite-length block.
    """
    if len(data) < start + 2:
        return None
    if data[start + 1] not in _DIGITS[1:]:
        raise WireError("a block without a length")
    n_digits = data[start + 1] - ord("0")
    begin = start + 2 + n_digits
    if len(data) < begin:
        return None
    digits = bytes(data[start + 2 : begin])
    if not digits.isdigit():
        raise WireError("a block without a length")
    return begin, begin + int(digits)


def split_reply(data: bytes, framing: Framing = PLAIN, due: int = 0) -> list[Item] | None:
    r"""The items of a reply, the ; between them and the newline after them taken off; None if it is not complete.

    Args:
        data: what has come.
        framing: how it is put together.
        due: how many items there are to be, where a block may be the end of them.

    Raises:
        WireError: if it is not a reply, or something comes after it.

    >>> split_reply(b'0.5;0,"No error"\n')
    [b'0.5', b'0,"No error"']
    >>> split_reply(b"0.5") is None
    True
    """
    if data.endswith(_FINE) and framing.is_plain and not _SPECIAL.search(data, 0, len(data) - len(_FINE)):
        return [data[: -len(_FINE)], _FINE[1:-1]]
    if data[:1] == b"\0":
        data = data.lstrip(b"\0")
    if framing.indefinite:
        return _indefinite(data, framing)
    items: list[Item] = []
    at, end, text, header = 0, framing.end, framing.text, framing.header
    while True:
        if header is not None and (found := header.match(data, at)):
            at = found.end()
        if data[at : at + 1] == b"#":
            span = block_end(data, at)
            if span is None or len(data) < span[1]:
                return None
            items.append(_floats(data[span[0] : span[1]], framing))
            at = span[1]
            if not framing.ended and len(items) == due and not data[at:].strip(STRAY):
                return items
            while (stray := data[at : at + 1]) != end and stray in (b"\r", b"\0"):
                at += 1
        else:
            found = text.match(data, at)
            items.append(found[0].strip(b"\r\0") if found else b"")
            at = found.end() if found else at
        separator = data[at : at + 1]
        at += 1
        if separator and separator == framing.separator:
            continue
        if separator == end:
            if at < len(data) and data[at:].strip(STRAY):
                raise WireError("more than one reply")
            return items
        if separator in (b"", b'"'):
            return None
        raise WireError("something other than a newline after a block")


def _indefinite(data: bytes, framing: Framing) -> list[Item] | None:
    """The one item of a reply whose blocks have no length; a line that goes on may have an end within the block."""
    start = 0
    if framing.header is not None and (header := framing.header.match(data)):
        start = header.end()
    if not data.endswith(framing.end) or data[start : start + 2] in (b"", b"#"):
        return None
    if data[start : start + 2] != b"#0":
        found = framing.text.match(data)
        assert found is not None
        if data[found.end() :].strip(STRAY):
            raise WireError("more than one reply")
        return [found[0].strip(b"\r\0")]
    contents, size = data[start + 2 : -1], framing.dtype.itemsize
    if len(contents) % size == 1 % size and contents.endswith(b"\r") and size > 1:
        contents = contents[:-1]
    return [_floats(contents, framing)] if len(contents) % size == 0 else None


def _floats(contents: bytes, framing: Framing) -> Float[np.ndarray, " n"]:
    kind = framing.dtype
    if len(contents) % kind.itemsize:
        raise WireError(f"a block of {len(contents)} bytes, which are no {kind.name}")
    values = np.frombuffer(contents, kind)
    if kind.itemsize == 4 and kind.kind == "f":
        return values.astype(np.float32)
    with np.errstate(over="ignore"):  # what float32 does not hold is no reading
        return (values * framing.scale).astype(np.float32)


def swapped(values: Float[np.ndarray, " n"]) -> tuple[float, float] | None:
    """One of a block's numbers, as it is and with its bytes in the other order, if only those make sense.

    In the wrong order about half of all float32 are farther from 1 than any reading, round numbers always.

    >>> swapped(np.array([0.5, 0.25], np.float32)) is None
    True
    >>> swapped(np.array([0.5, 0.25], np.float32).byteswap())
    (8.82818e-44, 0.5)
    """
    possible = _between(values, *_POSSIBLE)
    if possible.all():
        return None
    turned = values.byteswap()
    if not _between(turned, *_USUAL).all():
        return None
    k = int(np.argmin(possible))
    return float(values[k]), float(turned[k])


def _between(values: Float[np.ndarray, " n"], least: float, most: float) -> Bool[np.ndarray, " n"]:
    sizes = np.abs(values)
    return ((sizes >= least) & (sizes <= most)) | (values == 0)


def numbers(item: Item) -> Float[np.ndarray, " n"]:
    """The numbers of an item, in a block or as text; what SCPI has for no number (±9.9E37, 9.91E37) is NaN.

    Raises:
        WireError: if it is not one.

    >>> numbers(b"1.5,9.91E37,-9.9E+37")
    array([1.5, nan, nan], dtype=float32)
    """
    if isinstance(item, np.ndarray):
        fine = np.abs(item) < _NO_NUMBER
        return item if fine.all() else np.where(fine, item, np.float32(math.nan))
    try:
        if b"_" in item:  # which Python takes within a number
            raise ValueError
        values = [float(part) for part in item.split(b",")]
    except ValueError:
        raise WireError("no number") from None
    return np.array([value if abs(value) < _NO_NUMBER else math.nan for value in values], np.float32)


def shown(message: bytes, most: int = 60) -> str:
    r"""Bytes for a message to people: blocks and long text cut short.

    >>> shown(b"PERT:DATA " + block(np.zeros(220, np.float32)) + b";:MEAS:COST?\n")
    'PERT:DATA #3880…;:MEAS:COST?'
    """
    parts, at = [], 0
    while (found := message.find(b"#", at)) >= 0:
        try:
            span = block_end(message, found)
        except WireError:
            span = None
        if span is None:
            break
        parts += [message[at : span[0]], "…".encode()]
        at = span[1]
    line = b"".join([*parts, message[at:]]).decode("utf-8", "backslashreplace").strip()
    line = printable(line)
    return line if len(line) <= most else line[: most - 20] + "…" + line[-19:]
