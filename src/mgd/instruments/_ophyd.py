"""Chips whose parameters are ophyd signals: by their methods, ophyd itself is not needed here."""

from collections.abc import Sequence
from typing import Any, Literal

from ._base import AbstractInstrument
from ._limits import Limits
from ._lines import Line, Reach, Reading, from_lines


def from_ophyd(
    signals: Sequence[Any],
    read: Any,
    *,
    reads: Literal["cost", "outputs"] = "cost",
    limits: Limits | None = None,
    timeout_seconds: float = 10.0,
    **others: Any,
) -> AbstractInstrument:
    """A chip whose parameters are ophyd signals or positioners.

    All are told their values first, and then waited for. One whose server went away after that, as that of an
    `EpicsSignal` may, is a failure that passes when the cost is read, for it may have come back with other values.

    Args:
        signals: P of them, one number each: by `set(value)` and the status that it returns; by `put` if there is
            no `set`.
        read: a signal, triggered if it can be and then read by `get`; or a function without arguments.
        reads: whether that is the cost or the outputs.
        limits: of the parameters; by default those that the signals have.
        timeout_seconds: for setting and triggering.
        **others: `present`, `identify`, `safe_state`, `settle_seconds`, `address` and all else that
            `from_callables` takes.

    Raises:
        ValueError: if a signal has no limits and none are given.
    """

    def get() -> Any:
        if not hasattr(read, "get"):
            return read()
        if hasattr(read, "trigger"):
            read.trigger().wait(timeout=timeout_seconds)
        return read.get()

    name = str(getattr(read, "name", getattr(read, "__name__", "read")))
    lines = [_line(signal, timeout_seconds) for signal in signals]
    return from_lines(lines, Reading(name, get), system="ophyd", reads=reads, limits=limits, others=others)


def _line(signal: Any, timeout_seconds: float) -> Line:
    low, high = getattr(signal, "limits", None) or (0.0, 0.0)
    # Signals without limits have 0 and 0, or None.
    ends = (None, None) if low is None or high is None or not low < high else (float(low), float(high))
    unit = getattr(signal, "egu", None) or (getattr(signal, "metadata", None) or {}).get("units") or ""
    name, reach = str(getattr(signal, "name", signal)), Reach(lambda: getattr(signal, "connected", True))
    if hasattr(signal, "SUB_META"):

        def heard(*, connected: bool = True, **_: object) -> None:
            reach.heard(connected)

        signal.subscribe(heard, event_type=signal.SUB_META, run=False)
    is_waited_for = hasattr(signal, "set")

    def put(value: float) -> Any:
        reach.begin()
        return signal.set(value) if is_waited_for else signal.put(value)

    def finish(status: Any) -> None:
        if is_waited_for:
            status.wait(timeout=timeout_seconds)

    return Line(name, put, *ends, str(unit), finish, reach.is_lost)
