"""Chips whose parameters are EPICS process variables: by the methods of a PV, no client of EPICS is needed here."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from .._errors import HardwareError
from ._base import AbstractInstrument
from ._limits import Limits
from ._line import Line, Range, Reach, Reading, known_range
from ._lines import from_lines

# Channel access's own number for it, ECA_DISCONN.
_DISCONNECTED = 192


def from_epics(
    pvs: Sequence[Any],
    read: Any,
    *,
    reads: Literal["cost", "outputs"] = "cost",
    limits: Limits | None = None,
    timeout_seconds: float = 10.0,
    **others: Any,
) -> AbstractInstrument:
    """A chip whose parameters are EPICS process variables: `PV` objects of pyepics, or any with the same methods.

    Args:
        pvs: P of them, one number each, set by `put(value, wait=True)`.
        read: a variable that `get` reads, from the server and not from a monitor's last value; or a function without
            arguments.
        reads: whether that is the cost or the outputs.
        limits: of the parameters; by default their control limits (DRVL and DRVH of an output), for which they must be
            connected. Limits that you give must be within these, because a record silently clips other values.
        timeout_seconds: the time limit for each variable; for the safe state it is `leave_seconds`.
        **others: `present`, `identify`, `safe_state`, `leave_seconds`, `settle_seconds`, `address` and all other
            arguments of `from_callables`.

    Raises:
        ValueError: if a variable has no control limits and none are given, or takes only whole numbers.
        HardwareError: if a variable is not connected when its limits are needed.
    """

    def get() -> Any:
        if not hasattr(read, "get"):
            return read()
        with _connected():
            return read.get(timeout=timeout_seconds, use_monitor=False)

    name = str(getattr(read, "pvname", getattr(read, "__name__", "read")))
    lines = [_line(pv, timeout_seconds) for pv in pvs]
    return from_lines(lines, Reading(name, get), system="epics", reads=reads, limits=limits, others=others)


@contextmanager
def _connected() -> Iterator[None]:
    """What pyepics raises of a channel that was closed meanwhile: it looks for it, waits for it, or gets its event."""
    try:
        yield
    except Exception as error:
        is_gone = getattr(error, "status", None) == _DISCONNECTED or type(error).__name__ == "ChannelAccessException"
        if is_gone or isinstance(error, KeyError):
            raise HardwareError("it is not connected: check its server", passing=True) from error
        raise


def _line(pv: Any, timeout_seconds: float) -> Line:
    variable = _Variable(pv, timeout_seconds)
    unit = getattr(pv, "units", "") or ""
    return Line(
        name=variable.name,
        put=variable.put,
        unit=unit.decode() if isinstance(unit, bytes) else str(unit),
        range=variable.range,
        takes=lambda value: check_holds_numbers(pv),
        lost=variable.reach.is_lost,
        present=lambda: pv.get(timeout=1.0, use_monitor=False),
    )


def check_holds_numbers(pv: Any) -> None:
    """Raises: TypeError: if a process variable is known to hold other numbers than float32 or float64."""
    kind = str(getattr(pv, "type", None) or "double").rpartition("_")[2]
    if kind not in ("double", "float"):
        raise TypeError(f"it is of type {kind}, which drops the digits after the point")


class _Variable:
    """A process variable that is put, and whether its server was there ever since."""

    def __init__(self, pv: Any, timeout_seconds: float):
        self.name = str(pv.pvname)
        self._pv, self._timeout = pv, timeout_seconds
        self.reach = Reach(lambda: getattr(pv, "connected", True))
        callbacks = getattr(pv, "connection_callbacks", None)
        if callbacks is not None:
            callbacks.append(self._on_connection)

    def _on_connection(self, *, conn: bool, **_: object) -> None:
        self.reach.heard(conn)

    def range(self) -> Range:
        """The control limits."""
        pv = self._pv
        if hasattr(pv, "wait_for_connection") and not pv.wait_for_connection(timeout=self._timeout):
            raise HardwareError(
                f"epics {self.name} is not connected after {self._timeout:g} s: check its server", passing=True
            )
        if hasattr(pv, "get_ctrlvars"):  # as they are now: they may have been changed since they were last heard of
            pv.get_ctrlvars(timeout=self._timeout)
        return known_range(pv.lower_ctrl_limit, pv.upper_ctrl_limit)

    def put(self, value: float, seconds: float | None) -> None:
        seconds = self._timeout if seconds is None else seconds
        self.reach.begin()
        with _connected():
            done = self._pv.put(value, wait=True, timeout=seconds)
        # A PV says of failures, and does not raise them: nothing if it is not connected, below 0 after the time-out;
        # of one whose connection was lost meanwhile it says that it is done, before it says that this was lost.
        if isinstance(done, int) and done < 0:
            raise HardwareError(f"no answer in {seconds:g} s: check its server", passing=True)
        if self.reach.is_lost():
            raise HardwareError("it is not connected: check its server", passing=True)
