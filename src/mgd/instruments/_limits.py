"""What an instrument's parameters may be set to. Nothing here imports JAX."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from .._errors import LimitError
from ._units import Units


def inwards(ends: Num[np.ndarray, " p"], *, up: bool) -> Float[np.ndarray, " p"]:
    """The nearest float32 that are not below these numbers, or with `up=False` not above them.

    >>> float(inwards(np.array([-0.3]), up=True)[0]), float(np.float32(-0.3))
    (-0.29999998211860657, -0.30000001192092896)
    """
    exact = np.array(ends, np.float64, ndmin=1)
    with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite, and is refused as such
        nearest = exact.astype(np.float32)
        further_in = np.nextafter(nearest, np.float32(np.inf if up else -np.inf))
    return np.where(nearest < exact if up else nearest > exact, further_in, nearest)


_ADVICE = 'lower the learning rate or the amplitude, or let parameters saturate (at_limit = "saturate")'


@dataclass(frozen=True, eq=False)
class Limits:
    """The range of each parameter.

    Limits are kept as float32, like the parameters that are sent, and rounded inwards: -0.3 becomes the smallest
    float32 that is not below it, so that no value within them is outside the given limits.

    Args:
        low: smallest value of each.
        high: largest value of each.
        unit: the unit of both, of θ and of θ̃: volts, milliamperes, or any other.
        units: the unit of each parameter, and what θ stands for on the chip, if parameters are of different kinds.

    Raises:
        ValueError: if there are none, or one is inverted or not finite.

    >>> limits = Limits.uniform(3, -5.0, 5.0, "V")
    >>> limits.check(np.array([0.0, 5.5, 0.0], np.float32), "parameter")
    Traceback (most recent call last):
    mgd._errors.LimitError: parameter 1 would be set to 5.5 V, outside its limits of -5 … 5 V: nothing was sent; ...
    """

    low: Num[np.ndarray, " p"]
    high: Num[np.ndarray, " p"]
    unit: str = ""
    units: Units | None = None

    def __post_init__(self):
        low, high = inwards(self.low, up=True), inwards(self.high, up=False)
        if low.shape != high.shape or low.ndim != 1 or not low.size:
            raise ValueError(f"limits need a low and a high value for each parameter, got {low.shape} and {high.shape}")
        if self.units is not None and len(self.units.unit) != low.size:
            raise ValueError(f"there are units of {len(self.units.unit)} parameters, and limits for {low.size}")
        wrong = ~(low < high) | ~np.isfinite(low) | ~np.isfinite(high)
        if wrong.any():
            k = int(np.argmax(wrong))
            raise ValueError(
                f"limits of parameter {k} must be finite with low < high, got {low[k]:g} … {high[k]:g} "
                f"{self.unit if self.units is None else self.units.unit[k]}".rstrip()
            )
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    @staticmethod
    def uniform(n_params: int, low: float, high: float, unit: str = "") -> "Limits":
        """The same range for every parameter."""
        return Limits(np.full(n_params, low, np.float64), np.full(n_params, high, np.float64), unit)

    @property
    def middle(self) -> Float[np.ndarray, " p"]:
        """The middle of each range."""
        return ((self.low.astype(np.float64) + self.high) / 2).astype(np.float32)

    @property
    def nearest_to_zero(self) -> Float[np.ndarray, " p"]:
        """The value in each range that is nearest to zero."""
        return np.clip(np.zeros_like(self.low), self.low, self.high)

    def beyond(self, low: float, high: float, k: int) -> bool:
        """Whether the range of parameter k extends beyond these values."""
        return float(self.low[k]) < low or float(self.high[k]) > high

    def check(self, values: Float[np.ndarray, "*many p"], what: str, advice: str = _ADVICE) -> None:
        """Raises: LimitError: if one of these is outside, or NaN; the last axis is that of parameters."""
        if (values >= self.low).all() and (values <= self.high).all():
            return
        outside = ~((values >= self.low) & (values <= self.high))
        place = tuple(np.argwhere(outside)[0].tolist())
        k, value = place[-1], float(values[place])
        raise LimitError(
            f"{what} {self.name(k)} would be set to {self.said(k, value)}, outside its limits of {self.ends(k)}: "
            f"nothing was sent; {advice}"
        )

    @property
    def meaning(self) -> Units:
        """What each θ stands for, also where parameters are not of different kinds."""
        return Units.plain((self.unit,) * self.low.size) if self.units is None else self.units

    def name(self, k: int) -> str:
        """Parameter k in messages: its number, and its group if it has one."""
        group = "" if self.units is None else self.units.group[k]
        return f"{k} ({group})" if group else str(k)

    def said(self, k: int, value: float) -> str:
        """A value of parameter k in messages, in the unit that it has on the chip."""
        return f"{value:.6g} {self.unit}".rstrip() if self.units is None else self.units.said(k, value)

    def change(self, k: int, value: float) -> str:
        """A change of parameter k in messages, in the unit that it has on the chip."""
        if self.units is None:
            return f"{value:g} {self.unit}".rstrip()
        return f"{self.units.scale[k] * value:g} {self.units.unit[k]}".rstrip()

    def ends(self, k: int) -> str:
        """The range of parameter k in messages, in the unit that it has on the chip."""
        if self.units is None:
            return f"{self.low[k]:g} … {self.high[k]:g} {self.unit}".rstrip()
        low, high = (self.units.centre[k] + self.units.scale[k] * float(end[k]) for end in (self.low, self.high))
        digits = 5 - math.floor(math.log10(high - low))  # what a limit is further in for rounding is not said
        low, high = (round(end, digits) + 0.0 for end in (low, high))
        return f"{low:g} … {high:g} {self.units.unit[k]}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """These limits in types of JSON."""
        units = {} if self.units is None else {"units": self.units.as_dict()}
        return {"low": self.low.tolist(), "high": self.high.tolist(), "unit": self.unit} | units

    @staticmethod
    def of(found: Mapping[str, Any]) -> "Limits":
        """The limits that `as_dict` described, among other entries.

        Raises:
            ValueError: if they are none.
        """
        units = None if found.get("units") is None else Units.of(found["units"])
        low, high = (np.asarray(found[end], np.float32) for end in ("low", "high"))
        return Limits(low, high, found["unit"], units)

    def check_start(self, start: Float[np.ndarray, "*many p"]) -> None:
        """Raises: LimitError: if parameters at the start are outside, or NaN; the last axis is that of parameters."""
        self.check(start, "at the start, parameter", "start within them, or widen them")
