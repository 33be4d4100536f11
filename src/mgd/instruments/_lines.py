"""Chips whose parameters are set one by one by the objects of a control system. Nothing here imports JAX."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .._errors import HardwareError
from ._base import AbstractInstrument, real_numbers
from ._callables import from_callables
from ._failures import TimeIsUp, failing, said_by
from ._limits import Limits, inwards

Range = tuple[float | None, float | None]
# Lines that are told of by name, at most.
_MOST_NAMED = 12
# Where a line is asked whether it takes a value: at the ends of its limits, and at a part of the way that is no round
# number, which one that takes whole numbers alone, or multiples, does not take.
_ASKED_AT = (0.0, 0.3819660113, 1.0)
_REMEDY = "narrow the limits to what it takes, or mend the function"


class Reach:
    """Whether something was within reach at all times since it was last set.

    Args:
        connected: whether it is within reach now.
    """

    def __init__(self, connected: Callable[[], bool]):
        self._connected, self._was_lost = connected, False

    def begin(self) -> None:
        """It is being set."""
        self._was_lost = False

    def heard(self, connected: bool) -> None:
        """The control system says that it came within reach, or went out of it."""
        self._was_lost |= not connected

    def is_lost(self) -> bool:
        return self._was_lost or not self._connected()


@dataclass(frozen=True)
class Line:
    """One settable thing of a control system.

    Attributes:
        name: how the control system calls it.
        put: sets it, or starts to, in so many seconds; None for the time it has otherwise.
        unit: of the value.
        range: smallest and largest value it takes at present, None where that is not known.
        takes: raises if it does not take that value.
        stages: the values by which it is ramped to another, the last of them that value.
        finish: waits until it is set, given what `put` returned, for so many seconds.
        lost: whether it was out of reach at any time since it was last put, and so may have another value.
        present: the value that it has; None if that is not known.
    """

    name: str
    put: Callable[[float, float | None], Any]
    unit: str = ""
    range: Callable[[], Range] = lambda: (None, None)
    takes: Callable[[float], object] = lambda value: None
    stages: Callable[[float], Sequence[float]] = lambda value: (value,)
    finish: Callable[[Any, float | None], object] = lambda under_way, seconds: None
    lost: Callable[[], bool] = lambda: False
    present: Callable[[], Any] = lambda: None

    def refuses(self, low: float, high: float) -> str:
        """Why it cannot be a parameter with these limits; empty if it can."""
        least, most = self.range()
        if (least is not None and low < least) or (most is not None and high > most):
            return (
                f"{self.name} takes {_end(least)} … {_end(most)} {self.unit}".rstrip()
                + f", and its limits are {low:.9g} … {high:.9g}: narrow the limits"
            )
        for part in _ASKED_AT:
            value = low + part * (high - low)
            try:
                self.takes(value)
            except Exception as error:
                return (
                    f"{self.name} does not take {value:.9g} {self.unit}".rstrip()
                    + f", which is within its limits of {low:.9g} … {high:.9g} ({type(error).__name__}: "
                    f"{said_by(error)}): a parameter is set to any number between them, so narrow the limits, or "
                    "round what it is set to"
                )
        return ""


@dataclass(frozen=True)
class Reading:
    """One readable thing of a control system.

    Attributes:
        name: how the control system calls it.
        get: its value.
    """

    name: str
    get: Callable[[], Any]


def from_lines(
    lines: Sequence[Line],
    reading: Reading,
    *,
    system: str,
    reads: Literal["cost", "outputs"],
    limits: Limits | None,
    others: dict[str, Any],
    ask_now: bool = False,
) -> AbstractInstrument:
    """An instrument that sets lines, and takes a reading.

    Lines that are ramped go together, a stage of each in turn. Where no other safe state is given, every line goes to
    the middle of its limits, whatever becomes of the others.

    Args:
        lines: of the parameters.
        reading: of the cost or the outputs.
        system: name of the control system.
        reads: what the reading is.
        limits: of the parameters; None for what the lines say. Those that are given must be within what the lines say,
            at every opening.
        others: arguments of `from_callables`.
        ask_now: whether lines can be asked what they take before they are opened.

    Raises:
        ValueError: if there are no lines, limits are neither given nor known, or a line does not take all of them.
    """
    if not lines:
        raise ValueError(f"a chip needs parameters, got no {system} objects")
    if reads not in ("cost", "outputs"):
        raise ValueError(f'reads must be "cost" or "outputs", got {reads!r}')
    address = others.pop("address", None) or _address(system, [line.name for line in lines])
    limits = limits or _limits(lines, system)
    if limits.low.size != len(lines):
        raise ValueError(f"there are {len(lines)} {system} objects, and limits for {limits.low.size}")
    if ask_now:
        for line, low, high in zip(lines, limits.low.tolist(), limits.high.tolist(), strict=True):
            if why := line.refuses(low, high):
                raise ValueError(f"{system} {why}")
    bank = _Bank(address, lines, reading, limits, others.pop("present", None), others.pop("open", None))
    verb = {"cost": "measure_cost", "outputs": "read_outputs"}[reads]
    made = from_callables(
        set_parameters=bank.set,
        limits=limits,
        open=bank.open,
        present=bank.present,
        safe_state=others.pop("safe_state", None) or (lambda: bank.make_safe(made.leave_seconds)),
        not_safe=others.pop("not_safe", None) or bank.not_safe,
        address=address,
        **{verb: getattr(bank, reads)},
        **others,
    )
    return made


class _Bank:
    def __init__(
        self,
        address: str,
        lines: Sequence[Line],
        reading: Reading,
        limits: Limits,
        present: Callable | None,
        open: Callable | None,
    ):
        self._address, self._lines, self._reading, self._limits = address, lines, reading, limits
        self._present, self._open = present, open
        self._shown: tuple[int, ...] = ()
        # The lines that are not known to be in the safe state.
        self._not_safe: list[int] = list(range(len(lines)))

    def open(self) -> None:
        if self._open is not None:
            with self._failing("opening it"):
                self._open()
        for line, low, high in zip(self._lines, self._limits.low.tolist(), self._limits.high.tolist(), strict=True):
            with self._failing(f"asking {line.name} for its range"):
                why = line.refuses(low, high)
            if why:
                raise HardwareError(f"{self._address}: {why}")

    def set(self, theta: np.ndarray) -> None:
        self._not_safe = list(range(len(self._lines)))
        values = theta.tolist()
        ways = {k: self._way(k, value) for k, value in enumerate(values)}
        started: dict[int, Any] = {}
        while ways:
            for k in list(ways):
                started[k] = self._put(k, ways[k].pop(0))
                if not ways[k]:
                    del ways[k]
        for k, value in enumerate(values):
            self._finish(k, value, started[k])

    def make_safe(self, seconds: float) -> None:
        """Every line to the middle of its limits, each whatever becomes of the others.

        Raises:
            HardwareError: which lines did not get there, and why.
        """
        values = self._limits.middle.tolist()
        self._not_safe = list(range(len(values)))
        why: dict[int, str] = {}
        started: dict[int, Any] = {}
        late = False
        ways: dict[int, list[float]] = {}

        def step(k: int) -> bool:
            """Takes a line one stage further; whether there is another."""
            if k not in ways:
                ways[k] = self._way(k, values[k])
            if late and len(ways[k]) > 1:
                raise TimeIsUp("it is ramped, and the time was up")
            started[k] = self._put(k, ways[k].pop(0), seconds)
            return bool(ways[k])

        def arrive(k: int) -> bool:
            self._finish(k, values[k], started[k], seconds)
            self._not_safe.remove(k)
            return False

        for act in (step, arrive):
            going = [k for k in range(len(values)) if k not in why]
            while going:
                for k in list(going):
                    try:
                        goes_on = act(k)
                    except HardwareError as error:
                        late = late or isinstance(error, TimeIsUp)
                        why[k], goes_on = said_by(error), False
                    if not goes_on:
                        going.remove(k)
        if why:
            first = self._lines[next(iter(why))].name
            more = f", nor are {len(why) - 1} others" if len(why) > 1 else ""
            raise HardwareError(f"{self._address}: {first} is not in its safe state{more}: {next(iter(why.values()))}")

    def not_safe(self) -> list[str]:
        """The lines that may not be in the safe state, and the value that each has."""
        found, late = [], False
        for k in self._not_safe[:_MOST_NAMED]:
            line, value = self._lines[k], None
            try:
                value = None if late else real_numbers(line.present())
            except Exception as error:  # whatever reading it raises
                late = isinstance(error, TimeIsUp)
            told = "not known where" if value is None or value.size != 1 else f"at {float(value.reshape(())):.6g}"
            found.append(f"{line.name} ({told} {line.unit})".replace(" )", ")"))
        more = len(self._not_safe) - _MOST_NAMED
        return [*found, f"{more} more"] if more > 0 else found

    def present(self, x: np.ndarray, target: np.ndarray) -> None:
        self._shown = target.shape
        if self._present is not None:
            with self._failing(f"presenting {len(x)} inputs"):
                self._present(x, target)

    def cost(self) -> float:
        values = self._read()
        if values.size != 1:
            raise HardwareError(
                f"{self._address}: {self._reading.name} gave {values.size} numbers where one cost is due: "
                'read a scalar, or say reads="outputs"'
            )
        return float(values.reshape(()))

    def outputs(self) -> np.ndarray:
        values = self._read()
        # A waveform is the outputs for one sample, or those for each sample one after the other.
        return values.reshape(self._shown) if values.size == np.prod(self._shown) else values

    def _way(self, k: int, value: float) -> list[float]:
        with self._failing(self._setting(k, value)):
            return list(self._lines[k].stages(value))

    def _put(self, k: int, value: float, seconds: float | None = None) -> Any:
        with self._failing(self._setting(k, value)):
            return self._lines[k].put(value, seconds)

    def _finish(self, k: int, value: float, under_way: Any, seconds: float | None = None) -> None:
        with self._failing(self._setting(k, value)):
            self._lines[k].finish(under_way, seconds)

    def _setting(self, k: int, value: float) -> str:
        return f"setting {self._lines[k].name} to {value:.6g} {self._lines[k].unit}".rstrip()

    def _read(self) -> np.ndarray:
        with self._failing(f"reading {self._reading.name}"):
            reply = self._reading.get()
        if reply is None:
            raise HardwareError(
                f"{self._address}: reading {self._reading.name} gave nothing: check that it is connected", passing=True
            )
        for line in self._lines:
            if line.lost():
                raise HardwareError(
                    f"{self._address}: {line.name} was out of reach after it was set: check its connection",
                    passing=True,
                )
        values = real_numbers(reply)
        if values is None:
            raise HardwareError(
                f"{self._address}: {self._reading.name} gave {str(reply)[:80]!r}, which is no number: read another"
            )
        return values

    def _failing(self, doing: str) -> AbstractContextManager[None]:
        return failing(self._address, doing, _REMEDY)


def known_range(low: Any, high: Any) -> Range:
    """The limits that a control system says: none where it says nothing, or the same for both, such as 0 and 0."""
    if low is None or high is None or not low < high:
        return None, None
    return tuple(float(end) if np.isfinite(end) else None for end in (low, high))  # pyright: ignore[reportReturnType]


def _address(system: str, names: Sequence[str]) -> str:
    return f"{system} {names[0]}" + (f" … {names[-1]} ({len(names)})" if len(names) > 1 else "")


def _limits(lines: Sequence[Line], system: str) -> Limits:
    """The limits that the lines say."""
    ends = [_taken(line, *line.range(), system) for line in lines]
    low, high = np.array(ends).T
    units = {line.unit for line in lines}
    return Limits(low, high, units.pop() if len(units) == 1 else "")


def _taken(line: Line, least: float | None, most: float | None, system: str) -> tuple[float, float]:
    """The range of a line as float32 numbers that it takes.

    Raises:
        ValueError: if it says none, or does not take all of it.
    """
    if least is None or most is None or not np.isfinite([least, most]).all() or not least < most:
        raise ValueError(f"{system} does not say which range {line.name} has: give limits=Limits(…)")
    low, high = inwards(np.array([least]), up=True), inwards(np.array([most]), up=False)
    why = line.refuses(float(low[0]), float(high[0]))
    if why:  # the last digit may be lost where the line scales what it is set to
        low, high = np.nextafter(low, np.float32(np.inf)), np.nextafter(high, np.float32(-np.inf))
        if line.refuses(float(low[0]), float(high[0])):
            raise ValueError(f"{system} {why}")
    return float(low[0]), float(high[0])


def _end(value: float | None) -> str:
    return "anything" if value is None else f"{value:.9g}"
