"""One settable or readable thing of a control system. Nothing here imports JAX."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._failures import said_by

Range = tuple[float | None, float | None]
# Where a line is asked whether it takes a value: at the ends of its limits, and at a part of the way that is no round
# number, which one that takes whole numbers alone, or multiples, does not take.
_ASKED_AT = (0.0, 0.3819660113, 1.0)


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
                    f"{said_by(error)}): training may set any number between them, so narrow the limits, or "
                    "round the value before it is set"
                )
        return ""


@dataclass(frozen=True)
class Reading:
    """One readable signal of a control system.

    Attributes:
        name: its name in the control system.
        get: returns its value.
    """

    name: str
    get: Callable[[], Any]


def known_range(low: Any, high: Any) -> Range:
    """The limits that a control system says: none where it says nothing, or the same for both, such as 0 and 0."""
    if low is None or high is None or not low < high:
        return None, None
    return tuple(float(end) if np.isfinite(end) else None for end in (low, high))  # pyright: ignore[reportReturnType]


def _end(value: float | None) -> str:
    return "anything" if value is None else f"{value:.9g}"
