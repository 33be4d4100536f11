"""What is varied: lists and ranges as people write them. Nothing here imports JAX."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._names import is_sizes, is_whole, known_name

# A point is 4 kB of settings, and checked in a millisecond: more do not fit in memory, or are a slip of the pen.
MOST_POINTS = 1_000_000
# Figures of a number that a range makes: what people would write, and the same on every machine.
_FIGURES = 9
_RANGE = re.compile(r"(?P<low>[^:]+?)\.\.(?P<high>[^:]+?)(:(?P<n>\d+))?(?P<log>:log)?")


@dataclass(frozen=True)
class Axis:
    """The values of one setting: a list of them, or the ends of an interval from which a design draws.

    Attributes:
        name: of the setting.
        values: the list; empty for an interval.
        ends: of the interval; None for a list.
        log: whether the interval is even in the logarithm.
    """

    name: str
    values: tuple[Any, ...] = ()
    ends: tuple[float, float] | None = None
    log: bool = False

    def at(self, share: float) -> Any:
        """The value that lies at this share of the axis, from 0 to below 1."""
        if self.ends is None:
            return self.values[int(share * len(self.values))]
        low, high = self.ends
        if is_whole(self.name):  # each whole number has an interval of its own
            if self.log:
                return min(int(high), max(int(low), round(_between(low - 0.5, high + 0.5, share, log=True))))
            return int(low) + int(share * (int(high) - int(low) + 1))
        return rounded(_between(low, high, share, log=self.log))


def axes_of(vary: Mapping[str, Any]) -> list[Axis]:
    """The axes of what is to be varied.

    Args:
        vary: for each setting a text ("3..10", "1e-4..1e-2:5:log", "1,2,5"), or a sequence of values.

    Raises:
        ValueError: if a setting is unknown or named twice, or a text or value cannot be read.
    """
    if not vary:
        raise ValueError("a sweep varies something: give vary, such as dac-bits=3..10")
    axes = [_axis(known_name(name), given) for name, given in vary.items()]
    for axis in axes:
        if sum(axis.name == other.name for other in axes) > 1:
            raise ValueError(f"vary: {axis.name} is given twice")
    return axes


def given_in(texts: Iterable[str]) -> dict[str, str]:
    """What each text NAME=VALUES varies.

    Raises:
        ValueError: if one is not of this form, or a name comes twice.

    >>> given_in(["dac-bits=3..10", "cost-noise=0,0.01"])
    {'dac-bits': '3..10', 'cost-noise': '0,0.01'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not (name and equals and values):
            raise ValueError(f"vary: give NAME=VALUES, such as dac-bits=3..10 or cost-noise=0,0.01, got {text!r}")
        if name in found:
            raise ValueError(f"vary: {name} is given twice")
        found[name] = values
    return found


def rounded(value: float) -> float:
    """A number with as many figures as people would write."""
    return float(f"{value:.{_FIGURES}g}")


def _axis(name: str, given: Any) -> Axis:
    if isinstance(given, str):
        return _read(name, given)
    if isinstance(given, Mapping) or not isinstance(given, Iterable):
        raise ValueError(f"vary: {name} needs a list of values or a range such as 1..5, got {given!r}")
    values = [_plain(value) for value in given]
    return _listed(name, [(value,) if is_sizes(name) and isinstance(value, int) else value for value in values])


def _read(name: str, text: str) -> Axis:
    if ".." in text:
        return _range(name, text)
    return _listed(name, [_word(name, word.strip()) for word in text.split(",")])


def _listed(name: str, values: list[Any]) -> Axis:
    if not values:
        raise ValueError(f"vary: {name} has no values")
    seen: list[Any] = []
    for value in values:
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"vary: {name} must be finite numbers, got {value!r}")
        if value in seen:
            raise ValueError(f"vary: {name} has {value!r} twice")
        seen.append(value)
    return Axis(name, tuple(values))


def _range(name: str, text: str) -> Axis:
    """The values of low..high, low..high:N, or with :log, evenly in the logarithm."""
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError(
            f"vary: {name}={text}: give LOW..HIGH, LOW..HIGH:N or LOW..HIGH:N:log, such as 1e-4..1e-2:5:log"
        )
    low, high = (_number(name, found[end]) for end in ("low", "high"))
    if not low < high:
        raise ValueError(f"vary: {name}={text}: the first end must be below the second")
    log = found["log"] is not None
    if log and low <= 0:
        raise ValueError(f"vary: {name}={text}: with :log both ends must be above 0")
    if is_sizes(name) or (not all(end.is_integer() for end in (low, high)) and is_whole(name)):
        raise ValueError(
            f"vary: {name}={text}: a range of {name} goes from one whole number to another; or give a list"
        )
    if found["n"] is None:
        return Axis(name, ends=(low, high), log=log)
    n = int(found["n"])
    if not 2 <= n <= MOST_POINTS:
        raise ValueError(f"vary: {name}={text}: a range has from 2 to {MOST_POINTS:,} values, got {n:,}")
    values = (_between(low, high, k / (n - 1), log=log) for k in range(n))
    made = [round(value) for value in values] if is_whole(name) else [rounded(value) for value in values]
    return Axis(name, tuple(dict.fromkeys(made)))


def whole_range(axis: Axis) -> Axis:
    """A range without a number of values, as a list: all whole numbers in it.

    Raises:
        ValueError: if its ends are none.
    """
    if axis.ends is None:
        return axis
    low, high = axis.ends
    if axis.log or not (low.is_integer() and high.is_integer()):
        raise ValueError(
            f"vary: {axis.name}: how many values? Give LOW..HIGH:N or LOW..HIGH:N:log, or a design that draws them, "
            "such as sobol:64"
        )
    if high - low >= MOST_POINTS:
        raise ValueError(f"vary: {axis.name} has {high - low + 1:,.0f} values: give LOW..HIGH:N")
    kind = int if is_whole(axis.name) else float
    return Axis(axis.name, tuple(kind(value) for value in range(int(low), int(high) + 1)))


def _between(low: float, high: float, share: float, *, log: bool) -> float:
    if share == 1:
        return high
    return float(np.exp(np.log(low) + share * (np.log(high) - np.log(low)))) if log else low + share * (high - low)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"vary: {name}: an end of a range must be a number, got {text!r}")
    return value


def _word(name: str, word: str) -> Any:
    """What a word of a list stands for; sizes of layers have an x between."""
    if not word:
        raise ValueError(f"vary: {name}: a value is missing between two commas")
    if is_sizes(name):
        if not re.fullmatch(r"\d+(x\d+)*", word):
            raise ValueError(f"vary: {name}: give sizes of layers such as 4 or 16x8, got {word!r}")
        return tuple(int(size) for size in word.split("x"))
    if word in ("true", "false"):
        return word == "true"
    for kind in (int, float):
        try:
            value = kind(word)
        except ValueError:
            continue
        if is_whole(name) and isinstance(value, float) and value.is_integer():
            return int(value)  # 1e4 timesteps
        return value
    return word


def _plain(value: Any) -> Any:
    """A value of NumPy as one of Python; a list as a tuple."""
    if isinstance(value, np.generic):
        value = value.item()
    return tuple(_plain(each) for each in value) if isinstance(value, list | tuple | np.ndarray) else value
