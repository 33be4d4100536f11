"""A chip being measured: what was last put on it, and how it is found again when the line is lost."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from .._awake import awake
from .._errors import HardwareError, MgdError
from ..chips import AbstractCost
from ..chips._costs import averaged
from ..instruments import Guarded, Identity

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 2.0
T = TypeVar("T")


class Bench:
    """Measures on a chip, and asks again where that may help.

    Whatever fails and may pass (a time-out, a lost line, a garbled reply) is mended in one way: the instrument is
    opened anew, is given its sample and its parameters again, and the same measurement is made again. So nothing is
    counted twice and nothing is left out.

    Args:
        instrument: open, and guarded.
        cost: of outputs, for chips that give these.
        give_up_seconds: how long a chip may fail to answer.

    Attributes:
        recoveries: times the instrument was opened anew.
        halted: whether the run is being left, so that the chip is not to be touched any more.
        written: the write whose parameters are to be on the chip.
        shown: the presentation that is to be in front of it.
    """

    def __init__(self, instrument: Guarded, cost: AbstractCost, *, give_up_seconds: float):
        self.instrument, self.give_up_seconds = instrument, give_up_seconds
        self.recoveries, self.halted = 0, False
        self._alive, self._waiting = awake(), False
        # Samples or perturbations that are asked for at once, and the longest that one took until now.
        self._asked, self._slowest = 1, 0.0
        self._cost_of, self._costs_of = averaged(cost)
        self._identity: Identity | None = instrument.identity
        self.written = self.shown = -1
        self._x = self._target = self._theta = np.zeros(0, np.float32)
        self._forget()

    def _forget(self) -> None:
        """What is on the chip is not known."""
        self._is_shown = self._is_written = False
        self._signal: bytes | None = None

    def place_parameters(self, theta: Float[np.ndarray, " p"], written: int) -> None:
        """Says which parameters are to be on the chip, and of which write: the same number, the same parameters."""
        self._theta, self.written, self._is_written = theta, written, False

    def place_sample(self, x: np.ndarray, target: np.ndarray, shown: int) -> None:
        """Says which batch is to be in front of the chip, and of which presentation it is."""
        self._x, self._target, self.shown, self._is_shown = x, target, shown, False

    def silence(self) -> float:
        """Seconds since the chip last answered, less what so many answers take it; 0 if no answer is due."""
        if not self._waiting:
            return 0.0
        return awake() - self._alive - self._asked * self._slowest

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
            meanwhile: called when the signal is on its way, to work while the chip does; again, if it is asked again.

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

        return self._insist(once)

    def measure_batch(
        self, signals: Float[np.ndarray, "k p"], meanwhile: Callable[[], None] = lambda: None
    ) -> Float[np.ndarray, " k"]:
        """The costs with each of these vetted signals on the chip, in one exchange; otherwise as `measure`.

        NaN where an instrument says that it cannot be measured, of a signal or of all.
        """

        def once() -> np.ndarray:  # said without a shape, which would be made anew at every call
            self._ready()
            self._signal = None
            self.instrument.while_waiting(meanwhile)
            try:
                if self.instrument.reads_together == "cost":
                    return self.instrument.put_batch(signals)
                outputs = self.instrument.put_batch_outputs(signals)
            except HardwareError as error:
                if not error.skip:
                    raise
                return np.full(len(signals), np.nan, np.float32)
            return np.asarray(self._costs_of(outputs, self.instrument.target))

        return self._insist(once, len(signals))

    def respond(
        self, theta: Float[np.ndarray, " p"], x: np.ndarray, target: np.ndarray
    ) -> Float[np.ndarray, "batch outputs"]:
        """The outputs without perturbation, for other samples than those of the training."""
        return self._insist(lambda: (self._visit(theta, x, target), self.instrument.read_outputs())[1], len(x))

    def cost_of_others(self, theta: Float[np.ndarray, " p"], x: np.ndarray, target: np.ndarray) -> float:
        """The cost without perturbation, for other samples than those of the training."""
        return self._insist(lambda: (self._visit(theta, x, target), self.instrument.measure_cost())[1], len(x))

    def _visit(self, theta: Float[np.ndarray, " p"], x: np.ndarray, target: np.ndarray) -> None:
        self._forget()
        self.instrument.present(x, target)
        self.instrument.set_parameters(theta)

    def _insist(self, once: Callable[[], T], asked: int = 1) -> T:
        """Does it; where it fails and that may pass, opens anew and does it again."""
        give_up, self._asked = None, asked
        self._alive, self._waiting = awake(), True
        while True:
            self._check_halted()
            try:
                began = awake()
                found = once()
                self._waiting = False
                self._slowest = max(self._slowest, (awake() - began) / asked)
                return found
            except (HardwareError, OSError) as error:
                if isinstance(error, HardwareError) and not error.passing:
                    raise
                if give_up is None:
                    give_up = awake() + self.give_up_seconds
                self._reopen(error, give_up)

    def _reopen(self, cause: Exception, give_up: float) -> None:
        """Opens the instrument anew, with back-off, until it is there."""
        wait, last = _FIRST_WAIT, cause
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
                return
            except (HardwareError, OSError) as error:
                if isinstance(error, HardwareError) and not error.passing:
                    raise
                last = error
        with suppress(MgdError, OSError):
            self.instrument.close()
        raise HardwareError(
            f"{self.instrument.address} gave no good answer for {self.give_up_seconds:g} s ({last}): "
            "check its power and its line; every measurement made is kept"
        ) from cause

    def _check_halted(self) -> None:
        if self.halted:
            raise HardwareError(f"{self.instrument.address}: the run is being left")

    def _recognise(self) -> None:
        """Sees who is there.

        Raises:
            HardwareError: if it is another chip than before.
        """
        found = self.instrument.identify()
        if self._identity is not None and found.serial != self._identity.serial:
            raise HardwareError(
                f"{self.instrument.address}: {found} answers where {self._identity} was: put that chip back"
            )
        self._identity = found
