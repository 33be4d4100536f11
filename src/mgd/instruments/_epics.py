"""Chips whose parameters are EPICS process variables: by the methods of a PV, no client of EPICS is needed here."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from .._errors import HardwareError
from ._base import AbstractInstrument
from ._limits import Limits
from ._lines import Line, Reading, from_lines


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
        return read.get(timeout=timeout_seconds, use_monitor=False) if hasattr(read, "get") else read()

    name = str(getattr(read, "pvname", getattr(read, "__name__", "read")))
    lines = [_line(pv, timeout_seconds, limits is None) for pv in pvs]
    return from_lines(lines, Reading(name, get), system="epics", reads=reads, limits=limits, others=others)


def _line(pv: Any, timeout_seconds: float, with_limits: bool) -> Line:
    name = str(pv.pvname)
    if not with_limits:
        return Line(name, _put(pv, timeout_seconds))
    if hasattr(pv, "wait_for_connection") and not pv.wait_for_connection(timeout=timeout_seconds):
        raise HardwareError(
            f"epics {name} is not connected after {timeout_seconds:g} s: check its server", passing=True
        )
    low, high, unit = pv.lower_ctrl_limit, pv.upper_ctrl_limit, getattr(pv, "units", "") or ""
    # Without control limits, a server says 0 and 0.
    ends = (None, None) if low is None or high is None or not low < high else (float(low), float(high))
    return Line(name, _put(pv, timeout_seconds), *ends, unit.decode() if isinstance(unit, bytes) else str(unit))


def _put(pv: Any, timeout_seconds: float) -> Callable[[float], None]:
    def put(value: float) -> None:
        try:
            done = pv.put(value, wait=True, timeout=timeout_seconds)
        except KeyError as error:  # pyepics looks for a channel that was closed meanwhile
            raise HardwareError("it is not connected: check its server", passing=True) from error
        # A PV says of failures, and does not raise them: nothing if it is not connected, below 0 after the time-out.
        if isinstance(done, int) and done < 0:
            raise HardwareError(f"no answer in {timeout_seconds:g} s: check its server", passing=True)
        if not getattr(pv, "connected", True):
            raise HardwareError("it is not connected: check its server", passing=True)

    return put
