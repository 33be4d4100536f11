"""Lines to an instrument: a bare socket, or whatever PyVISA reaches. Nothing here imports JAX."""

import importlib.util
import inspect
import os
import re
import select
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable

from ..._input import nearest
from .._wire import WireError, block_end

# The default of PyVISA.
BACKEND = "@py"
# Options that this driver sets by itself.
_OURS = {
    "timeout": "give timeout_seconds instead",
    "read_termination": "give line.read_end instead",
    "write_termination": "give line.write_end instead",
}
_SOCKET = re.compile(r"TCPIP\d*::(?P<host>[^:\[\]]+|\[[^\]]+\])::(?P<port>\d+)::SOCKET", re.IGNORECASE)
_RECEIVED = 1 << 18
# A reply that comes sooner than this is watched for: a processor that was put to sleep takes long to wake, and what it
# held in its caches is gone.
_SOON_SECONDS = 2e-3


@runtime_checkable
class Transport(Protocol):
    """A line that carries bytes. Its methods raise `TimeoutError` or another `OSError`."""

    def send(self, message: bytes) -> None:
        """Sends all of it."""
        ...

    def receive(self) -> bytes:
        """What comes next: some bytes, not necessarily all of a reply."""
        ...

    def stale(self) -> bytes:
        """What has come unasked, without waiting."""
        ...

    def close(self) -> None:
        """Disconnects; does not raise."""
        ...


def socket_address(resource: str) -> tuple[str, int] | None:
    """Host and port of a resource that is a bare socket; None if it is another.

    >>> socket_address("TCPIP0::127.0.0.1::5025::SOCKET")
    ('127.0.0.1', 5025)
    """
    found = _SOCKET.fullmatch(resource)
    return (found["host"].strip("[]"), int(found["port"])) if found else None


def ends_by_itself(resource: str) -> bool:
    """Whether the line to a resource tells where a reply ends (END), whatever its last byte is.

    >>> ends_by_itself("GPIB0::3::INSTR"), ends_by_itself("ASRL/dev/ttyUSB0::INSTR")
    (True, False)
    """
    return not resource.upper().endswith("::SOCKET") and not resource.upper().startswith("ASRL")


def is_bare_socket(resource: str, backend: str, options: Mapping[str, Any]) -> bool:
    """Whether a resource is reached without PyVISA, because nothing of what PyVISA does is asked for."""
    return socket_address(resource) is not None and not options and backend == BACKEND


def check_visa(resource: str, backend: str, options: Mapping[str, Any], table: str = "instrument") -> None:
    """Checks what only PyVISA makes use of, before anything is opened.

    Args:
        resource: a VISA name.
        backend: of PyVISA.
        options: attributes of the resource.
        table: what the settings are called in messages.

    Raises:
        ValueError: if PyVISA, or pySerial, is needed and not there; or if an option is unknown for such a resource, is
            the driver's own, or has a wrong value.
    """
    if is_bare_socket(resource, backend, options):
        return
    if importlib.util.find_spec("pyvisa") is None:
        raise ValueError(f'{table}.resource: {resource} needs PyVISA: pip install "mgd[lab]"')
    if options:
        _check_options(resource, options, table)
    if resource.upper().startswith("ASRL") and backend == BACKEND and importlib.util.find_spec("serial") is None:
        raise ValueError(f'{table}.resource: {resource} needs pySerial: pip install "mgd[lab]"')


def _check_options(resource: str, options: Mapping[str, Any], table: str) -> None:
    import pyvisa
    from pyvisa.attributes import Attribute
    from pyvisa.resources import Resource
    from pyvisa.rname import InvalidResourceName, ResourceName

    try:
        name = ResourceName.from_string(resource)
    except InvalidResourceName as error:
        raise ValueError(f"{table}.resource: {error}") from None
    kinds: dict[Any, type] = pyvisa.ResourceManager._resource_classes
    kind = kinds.get((name.interface_type_const, name.resource_class), Resource)
    there = {each: inspect.getattr_static(kind, each) for each in dir(kind) if not each.startswith("_")}
    ours = (*_OURS, "CR", "LF", "session")
    known = [each for each, found in there.items() if _is_option(found, Attribute) and each not in ours]
    for option, value in options.items():
        if option in _OURS:
            raise ValueError(f"{table}.visa.{option}: {_OURS[option]}, got {value!r}")
        if option not in known:
            raise ValueError(
                f"{table}.visa: {resource} has no option {option!r}{nearest(option, known)} (it has {', '.join(known)})"
            )
        if isinstance(there[option], Attribute):
            try:
                there[option].pre_set(value)
            except (TypeError, ValueError) as error:
                choices = getattr(there[option], "enum_type", ())
                why = ", ".join(f"{int(each)} is {each.name}" for each in choices) or error
                raise ValueError(f"{table}.visa.{option} cannot be {value!r}: {why}") from None


