"""A bank of lines as the verbs of a chip: set together, ramped together, and each made safe by itself.

Nothing here imports JAX.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from .._errors import HardwareError
from ._base import real_numbers
from ._failures import RetryOn, TimeIsUp, failing, said_by
from ._limits import Limits
from ._line import Line, Reading

# Lines that a message names, at most.
_MOST_NAMED = 12
_REMEDY = "narrow the limits to what it takes, or correct the function"


class Bank:
    """Lines that are set together, and a reading; its methods are the verbs of a chip.

    Args:
        address: of the chip.
        lines: of its parameters.
        reading: of its cost or its outputs.
        limits: of its parameters.
        present: puts inputs in front of it; None if it has none.
        open: is called before lines are asked for their ranges; None for nothing.
        retry_on: says after which errors it is asked again; None for the usual ones.
    """

    def __init__(
        self,
        address: str,
        lines: Sequence[Line],
        reading: Reading,
        limits: Limits,
        present: Callable | None,
        open: Callable | None,
        retry_on: Callable[[], RetryOn | None],
    ):
        self._address, self._lines, self._reading, self._limits = address, lines, reading, limits
        self._present, self._open, self._retry_on = present, open, retry_on
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

    def read_back(self) -> np.ndarray:
        """The values that the lines have."""
        found = []
        for line in self._lines:
            with self._failing(f"reading {line.name} back"):
                value = real_numbers(line.present())
            if value is None or value.size != 1:
                raise HardwareError(
                    f"{self._address}: {line.name} cannot be read back: leave verify_within out, or give "
                    "read_parameters"
                )
            found.append(float(value.reshape(())))
        return np.array(found, np.float32)

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
                raise TimeIsUp("it is ramped, and its time was over")
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
            place = "not known where" if value is None or value.size != 1 else f"at {float(value.reshape(())):.6g}"
            found.append(f"{line.name} ({place} {line.unit})".replace(" )", ")"))
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
                'read a scalar, or give reads="outputs"'
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
                    f"{self._address}: {line.name} could not be reached after it was set: check its connection",
                    passing=True,
                )
        values = real_numbers(reply)
        if values is None:
            raise HardwareError(
                f"{self._address}: {self._reading.name} gave {str(reply)[:80]!r}, which is not a number: read another"
            )
        return values

    def _failing(self, doing: str) -> AbstractContextManager[None]:
        return failing(self._address, doing, _REMEDY, self._retry_on())
