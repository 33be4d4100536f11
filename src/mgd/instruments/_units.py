"""What θ stands for on a chip whose parameters are of different kinds. Nothing here imports JAX."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Units:
    r"""What each parameter θ stands for on the chip, with the unit of its value there.

    $$v = c + s\,\theta, \qquad \tilde v = s\,\tilde\theta$$

    with v the value that is set, s the `scale` and c the `centre`, both in the parameter's `unit`.

    Attributes:
        unit: the unit of each value, such as "V".
        scale: how many of these one unit of θ is.
        centre: the value at θ = 0.
        group: the name of each parameter's group; "" for none.
        rate: the factor of each parameter's learning rate.
        amplitude: Δθ, if the groups say what they are perturbed by; None if they do not.

    >>> units = Units.plain(("V", "V", "mA"))
    >>> units.is_scaled, units.said(2, 0.5), units.common
    (False, '0.5 mA', '')
    """

    unit: tuple[str, ...]
    scale: Float[np.ndarray, " p"]
    centre: Float[np.ndarray, " p"]
    group: tuple[str, ...]
    rate: Float[np.ndarray, " p"]
    amplitude: float | None = None

    @staticmethod
    def plain(unit: tuple[str, ...], group: tuple[str, ...] | None = None) -> "Units":
        """The units of parameters that are trained as they are set."""
        n = len(unit)
        return Units(unit, np.ones(n), np.zeros(n), ("",) * n if group is None else group, np.ones(n))

    @property
    def is_scaled(self) -> bool:
        """Whether some θ is another number than the value on the chip."""
        return bool((self.scale != 1).any() or self.centre.any())

    @property
    def is_plain(self) -> bool:
        """Whether parameters are trained as they are set, all alike."""
        return not self.is_scaled and bool((self.rate == 1).all()) and self.amplitude is None

    @property
    def common(self) -> str:
        """The unit of θ; "" if parameters have several units, or θ is not in the chip's own."""
        every = set(self.unit)
        return "" if self.is_scaled or len(every) > 1 else every.pop()

    def on_chip(self, theta: Float[np.ndarray, "*many p"]) -> Float[np.ndarray, "*many p"]:
        """The values on the chip for these parameters."""
        return (self.centre + self.scale * theta).astype(np.float32)

    def change(self, perturbation: Float[np.ndarray, "*many p"]) -> Float[np.ndarray, "*many p"]:
        """The changes on the chip for these changes of θ."""
        return (self.scale * perturbation).astype(np.float32)

    def trained(self, values: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
        """The θ, in double precision, for these values on the chip."""
        return (np.asarray(values, np.float64) - self.centre) / self.scale

    def said(self, k: int, theta: float) -> str:
        """The value of parameter k on the chip, in its unit, for messages."""
        return f"{self.centre[k] + self.scale[k] * float(theta):.6g} {self.unit[k]}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """These units in types of JSON: a table for each stretch of parameters of one group."""
        found, first = [], 0
        for (name, unit), same in groupby(zip(self.group, self.unit, strict=True)):
            last = first + len(list(same)) - 1
            place = slice(first, last + 1)
            numbers = {key: _short(getattr(self, _FIELDS[key])[place]) for key in _FIELDS}
            found.append({"name": name, "first": first, "last": last, "unit": unit, **numbers})
            first = last + 1
        return {"amplitude": self.amplitude, "groups": found}

    @staticmethod
    def of(found: Mapping[str, Any]) -> "Units":
        """The units that `as_dict` described.

        Raises:
            ValueError: if something is missing, or of another kind.
        """
        try:
            sizes = [group["last"] + 1 - group["first"] for group in found["groups"]]
            numbers = {
                field: np.concatenate(
                    [
                        np.broadcast_to(np.asarray(group[key], np.float64), size)
                        for group, size in zip(found["groups"], sizes, strict=True)
                    ]
                )
                for key, field in _FIELDS.items()
            }
            unit, group = (
                tuple(str(one[key]) for one, size in zip(found["groups"], sizes, strict=True) for _ in range(size))
                for key in ("unit", "name")
            )
            amplitude = found["amplitude"]
            return Units(unit, group=group, amplitude=None if amplitude is None else float(amplitude), **numbers)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"its units are not complete ({type(error).__name__}: {error})") from None


def other_meaning(before: Units, now: Units) -> str:
    """What θ stood for otherwise, such as "unit of bias was mA, and is now A"; empty if it stands for the same."""
    found = difference(before, now)
    return "" if found is None else "{} was {}, and is now {}".format(*found)


def difference(one: Units, other: Units) -> tuple[str, str, str] | None:
    """What θ stands for differently, such as "unit of bias", and both values; None if it stands for the same.

    A unit that is not said is any.
    """
    for k, (first, second) in enumerate(zip(one.unit, other.unit, strict=True)):
        if first and second and first != second:
            return f"unit of {_called(one, other, k)}", first, second
    for name in ("scale", "centre"):
        firsts, seconds = getattr(one, name), getattr(other, name)
        if (different := firsts != seconds).any():
            k = int(np.argmax(different))
            return f"{name} of {_called(one, other, k)}", f"{firsts[k]:.9g}", f"{seconds[k]:.9g}"
    return None


def _called(one: Units, other: Units, k: int) -> str:
    return one.group[k] or other.group[k] or f"parameter {k}"


# What the numbers of a group are called in files, and here.
_FIELDS = {"scale": "scale", "centre": "centre", "learning_rate": "rate"}


def _short(values: Float[np.ndarray, " n"]) -> float | list[float]:
    """One number if all are equal."""
    return float(values[0]) if (values == values[0]).all() else values.tolist()
