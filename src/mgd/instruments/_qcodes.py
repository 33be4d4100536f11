"""Chips whose parameters are QCoDeS parameters: by their methods, QCoDeS itself is not needed here."""

from collections.abc import Sequence
from typing import Any, Literal

from ._base import AbstractInstrument, Identity
from ._limits import Limits
from ._lines import Line, Reading, from_lines


def from_qcodes(
    parameters: Sequence[Any],
    read: Any,
    *,
    reads: Literal["cost", "outputs"] = "cost",
    limits: Limits | None = None,
    **others: Any,
) -> AbstractInstrument:
    """A chip whose parameters are QCoDeS parameters.

    Args:
        parameters: P settable ones, one number each.
        read: a gettable one, or a function without arguments.
        reads: whether that is the cost or the outputs.
        limits: of the parameters; by default those of their `Numbers` validators.
        **others: `present`, `identify`, `safe_state`, `settle_seconds`, `address` and all else that
            `from_callables` takes. The instrument that the first parameter belongs to says who it is.

    Raises:
        ValueError: if a parameter has no range and there are no limits.
    """
    root = getattr(parameters[0], "root_instrument", None) if parameters else None
    if hasattr(root, "get_idn"):
        others.setdefault("identify", lambda: _identity(root))
    get = read if _is_function(read) else read.get
    name = str(getattr(read, "full_name", getattr(read, "__name__", "read")))
    lines = [_line(parameter) for parameter in parameters]
    return from_lines(lines, Reading(name, get), system="qcodes", reads=reads, limits=limits, others=others)


def _is_function(read: Any) -> bool:
    return callable(read) and not hasattr(read, "get")


def _line(parameter: Any) -> Line:
    name, unit = str(getattr(parameter, "full_name", parameter)), str(getattr(parameter, "unit", "") or "")
    validator = getattr(parameter, "vals", None)
    low, high = (_end(validator, which) for which in ("min_value", "max_value"))
    return Line(name, parameter.set, low, high, unit)


def _end(validator: Any, name: str) -> float | None:
    # Validators without bounds have them at 1e18.
    value = getattr(validator, name, getattr(validator, f"_{name}", None))
    return float(value) if isinstance(value, int | float) and abs(value) < 1e18 else None


def _identity(root: Any) -> Identity:
    said: dict[str, str | None] = root.get_idn()
    maker, model, serial, version = (said.get(name) or "" for name in ("vendor", "model", "serial", "firmware"))
    return Identity(maker, model, serial or str(root.name), version)
