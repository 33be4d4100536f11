"""Chips whose parameters are ophyd signals: by their methods, ophyd itself is not needed here."""

from collections.abc import Sequence
from typing import Any, Literal

from .._errors import HardwareError
from ._base import AbstractInstrument
from ._epics import check_holds_numbers
from ._limits import Limits
from ._line import Line, Range, Reach, Reading, known_range
from ._lines import from_lines


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

    All signals are set first, and then awaited. An `EpicsSignal` that is read back counts as set when it is within its
    `tolerance`, by default one digit of its PREC: if that is not far below the amplitude, set a smaller one. If a
    signal's server has disappeared by the time the cost is read, that is a temporary failure, because the server may
    come back with other values.

    Args:
        signals: P of them, one number each: by `set(value)` and the status that it returns; by `put` if there is
            no `set`.
        read: a signal, triggered if it can be and then read by `get`; or a function without arguments.
        reads: whether that is the cost or the outputs.
        limits: of the parameters; by default those of the signals: for a positioner, the tighter of its own and its
            setpoint's.
        timeout_seconds: the time limit for setting and triggering; for the safe state it is `leave_seconds`.
        **others: `present`, `identify`, `safe_state`, `leave_seconds`, `settle_seconds`, `address` and all other
            arguments of `from_callables`.

    Raises:
        ValueError: if a signal has no limits and none are given, or does not take all numbers within them.
        HardwareError: if a signal is not connected when its limits are needed.
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
    unit = getattr(signal, "egu", None) or (getattr(signal, "metadata", None) or {}).get("units") or ""
    name, reach = str(getattr(signal, "name", signal)), Reach(lambda: getattr(signal, "connected", True))
    if hasattr(signal, "SUB_META"):

        def heard(*, connected: bool = True, **_: object) -> None:
            reach.heard(connected)

        signal.subscribe(heard, event_type=signal.SUB_META, run=False)
    is_waited_for = hasattr(signal, "set")

    def put(value: float, seconds: float | None) -> Any:
        reach.begin()
        return signal.set(value) if is_waited_for else signal.put(value)

    def finish(status: Any, seconds: float | None) -> None:
        if is_waited_for:
            status.wait(timeout=timeout_seconds if seconds is None else seconds)

    return Line(
        name=name,
        put=put,
        unit=str(unit),
        range=lambda: _range(signal, timeout_seconds),
        takes=lambda value: _check(signal, value),
        finish=finish,
        lost=reach.is_lost,
        present=lambda: signal.position if hasattr(signal, "position") else signal.get(),
    )


def _range(signal: Any, timeout_seconds: float) -> Range:
    """The tighter of the limits of a positioner and those of the signal that it sets."""
    if not getattr(signal, "connected", True) and hasattr(signal, "wait_for_connection"):
        try:
            signal.wait_for_connection(timeout=timeout_seconds)
        except TimeoutError as error:
            raise HardwareError(
                f"ophyd {signal.name} is not connected after {timeout_seconds:g} s: check its server", passing=True
            ) from error
    ranges = [known_range(*_limits(each)) for each in _of_it(signal)]
    lows, highs = ([end for end in ends if end is not None] for ends in zip(*ranges, strict=True))
    return max(lows, default=None), min(highs, default=None)


def _of_it(signal: Any) -> list[Any]:
    """A signal; of a positioner, the one that it sets as well."""
    return [each for each in (signal, getattr(signal, "setpoint", None)) if each is not None]


def _limits(signal: Any) -> tuple[Any, Any]:
    try:
        return getattr(signal, "limits", None) or (None, None)
    except TypeError:  # of a signal derived from one that has none
        return None, None


def _check(signal: Any, value: float) -> None:
    """Raises: if a signal does not take a value, or would cut it to a whole number."""
    for each in _of_it(signal):
        variable = getattr(each, "_write_pv", None)
        if variable is not None:
            check_holds_numbers(variable)
        if hasattr(each, "check_value"):
            each.check_value(value)
