"""Chips whose parameters are set one by one by the objects of a control system. Nothing here imports JAX."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .._errors import HardwareError, MgdError
from ._base import AbstractInstrument
from ._callables import from_callables
from ._limits import Limits

# What a wrong call raises, also in others' libraries; asking again does not help.
_WRONG_CALL = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError, ValueError)


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
        put: sets it, or starts to.
        low: smallest value it takes, None if that is not known.
        high: largest value it takes.
        unit: of the value.
        finish: waits until it is set, given what `put` returned.
        lost: whether it was out of reach at any time since it was last put, and so may have another value.
    """

    name: str
    put: Callable[[float], Any]
    low: float | None = None
    high: float | None = None
    unit: str = ""
    finish: Callable[[Any], object] = lambda under_way: None
    lost: Callable[[], bool] = lambda: False


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
) -> AbstractInstrument:
    """An instrument that sets lines one after the other, and takes a reading.

    Args:
        lines: of the parameters.
        reading: of the cost or the outputs.
        system: name of the control system.
        reads: what the reading is.
        limits: of the parameters; None for what the lines say.
        others: arguments of `from_callables`.

    Raises:
        ValueError: if there are no lines, or limits are neither given nor known.
    """
    if not lines:
        raise ValueError(f"a chip needs parameters, got no {system} objects")
    if reads not in ("cost", "outputs"):
        raise ValueError(f'reads must be "cost" or "outputs", got {reads!r}')
    address = others.pop("address", None) or _address(system, [line.name for line in lines])
    bank = _Bank(address, lines, reading, others.pop("present", None))
    verb = {"cost": "measure_cost", "outputs": "read_outputs"}[reads]
    return from_callables(
        set_parameters=bank.set,
        limits=limits or _limits(lines, system),
        present=bank.present,
        address=address,
        **{verb: getattr(bank, reads)},
        **others,
    )


class _Bank:
    def __init__(self, address: str, lines: Sequence[Line], reading: Reading, present: Callable | None):
        self._address, self._lines, self._reading, self._present = address, lines, reading, present
        self._shown: tuple[int, ...] = ()

    def set(self, theta: np.ndarray) -> None:
        started = []
        for line, value in zip(self._lines, theta.tolist(), strict=True):
            with self._failing(f"setting {line.name} to {value:.6g} {line.unit}".rstrip()):
                started.append(line.put(value))
        for line, value, under_way in zip(self._lines, theta.tolist(), started, strict=True):
            with self._failing(f"setting {line.name} to {value:.6g} {line.unit}".rstrip()):
                line.finish(under_way)

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
        try:
            return np.asarray(reply, np.float32)
        except (TypeError, ValueError):
            raise HardwareError(
                f"{self._address}: {self._reading.name} gave {str(reply)[:80]!r}, which is no number: read another"
            ) from None

    @contextmanager
    def _failing(self, doing: str) -> Iterator[None]:
        """What the control system raises is a failure of the chip, with its name and the value."""
        try:
            yield
        except MgdError as error:
            if str(error).startswith(self._address) or not isinstance(error, HardwareError):
                raise
            raise HardwareError(f"{self._address}: {doing}: {error}", passing=error.passing) from error
        except Exception as error:
            wrong = isinstance(error, _WRONG_CALL)
            remedy = "narrow the limits to what it takes, or mend the function" if wrong else "check that it is there"
            said = " ".join(str(error).split()) or "no more is known"
            raise HardwareError(
                f"{self._address}: {doing} raised {type(error).__name__}: {said}: {remedy}", passing=not wrong
            ) from error


def _address(system: str, names: Sequence[str]) -> str:
    return f"{system} {names[0]}" + (f" … {names[-1]} ({len(names)})" if len(names) > 1 else "")


def _limits(lines: Sequence[Line], system: str) -> Limits:
    """The limits that the lines say, as float32 numbers that are within them."""
    ends = []
    for line in lines:
        if line.low is None or line.high is None or not np.isfinite([line.low, line.high]).all():
            raise ValueError(f"{system} does not say which range {line.name} has: give limits=Limits(…)")
        low, high = np.float32(line.low), np.float32(line.high)
        ends.append(
            (
                np.nextafter(low, np.float32(np.inf)) if float(low) < line.low else low,
                np.nextafter(high, np.float32(-np.inf)) if float(high) > line.high else high,
            )
        )
    low, high = np.array(ends, np.float32).T
    units = {line.unit for line in lines}
    return Limits(low, high, units.pop() if len(units) == 1 else "")
