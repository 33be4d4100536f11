"""The server of a virtual chip: asyncio on a socket, with the delays and faults of a real wire."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable
from typing import Literal

from ..._errors import HardwareError
from ..._stops import stop_requested
from ._messages import Messages, Refused
from ._settings import ServeSettings
from ._speaker import Speaker

_CHUNK = 1 << 18
# Bytes of a message, at most (10,000 images of CIFAR-10 fit), and of all connections' messages that are not yet whole.
_LONGEST_MESSAGE, _MOST_KEPT = 1 << 27, 1 << 28

Fault = Literal["drop", "late", "disconnect before", "disconnect after", "garble", "double", "reset"]


class Faults:
    """Which fault befalls a message, drawn for one after the other from the seed."""

    def __init__(self, settings: ServeSettings):
        self._settings, self._random = settings, random.Random(f"faults {settings.seed}")

    def draw(self) -> Fault | None:
        """That of the next message."""
        left, half = self._random.random(), self._random.random() < 0.5
        for name in ("drop", "late", "disconnect", "garble", "double", "reset"):
            left -= getattr(self._settings, name)
            if left < 0:
                if name == "disconnect":
                    return "disconnect before" if half else "disconnect after"
                return name
        return None

    def delay(self) -> float:
        """Seconds until the next reply."""
        return self._settings.latency_seconds + self._settings.jitter_seconds * self._random.random()

    def garbled(self, reply: bytes) -> bytes:
        """A reply that cannot be taken for a right one: cut short, or with bytes in it that no number has."""
        if self._random.random() < 0.5:
            return reply[: self._random.randrange(len(reply))]
        # In front: there is the # of a block, or a number's first digit.
        return bytes(self._random.randrange(0x80, 0x100) for _ in range(2)) + reply[2:]


class Server:
    """Serves one chip to any number of connections, one message at a time.

    Args:
        speaker: the chip.
        settings: of the wire.

    Attributes:
        faults: how many of each there were.
        messages: how many came.
    """

    def __init__(self, speaker: Speaker, settings: ServeSettings):
        self._speaker, self._faults = speaker, Faults(settings)
        self._late_seconds, self._double_seconds = settings.late_seconds, settings.double_seconds
        self.faults: Counter[str] = Counter()
        self.messages = 0
        self._kept = 0
        self._one_at_a_time = asyncio.Lock()
        self._connections: set[asyncio.Task] = set()

    async def run(self, host: str, port: int, announce: Callable[[int], None]) -> None:
        """Serves until Ctrl-C, SIGTERM or SIGHUP.

        Args:
            host: whose address is listened at.
            port: 0 for any that is free.
            announce: called with the port once connections are taken.

        Raises:
            HardwareError: if it cannot be listened there.
        """
        server = await self.listen(host, port)
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        with stop_requested(on_stop=lambda: loop.call_soon_threadsafe(stop.set)) as asked:
            announce(server.sockets[0].getsockname()[1])
            while not asked():
                await stop.wait()
            await self.close(server)

    async def listen(self, host: str, port: int) -> asyncio.Server:
        """Takes connections from now on."""
        try:
            return await asyncio.start_server(self._serve, host, port, limit=_CHUNK)
        except OSError as error:
            reason = error.strerror or str(error)
            raise HardwareError(
                f"{host}:{port} cannot be opened: {reason}; use another --port (0 for any that is free) or --host"
            ) from error

    async def close(self, server: asyncio.Server) -> None:
        """Ends every connection and takes no more."""
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        if task is not None:
            self._ends_with_us(task)
        messages, binary, kept = Messages(), False, 0
        try:
            while chunk := await reader.read(_CHUNK):
                await asyncio.sleep(0)  # it is the others' turn, also if more is here already
                messages.feed(chunk)
                while (units := self._take(messages)) is not None:
                    go_on, binary = await self._deal_with(units, binary, writer)
                    if not go_on:
                        return
                    await asyncio.sleep(0)
                self._kept += messages.size - kept
                kept = messages.size
                if kept > _LONGEST_MESSAGE or self._kept > _MOST_KEPT:
                    # Its end is not known without reading on: the connection is closed.
                    self._speaker.refuse(Refused(-363, f"{kept} bytes without an end"))
                    return
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            self._kept -= kept
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    def _take(self, messages: Messages) -> list[bytes] | None:
        """The next message; nothing of one that is refused as a whole."""
        try:
            return messages.take()
        except Refused as error:
            self._speaker.refuse(error)
            return []

    async def _deal_with(self, units: list[bytes], binary: bool, writer: asyncio.StreamWriter) -> tuple[bool, bool]:
        """One message; whether the connection is still there, and whether its numbers are blocks."""
        fault = self._faults.draw()
        self.messages += 1
        self.faults.update([fault] if fault else [])
        if fault == "drop":
            return True, binary
        if fault == "disconnect before":
            return False, binary
        async with self._one_at_a_time:
            if fault == "reset":
                self._speaker.reset()
                binary = False
            reply, binary = self._speaker.answer(units, binary=binary)
            if delay := self._faults.delay():
                await asyncio.sleep(delay)
        if fault == "disconnect after":
            return False, binary
        if fault == "late":
            await asyncio.sleep(self._late_seconds)
        if reply:
            writer.write(self._faults.garbled(reply) if fault == "garble" else reply)
            await writer.drain()
            if fault == "double":
                self._ends_with_us(asyncio.create_task(self._again(reply, writer)))
        return True, binary

    async def _again(self, reply: bytes, writer: asyncio.StreamWriter) -> None:
        """The same reply once more, a little later."""
        await asyncio.sleep(self._double_seconds)
        with contextlib.suppress(ConnectionError, RuntimeError):  # the other side may be gone
            writer.write(reply)
            await writer.drain()

    def _ends_with_us(self, task: asyncio.Task) -> None:
        """Has a task ended when the server is."""
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)


def serve(
    speaker: Speaker, settings: ServeSettings, host: str, port: int, announce: Callable[[int], None]
) -> tuple[int, dict[str, int]]:
    """Serves a chip until Ctrl-C, SIGTERM or SIGHUP; see `Server.run`.

    Returns:
        How many messages came, and how many faults of each kind there were.
    """
    server = Server(speaker, settings)
    asyncio.run(server.run(host, port, announce))
    return server.messages, dict(server.faults)
