"""The manners of a line: greeting, echo, acknowledgement, pacing. Nothing here imports JAX."""

import re
import time
from collections.abc import Callable

from .._wire import STRAY, shown
from ._dialect import LineSettings
from ._formats import decoded
from ._transports import Transport

# A line of an instrument that is longer than this has no end.
_LONGEST_LINE = 1 << 16


class Polite:
    """A line that waits, and takes what an instrument says beside its replies.

    Args:
        connect: makes the line.
        manners: what it is to wait for, and take.
        end: the last byte of what an instrument says.
        timeout_seconds: for an echo, an acknowledgement or a greeting.

    Raises:
        OSError: if the line cannot be made, or its greeting does not come.
    """

    def __init__(self, connect: Callable[[], Transport], manners: LineSettings, end: bytes, timeout_seconds: float):
        self._manners, self._end, self._timeout = manners, end, timeout_seconds
        self._left, self._free_at = b"", 0.0
        self._line = connect()
        try:
            self._begin()
        except BaseException:
            self._line.close()
            raise

    def send(self, message: bytes) -> None:
        wait = self._free_at - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        self._line.send(message)
        self._was_used()
        if self._manners.echo:
            echo = self._take_line("no echo came")
            if echo.strip(STRAY) != message.strip(STRAY):
                raise OSError(f"the echo was {shown(echo)!r}, which is not what was sent")

    def acknowledge(self) -> None:
        """Takes the line that answers a command.

        Raises:
            OSError: if another comes, or none.
        """
        if not self._manners.acknowledge:
            return
        found = self._take_line(f"no acknowledgement {self._manners.acknowledge!r} came")
        if not re.fullmatch(self._manners.acknowledge, decoded(found.strip(STRAY))):
            raise OSError(f"{self._manners.acknowledge!r} was expected, and {shown(found)!r} came")

    def receive(self) -> bytes:
        found, self._left = self._left or self._line.receive(), b""
        self._was_used()
        return found

    def stale(self) -> bytes:
        found, self._left = self._left + self._line.stale(), b""
        return found

    def close(self) -> None:
        self._line.close()

    def _begin(self) -> None:
        """Waits until the instrument listens, and drops what it said meanwhile."""
        time.sleep(self._manners.wait_seconds)
        if self._manners.greeting:
            pattern, end = re.compile(self._manners.greeting), time.monotonic() + self._timeout
            missing = f"no greeting {self._manners.greeting!r} came"
            while not pattern.search(decoded(self._take_line(missing))):
                if time.monotonic() > end:
                    raise OSError(f"{missing} in {self._timeout:g} s: see line.greeting and timeout_seconds")
        self._left = b""
        while self._line.stale():
            continue

    def _take_line(self, missing: str) -> bytes:
        """One line of the instrument's, that is not empty; what comes after it is kept."""
        end = time.monotonic() + self._timeout
        while True:
            line, found, rest = self._left.partition(self._end)
            if found:
                self._left = rest
                if line.strip(STRAY):
                    return line
                continue
            if len(self._left) > _LONGEST_LINE:
                raise OSError(f"{missing}: what came has no end")
            if time.monotonic() > end:
                raise TimeoutError(f"{missing} in {self._timeout:g} s")
            try:
                self._left += self._line.receive()
            except TimeoutError:
                raise TimeoutError(f"{missing} in {self._timeout:g} s") from None

    def _was_used(self) -> None:
        self._free_at = time.monotonic() + self._manners.spacing_seconds
