"""An instrument made of a lab's own functions. Nothing here imports JAX."""

import itertools
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from .._errors import HardwareError
from ._base import AbstractInstrument, Identity, checked_range, numbers_of
from ._failures import RetryOn, check_retry_on, failing
from ._group import Group
from ._grouped import in_groups
from ._groups import groups_of, narrowed, within_of
from ._harmless import harmless
from ._limits import Limits
from ._pace import Pace

_MAY_LACK = ("open", "close", "identify", "present", "not_safe")
_NUMBERS = itertools.count(1)
# How often parameters are set until they read back right; and a float32 that went through text.
_TRIES, _ROUNDING = 3, 2e-7
Vector = Float[np.ndarray, " p"]


class Callables(AbstractInstrument):
    """An instrument made of functions; made by `from_callables`.

    Attributes:
        retry_on: the classes of errors after which it is asked again; None for those of `from_callables`.
    """

    def __init__(
        self,
        *,
        address: str | None,
        limits: Limits,
        settle_seconds: float,
        leave_seconds: float,
        start: Vector | None,
        believable: tuple[float | int, float | int] | None,
        verbs: dict[str, Callable | None],
        retry_on: RetryOn | None,
        verify_within: float | Vector,
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
        self.believable = None if believable is None else checked_range(believable)
        cost, outputs = verbs["measure_cost"] is not None, verbs["read_outputs"] is not None
        self.reads = "both" if cost and outputs else "cost" if cost else "outputs"
        self.own_line = verbs["perturb"] is not None
        batches = [each for each in ("measure_batch", "read_batch") if verbs[each] is not None]
        self.most_together = 1_000_000 if batches else 0
        self.reads_together = "outputs" if batches == ["read_batch"] else "cost"
        # An answer that is known, and which may be that to another question.
        self.reads_back = verbs["read_parameters"] is not None
        self.may_slip = self.reads_back or verbs["identify"] is not None
        self._within = verify_within
        # Whose answers are believed, and what it should hold; None if that is not known.
        self._identity: Identity | None = None
        self._held: Vector | None = None
        self._verbs, self.retry_on = verbs, retry_on
        self._settled_at = 0.0
        self._touched = False

    def open(self) -> None:
        self._held = None
        self._call("open")
        self._touched = True  # it may have been switched on
        if self.reads_back:  # before anything large is set
            self.set_parameters(harmless(self.limits))

    def open_to_leave(self) -> None:
        self._held = None
        self._call("open")

    def close(self) -> None:
        self._call("close")

    def identify(self) -> Identity:
        self._identity = self._identified()
        return self._identity

    def make_sure(self) -> None:
        found = self._identified()
        if self._identity is not None and found != self._identity:
            raise HardwareError(
                f"{self.address}: its identify gave {found}, and {self._identity} before: a reply belongs to another "
                "query: check its line",
                passing=True,
            )
        self._check_held()

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
        self._check_held()  # which later cannot be seen any more
        self._held = None
        for values in self._way(theta):
            self._put(values)
            if self._pace.looks_back:
                self._theta, self._perturbation = np.array(values, np.float32), None
        self._held = np.array(theta, np.float32) if self.reads_back else None

    def _way(self, theta: Vector) -> Iterable[Vector]:
        """The values by which it is ramped to these."""
        if self._pace.ramp is None:
            return (theta,)
        return self._pace.way(self.rest if self._theta is None else self._theta, theta)

    def _put(self, theta: Vector) -> None:
        """Sets all parameters, again if they do not read back right."""
        wrong = ""
        for _ in range(_TRIES):
            self._call("set_parameters", theta)
            self._settles(self._theta, theta)
            wrong = self._wrong(theta) if self.reads_back else ""
            if not wrong:
                return
        raise HardwareError(
            f"{self.address}: {wrong}: check its range and resolution, and how it reads numbers; or set verify_within"
        )

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
        if self._theta is None and self._pace.ramp is not None and self.reads_back:  # it was opened only to be left
            shape = (self.n_params,)
            self._theta = numbers_of(self._call("read_parameters"), shape, self.address, "read_parameters")
        if self._verbs["safe_state"] is None or self._pace.ramp is not None:
            self.set_parameters(self.rest)
        if self._verbs["safe_state"] is not None:
            self._call("safe_state")
            self._theta = None
        self._touched = False

    def is_touched(self) -> bool:
        return self._touched

    def not_safe(self) -> list[str]:
        return self._call("not_safe") or []

    def _identified(self) -> Identity:
        found = self._call("identify")
        return found if isinstance(found, Identity) else Identity("", "", str(found or self._name))

    def _check_held(self) -> None:
        """Raises: HardwareError: if the parameters are not those that were set."""
        if self._held is not None and (wrong := self._wrong(self._held)):
            self._held = None
            raise HardwareError(
                f"{self.address}: {wrong}: the chip was reset, or a reply belongs to another query: check its "
                "supply and its line, or make verify_within larger",
                passing=True,
            )

    def _wrong(self, due: Vector) -> str:
        """What is wrong with the parameters that are read back; empty if nothing is."""
        self._settle()
        shape = (self.n_params,)
        found = numbers_of(self._call("read_parameters"), shape, self.address, "read_parameters")
        far = ~(np.abs(found - due) <= self._within + _ROUNDING * np.abs(due))
        if not far.any():
            return ""
        at = int(np.argmax(far))
        return f"read_parameters gave {found[at]:.9g} for parameter {at}, which was set to {due[at]:.9g}"

    def _call(self, name: str, *arguments: Any) -> Any:
        verb = self._verbs[name]
        if verb is None:
            return None if name in _MAY_LACK else self._lacks(name)
        with failing(self.address, f"its {name}", "correct that function", self.retry_on):
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
    read_parameters: Callable[[], Vector] | None = None,
    verify_within: float | Vector = 0.0,
    open: Callable[[], object] | None = None,
    close: Callable[[], object] | None = None,
    safe_state: Callable[[], object] | None = None,
    not_safe: Callable[[], list[str]] | None = None,
    settle_seconds: float = 0.0,
    leave_seconds: float = 120.0,
    start: Vector | None = None,
    believable: tuple[float | int, float | int] | None = None,
    address: str | None = None,
    groups: Mapping[str, Group] | None = None,
    retry_on: type[Exception] | Sequence[type[Exception]] | None = None,
) -> AbstractInstrument:
    """An instrument made of a lab's own functions: the simplest way to bring a chip.

    An exception in a function is a failure of the chip. Time-outs, lost connections and errors of VISA are taken for
    temporary, and so is a broken reply that is not a number: the chip is closed, opened and asked again. Any other
    exception ends the training at once; with `identify` or `read_parameters` after one more try, because a chip that
    was reset may refuse what it took before. If your functions raise others that may be over when they are called
    again, give `retry_on`.

    Args:
        set_parameters: sets all P parameters, a float32 array in the unit of `limits`.
        limits: the range of each parameter.
        measure_cost: returns the cost of the presented batch; give this or `read_outputs`.
        read_outputs: returns the chip's outputs for the presented batch, (batch, outputs).
        present: presents inputs and targets; without it the chip has no inputs.
        perturb: puts θ̃ on its own lines.
        measure_batch: returns the costs of many perturbations at once, (k).
        read_batch: returns the outputs of many perturbations, (k, batch, outputs); NaN where they cannot be read.
        identify: returns a serial number or an `Identity`. Training asks for it at the end of each piece of a run
            (about half a second), and more often after trouble. If it is not as before, all that was measured since is
            measured again; so let it ask the instrument.
        read_parameters: returns the P parameters that the chip holds. They are read back and compared whenever they are
            set, beginning at the opening with harmless values near zero. Together with `identify`, and before others
            are set, they are read once more: if the chip was reset, what came between is measured again.
        verify_within: how far what is read back may be off, beyond rounding; one number, or one for each parameter.
        open: connects.
        close: disconnects.
        safe_state: makes the chip safe; by default every parameter goes to the middle of its range.
        not_safe: returns the lines that are not safe, by name and with present values, if `safe_state` failed or did
            not end in time; it must not wait for long.
        settle_seconds: time from a set parameter to a cost that can be read.
        leave_seconds: the time that `safe_state` may take, for chips that are ramped.
        start: the chip's own parameters, from which training starts; by default random ones about the middle of the
            limits.
        believable: the lowest and the highest cost that can be measured, or the outputs' if there is no `measure_cost`:
            what is outside is asked again, and then skipped.
        address: its name in messages; two programs cannot use one address at the same time, so give one to a real chip.
        groups: parameters of different kinds, each with its unit and scale, as for `in_groups`; `limits` and `start`
            are then those of the values that are set.
        retry_on: the classes of exceptions after which the chip is asked again, in place of those above.

    Raises:
        ValueError: if there is nothing to measure with, `start` has another number of parameters, `believable` is no
            range, or a group is wrong.

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
        "read_parameters": read_parameters,
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
    if groups is not None:
        groups = groups_of(groups)
        limits = narrowed(groups, limits)
        verify_within = within_of(groups, limits.low.size, verify_within)
    within = np.asarray(verify_within)
    if within.shape not in ((), limits.low.shape) or not np.all((within >= 0) & (within <= 1e6)):
        raise ValueError(f"verify_within must be from 0 to 1e6, for all parameters or for each, got {verify_within!r}")
    if np.any(verify_within) and read_parameters is None:
        raise ValueError("verify_within is for parameters that are read back: give read_parameters, or leave it out")
    if not 0 <= settle_seconds <= 1e6:
        raise ValueError(f"settle_seconds must be from 0 to 1e6, got {settle_seconds!r}")
    made = Callables(
        address=address,
        limits=limits,
        settle_seconds=settle_seconds,
        leave_seconds=leave_seconds,
        start=start,
        believable=believable,
        verbs=verbs,
        retry_on=None if retry_on is None else check_retry_on(retry_on),
        verify_within=verify_within,
    )
    return made if groups is None else in_groups(made, groups)
