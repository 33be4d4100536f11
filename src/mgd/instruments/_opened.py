"""An instrument in use: one program at a time, checked before anything is sent, safe when it is left."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float

from .._awake import awake
from .._errors import HardwareError, MgdError, MgdWarning
from .._stops import Interrupter, interruptible
from ._base import ANYTHING, MOST_BELIEVED, AbstractInstrument, Identity, checked_range, is_believed, numbers_of
from ._guardian import Guardian, guarded_by
from ._leaving import check_identity, leave
from ._locks import alone as _alone

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 2.0
# How often a batch is asked for readings that can be believed.
_TRIES = 3


class Guarded(AbstractInstrument):
    """An instrument behind checks of its arguments, before anything is sent, and of its answers.

    Args:
        inner: the instrument.

    Attributes:
        identity: the identity from the last query, for example at the opening; None if there was none.
        target: the targets of the presented batch.
        guardian: of this chip, while it is open.
        unbelievable: readings that were outside of `believable`.

    Raises:
        LimitError: from `set_parameters`, `perturb` and batches, if a parameter would leave its limits.
        ValueError: from these, if an array has the wrong shape.
        HardwareError: if a reply has the wrong shape; with `skip=True` if it is not a valid reading: NaN, or 1e18 and
            more, such as SCPI's 9.9E37 for a reading over range, or outside of `believable`.
    """

    def __init__(self, inner: AbstractInstrument):
        self.inner = inner
        self.describe_as(inner)
        self.unbelievable = 0
        self._cost_range, self._output_range = self._ranges()
        self._theta = np.zeros(self.n_params, np.float32)
        self._kept: np.ndarray | None = None
        self.identity: Identity | None = None
        self.target = np.zeros((0, 0), np.float32)
        self.guardian: Guardian | None = None

    def open(self) -> None:
        self.inner.open()
        # What only the open chip knows (a count, limits it reports) may have come.
        self.describe_as(self.inner)
        self._cost_range, self._output_range = self._ranges()
        if self._theta.size != self.n_params:
            self._theta = np.zeros(self.n_params, np.float32)
        if self.limits.low.size != self.n_params:
            self.inner.close()
            raise HardwareError(
                f"{self.address} has {self.n_params} parameters and limits for {self.limits.low.size}: "
                "give limits for each, or one for all"
            )

    def open_to_leave(self) -> None:
        self.inner.open_to_leave()

    def note_in(self, folder: str | Path) -> None:
        """Has the chip's guardian, if it has one, write what it does to guardian.log in a folder."""
        if self.guardian is not None:
            self.guardian.note_in(Path(folder))

    def close(self) -> None:
        self.inner.close()

    def identify(self) -> Identity:
        self.identity = self.inner.identify()
        return self.identity

    def known(self) -> Identity:
        """The identity, without asking again."""
        return self.identity or self.identify()

    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        theta = self._vector(theta)
        self.limits.check(theta, "parameter")
        self.inner.set_parameters(theta)
        self._theta = theta

    def perturb(self, perturbation: Float[np.ndarray, " p"]) -> None:
        perturbation = self._vector(perturbation)
        self.limits.check(self._theta + perturbation, "with its perturbation, parameter")
        self.inner.perturb(perturbation)

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        if len(x) != len(target) or len(x) == 0:
            raise ValueError(f"a batch needs as many targets as inputs, got {len(x)} and {len(target)}")
        self.inner.present(x, target)
        self.target = target

    def vet(self, theta: Float[np.ndarray, " p"], signals: Float[np.ndarray, "k p"]) -> None:
        """Checks many perturbations of these parameters at once; `put` and `put_batch` then send each without a check.

        Raises:
            LimitError: if one would leave its limits.
        """
        self.limits.check(self._vector(theta), "parameter")
        self.limits.check(theta + signals, "with its perturbation, parameter")

    def put(self, signal: Float[np.ndarray, " p"]) -> None:
        """Sends a checked signal: θ̃ to its own line or, if there is none, θ + θ̃ as parameters."""
        if self.own_line:
            self.inner.perturb(signal)
        else:
            self.inner.set_parameters(signal)

    def put_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        """The costs with each of these checked signals on the chip; NaN for an invalid reading."""

        def ask(rows: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
            return numbers_of(self.inner.measure_batch(rows), (len(rows),), self.address, "measure_batch")

        return self._believed_of_batch(ask, signals, self._cost_range)

    def put_batch_outputs(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k batch outputs"]:
        """The outputs with each of these checked signals on the chip; NaN for a signal with an invalid reading."""

        def ask(rows: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k batch outputs"]:
            shape = (len(rows), *self.target.shape)
            return numbers_of(self.inner.read_batch(rows), shape, self.address, "read_batch")

        return self._believed_of_batch(ask, signals, self._output_range)

    def measure_cost(self) -> float:
        cost = self.inner.measure_cost()
        # The common case first: this is asked at every measurement.
        if isinstance(cost, float) and self._cost_range[0] <= cost <= self._cost_range[1]:
            return cost
        return self._believed(cost, (), "measure_cost", self._cost_range).item()

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        return self._believed(self.inner.read_outputs(), self.target.shape, "read_outputs", self._output_range)

    def measure_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        return self.put_batch(self._batch(signals))

    def read_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k batch outputs"]:
        return self.put_batch_outputs(self._batch(signals))

    def _batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k p"]:
        signals = np.asarray(signals, np.float32)
        if signals.ndim != 2 or signals.shape[1] != self.n_params or not 0 < len(signals) <= self.most_together:
            raise ValueError(
                f"{self.address} takes 1 to {self.most_together} rows of {self.n_params}, got shape {signals.shape}"
            )
        self.limits.check(signals + self._theta if self.own_line else signals, "in a batch, parameter")
        return signals

    def while_waiting(self, work: Callable[[], None]) -> None:
        self.inner.while_waiting(work)

    def make_sure(self) -> None:
        self.inner.make_sure()

    def leave_with(self, theta: Float[np.ndarray, " p"]) -> None:
        """Sets these parameters, without a perturbation, and makes `opened` leave the chip with them.

        It does so if its body ends without an error; otherwise the chip is put in its safe state.
        """
        self.set_parameters(theta)
        self._kept = self._theta
        self.identify()  # what a driver holds back until something is asked goes out, and was taken if that answers

    def left_with_parameters(self) -> bool:
        """Closes the chip with the parameters of `leave_with` on it; False if there are none, or it refused them."""
        if self._kept is None:
            return False
        try:
            self.leave_with(self._kept)
        except (MgdError, OSError) as error:
            warnings.warn(
                f"{self.address} did not keep its parameters, and is put in its safe state: {error}",
                MgdWarning,
                stacklevel=4,
            )
            return False
        self.close()
        return True

    def safe_state(self) -> None:
        self.inner.safe_state()

    def pace(self, settle: Float[np.ndarray, " p"] | None, ramp: Float[np.ndarray, " p"] | None) -> None:
        self.inner.pace(settle, ramp)
        self.describe_as(self.inner)

    def is_touched(self) -> bool:
        return self.inner.is_touched()

    def not_safe(self) -> list[str]:
        return self.inner.not_safe()

    def _vector(self, values: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
        values = np.asarray(values, np.float32)
        if values.shape != (self.n_params,):
            raise ValueError(f"{self.address} has {self.n_params} parameters, got an array of shape {values.shape}")
        return values

    def _ranges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """What can be believed of the cost, and of the outputs."""
        if self.believable is None:
            return ANYTHING, ANYTHING
        given = checked_range(self.believable)
        of_outputs = self.reads == "outputs" or (self.most_together and self.reads_together == "outputs")
        return (ANYTHING, given) if of_outputs else (given, ANYTHING)

    def _believed_of_batch(
        self, ask: Callable[[np.ndarray], np.ndarray], signals: np.ndarray, within: tuple[float, float]
    ) -> np.ndarray:
        """What is measured at these rows; NaN where that cannot be, also when it was asked again."""
        values = ask(signals)
        believed = is_believed(values, within)
        if believed.all():
            return values
        values, each = values.copy(), tuple(range(1, values.ndim))
        for left in reversed(range(_TRIES)):
            # What is no number at all says that this row cannot be measured.
            rows = np.flatnonzero(~believed.all(each) & is_believed(values).all(each))
            self.unbelievable += rows.size
            if not rows.size or not left:
                break
            values[~believed.all(each)] = np.nan
            values[rows] = ask(signals[rows])
            believed = is_believed(values, within)
        values[~believed.all(each)] = np.nan
        return values

    def _believed(self, reply: object, shape: tuple[int, ...], verb: str, within: tuple[float, float]) -> np.ndarray:
        values = numbers_of(reply, shape, self.address, verb)
        believed = is_believed(values, within)
        if not believed.all():
            self.unbelievable += bool(is_believed(values).all())
            wrong = values.ravel()[~believed.ravel()][0]
            why = (
                "is not a valid reading"
                if not abs(wrong) < MOST_BELIEVED
                else f"is not within {within[0]:g} … {within[1]:g}"
            )
            raise HardwareError(
                f"{self.address}: {verb} gave {wrong:g}, which {why}: check the readout and its range",
                passing=True,
                skip=True,
            )
        return values


@contextmanager
def opened(
    instrument: AbstractInstrument,
    *,
    serial: str | None = None,
    alone: bool = True,
    patience_seconds: float = 0.0,
    leave_seconds: float | None = None,
    guardian: bool = False,
) -> Iterator[Guarded]:
    """Opens an instrument behind a guard; however the body ends, the chip is put in its safe state.

    This may take `leave_seconds`; a warning then names the lines that are not safe, as far as they are known. Meanwhile
    the first Ctrl-C is held back, and the second gives up. A chip keeps its parameters only if `Guarded.leave_with` was
    called and the body ends without an error.

    Ctrl-C, SIGTERM and SIGHUP (the terminal was closed) raise `KeyboardInterrupt` in the body, unless the program has
    its own handlers; training checks for them between pieces.

    Args:
        instrument: an instrument that is not open.
        serial: the serial number that it must have; None for any.
        alone: whether no other program may use the same address meanwhile.
        patience_seconds: how long to retry, if opening fails and the failure may be temporary.
        leave_seconds: the time that the safe state may take; None for the instrument's own.
        guardian: whether a small process waits for the end of this one, and makes the chip safe if this one ends
            without doing so (kill -9, no memory, a crash). The instrument must be made from settings, by a chip file or
            `load_instrument`.

    Raises:
        HardwareError: if it cannot be opened, another program uses it (by whatever address), or it is another piece.
        ValueError: if `leave_seconds` is not above 0, or a guardian could not make the instrument again.

    >>> import numpy as np
    >>> from mgd.instruments import Limits, from_callables
    >>> state = {}
    >>> chip = from_callables(
    ...     set_parameters=lambda theta: state.update(theta=theta),
    ...     measure_cost=lambda: float((state["theta"] ** 2).sum()),
    ...     limits=Limits.uniform(3, -1.0, 1.0, "V"),
    ... )
    >>> with opened(chip) as guarded:
    ...     guarded.set_parameters(np.ones(3))
    ...     guarded.measure_cost()
    3.0
    >>> state["theta"].tolist()  # the safe state: the middle of the range
    [0.0, 0.0, 0.0]
    """
    seconds = instrument.leave_seconds if leave_seconds is None else leave_seconds
    if not seconds > 0:
        raise ValueError(f"leave_seconds must be above 0, got {seconds}: it is the time that the safe state may take")
    with ExitStack() as stack:
        # Entered first, because it acts when the chip is not locked any more.
        watch = stack.enter_context(guarded_by(instrument, wanted=guardian, serial=serial, seconds=seconds))
        for part in (instrument.parts.values() or [instrument]) if alone else []:
            stack.enter_context(_alone(part.address))
        guarded = Guarded(instrument)
        guarded.guardian = watch
        watch.begin()
        with interruptible() as signals:
            _open(guarded, serial, patience_seconds, seconds, signals)
            fails, reported, kept = True, False, False
            try:
                signals.on = True
                yield guarded
                fails = False
            except HardwareError:  # which tells already that the chip does not do what it must
                reported = True
                raise
            finally:
                signals.on = False  # first of all: no call is before it, within which an exception could come
                try:
                    kept = not fails and guarded.left_with_parameters()
                    if kept:
                        watch.settle(True)
                finally:
                    if not kept:
                        leave(guarded, seconds, fails=fails, reported=reported, on_left=watch.settle)


def _open(
    instrument: Guarded, serial: str | None, patience_seconds: float, leave_seconds: float, signals: Interrupter
) -> None:
    """Opens it and sees who is there; it is left again if that fails."""
    give_up, wait = awake() + patience_seconds, _FIRST_WAIT
    while True:
        is_open = False
        try:
            signals.on = True
            instrument.open()
            is_open = True
            check_identity(instrument, serial)
            signals.on = False
            return
        except BaseException as error:
            signals.on = False
            passes = isinstance(error, OSError) or (isinstance(error, HardwareError) and error.passing)
            if not passes or awake() + wait > give_up:
                if is_open or instrument.is_touched():
                    told = not isinstance(error, KeyboardInterrupt)
                    assert instrument.guardian is not None
                    leave(instrument, leave_seconds, fails=True, reported=told, on_left=instrument.guardian.settle)
                if isinstance(error, OSError):
                    raise HardwareError(f"{instrument.address} cannot be opened: {error}") from error
                raise
        instrument.close()
        signals.on = True
        time.sleep(wait)
        signals.on = False
        wait = min(2 * wait, _LONGEST_WAIT)