def _is_option(found: Any, attribute: type) -> bool:
    """Whether something of a class of PyVISA's resources is there to be set."""
    if isinstance(found, attribute):
        return bool(getattr(found, "write", False))
    return found.fset is not None if isinstance(found, property) else isinstance(found, int | float | str)


class Socket:
    """A TCP socket without anything around it: a round trip through PyVISA takes half as long again.

    After a reply that came at once, the next is watched for during a short time, with every other thread first; a reply
    that takes longer is slept for.

    Args:
        host: name or address.
        port: of the instrument.
        timeout_seconds: to connect, and for bytes to come or go.
    """

    def __init__(self, host: str, port: int, timeout_seconds: float):
        self._socket = socket.create_connection((host, port), timeout_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._coming = select.poll()
        self._coming.register(self._socket, select.POLLIN)
        self._comes_soon = True

    def send(self, message: bytes) -> None:
        self._socket.sendall(message)

    def receive(self) -> bytes:
        started, has_come = time.perf_counter(), self._coming.poll
        if self._comes_soon:
            while not has_come(0) and time.perf_counter() - started < _SOON_SECONDS:
                os.sched_yield()
        chunk = self._socket.recv(_RECEIVED)
        self._comes_soon = time.perf_counter() - started < _SOON_SECONDS
        if not chunk:
            raise ConnectionResetError("the other side closed the connection")
        return chunk

    def stale(self) -> bytes:
        return self.receive() if self._coming.poll(0) else b""

    def close(self) -> None:
        self._socket.close()


def with_end(reply: bytes, end: bytes = b"\n") -> bytes:
    r"""A whole reply that ended by END, with the last byte of a reply if it was not there; a block may end in it too.

    >>> with_end(b"0.5"), with_end(b"0.5\n"), with_end(b"#11\n")
    (b'0.5\n', b'0.5\n', b'#11\n\n')
    """
    ended = reply.endswith(end)
    block_at = reply.find(b"#")
    if ended and block_at >= 0:
        try:
            span = block_end(reply, block_at)
        except WireError:
            return reply
        ended = span is None or len(reply) > span[1]
    return reply if ended else reply + end


class Visa:
    """A PyVISA resource: serial, USB, VXI-11, HiSLIP, GPIB; a socket too.

    Args:
        resource: its VISA name.
        timeout_seconds: for bytes to come or go.
        backend: of PyVISA.
        attributes: of the resource, such as baud_rate.
        end: the last byte of a reply.
        ended: whether every reply ends in it.
        clear: whether the instrument is to forget what it was asked before, where its interface has a device clear.
    """

    def __init__(
        self,
        resource: str,
        timeout_seconds: float,
        backend: str,
        attributes: dict[str, Any],
        end: bytes = b"\n",
        *,
        ended: bool = True,
        clear: bool = False,
    ):
        import pyvisa

        self._visa: Any = pyvisa
        self._manager = pyvisa.ResourceManager(backend)
        # Where a reply ends by END, its last byte need not come, and may be within a block.
        self._end, self._ends_by_itself = end, ends_by_itself(resource)
        self._by_bytes = not self._ends_by_itself and not ended
        try:
            self._resource: Any = self._manager.open_resource(
                resource,
                read_termination=None if self._ends_by_itself else end.decode(),
                write_termination="",
                timeout=1000 * timeout_seconds,
                **attributes,
            )
        except Exception as error:  # PyVISA and what is below it raise all kinds
            self._manager.close()
            raise OSError(str(error) or type(error).__name__) from error
        if clear:
            with suppress(Exception):  # an interface that has none says so in many ways; the identity is checked next
                self._resource.clear()

    def send(self, message: bytes) -> None:
        try:
            self._resource.write_raw(message)
        except self._visa.errors.Error as error:
            raise self._as_os_error(error) from error

    def receive(self) -> bytes:
        try:
            if self._by_bytes:
                return self._resource.read_bytes(1) + self.stale()
            reply = self._resource.read_raw()
            return with_end(reply, self._end) if self._ends_by_itself else reply
        except self._visa.errors.Error as error:
            raise self._as_os_error(error) from error

    def stale(self) -> bytes:
        """Only a serial port says; on the others an instrument cannot speak unasked, or it is an error."""
        waiting = getattr(self._resource, "bytes_in_buffer", 0) if "ASRL" in self._resource.resource_name else 0
        return self._resource.read_bytes(waiting) if waiting else b""

    def close(self) -> None:
        for one in (self._resource, self._manager):
            try:
                one.close()
            except Exception:  # the line may be gone
                continue

    def _as_os_error(self, error: Exception) -> OSError:
        timed_out = getattr(error, "error_code", None) == self._visa.constants.StatusCode.error_timeout
        return TimeoutError("timed out") if timed_out else OSError(str(error))
