"""SCPI messages taken apart: commands, their paths, and blocks that may hold any byte. Nothing here imports JAX."""

import itertools
import re

import numpy as np
from jaxtyping import Float

from .._wire import WireError, block_end

_MARKS = re.compile(rb'[#;\n"]')
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


def take_message(buffer: bytearray) -> list[bytes] | None:
    r"""Takes the first message off a buffer: its commands, without the ; between them; None if it is not all there.

    >>> buffer = bytearray(b"INP:DATA #14\n;\n;;:MEAS:COST?\n*IDN")
    >>> take_message(buffer), buffer
    ([b'INP:DATA #14\n;\n;', b':MEAS:COST?'], bytearray(b'*IDN'))
    """
    units, start, at = [], 0, 0
    while found := _MARKS.search(buffer, at):
        mark, at = found[0], found.end()
        if mark == b"#":
            try:
                span = block_end(buffer, found.start())
            except WireError:
                continue  # to be refused as data
            if span is None or len(buffer) < span[1]:
                return None
            at = span[1]
        elif mark == b'"':
            at = max(buffer.find(b'"', at) + 1, at)
        else:
            units.append(bytes(buffer[start : found.start()]).strip(b" \t\r"))
            start = at
            if mark == b"\n":
                del buffer[:at]
                return [unit for unit in units if unit]
    return None


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
        try:
            found = np.array([float(part) for part in data.split(b",")]).astype(np.float32)
        except ValueError:
            raise Refused(-104) from None
    if not np.isfinite(found).all():
        raise Refused(-222, "not finite")
    return found
