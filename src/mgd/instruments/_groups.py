"""Groups of parameters: what they come to on a chip, and what of them contradicts. Nothing here imports JAX."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float

from .._input import nearest
from ._group import AGREES, LONGEST_SECONDS, Group
from ._limits import Limits, inwards
from ._units import Units

# One unit of θ is this many amplitudes where a group says its amplitude alone: parameters of order one are then
# perturbed by a twentieth.
_AMPLITUDES = 20


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
        if abs(delta - due) > AGREES * due:
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
        _check_range(name, group, limits, place)
        scale[place] = _scale(name, group, size, delta)
        for key, to in {
            "centre": centre,
            "learning_rate": rate,
            "settle_seconds": settle,
            "ramp_per_second": ramp,
        }.items():
            if getattr(group, key) is not None:
                to[place] = _each(name, group, key, size)
        with np.errstate(over="ignore"):
            longest = float(((high - low) / ramp)[place].max())
        if longest > LONGEST_SECONDS:
            raise ValueError(
                f"instrument.groups.{name}.ramp_per_second: from limit to limit it takes {longest:.3g} s, and at most "
                f"{LONGEST_SECONDS:g} s may be waited: raise it"
            )
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


def narrowed(groups: Mapping[str, Group], limits: Limits, known: Mapping[str, slice] = MappingProxyType({})) -> Limits:
    """The limits of an instrument, with those of groups in their place.

    Raises:
        ValueError: if they are not within them, or nothing is left between them.
    """
    low, high = limits.low.astype(np.float64), limits.high.astype(np.float64)
    for name, place in placed(groups, low.size, known).items():
        low[place], high[place] = _range(name, groups[name], limits, place)
    return Limits(low, high, limits.unit, limits.units)


def within_of(groups: Mapping[str, Group], n_params: int, otherwise: Any) -> Any:
    """How far what is read back may be off: what groups say, for each parameter, in place of what all have."""
    if all(group.verify_within is None for group in groups.values()):
        return otherwise
    within = np.array(np.broadcast_to(np.asarray(otherwise, np.float64), n_params))
    for name, place in placed(groups, n_params, {}).items():
        if groups[name].verify_within is not None:
            within[place] = _each(name, groups[name], "verify_within", place.stop - place.start)
    return within


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


def _check_range(name: str, group: Group, limits: Limits, place: slice) -> None:
    """Raises: ValueError: if a group has other limits than the instrument, whose safe state is within its own."""
    ranges = _range(name, group, limits, place)
    for key, found, own in zip(("low", "high"), ranges, (limits.low[place], limits.high[place]), strict=True):
        if (different := inwards(found, up=key == "low") != own).any():
            k = place.start + int(np.argmax(different))
            raise ValueError(
                f"instrument.groups.{name}.{key} is {found[k - place.start]:g}, and the instrument's own limits of "
                f"parameter {k} are {limits.ends(k)}: give it where the instrument's limits are given"
            )


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
