"""Chips whose parameters are QCoDeS parameters: by their methods, QCoDeS itself is not needed here."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np

from ._base import AbstractInstrument, Identity
from ._limits import Limits
from ._line import Line, Range, Reading
from ._lines import from_lines

Scale = tuple[float, float]
# Validators without bounds have them there.
_NO_BOUND = 1e18
# So much shorter are the stages of a ramp than its step, that rounding does not make two of one.
_SHORTER = 1e-6


def from_qcodes(
    parameters: Sequence[Any],
    read: Any,
    *,
    reads: Literal["cost", "outputs"] = "cost",
    limits: Limits | None = None,
    **others: Any,
) -> AbstractInstrument:
    """A chip whose parameters are QCoDeS parameters.

    Parameters with a `step` are ramped, all together. A view of another parameter (`DelegateParameter`,
    `ScaledParameter`, `GroupedParameter`) has the range of that one, converted by its scale and offset.

    Args:
        parameters: P settable parameters, one number each, that take any number between their limits.
        read: a gettable parameter, or a function without arguments.
        reads: whether that is the cost or the outputs.
        limits: of the parameters; by default the tightest of their validators'.
        **others: `present`, `identify`, `safe_state`, `leave_seconds`, `settle_seconds`, `address` and all other
            arguments of `from_callables`. The identity is that of the first parameter's instrument.

    Raises:
        ValueError: if a parameter has no range and there are no limits, or does not take all numbers within them.
    """
    root = getattr(parameters[0], "root_instrument", None) if parameters else None
    if hasattr(root, "get_idn"):
        others.setdefault("identify", lambda: _identity(root))
    get = read if _is_function(read) else read.get
    name = str(getattr(read, "full_name", getattr(read, "__name__", "read")))
    lines = [_line(parameter) for parameter in parameters]
    return from_lines(
        lines, Reading(name, get), system="qcodes", reads=reads, limits=limits, others=others, ask_now=True
    )


def _is_function(read: Any) -> bool:
    return callable(read) and not hasattr(read, "get")


def _line(parameter: Any) -> Line:
    return Line(
        name=str(getattr(parameter, "full_name", parameter)),
        put=lambda value, seconds: parameter.set(value),
        unit=str(getattr(parameter, "unit", "") or ""),
        range=lambda: _range(parameter),
        takes=lambda value: _check(parameter, value),
        stages=lambda value: _stages(parameter, value),
        present=lambda: parameter.get() if getattr(parameter, "gettable", False) else _cached(parameter),
    )


def _below(parameter: Any) -> Iterator[tuple[Any, Scale | None]]:
    """The parameters that a parameter sets, each with the scale and offset of what it sets them to; None if there are
    no such two numbers."""
    group: Any = getattr(parameter, "group", None)
    if getattr(parameter, "source", None) is not None:
        yield parameter.source, _scaled(parameter)
    elif hasattr(parameter, "wrapped_parameter"):
        yield parameter.wrapped_parameter, (float(parameter.division), 0.0)
    elif hasattr(group, "parameters"):
        # It sets all to the same, unless by a function of its own; scales of those in it QCoDeS applies twice.
        same = getattr(group, "_set_fn", True) is None
        for each in group.parameters.values():
            yield each, _scaled(parameter) if same and _scaled(each) == (1.0, 0.0) else None


def _scaled(parameter: Any) -> Scale | None:
    """A parameter's own scale and offset, if these are all that is done to a value."""
    if getattr(parameter, "val_mapping", None) is not None or getattr(parameter, "set_parser", None) is not None:
        return None
    scale, offset = getattr(parameter, "scale", None), getattr(parameter, "offset", None)
    if isinstance(scale, Iterable) or isinstance(offset, Iterable):
        return None
    return (1.0 if scale is None else float(scale)), (0.0 if offset is None else float(offset))


def _range(parameter: Any) -> Range:
    """The tightest of the validators of a parameter, and of the parameters that it sets."""
    ranges = [_ends(each) for each in _validators(parameter)]
    for below, scaled in _below(parameter):
        if scaled is not None:
            ranges.append(_seen_through(scaled, _range(below)))
    lows = [low for low, _ in ranges if low is not None]
    highs = [high for _, high in ranges if high is not None]
    return max(lows, default=None), min(highs, default=None)


def _seen_through(scaled: Scale, ends: Range) -> Range:
    """The values that become these by a scale and an offset."""
    scale, offset = scaled
    if scale == 0:
        return None, None
    low, high = (None if end is None else (end - offset) / scale for end in ends)
    return (low, high) if scale > 0 else (high, low)


def _validators(parameter: Any) -> Sequence[Any]:
    """A parameter's own; a view's validators have those of its source after them."""
    every = getattr(parameter, "validators", None)
    if every is None:
        one = getattr(parameter, "vals", None)
        return () if one is None else (one,)
    of_source = getattr(getattr(parameter, "source", None), "validators", ())
    return every[: len(every) - len(of_source)]


def _ends(validator: Any) -> Range:
    if getattr(validator, "combiner", "") == "AND":
        ranges = [_ends(each) for each in validator.validators]
        lows, highs = ([end for end in ends if end is not None] for ends in zip(*ranges, strict=True))
        return max(lows, default=None), min(highs, default=None)
    low, high = (getattr(validator, name, getattr(validator, f"_{name}", None)) for name in ("min_value", "max_value"))
    return _bound(low), _bound(high)


def _bound(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and abs(number) < _NO_BOUND else None


def _number(value: Any) -> float | None:
    """A real number as Python's; None if it is something else."""
    return float(value) if isinstance(value, int | float | np.integer | np.floating) else None


def _check(parameter: Any, value: float) -> None:
    """Raises: whatever its validators raise, if a parameter or one that it sets does not take a value."""
    if getattr(parameter, "settable", True) is False:
        raise TypeError("it cannot be set")
    if hasattr(parameter, "validate"):
        parameter.validate(value)
    for below, scaled in _below(parameter):
        if scaled is not None:
            _check(below, value * scaled[0] + scaled[1])


def _stages(parameter: Any, value: float) -> list[float]:
    """The values by which it is set, none farther from the one before than the step of it or of one that it sets."""
    start, n = _number(_cached(parameter)), _steps(parameter, value)
    if n <= 1 or start is None:
        return [value]
    return [*(start + (value - start) * k / n for k in range(1, n)), value]


def _steps(parameter: Any, value: float) -> int:
    step, start, own = _number(getattr(parameter, "step", None)), _number(_cached(parameter)), 1
    if step and start is not None and math.isfinite(start):
        own = math.ceil(abs(value - start) / step * (1 + _SHORTER))
    known_below = [(each, scaled) for each, scaled in _below(parameter) if scaled is not None]
    return max([own, *(_steps(each, value * scale + offset) for each, (scale, offset) in known_below)])


def _cached(parameter: Any) -> Any:
    """What it was last set to or read as; None if that is not known."""
    cache = getattr(parameter, "cache", None)
    if cache is None:
        return None
    try:
        return cache.get(get_if_invalid=False)
    except TypeError:  # of a view of nothing
        return None


def _identity(root: Any) -> Identity:
    said: dict[str, str | None] = root.get_idn()
    maker, model, serial, version = (said.get(name) or "" for name in ("vendor", "model", "serial", "firmware"))
    return Identity(maker, model, serial or str(root.name), version)
