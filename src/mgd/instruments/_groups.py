"""Groups of parameters, as they stand in a chip file: what kind each is, and how it is trained. No JAX is imported."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np
from jaxtyping import Float

from .._input import nearest
from ._limits import Limits, inwards
from ._units import Units

Numbers = float | int | Sequence[float | int] | np.ndarray
# One unit of θ is this many amplitudes where a group says its amplitude alone: parameters of order one are then
# perturbed by a twentieth.
_AMPLITUDES = 20
# How well amplitudes over scales agree that are meant to be equal.
_AGREES = 1e-6
# What numbers of a group must be: above 0, or not below it; all others are any.
_RAMP = "ramp_per_second"
_ABOVE_0, _LEAST_0 = ("scale", "amplitude", "learning_rate", _RAMP), ("verify_within", "settle_seconds")
_NUMBERS = ("low", "high", "centre", *_ABOVE_0, *_LEAST_0)
_LARGEST = 3e38


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
        low: the smallest value; by default that of the instrument's limits, within which it must be.
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
        if np.ptp(found) > _AGREES * found[0]:
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


@dataclass(frozen=True, eq=False)
class Resolved:
    """What groups come to on one chip.

    Attributes:
        limits: of θ, with what it stands for.
        places: the slices of θ, by their names.
        settle: seconds that each parameter settles; NaN where its group does not say.
        ramp: how fast each may change, per second; infinite where its group does not say.
    """

    limits: Limits
    places: Mapping[str, slice]
    settle: Float[np.ndarray, " p"]
    ramp: Float[np.ndarray, " p"]


def groups_of(tables: Mapping[str, Any]) -> dict[str, Group]:
    """The groups of a chip file, or of Python, checked among themselves.

    Raises:
        ValueError: if one is wrong, two have a parameter in common, or their amplitudes do not go together.
    """
    groups = {name: Group.of(name, table) for name, table in tables.items()}
    for (_, last, before), (first, _, name) in pairwise(_in_order(groups)):
        if first <= last:
            raise ValueError(
                f"instrument.groups.{name}: parameter {first} is also one of instrument.groups.{before}: "
                "let each parameter be in one group"
            )
    common_amplitude(groups)
    return groups


def _in_order(groups: Mapping[str, Group]) -> list[tuple[int, int, str]]:
    """First and last parameter, and name, of the groups that say them, in the order of parameters."""
    return sorted((g.first, g.last, name) for name, g in groups.items() if g.first is not None and g.last is not None)


def for_each(groups: Mapping[str, Group], key: str, otherwise: float | None = None) -> tuple[float, ...] | None:
    """A number of groups for each parameter; None if they do not have all parameters, or one does not say it.

    Args:
        groups: by name.
        key: what the number is called.
        otherwise: the number of groups that do not say it.

    >>> for_each({"b": Group(first=1, last=2, low=0), "a": Group(first=0, last=0, low=-1.0)}, "low")
    (-1.0, 0.0, 0.0)
    """
    found: list[float] = []
    for first, last, name in _in_order(groups):
        value = getattr(groups[name], key)
        value = otherwise if value is None else value
        if first != len(found) or value is None:
            return None
        found += np.broadcast_to(np.asarray(value, np.float64), last - first + 1).tolist()
    return tuple(found) if found else None


def common_amplitude(groups: Mapping[str, Group]) -> float | None:
    """Δθ, the amplitude of θ that gives each group its own; None if no group says one.

    Raises:
        ValueError: if there is none that does.
    """
    found: dict[str, float] = {}
    for name, group in groups.items():
        try:
            delta = group.delta()
        except ValueError as error:
            raise ValueError(f"instrument.groups.{name}: {error}") from None
        if delta is not None:
            found[name] = delta
    for name, delta in found.items():
        first, due = next(iter(found.items()))
        if abs(delta - due) > _AGREES * due:
            raise ValueError(
                f"instrument.groups.{name}: amplitude / scale is {delta:g}, and in instrument.groups.{first} it is "
                f"{due:g}: it is the amplitude of θ, the same for all; change one of them, or leave a scale out"
            )
    if found:
        return next(iter(found.values()))
    return 1 / _AMPLITUDES if any(group.amplitude is not None for group in groups.values()) else None


def resolved(groups: Mapping[str, Group], limits: Limits, known: Mapping[str, slice]) -> Resolved:
    """What these groups come to.

    Args:
        groups: by name.
        limits: of the values on the chip.
        known: the instrument's own groups.

    Raises:
        ValueError: if one is not there, reaches beyond the last parameter or the limits, or contradicts the chip's
            own unit; table and key are named.
    """
    n = limits.low.size
    places = placed(groups, n, known)
    delta = common_amplitude(groups)
    own = limits.units or Units.plain((limits.unit,) * n)
    if own.is_scaled:
        raise ValueError("instrument.groups: the instrument has groups with scales already: give all of them there")
    unit, names = list(own.unit), list(own.group)
    low, high = limits.low.astype(np.float64), limits.high.astype(np.float64)
    scale, centre, rate = np.ones(n), np.zeros(n), np.ones(n)
    settle, ramp = np.full(n, np.nan), np.full(n, np.inf)
    for name, group in groups.items():
        place = places[name]
        size = place.stop - place.start
        unit[place] = [_unit(name, group, each) for each in unit[place]]
        names[place] = [name] * size
        low[place], high[place] = _range(name, group, limits, place)
        scale[place] = _scale(name, group, size, delta)
        for key, to in {"centre": centre, "learning_rate": rate, "settle_seconds": settle, _RAMP: ramp}.items():
            if getattr(group, key) is not None:
                to[place] = _each(name, group, key, size)
    units = Units(tuple(unit), scale, centre, tuple(names), rate, delta)
    lowest, highest = _trained(low, high, units)
    trained = Limits(lowest, highest, units.common, units)
    if delta is not None:
        _check_amplitude(trained, delta)
    return Resolved(trained, places if set(places) - set(known) else dict(known), settle, ramp)


def placed(groups: Mapping[str, Group], n_params: int, known: Mapping[str, slice]) -> dict[str, slice]:
    """Which parameters each group has.

    Raises:
        ValueError: if that is not known, one is not there, or two have one in common.
    """
    places = {name: _place(name, group, n_params, known) for name, group in groups.items()}
    taken: dict[int, str] = {}
    for name, place in places.items():
        for k in range(place.start, place.stop):
            if (other := taken.setdefault(k, name)) != name:
                raise ValueError(f"instrument.groups.{name}: parameter {k} is also one of instrument.groups.{other}")
    return places


def _place(name: str, group: Group, n: int, known: Mapping[str, slice]) -> slice:
    if group.first is None or group.last is None:
        if name not in known:
            there = f" (the instrument has {', '.join(known)})" if known else ""
            raise ValueError(
                f"instrument.groups.{name}: the instrument has no group of this name{nearest(name, known)}{there}; "
                "give first and last, the numbers of its first and last parameter"
            )
        return known[name]
    if group.last >= n:
        raise ValueError(f"instrument.groups.{name}.last is {group.last}, and the chip has parameters 0 to {n - 1}")
    place = slice(group.first, group.last + 1)
    if name in known and known[name] != place:
        raise ValueError(
            f"instrument.groups.{name}: it is parameters {known[name].start} to {known[name].stop - 1} of the "
            f"instrument, and first = {group.first} and last = {group.last} are given: leave them out"
        )
    return place


def _unit(name: str, group: Group, own: str) -> str:
    if group.unit is not None and own and group.unit != own:
        raise ValueError(
            f"instrument.groups.{name}.unit is {group.unit!r}, and the unit of its limits is {own!r}: give it once"
        )
    return own if group.unit is None else group.unit


def _each(name: str, group: Group, key: str, size: int) -> Float[np.ndarray, " n"]:
    """A number for each parameter of a group."""
    values = np.atleast_1d(np.asarray(getattr(group, key), np.float64))
    if values.size not in (1, size):
        raise ValueError(
            f"instrument.groups.{name}.{key} has {values.size} numbers, and the group {size} parameters: give one, or "
            "as many"
        )
    return np.broadcast_to(values, size)


def _range(name: str, group: Group, limits: Limits, place: slice) -> tuple[np.ndarray, np.ndarray]:
    """The range of each of its parameters, within that of the instrument."""
    ends: list[np.ndarray] = []
    for key, own in (("low", limits.low[place]), ("high", limits.high[place])):
        size = place.stop - place.start
        found = own.astype(np.float64) if getattr(group, key) is None else _each(name, group, key, size).copy()
        rounded = inwards(found, up=key == "low")
        beyond = rounded < own if key == "low" else rounded > own
        if beyond.any():
            k = place.start + int(np.argmax(beyond))
            raise ValueError(
                f"instrument.groups.{name}.{key} is {found[k - place.start]:g}, beyond the instrument's own limits of "
                f"parameter {k}, {limits.ends(k)}: narrow it"
            )
        ends.append(found)
    if not (ends[0] < ends[1]).all():
        k = int(np.argmax(ends[0] - ends[1]))
        raise ValueError(
            f"instrument.groups.{name}: nothing is left between the limits of parameter {place.start + k}, "
            f"{ends[0][k]:g} and {ends[1][k]:g}"
        )
    return ends[0], ends[1]


def _scale(name: str, group: Group, size: int, delta: float | None) -> Float[np.ndarray, " n"]:
    if group.scale is not None:
        return _each(name, group, "scale", size)
    if group.amplitude is not None and delta is not None:
        return _each(name, group, "amplitude", size) / delta
    return np.ones(size)


def _trained(
    low: Float[np.ndarray, " p"], high: Float[np.ndarray, " p"], units: Units
) -> tuple[np.ndarray, np.ndarray]:
    """The range of θ. Where it is scaled, it is inside by as much as the rounding of values and their sums."""
    scaled = (units.scale != 1) | (units.centre != 0)
    largest = np.maximum.reduce([np.abs(low), np.abs(high), np.abs(units.centre)])
    room = np.where(scaled, 4 * np.spacing(largest.astype(np.float32)).astype(np.float64), 0.0)
    return (low + room - units.centre) / units.scale, (high - room - units.centre) / units.scale


def _check_amplitude(limits: Limits, delta: float) -> None:
    """Raises: ValueError: if a perturbation does not fit between the limits of a parameter."""
    short = limits.low.astype(np.float64) + 2 * delta > limits.high
    if short.any():
        k = int(np.argmax(short))
        name = limits.units.group[k] if limits.units is not None else ""
        raise ValueError(
            f"instrument.groups.{name}.amplitude: {limits.change(k, delta)} to both sides has no room between the "
            f"limits of parameter {k}, {limits.ends(k)}: lower it"
        )
