"""What an instrument's parameters may be set to. Nothing here imports JAX."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

from .._errors import LimitError


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

    def __post_init__(self):
        low, high = inwards(self.low, up=True), inwards(self.high, up=False)
        if low.shape != high.shape or low.ndim != 1 or not low.size:
            raise ValueError(f"limits need a low and a high value for each parameter, got {low.shape} and {high.shape}")
        wrong = ~(low < high) | ~np.isfinite(low) | ~np.isfinite(high)
        if wrong.any():
            k = int(np.argmax(wrong))
            raise ValueError(
                f"limits of parameter {k} must be finite with low < high, got {low[k]:g} … {high[k]:g} {self.unit}"
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

    def beyond(self, low: float, high: float, k: int) -> bool:
        """Whether the range of parameter k extends beyond these values."""
        return float(self.low[k]) < low or float(self.high[k]) > high

    def check(self, values: Float[np.ndarray, "*many p"], what: str, advice: str = _ADVICE) -> None:
        """Raises: LimitError: if one of these is outside, or NaN; the last axis is that of parameters."""
        if (values >= self.low).all() and (values <= self.high).all():
            return
        outside = ~((values >= self.low) & (values <= self.high))
        *_, k = np.argwhere(outside)[0]
        value = values[tuple(np.argwhere(outside)[0])]
        raise LimitError(
            f"{what} {k} would be set to {value:.6g} {self.unit}".rstrip()
            + f", outside its limits of {self.low[k]:g} … {self.high[k]:g} {self.unit}".rstrip()
            + f": nothing was sent; {advice}"
        )

    def check_start(self, start: Float[np.ndarray, "*many p"]) -> None:
        """Raises: LimitError: if parameters at the start are outside, or NaN; the last axis is that of parameters."""
        self.check(start, "at the start, parameter", "start within them, or widen them")
