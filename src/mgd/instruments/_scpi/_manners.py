"""The manners of a line: greeting, echo, prompt, acknowledgement, pacing. Nothing here imports JAX."""

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
        self._prompt = manners.prompt.strip().encode()
        self._due_prompt, self._after_echo = b"", False
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
        self._due_prompt = self._prompt
        if self._manners.echo:
            self._take_echo(message.strip(STRAY))

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
        while self._after_echo and not (found := found.lstrip(STRAY)):
            found = self._line.receive()
        self._after_echo = False
        if self._due_prompt and (text := found.rstrip(STRAY)).endswith(self._due_prompt):
            found, self._due_prompt = text.removesuffix(self._due_prompt), b""
        self._was_used()
        return found

    def stale(self) -> bytes:
        self._await_prompt()
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

    def _take_echo(self, message: bytes) -> None:
        """What was sent, which may end otherwise.

        Raises:
            OSError: if something else comes, or nothing.
        """
        echo = self._taken(len(message), "no echo came")
        if echo != message:
            raise OSError(f"the echo was {shown(echo)!r}, which is not what was sent")
        self._after_echo = True

    def _await_prompt(self) -> None:
        """Waits until the instrument says that it is ready for the next message.

        Raises:
            OSError: if it says something else, or nothing.
        """
        if self._due_prompt:
            prompt = self._taken(len(self._due_prompt), f"no prompt {self._manners.prompt!r} came")
            if prompt != self._due_prompt:
                raise OSError(
                    f"the prompt {self._manners.prompt!r} was expected, and {shown(prompt + self._left)!r} came"
                )
            self._due_prompt, self._after_echo = b"", False

    def _taken(self, n: int, missing: str) -> bytes:
        """So many bytes, but for stray ones before them; what comes after them is kept."""
        end = time.monotonic() + self._timeout
        self._left = self._left.lstrip(STRAY)
        while len(self._left) < n:
            self._wait_for_more(end, missing)
            self._left = self._left.lstrip(STRAY)
        found, self._left = self._left[:n], self._left[n:]
        return found

    def _take_line(self, missing: str) -> bytes:
        """One line of the instrument's, that is not empty; what comes after it is kept."""
        end = time.monotonic() + self._timeout
        while True:
            line, found, rest = self._left.partition(self._end)
            if found:
                self._left = rest
                if line.strip(STRAY):
                    return line
            elif len(self._left) > _LONGEST_LINE:
                raise OSError(f"{missing}: what came has no end")
            else:
                self._wait_for_more(end, missing)

    def _wait_for_more(self, end: float, missing: str) -> None:
        """Raises: TimeoutError: if nothing comes in time."""
        try:
            if time.monotonic() > end:
                raise TimeoutError
            self._left += self._line.receive()
        except TimeoutError:
            raise TimeoutError(f"{missing} in {self._timeout:g} s") from None

    def _was_used(self) -> None:
        self._free_at = time.monotonic() + self._manners.spacing_seconds
