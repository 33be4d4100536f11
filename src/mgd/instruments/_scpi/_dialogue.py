"""Questions to an instrument and its whole answers, over a line. Nothing here imports JAX."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from ..._errors import HardwareError
from .._failures import TimeIsUp
from .._wire import STRAY, Framing, Item, WireError, raw, shown, split_reply
from ._formats import decoded
from ._manners import Polite
from ._transports import Transport

# Bytes of a reply, at most, beyond those of the numbers that are due.
_SPARE_BYTES = 1 << 16
# Bytes that a number takes at most, as text.
_NUMBER_BYTES = 64
# A reply whose end may be within it is over when nothing comes for this long.
_QUIET_SECONDS = 0.02


class Dialogue:
    """One question after the other over a line, each with its whole answer.

    An answer that is late, cut short, too long or followed by something closes the line: what is still to come could be
    taken for the answer to another question.

    Args:
        address: of the instrument, for messages.
        connect: makes the line.
        timeout_seconds: for an answer.
        framing: how answers are put together.
        waits_for_more: whether only silence shows that an answer is whole, because its end may be within a block.
        end: what ends a message.
        longest: bytes of a message, at most.
        error_line: pattern of a line by which errors are told unasked.
    """

    def __init__(
        self,
        address: str,
        connect: Callable[[], Transport],
        timeout_seconds: float,
        framing: Framing,
        *,
        waits_for_more: bool = False,
        end: bytes = b"\n",
        longest: int | None = None,
        error_line: str = "",
    ):
        self._address, self._connect, self._timeout, self._framing = address, connect, timeout_seconds, framing
        self._waits_for_more, self._end, self._longest = waits_for_more, end, longest
        stop = re.escape(framing.end.decode())
        self._error_line = re.compile(f"(?:^|{stop})\\s*({error_line})\\s*(?={stop})") if error_line else None
        self.line: Transport | None = None
        self._is_owed = False

    def open(self) -> None:
        """Makes a new line.

        Raises:
            HardwareError: if that fails.
        """
        self.close()
        self._is_owed = False
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
            ValueError: if the message is longer than the instrument takes.
        """
        line = self.line
        if line is None:
            raise HardwareError(f"{self._address}: not connected: open it before {shown(message)!r}", passing=True)
        if self._longest is not None and (size := len(message) + len(self._end)) > self._longest:
            raise ValueError(
                f"{self._address}: {shown(message)!r} is {size} bytes long, and line.longest is "
                f'{self._longest}: give numbers fewer digits, or show one sample at a time (present = "each")'
            )
        try:
            stale = line.stale()
            if not stale or not stale.strip(STRAY):
                line.send(message + self._end)
                return
        except OSError as error:
            self.garbled(message, b"", str(error))
        self._refuse(message, stale)
        self.garbled(message, stale, "this came before the query was sent")

    def tell(self, message: bytes) -> None:
        """Sends a command that sets something, and takes its acknowledgement if there is one.

        Raises:
            HardwareError: as `send`, and if another acknowledgement comes, or none.
        """
        self.send(message)
        if isinstance(self.line, Polite):
            try:
                self.line.acknowledge()
            except OSError as error:
                self.garbled(message, b"", str(error))

    def ask(self, message: bytes, most_numbers: int, meanwhile: Callable[[], None], due: int = 0) -> list[Item]:
        """The items of the answer to a message.

        Args:
            message: what is asked.
            most_numbers: numbers that may be due; an answer that is much longer is given up.
            meanwhile: called when the message is on its way.
            due: how many items the answer has, where a block may be the end of it.

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
                if self._error_line is not None:
                    self._refuse(message, reply)
                items = split_reply(reply, self._framing, due)
                while items is not None and self._waits_for_more and (more := self._more()):
                    reply += more
                    items = split_reply(reply, self._framing, due)
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
        except (KeyboardInterrupt, TimeIsUp):
            self._is_owed = True
            raise

    def take_owed(self) -> None:
        """Takes the answer that an interrupt left on its way, so that what comes next is in step."""
        if self.line is None or not self._is_owed:
            return
        self._is_owed = False
        with suppress(OSError, WireError):
            self.line.receive()
            while self._more():
                pass

    def _more(self) -> bytes:
        """What comes after what may have been all of a reply."""
        time.sleep(_QUIET_SECONDS)
        return self.line.stale() if self.line is not None else b""

    def _refuse(self, message: bytes, reply: bytes) -> None:
        """Raises: HardwareError: if there is an error in this that was told unasked."""
        found = self._error_line and self._error_line.search(decoded(reply))
        if found:
            self.close()
            raise HardwareError(
                f"{self._address}: {shown(message)!r} was refused: {shown(found[1].encode())}; "
                "check the command in the chip file, and the value against the chip's own limits"
            )

    def garbled(self, message: bytes, reply: Item, what: str) -> NoReturn:
        """Gives up the line: a reply yet to come could be taken for another's."""
        self.close()
        raise HardwareError(
            f"{self._address}: {shown(message)!r} was answered {shown(raw(reply)[:1000])!r}: {what}; "
            "check the cable and the chip, then open it again",
            passing=True,
        )

    def of_no_use(self, message: bytes, reply: bytes, what: str) -> NoReturn:
        """Gives up the line after a whole answer that does not help: it may be that to an earlier question."""
        self.close()
        raise HardwareError(
            f"{self._address}: {shown(message)!r} was answered {shown(reply)!r}, which {what}", passing=True
        )
