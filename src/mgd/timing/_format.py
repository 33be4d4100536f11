"""Times and energies as people say them."""

import math

_SECONDS = {
    "ps": 1e-12,
    "ns": 1e-9,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "days": 86_400.0,
    "years": 365.25 * 86_400,
}
_JOULES = {"fJ": 1e-15, "pJ": 1e-12, "nJ": 1e-9, "µJ": 1e-6, "mJ": 1e-3, "J": 1.0, "kJ": 1e3, "MJ": 1e6, "GJ": 1e9}


def format_seconds(seconds: float) -> str:
    """A time, to two digits or to the whole unit, from picoseconds to years.

    >>> format_seconds(2e4), format_seconds(0.2), format_seconds(4e-3)
    ('5.6 h', '200 ms', '4 ms')
    """
    text = _format(seconds, _SECONDS, zero="0 s")
    return text.removesuffix("s") if text in ("1 days", "1 years") else text


def format_joules(joules: float) -> str:
    """An energy, to two digits or to the whole unit, from femtojoules to gigajoules.

    >>> format_joules(3.25e-9)
    '3.2 nJ'
    """
    return _format(joules, _JOULES, zero="0 J")


def _format(value: float, units: dict[str, float], *, zero: str) -> str:
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"only a finite amount of 0 or more can be written in units, got {value!r}")
    if value == 0:
        return zero
    chosen, smallest = "", next(iter(units))
    for unit, size in units.items():
        # Told by the number as it is written, so that 999.6 ms is 1 s and 59.6 min 1 h.
        if not chosen or max(value, _round(value / units[chosen]) * units[chosen]) >= size * (1 - 1e-9):
            chosen = unit
    number = _round(value / units[chosen])
    if chosen != smallest:
        number = max(number, 1.0)
    if number < 1 or number >= 1e6:
        return f"{number:.2g} {chosen}"
    return f"{number:g} {chosen}" if number < 100 else f"{number:,.0f} {chosen}"


def _round(number: float) -> float:
    return float(f"{number:.2g}") if number < 99.5 else float(round(number))
