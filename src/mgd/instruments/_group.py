"""A group of parameters of one kind, as it stands in a chip file. Nothing here imports JAX."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from jaxtyping import Float

from .._input import nearest

Numbers = float | int | Sequence[float | int] | np.ndarray
# How well amplitudes over scales agree that are meant to be equal.
AGREES = 1e-6
# What numbers of a group must be: above 0, or not below it; all others are any.
_RAMP = "ramp_per_second"
_ABOVE_0, _LEAST_0 = ("scale", "amplitude", "learning_rate", _RAMP), ("verify_within", "settle_seconds")
_NUMBERS = ("low", "high", "centre", *_ABOVE_0, *_LEAST_0)
_LARGEST = 3e38
# From pico to tera: more is not between a unit and what is set in it, and float32 has no digits left for it.
_SCALES = (1e-12, 1e12)
# Heaters settle in minutes; what takes longer than hours is a mistake in the unit of time.
LONGEST_SECONDS = 1e4


@dataclass(frozen=True)
class Group:
    r"""A group of parameters of one kind: a bank of heaters, say, or of bias currents.

    θ is trained in units of its own: a parameter's value on the chip is centre + scale · θ. So with a scale s, a
    perturbation of Δθ is one of s Δθ on the chip, and gradient descent with the learning rate η on θ is one with s² η
    on the value. `learning_rate` multiplies every update of the group's θ, whatever the optimizer.

    A number is that of every parameter, or there is a list with one for each. All are in the group's own `unit`, except
    `learning_rate`, and that of time.

    Args:
        first: the number of the group's first parameter; None if the instrument has a group of this name.
        last: that of its last.
        unit: the unit of its values: "V", "mA" or any other.
        low: the smallest value, within what the instrument says by itself. It is for instruments that are made with the
            groups, by a chip file or a function such as `from_callables`.
        high: the largest, likewise.
        scale: how many of its units one unit of θ is; by default 1, or 20 amplitudes if an amplitude is given.
        centre: the value at θ = 0.
        amplitude: what each of its parameters is perturbed by. The amplitude Δθ of training is amplitude / scale, and
            must be the same for all groups.
        learning_rate: the factor of its learning rate.
        verify_within: how far what is read back may be off, for instruments that read back what was set.
        settle_seconds: time from a change of one of its parameters to a cost that can be read.
        ramp_per_second: how fast its parameters may change, per second.

    Raises:
        ValueError: if a setting is out of range, or contradicts another.

    >>> Group(first=0, last=7, unit="V", scale=2.5, amplitude=0.05).last
    7
    >>> Group(first=0, last=7, scale=0.0)
    Traceback (most recent call last):
    ValueError: scale must be above 0, got 0.0
    """

    first: int | None = None
    last: int | None = None
    unit: str | None = None
    low: Numbers | None = None
    high: Numbers | None = None
    scale: Numbers | None = None
    centre: Numbers | None = None
    amplitude: Numbers | None = None
    learning_rate: Numbers = 1.0
    verify_within: Numbers | None = None
    settle_seconds: Numbers | None = None
    ramp_per_second: Numbers | None = None

    def __post_init__(self):
        for name in ("first", "last"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 0):
                raise ValueError(f"{name} must be the number of a parameter, from 0 on, got {value!r}")
        if (self.first is None) != (self.last is None):
            raise ValueError(f"give both first and last, got {self.first} and {self.last}")
        if self.first is not None and self.last is not None and self.last < self.first:
            raise ValueError(f"last must not be below first, got {self.last} and {self.first}")
        if self.unit is not None and not isinstance(self.unit, str):
            raise ValueError(f"unit must be text, got {self.unit!r}")
        if self.unit is not None and not self.unit.isprintable():
            raise ValueError(f"unit must be one line of printable text, got {self.unit!r}")
        for name in _NUMBERS:
            self._check(name)
        for low, high in zip(*self._alike("low", "high"), strict=True):
            if not low < high:
                raise ValueError(f"low must be below high, got {low:g} and {high:g}")

    def _check(self, name: str) -> None:
        value, n = getattr(self, name), self.size
        if value is None:
            return
        is_list = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
        every: list[Any] = list(value) if is_list else [value]
        if not every or not all(isinstance(one, int | float | np.number) and type(one) is not bool for one in every):
            raise ValueError(f"{name} must be a number, or a list with one for each parameter, got {value!r}")
        if n is not None and len(every) not in (1, n):
            raise ValueError(f"{name} has {len(every)} numbers, and the group {n} parameters: give one, or as many")
        for one in every:
            if not (isfinite(one) and abs(one) <= _LARGEST):
                raise ValueError(f"{name} must be finite, got {one}")
            if (name in _ABOVE_0 and not one > 0) or (name in _LEAST_0 and not one >= 0):
                raise ValueError(f"{name} must be {'above' if name in _ABOVE_0 else 'at least'} 0, got {one}")
            if name == "scale" and not _SCALES[0] <= one <= _SCALES[1]:
                raise ValueError(f"scale must be from 1e-12 to 1e12, got {one}: give the unit another prefix")
            if name == "settle_seconds" and one > LONGEST_SECONDS:
                raise ValueError(f"settle_seconds must be at most {LONGEST_SECONDS:g}, got {one}: it is in seconds")

    @property
    def size(self) -> int | None:
        """How many parameters it has, if it says which."""
        return None if self.first is None or self.last is None else self.last - self.first + 1

    def _alike(self, *names: str) -> list[Float[np.ndarray, " n"]]:
        """Some of its numbers, as many of each; none if one is not given."""
        given = [getattr(self, name) for name in names]
        if any(one is None for one in given):
            return [np.zeros(0)] * len(names)
        try:
            return list(np.broadcast_arrays(*(np.atleast_1d(np.asarray(one, np.float64)) for one in given)))
        except ValueError:
            raise ValueError(f"{' and '.join(names)} are lists of different lengths: give one for each") from None

    def delta(self) -> float | None:
        """The amplitude of θ that follows from its amplitude and its scale; None if it does not give both.

        Raises:
            ValueError: if it is not one number.
        """
        amplitude, scale = self._alike("amplitude", "scale")
        if not amplitude.size:
            return None
        found = amplitude / scale
        if np.ptp(found) > AGREES * found[0]:
            raise ValueError(
                f"amplitude / scale must be the same for all parameters, got {found.min():g} and {found.max():g}"
            )
        return float(found[0])

    @staticmethod
    def of(name: str, table: Any) -> "Group":
        """The group that a table of a chip file describes.

        Raises:
            ValueError: if a setting is unknown or wrong; table and key are named.
        """
        where = f"instrument.groups.{name}"
        if not (name.strip() and name.isprintable()):
            raise ValueError(f"the name of a group must be one line of printable text, got {name!r}")
        if isinstance(table, Group):
            return table
        if not isinstance(table, Mapping):
            raise ValueError(f'{where} must be a table, such as {{ first = 0, last = 7, unit = "V" }}, got {table!r}')
        known = [field.name for field in dataclasses.fields(Group)]
        for key in table:
            if key not in known:
                raise ValueError(f"{where}: unknown setting {key!r}{nearest(key, known)}")
        try:
            return Group(**table)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
