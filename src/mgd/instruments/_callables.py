"""An instrument made of a lab's own functions. Nothing here imports JAX."""

import itertools
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from ._base import AbstractInstrument, Identity
from ._failures import failing
from ._group import Group
from ._grouped import in_groups
from ._groups import groups_of, narrowed
from ._limits import Limits
from ._pace import Pace

_MAY_LACK = ("open", "close", "identify", "present", "not_safe")
_NUMBERS = itertools.count(1)
Vector = Float[np.ndarray, " p"]


class Callables(AbstractInstrument):
    """An instrument made of functions; made by `from_callables`."""

    def __init__(
        self,
        *,
        address: str | None,
        limits: Limits,
        settle_seconds: float,
        leave_seconds: float,
        start: Vector | None,
        verbs: dict[str, Callable | None],
    ):
        self._name = address or "callables"
        # Without an address nothing tells one program's chip from another's.
        self.address = address or f"callables {next(_NUMBERS)} of process {os.getpid()}"
        self.limits, self.n_params = limits, limits.low.size
        self.settle_seconds, self.leave_seconds = settle_seconds, leave_seconds
        self._pace = Pace(settle_seconds)
        # What it was last set to, and what it holds in its safe state.
        self._theta = self._perturbation = None
        self.rest = limits.middle if verbs["safe_state"] is None else limits.nearest_to_zero
        self.start = None if start is None else np.array(start, np.float32, ndmin=1)
        if self.start is not None and self.start.shape != (self.n_params,):
            raise ValueError(f"there are limits for {self.n_params} parameters, and start has shape {self.start.shape}")
        cost, outputs = verbs["measure_cost"] is not None, verbs["read_outputs"] is not None
        self.reads = "both" if cost and outputs else "cost" if cost else "outputs"
        self.own_line = verbs["perturb"] is not None
        batches = [each for each in ("measure_batch", "read_batch") if verbs[each] is not None]
        self.most_together = 1_000_000 if batches else 0
        self.reads_together = "outputs" if batches == ["read_batch"] else "cost"
        self._verbs = verbs
        self._settled_at = 0.0

    def open(self) -> None:
        self._call("open")

    def close(self) -> None:
        self._call("close")

    def identify(self) -> Identity:
        found = self._call("identify")
        return found if isinstance(found, Identity) else Identity("", "", str(found or self._name))

    def pace(self, settle: Vector | None, ramp: Vector | None) -> None:
        if not (ramp is None or np.isinf(ramp).all()) and (self.own_line or self.most_together):
            raise ValueError(
                "ramp_per_second of a group is for parameters that are set whole, one measurement at a time: leave "
                "perturb, measure_batch and read_batch out"
            )
        self._pace = Pace(self.settle_seconds, settle, ramp)
        self.settle_seconds = self._pace.longest_settling
        self.ramp_seconds = self._pace.longest(self.limits.low, self.limits.high)

    def set_parameters(self, theta: Vector) -> None:
        way = (theta,)
        if self._pace.ramp is not None:
            way = self._pace.way(self.rest if self._theta is None else self._theta, theta)
        for values in way:
            self._call("set_parameters", values)
            self._settles(self._theta, values)
            if self._pace.looks_back:
                self._theta, self._perturbation = np.array(values, np.float32), None

    def perturb(self, perturbation: Vector) -> None:
        self._call("perturb", perturbation)
        self._settles(self._perturbation, perturbation)
        if self._pace.looks_back:
            self._perturbation = np.array(perturbation, np.float32)

    def present(self, x: np.ndarray, target: np.ndarray) -> None:
        self._call("present", x, target)
        self._settled_at = max(self._settled_at, time.monotonic() + self._pace.settle_seconds)

    # What a lab's functions return is checked by `opened`, not here.
    def measure_cost(self) -> Any:
        self._settle()
        return self._call("measure_cost")

    def read_outputs(self) -> Any:
        self._settle()
        return self._call("read_outputs")

    def measure_batch(self, signals: np.ndarray) -> Any:
        return self._call("measure_batch", signals)

    def read_batch(self, signals: np.ndarray) -> Any:
        return self._call("read_batch", signals)

    def safe_state(self) -> None:
        if self._verbs["safe_state"] is None or self._pace.ramp is not None:
            self.set_parameters(self.rest)
        if self._verbs["safe_state"] is not None:
            self._call("safe_state")
            self._theta = None

    def not_safe(self) -> list[str]:
        return self._call("not_safe") or []

    def _call(self, name: str, *arguments: Any) -> Any:
        verb = self._verbs[name]
        if verb is None:
            return None if name in _MAY_LACK else self._lacks(name)
        with failing(self.address, f"its {name}", "correct that function"):
            return verb(*arguments)

    def _settles(self, before: Vector | None, after: Vector) -> None:
        seconds = self._pace.settling(before, after)
        self._settled_at = max(self._settled_at, time.monotonic() + seconds)

    def _settle(self) -> None:
        left = self._settled_at - time.monotonic()
        if left > 0:
            time.sleep(left)


