"""SCPI messages taken apart: commands, their paths, and blocks that may hold any byte. Nothing here imports JAX."""

import itertools
import re
import warnings

import numpy as np
from jaxtyping import Float

from .._wire import WireError, block_end

_MARKS, _STRING_ENDS = re.compile(rb'[#\n"]|;[; \t\r]*'), re.compile(rb'["\n]')
# Of a message, so that one client does not hold up the others; and of the numbers of a command that are text.
_MOST_COMMANDS, _LONGEST_TEXT = 10_000, 1 << 25
_WORD = re.compile(r"([A-Z]+)([a-z]*)")


class Refused(Exception):
    """A command that goes into the error queue.

    Args:
        code: SCPI's number.
        detail: what is said after its standard text.
    """

    def __init__(self, code: int, detail: str = ""):
        super().__init__(code, detail)
        self.code, self.detail = code, detail


class Messages:
    r"""What comes from a connection, taken apart into messages; each byte is looked at once, however it comes.

    >>> messages = Messages()
    >>> messages.feed(b"INP:DATA #14\n;\n;;:MEAS:")
    >>> messages.take()
    >>> messages.feed(b"COST?\n*IDN")
    >>> messages.take(), messages.size
    ([b'INP:DATA #14\n;\n;', b':MEAS:COST?'], 4)

    Raises:
        Refused: from `take`, if a message has too many commands; it is passed over.
    """

    def __init__(self):
        self._buffer, self._units = bytearray(), []
        # How far it was looked at, where the command begins that is not yet all there, and whether that is in a string.
        self._at, self._start, self._in_string = 0, 0, False
        self._too_many = False

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return len(self._buffer)

    def feed(self, chunk: bytes) -> None:
        """Takes what came."""
        self._buffer += chunk

    def take(self) -> list[bytes] | None:
        """The commands of the first message, without the ; between them; None if it is not all there."""
        while True:
            found = (_STRING_ENDS if self._in_string else _MARKS).search(self._buffer, self._at)
            if found is None:
                self._at = len(self._buffer)
                return None
            mark, place, self._at = found[0], found.start(), found.end()
            if mark == b"#":
                try:
                    span = block_end(self._buffer, place)
                except WireError:
                    continue  # to be refused as data
                if span is None or len(self._buffer) < span[1]:
                    self._at = place  # to be looked at again when more has come
                    return None
                self._at = span[1]
            elif mark == b'"':
                self._in_string = not self._in_string
            else:
                self._end_unit(place)
                if mark == b"\n":
                    return self._end_message()

    def _end_unit(self, end: int) -> None:
        with memoryview(self._buffer) as seen:
            unit = bytes(seen[self._start : end]).strip(b" \t\r")
        self._start = self._at
        if unit and not self._too_many:
            self._units.append(unit)
            self._too_many = len(self._units) > _MOST_COMMANDS

    def _end_message(self) -> list[bytes]:
        del self._buffer[: self._at]
        units, self._units, too_many, self._too_many = self._units, [], self._too_many, False
        self._at, self._start, self._in_string = 0, 0, False
        if too_many:
            raise Refused(-363, f"more than {_MOST_COMMANDS} commands in a message")
        return units


def spellings(header: str) -> list[str]:
    """All that a header may be written as, in capitals.

    >>> spellings("SYSTem:ERRor?")
    ['SYST:ERR?', 'SYST:ERROR?', 'SYSTEM:ERR?', 'SYSTEM:ERROR?']
    """
    words = [_WORD.fullmatch(word.rstrip("?")) for word in header.lstrip("*").split(":")]
    both = [[word[1]] + ([word[0].upper()] if word[2] else []) for word in words if word]
    star, question = "*" * header.startswith("*"), "?" * header.endswith("?")
    return [star + ":".join(each) + question for each in itertools.product(*both)]


def header_and_data(unit: bytes, path: str) -> tuple[str, bytes, str]:
    """A command's header from the root, its data, and the path for a command after it that does not begin with a colon.

    >>> header_and_data(b"DATA?", "PAR:")
    ('PAR:DATA?', b'', 'PAR:')
    """
    head, _, data = unit.partition(b" ")
    header = head.decode("ascii", "replace").upper()
    if header.startswith("*"):
        return header, data, path
    header = header[1:] if header.startswith(":") else path + header
    return header, data.strip(b" \t"), header[: header.rfind(":") + 1]


def values(data: bytes) -> Float[np.ndarray, " n"]:
    """The numbers of a command, in a block or as text.

    Raises:
        Refused: if there are none, or they are no numbers.
    """
    if not data:
        raise Refused(-109)
    if data.startswith(b"#"):
        try:
            span = block_end(data, 0)
        except WireError:
            raise Refused(-161) from None
        if span is None or span[1] != len(data) or (span[1] - span[0]) % 4:
            raise Refused(-161, f"{len(data)} bytes")
        found = np.frombuffer(data, "<f4", offset=span[0]).astype(np.float32)
    else:
        found = _numbers(data)
    if not np.isfinite(found).all():
        raise Refused(-222, "not finite")
    return found


def _numbers(data: bytes) -> Float[np.ndarray, " n"]:
    """Numbers that are text with commas, without an object for each.

    >>> _numbers(b"1, 2.5e0,-3")
    array([ 1. ,  2.5, -3. ], dtype=float32)
    """
    if len(data) > _LONGEST_TEXT:
        raise Refused(-223, f"{len(data)} bytes of text, at most {_LONGEST_TEXT}: send a block")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # how it says that it could not read all
            found = np.fromstring(data.decode("ascii"), np.float64, sep=",")
    except (ValueError, DeprecationWarning):
        raise Refused(-104) from None
    if found.size != data.count(b",") + 1:
        raise Refused(-104)
    return found.astype(np.float32)
