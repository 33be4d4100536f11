"""A chip being measured: what was last put on it, and how it is found again when the line is lost."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._awake import awake
from .._errors import HardwareError, MgdError
from .._log import LOG
from ..chips import AbstractCost
from ..instruments import Guarded, Identity
from ._seen import Seen, repeats
from ._sure import Slipped

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 2.0
# How often a measurement is made again that gave no reading, and how many such ones in a row there may be before the
# clock decides.
_TRIES, _MOST_SKIPPED = 3, 10
# Measurements between two checks that replies are those to our questions: at most, and at least after trouble.
_MOST_UNSURE, _FEWEST_UNSURE = 10_000, 1
T = TypeVar("T")


class _Stranger(HardwareError):
    """Another chip than before."""


class Bench:
    """Measures on a chip, and asks again if that may help.

    After a temporary failure (a time-out, a lost line, a garbled reply) the instrument is opened again, is given its
    sample and its parameters again, and the same measurement is repeated. So no measurement is counted twice or left
    out. An impossible reading (NaN, far too large, or outside of what the instrument says to be believable) is repeated
    at once, and then skipped. So is a cost far beyond all that were seen (`Seen`), except that it is believed if it
    comes again: an honest cost does, a glitch does not.

    On some lines a reply may belong to another query (`may_slip`). Measurements are then confirmed only when
    `make_sure` has returned. If a reply was wrong, or the line was lost before, `Slipped` is raised, and all
    measurements since the last confirmed one must be repeated. After trouble a check is due after few measurements
    (`check_is_due`), and then at longer and longer intervals as long as all goes well.

    Args:
        instrument: open, and guarded.
        cost: the cost of outputs, for chips that give outputs.
        give_up_seconds: how long a chip may fail to answer.

    Attributes:
        recoveries: how often the instrument was opened again.
        voided: measurements that were made and discarded.
        far_beyond: costs far beyond all that were seen, and therefore measured again.
        halted: whether the run is ending, so that nothing may touch the chip any more.
        written: number of the write whose parameters the chip should have.
        shown: number of the presentation that the chip should see.
    """

    def __init__(self, instrument: Guarded, cost: AbstractCost, *, give_up_seconds: float):
        self.instrument, self.give_up_seconds = instrument, give_up_seconds
        self.recoveries, self.voided, self.halted = 0, 0, False
        self.far_beyond, self._seen = 0, Seen()
        self._seen_when_sure = self._seen.mark()
        # Measurements since the last sure point, how many there may be, and since when none was sure.
        self._unsure, self._most_unsure, self._in_trouble_since = 0, _MOST_UNSURE, None
        # Measurements in a row that gave no reading, and when there last was one.
        self._skipped, self._read_at = 0, awake()
        self._limits = instrument.limits
        self._alive, self._waiting = awake(), False
        # Samples or perturbations that are asked for at once, and the longest that one took until now.
        self._asked, self._slowest = 1, 0.0
        self._cost_of, self._costs_of = _averaged(cost)
        self._identity: Identity | None = instrument.identity
        self.written = self.shown = -1
        self._x = self._target = self._theta = np.zeros(0, np.float32)
        self._forget()

    def _forget(self) -> None:
        """What is on the chip is not known."""
        self._is_shown = self._is_written = False
        self._signal: bytes | None = None

    def place_parameters(self, theta: Float[np.ndarray, " p"], written: int) -> None:
        """Sets which parameters the chip should have, and the number of their write: each write has its own number."""
        self._theta, self.written, self._is_written = theta, written, False

    def place_sample(self, x: np.ndarray, target: np.ndarray, shown: int) -> None:
        """Sets which batch the chip should see, and the number of its presentation."""
        self._x, self._target, self.shown, self._is_shown = x, target, shown, False

    def silence(self) -> float:
        """Seconds since the chip last answered, minus the usual time of these answers; 0 if no answer is due."""
        if not self._waiting:
            return 0.0
        return awake() - self._alive - self._asked * self._slowest - self.instrument.ramp_seconds

    @property
    def is_sure(self) -> bool:
        """Whether all measurements are confirmed."""
        return self._unsure == 0

    @property
    def check_is_due(self) -> bool:
        """Whether so many measurements are unconfirmed that `make_sure` should be called."""
        return self._unsure >= self._most_unsure

    def make_sure(self) -> None:
        """Checks that all replies belonged to our queries, and that the chip still has its parameters.

        Raises:
            Slipped: if not; the instrument is open again.
            HardwareError: if the chip does not answer for `give_up_seconds`.
        """
        if self._unsure == 0:
            return
        self._insist(self.instrument.make_sure, asked=0)
        self._unsure, self._in_trouble_since = 0, None
        self._seen_when_sure = self._seen.mark()
        self._most_unsure = min(2 * self._most_unsure, _MOST_UNSURE)

    def _void(self, cause: Exception) -> None:
        """Gives up what was measured since the last sure point.

        Raises:
            Slipped: if anything was.
            HardwareError: if that has gone on for too long.
        """
        if self._unsure == 0:
            return
        self.voided += self._unsure
        self._seen.go_back(self._seen_when_sure)
        LOG.warning("%s: %d measurements are made again: %s", self.instrument.address, self._unsure, cause)
        self._most_unsure = max(_FEWEST_UNSURE, min(self._most_unsure, self._unsure) // 2)
        self._unsure, now = 0, awake()
        if self._in_trouble_since is None:
            self._in_trouble_since = now
        elif now - self._in_trouble_since > self.give_up_seconds:
            raise HardwareError(
                f"{self.instrument.address}: for {self.give_up_seconds:g} s no reply could be matched to its query "
                f"({cause}): check its line; all confirmed measurements are kept"
            ) from cause
        raise Slipped from cause

    def _ready(self) -> None:
        if not self._is_shown:
            self.instrument.present(self._x, self._target)
            self._is_shown, self._signal = True, None
        if not self._is_written:
            if self.instrument.own_line:
                self.instrument.set_parameters(self._theta)
            self._is_written, self._signal = True, None

    def measure(self, signal: Float[np.ndarray, " p"], meanwhile: Callable[[], None] = lambda: None) -> float:
        """The cost with a vetted signal on the chip.

        Args:
            signal: θ̃ where it has lines of its own, otherwise θ + θ̃.
            meanwhile: called while the chip measures, for work of the host; called again if the measurement is
                repeated.

        Raises:
            HardwareError: if the chip does not answer for `give_up_seconds`, or answers wrongly.
        """

        def once() -> float:
            self._ready()
            content = signal.tobytes()
            if content != self._signal:
                self._signal = None
                self.instrument.put(signal)
                self._signal = content
            self.instrument.while_waiting(meanwhile)
            if self.instrument.reads == "outputs":
                return float(self._cost_of(self.instrument.read_outputs(), self.instrument.target))
            return self.instrument.measure_cost()

        cost = self._insist(once)
        return cost if self._seen.takes(cost) else self._doubted(cost, once)

    def measure_batch(
        self, signals: Float[np.ndarray, "k p"], meanwhile: Callable[[], None] = lambda: None
    ) -> Float[np.ndarray, " k"]:
        """The costs with each of these vetted signals on the chip, in one exchange; otherwise as `measure`.

        A cost is NaN if the instrument says that this signal, or the whole batch, cannot be measured.
        """

        rows = signals

        def once() -> np.ndarray:  # said without a shape, which would be made again at every call
            self._ready()
            self._signal = None
            self.instrument.while_waiting(meanwhile)
            try:
                if self.instrument.reads_together == "cost":
                    return self.instrument.put_batch(rows)
                outputs = self.instrument.put_batch_outputs(rows)
            except HardwareError as error:
                if not error.skip:
                    raise
                return np.full(len(rows), np.nan, np.float32)
            return np.asarray(self._costs_of(outputs, self.instrument.target))

        costs = self._insist(once, len(signals))
        taken = self._seen.takes_all(costs)
        if not taken.all():
            costs = costs.copy()
            for row in np.flatnonzero(~taken).tolist():
                rows = signals[row : row + 1]
                try:
                    costs[row] = self._doubted(float(costs[row]), lambda: float(once()[0]))
                except HardwareError as error:
                    if not error.skip:
                        raise
                    costs[row] = np.nan
        if np.isnan(costs).all():
            self._no_reading(HardwareError(f"{self.instrument.address}: a batch had no reading in it"))
        else:
            self._skipped = 0
        return costs

    def _doubted(self, cost: float, once: Callable[[], float]) -> float:
        """The cost in place of one far beyond all that were seen: measured again, and believed if it comes again.

        Raises:
            HardwareError: with `skip=True`, if it is never the same.
        """
        self.far_beyond += 1
        address = self.instrument.address
        LOG.info("%s: a cost of %g is far beyond all before, and is measured again", address, cost)
        for _ in range(_TRIES - 1):
            before, cost = cost, self._insist(once)
            if math.isnan(cost):
                break
            if self._seen.takes(cost):
                return cost
            if repeats(cost, before):
                self._seen.believe(cost)
                return cost
        error = HardwareError(
            f"{address}: a cost of {cost:g} is far beyond all before, and came but once: check the readout",
            skip=True,
        )
        self._no_reading(error)
        raise error

    def respond(
        self, theta: Float[np.ndarray, " p"], x: np.ndarray, target: np.ndarray
    ) -> Float[np.ndarray, "batch outputs"]:
        """The outputs without perturbation, for samples outside the training."""
        return self._until_read(lambda: (self._visit(theta, x, target), self.instrument.read_outputs())[1], len(x))

    def cost_of_others(self, theta: Float[np.ndarray, " p"], x: np.ndarray, target: np.ndarray) -> float:
        """The cost without perturbation, for samples outside the training."""
        return self._until_read(lambda: (self._visit(theta, x, target), self.instrument.measure_cost())[1], len(x))

    def leave_with(self, theta: Float[np.ndarray, " p"]) -> None:
        """Sets the parameters with which the chip is left at the end."""
        self._forget()
        self._insist(lambda: self.instrument.leave_with(theta))

    def _visit(self, theta: Float[np.ndarray, " p"], x: np.ndarray, target: np.ndarray) -> None:
        self._forget()
        self.instrument.present(x, target)
        self.instrument.set_parameters(theta)

    def _until_read(self, once: Callable[[], T], asked: int) -> T:
        """As `_insist`, but no reading cannot be skipped: the chip is asked again until it is given up."""
        give_up = awake() + self.give_up_seconds
        while True:
            try:
                return self._insist(once, asked)
            except HardwareError as error:
                may_pass = error.skip and (error.passing or self.instrument.may_slip)
                if not may_pass or awake() > give_up:
                    raise
            time.sleep(_FIRST_WAIT)

    def _insist(self, once: Callable[[], T], asked: int = 1) -> T:
        """Does it; where it fails and that may pass, opens again and does it again.

        Raises:
            Slipped: if it was opened again, and what was measured before is not sure.
        """
        give_up, self._asked, tries, refused = None, max(1, asked), 0, False
        self._alive, self._waiting = awake(), True
        while True:
            self._check_halted()
            try:
                began = awake()
                found = once()
                self._waiting = False
                if asked:
                    self._slowest = max(self._slowest, (awake() - began) / asked)
                    self._skipped = 0
                    self._unsure += asked * self.instrument.may_slip
                return found
            except (HardwareError, OSError) as error:
                if isinstance(error, HardwareError) and error.skip:
                    tries += 1
                    if error.passing and tries < _TRIES:
                        continue
                    self._waiting = False
                    self._unsure += asked * self.instrument.may_slip
                    self._no_reading(error)
                    raise
                if isinstance(error, HardwareError) and not error.passing:
                    # A chip that was reset refuses what it took before: once, that may be it.
                    if refused or not self.instrument.may_slip:
                        raise
                    refused = True
                if give_up is None:
                    give_up = awake() + self.give_up_seconds
                self._reopen(error, give_up)
                self._void(error)

    def _no_reading(self, cause: HardwareError) -> None:
        """Counts a measurement that cannot be made.

        Raises:
            HardwareError: if there was none that could for `give_up_seconds`.
        """
        now = awake()
        if self._skipped == 0:
            self._read_at = now
        self._skipped += 1
        LOG.info("%s: no reading, %d in a row: %s", self.instrument.address, self._skipped, cause)
        if self._skipped >= _MOST_SKIPPED and now - self._read_at > self.give_up_seconds:
            raise HardwareError(
                f"{cause}; the last {self._skipped:,} measurements gave no reading: check the detector, its range and "
                "its cable"
            ) from cause

    def _reopen(self, cause: Exception, give_up: float) -> None:
        """Opens the instrument again, with back-off, until it is there."""
        wait, last, strangers = _FIRST_WAIT, cause, 0
        while awake() < give_up:
            self._check_halted()
            self._forget()
            self.instrument.close()
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
            try:
                self.instrument.open()
                self._recognise()
                self.recoveries += 1
                LOG.warning("%s: opened again, time %d: %s", self.instrument.address, self.recoveries, cause)
                return
            except (HardwareError, OSError) as error:
                # A late reply to another query may be taken for an identity: once, that may be it.
                strangers += isinstance(error, _Stranger)
                may_be_late = strangers == 1 and isinstance(error, _Stranger) and self.instrument.may_slip
                if isinstance(error, HardwareError) and not error.passing and not may_be_late:
                    raise
                last = error
        with suppress(MgdError, OSError):
            self.instrument.close()
        raise HardwareError(
            f"{self.instrument.address} gave no valid answer for {self.give_up_seconds:g} s ({last}): "
            "check its power and its line; all measurements are kept"
        ) from cause

    def _check_halted(self) -> None:
        if self.halted:
            raise HardwareError(f"{self.instrument.address}: the run is ending")

    def _recognise(self) -> None:
        """Sees who is there.

        Raises:
            HardwareError: if it is another chip than before, or may not be set as far.
        """
        found = self.instrument.identify()
        if self._identity is not None and found.serial != self._identity.serial:
            raise _Stranger(
                f"{self.instrument.address}: {found} answers instead of {self._identity}: connect that chip again"
            )
        self._identity = found
        limits, before = self.instrument.limits, self._limits
        if limits.low.shape != before.low.shape:
            raise HardwareError(
                f"{self.instrument.address}: it has {limits.low.size} parameters after it was opened again, and had "
                f"{before.low.size}: set the chip back, or start a new run"
            )
        narrower = (limits.low > before.low) | (limits.high < before.high)
        if narrower.any():
            k = int(np.argmax(narrower))
            of = "" if limits.units is None else f" of parameter {limits.name(k)}"
            raise HardwareError(
                f"{self.instrument.address}: its limits{of} are {limits.ends(k)} after it was opened again, and were "
                f"{before.ends(k)}: set the chip back to these, or start a new run within the new ones"
            )


def _averaged(cost: AbstractCost) -> tuple[Callable, Callable]:
    """The cost averaged over a batch, compiled: from its outputs, and from many outputs (k, batch, outputs) for it."""
    one = jax.jit(lambda outputs, target: jnp.mean(cost(outputs, target)))
    return one, jax.jit(jax.vmap(one, (0, None)))