def from_callables(
    *,
    set_parameters: Callable[[Vector], object],
    limits: Limits,
    measure_cost: Callable[[], float] | None = None,
    read_outputs: Callable[[], np.ndarray] | None = None,
    present: Callable[[np.ndarray, np.ndarray], object] | None = None,
    perturb: Callable[[Vector], object] | None = None,
    measure_batch: Callable[[np.ndarray], np.ndarray] | None = None,
    read_batch: Callable[[np.ndarray], np.ndarray] | None = None,
    identify: Callable[[], str | Identity] | None = None,
    open: Callable[[], object] | None = None,
    close: Callable[[], object] | None = None,
    safe_state: Callable[[], object] | None = None,
    not_safe: Callable[[], list[str]] | None = None,
    settle_seconds: float = 0.0,
    leave_seconds: float = 120.0,
    start: Vector | None = None,
    address: str | None = None,
    groups: Mapping[str, Group] | None = None,
) -> AbstractInstrument:
    """An instrument made of a lab's own functions: the simplest way to bring a chip.

    An exception in a function is a failure of the chip. Time-outs, lost connections and other errors of a driver's
    library are taken for temporary: the chip is closed, opened and asked again. A programming error (`TypeError`,
    `KeyError`, `ValueError`, …) ends the training at once, unless it comes from a broken reply that is not a number.

    Args:
        set_parameters: sets all P parameters, a float32 array in the unit of `limits`.
        limits: the range of each parameter.
        measure_cost: returns the cost of the presented batch; give this or `read_outputs`.
        read_outputs: returns the chip's outputs for the presented batch, (batch, outputs).
        present: presents inputs and targets; without it the chip has no inputs.
        perturb: puts θ̃ on its own lines.
        measure_batch: returns the costs of many perturbations at once, (k).
        read_batch: returns the outputs of many perturbations, (k, batch, outputs); NaN where they cannot be read.
        identify: returns a serial number or an `Identity`.
        open: connects.
        close: disconnects.
        safe_state: makes the chip safe; by default every parameter goes to the middle of its range.
        not_safe: returns the lines that are not safe, by name and with present values, if `safe_state` failed or did
            not end in time; it must not wait for long.
        settle_seconds: time from a set parameter to a cost that can be read.
        leave_seconds: the time that `safe_state` may take, for chips that are ramped.
        start: the chip's own parameters, from which training starts; by default random ones about the middle of the
            limits.
        groups: parameters of different kinds, each with its unit and scale, as for `in_groups`; `limits` and `start`
            are then those of the values that are set.
        address: its name in messages; two programs cannot use one address at the same time, so give one to a real chip.

    Raises:
        ValueError: if there is nothing to measure with, `start` has another number of parameters, or a group is wrong.

    >>> import numpy as np
    >>> volts = np.zeros(2, np.float32)
    >>> chip = from_callables(
    ...     set_parameters=lambda theta: np.copyto(volts, theta),
    ...     measure_cost=lambda: float(np.sum((volts - 1) ** 2)),
    ...     limits=Limits.uniform(2, -5.0, 5.0, "V"),
    ... )
    >>> with chip:
    ...     chip.set_parameters(np.array([1.0, 3.0], np.float32))
    ...     chip.measure_cost()
    4.0
    """
    if measure_cost is None and read_outputs is None:
        raise ValueError("an instrument needs measure_cost or read_outputs, got neither")
    verbs: dict[str, Callable | None] = {
        "open": open,
        "close": close,
        "identify": identify,
        "set_parameters": set_parameters,
        "perturb": perturb,
        "present": present,
        "measure_cost": measure_cost,
        "read_outputs": read_outputs,
        "measure_batch": measure_batch,
        "read_batch": read_batch,
        "safe_state": safe_state,
        "not_safe": not_safe,
    }
    if not 0 <= settle_seconds <= 1e6:
        raise ValueError(f"settle_seconds must be from 0 to 1e6, got {settle_seconds!r}")
    if groups is not None:
        groups = groups_of(groups)
        limits = narrowed(groups, limits)
    made = Callables(
        address=address,
        limits=limits,
        settle_seconds=settle_seconds,
        leave_seconds=leave_seconds,
        start=start,
        verbs=verbs,
    )
    return made if groups is None else in_groups(made, groups)
