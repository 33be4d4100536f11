"""Chips whose parameters are set one by one by the objects of a control system. Nothing here imports JAX."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ._bank import Bank
from ._base import AbstractInstrument
from ._callables import Callables, from_callables
from ._grouped import in_groups
from ._groups import groups_of, narrowed, within_of
from ._limits import Limits, inwards
from ._line import Line, Reading
from ._units import Units


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
        others: arguments of `from_callables`; with `verify_within`, lines are read back.
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
    groups = others.pop("groups", None)
    if groups is not None:
        groups = groups_of(groups)
        limits = narrowed(groups, limits)
    if ask_now:
        for line, low, high in zip(lines, limits.low.tolist(), limits.high.tolist(), strict=True):
            if why := line.refuses(low, high):
                raise ValueError(f"{system} {why}")
    present, open_first = others.pop("present", None), others.pop("open", None)
    bank = Bank(address, lines, reading, limits, present, open_first, lambda: plain.retry_on)
    verb = {"cost": "measure_cost", "outputs": "read_outputs"}[reads]
    within = within_of(groups or {}, limits.low.size, others.get("verify_within", 0.0))
    if "verify_within" in others or np.any(within):
        others["verify_within"] = within
        others.setdefault("read_parameters", bank.read_back)
    rests = "safe_state" not in others
    made = from_callables(
        set_parameters=bank.set,
        limits=limits,
        open=bank.open,
        present=bank.present,
        safe_state=others.pop("safe_state", None) or (lambda: bank.make_safe(whole.leave_seconds)),
        not_safe=others.pop("not_safe", None) or bank.not_safe,
        address=address,
        **{verb: getattr(bank, reads)},
        **others,
    )
    assert isinstance(made, Callables)
    plain = made
    if rests:
        plain.rest = limits.middle
    whole = plain if groups is None else in_groups(plain, groups)
    return whole


def _address(system: str, names: Sequence[str]) -> str:
    return f"{system} {names[0]}" + (f" … {names[-1]} ({len(names)})" if len(names) > 1 else "")


def _limits(lines: Sequence[Line], system: str) -> Limits:
    """The limits that the lines say."""
    ends = [_taken(line, *line.range(), system) for line in lines]
    low, high = np.array(ends).T
    units = Units.plain(tuple(line.unit for line in lines))
    return Limits(low, high, units.common, units if len(set(units.unit)) > 1 else None)


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
