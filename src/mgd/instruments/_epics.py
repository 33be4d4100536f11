"""Chips whose parameters are EPICS process variables: by the methods of a PV, no client of EPICS is needed here."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from .._errors import HardwareError
from ._base import AbstractInstrument
from ._limits import Limits
from ._lines import Line, Reach, Reading, from_lines

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
        read: one that is read by `get`, from the server and not from what was last heard of it; or a function
            without arguments.
        reads: whether that is the cost or the outputs.
        limits: of the parameters; by default their control limits, for which they must be connected.
        timeout_seconds: for each of them.
        **others: `present`, `identify`, `safe_state`, `settle_seconds`, `address` and all else that
            `from_callables` takes.

    Raises:
        ValueError: if one has no control limits and none are given.
        HardwareError: if one is not connected when its limits are asked for.
    """

    def get() -> Any:
        if not hasattr(read, "get"):
            return read()
        with _connected():
            return read.get(timeout=timeout_seconds, use_monitor=False)

    name = str(getattr(read, "pvname", getattr(read, "__name__", "read")))
    lines = [_line(pv, timeout_seconds, limits is None) for pv in pvs]
    return from_lines(lines, Reading(name, get), system="epics", reads=reads, limits=limits, others=others)


@contextmanager
def _connected() -> Iterator[None]:
    """What pyepics raises of a channel that was closed meanwhile: it looks for it, waits for it, or is told."""
    try:
        yield
    except Exception as error:
        is_gone = getattr(error, "status", None) == _DISCONNECTED or type(error).__name__ == "ChannelAccessException"
        if is_gone or isinstance(error, KeyError):
            raise HardwareError("it is not connected: check its server", passing=True) from error
        raise


def _line(pv: Any, timeout_seconds: float, with_limits: bool) -> Line:
    variable = _Variable(pv, timeout_seconds)
    if not with_limits:
        return Line(variable.name, variable.put, lost=variable.reach.is_lost)
    if hasattr(pv, "wait_for_connection") and not pv.wait_for_connection(timeout=timeout_seconds):
        raise HardwareError(
            f"epics {variable.name} is not connected after {timeout_seconds:g} s: check its server", passing=True
        )
    low, high, unit = pv.lower_ctrl_limit, pv.upper_ctrl_limit, getattr(pv, "units", "") or ""
    # Without control limits, a server says 0 and 0.
    ends = (None, None) if low is None or high is None or not low < high else (float(low), float(high))
    unit = unit.decode() if isinstance(unit, bytes) else str(unit)
    return Line(variable.name, variable.put, *ends, unit, lost=variable.reach.is_lost)


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

    def put(self, value: float) -> None:
        self.reach.begin()
        with _connected():
            done = self._pv.put(value, wait=True, timeout=self._timeout)
        # A PV says of failures, and does not raise them: nothing if it is not connected, below 0 after the time-out;
        # of one whose connection was lost meanwhile it says that it is done, before it says that this was lost.
        if isinstance(done, int) and done < 0:
            raise HardwareError(f"no answer in {self._timeout:g} s: check its server", passing=True)
        if self.reach.is_lost():
            raise HardwareError("it is not connected: check its server", passing=True)
