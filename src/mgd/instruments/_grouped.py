"""An instrument whose parameters are trained in units of their groups. Nothing here imports JAX."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from ._base import AbstractInstrument, Identity
from ._group import Group
from ._groups import groups_of, placed, resolved
from ._limits import Limits
from ._units import Units

# What may be said of an instrument after it was made, and stays when it is opened.
_GIVEN = ("leave_seconds", "believable", "origin")
# Limits that are none.
_WIDE = 1e18


class Grouped(AbstractInstrument):
    """An instrument in which θ stands for values of different kinds; made by `in_groups`."""

    def __init__(self, inner: AbstractInstrument, groups: Mapping[str, Group]):
        self.inner, self._groups = inner, groups
        self._paced: tuple[int, float] | None = None
        self.describe_as(inner)
        if inner.n_params and not inner.declared:
            placed(groups, inner.n_params, inner.groups)  # as much as can be seen before it is opened
        elif inner.n_params:
            self._describe()
        if not inner.n_params and any(group.ramp_per_second is not None for group in groups.values()):
            raise ValueError("ramp_per_second of a group needs to know how many parameters there are: give n_params")

    def open(self) -> None:
        self.inner.open()
        try:
            kept = {name: getattr(self, name) for name in _GIVEN}
            self.describe_as(self.inner)
            self._describe()
            for name, value in kept.items():
                setattr(self, name, value)
        except BaseException:
            self.inner.close()
            raise

    def open_to_leave(self) -> None:
        self.inner.open_to_leave()

    def close(self) -> None:
        self.inner.close()

    def identify(self) -> Identity:
        return self.inner.identify()

    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        self.inner.set_parameters(self._values(theta))

    def perturb(self, perturbation: Float[np.ndarray, " p"]) -> None:
        self.inner.perturb(self._changes(perturbation))

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        self.inner.present(x, target)

    def measure_cost(self) -> float:
        return self.inner.measure_cost()

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        return self.inner.read_outputs()

    def measure_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        return self.inner.measure_batch(self._signals(signals))

    def read_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k batch outputs"]:
        return self.inner.read_batch(self._signals(signals))

    def while_waiting(self, work: Callable[[], None]) -> None:
        self.inner.while_waiting(work)

    def make_sure(self) -> None:
        self.inner.make_sure()

    def safe_state(self) -> None:
        self.inner.safe_state()

    def pace(self, settle: Float[np.ndarray, " p"] | None, ramp: Float[np.ndarray, " p"] | None) -> None:
        self.inner.pace(settle, ramp)
        self._describe()

    def is_touched(self) -> bool:
        return self.inner.is_touched()

    def not_safe(self) -> list[str]:
        return self.inner.not_safe()

    def _describe(self) -> None:
        """Limits and groups of θ, from those of the instrument."""
        inner = self.inner
        found = resolved(self._groups, inner.limits, inner.groups)
        self._units: Units = found.limits.units  # pyright: ignore[reportAttributeAccessIssue] (it has some)
        self._is_scaled = self._units.is_scaled
        self.limits, self.groups = found.limits, found.places
        if inner.origin is not None:
            self.origin = replace(inner.origin, groups=self._groups)
        if inner.start is not None and self._is_scaled:
            start = self._units.trained(inner.start).astype(np.float32)
            self.start = np.clip(start, self.limits.low, self.limits.high)
        timed, ramped = not np.isnan(found.settle).all(), not np.isinf(found.ramp).all()
        if not (timed or ramped):
            return
        if self._paced is None or self._paced[0] != inner.n_params:
            inner.pace(found.settle if timed else None, found.ramp if ramped else None)
            self._paced = inner.n_params, inner.leave_seconds + inner.ramp_seconds
            self.leave_seconds = self._paced[1]
        self.settle_seconds, self.ramp_seconds = inner.settle_seconds, inner.ramp_seconds

    def _values(self, theta: Float[np.ndarray, "*many p"]) -> Float[np.ndarray, "*many p"]:
        return self._units.on_chip(theta) if self._is_scaled else theta

    def _changes(self, perturbation: Float[np.ndarray, "*many p"]) -> Float[np.ndarray, "*many p"]:
        return self._units.change(perturbation) if self._is_scaled else perturbation

    def _signals(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k p"]:
        return self._changes(signals) if self.own_line else self._values(signals)


def wired(instrument: AbstractInstrument, groups: Mapping[str, Group]) -> AbstractInstrument:
    """The inverse of `in_groups`: an instrument that computes with θ, behind lines that take its groups' values.

    Args:
        instrument: of a virtual chip.
        groups: by name.

    Raises:
        ValueError: if a group is not there.
    """
    bare = {name: replace(group, low=None, high=None) for name, group in groups.items()}
    n = instrument.n_params
    units = resolved(bare, Limits.uniform(n, -_WIDE, _WIDE), instrument.groups).limits.units
    if units is None or not units.is_scaled:
        return instrument
    scale, centre = 1 / units.scale, -units.centre / units.scale
    return Grouped(instrument, {"lines": Group(first=0, last=n - 1, scale=scale.tolist(), centre=centre.tolist())})


def in_groups(instrument: AbstractInstrument, groups: Mapping[str, Group]) -> AbstractInstrument:
    """The instrument with parameters of different kinds: each group has its own unit, and is trained in its own scale.

    Limits, parameters and perturbations of what this returns are those of θ; messages say values on the chip, in the
    unit of their group.

    Args:
        instrument: an instrument that is not open.
        groups: by name. A name that the instrument has among its own `groups` needs no `first` and `last`.

    Raises:
        ValueError: if a group is not there, two have a parameter in common, or settings contradict each other; also
            from `open`, for an instrument that says only then how many parameters it has.

    >>> import numpy as np
    >>> from mgd.instruments import Limits, from_callables
    >>> set_to = []
    >>> chip = from_callables(
    ...     set_parameters=set_to.append, measure_cost=lambda: 0.0, limits=Limits(np.zeros(2), np.array([5.0, 20.0]))
    ... )
    >>> heater, bias = Group(first=0, last=0, unit="V"), Group(first=1, last=1, unit="mA", scale=4.0)
    >>> chip = in_groups(chip, {"heater": heater, "bias": bias})
    >>> chip.set_parameters(np.array([0.5, 0.5], np.float32))
    >>> set_to[0].tolist()
    [0.5, 2.0]
    >>> chip.limits.check(np.array([0.5, 6.0], np.float32), "parameter")
    Traceback (most recent call last):
    mgd._errors.LimitError: parameter 1 (bias) would be set to 24 mA, outside its limits of 0 … 20 mA: nothing ...
    """
    return Grouped(instrument, groups_of(groups))
