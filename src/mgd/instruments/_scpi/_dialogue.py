"""Questions to an instrument and its whole answers, over a line. Nothing here imports JAX."""

import time
from collections.abc import Callable
from typing import NoReturn

from ..._errors import HardwareError
from .._wire import Item, WireError, shown, split_reply
from ._transports import Transport

# Bytes of a reply, at most, beyond those of the numbers that are due.
_SPARE_BYTES = 1 << 16
# Bytes that a number takes at most, as text.
_NUMBER_BYTES = 64


class Dialogue:
    """One question after the other over a line, each with its whole answer.

    An answer that is late, cut short, too long or followed by something closes the line: what is still to come could be
    taken for the answer to another question.

    Args:
        address: of the instrument, for messages.
        connect: makes the line.
        timeout_seconds: for an answer.
        order: of a number's bytes in a block: "<" for the least significant first.
    """

    def __init__(self, address: str, connect: Callable[[], Transport], timeout_seconds: float, order: str):
        self._address, self._connect, self._timeout, self._order = address, connect, timeout_seconds, order
        self.line: Transport | None = None

    def open(self) -> None:
        """Makes a new line.

        Raises:
            HardwareError: if that fails.
        """
        self.close()
        try:
            self.line = self._connect()
        except OSError as error:
            raise HardwareError(
                f"{self._address}: cannot be opened: {error}; check that it is switched on and the resource is right",
                passing=True,
            ) from error

    def close(self) -> None:
        """Gives up the line; does not raise."""
        line, self.line = self.line, None
        if line is not None:
            line.close()

    def send(self, message: bytes) -> None:
        """Sends a message.

        Raises:
            HardwareError: if the line is not open or lost, or something came that nobody asked for.
        """
        line = self.line
        if line is None:
            raise HardwareError(f"{self._address}: not connected: open it before {shown(message)!r}", passing=True)
        try:
            stale = line.stale()
            if not stale:
                line.send(message + b"\n")
                return
        except OSError as error:
            self.garbled(message, b"", str(error))
        self.garbled(message, stale, "this came before the query was sent")

    def ask(self, message: bytes, most_numbers: int, meanwhile: Callable[[], None]) -> list[Item]:
        """The items of the answer to a message.

        Args:
            message: what is asked.
            most_numbers: numbers that may be due; an answer that is much longer is given up.
            meanwhile: called when the message is on its way.

        Raises:
            HardwareError: if no whole answer comes in time.
        """
        self.send(message)
        line, reply, end = self.line, b"", time.monotonic() + self._timeout
        longest = _SPARE_BYTES + _NUMBER_BYTES * most_numbers
        meanwhile()
        try:
            while True:
                reply = reply + line.receive() if reply else line.receive()  # pyright: ignore[reportOptionalMemberAccess]
                items = split_reply(reply, self._order)
                if items is not None:
                    return items
                if len(reply) > longest:
                    raise WireError(f"more than {longest:,} bytes without an end")
                if time.monotonic() > end:
                    raise TimeoutError("timed out")
        except TimeoutError:
            self.garbled(message, reply, f"no complete reply in {self._timeout:g} s")
        except (OSError, WireError) as error:
            self.garbled(message, reply, str(error))

    def garbled(self, message: bytes, reply: bytes, what: str) -> NoReturn:
        """Gives up the line: a reply yet to come could be taken for another's."""
        self.close()
        raise HardwareError(
            f"{self._address}: {shown(message)!r} was answered {shown(reply[:1000])!r}: {what}; "
            "check the cable and the chip, then open it again",
            passing=True,
        )
