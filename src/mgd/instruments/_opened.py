"""An instrument in use: one program at a time, checked before anything is sent, safe when it is left."""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress

import numpy as np
from jaxtyping import Float

from .._alarm import alarm
from .._awake import awake
from .._errors import HardwareError, MgdError, MgdWarning
from .._stops import Interrupter, interruptible
from ._base import AbstractInstrument, Identity, numbers_of
from ._locks import alone as _alone

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 2.0
# That a chip may take to be put in its safe state.
_LONGEST_LEAVING = 30.0


class Guarded(AbstractInstrument):
    """An instrument behind checks: of what it is given, before anything is sent, and of what it answers.

    Args:
        inner: the instrument.

    Attributes:
        identity: who answered when it was last asked, as at the opening; None if it was not.
        target: the targets of the batch in front of the chip.

    Raises:
        LimitError: from `set_parameters`, `perturb` and batches, if a parameter would leave its limits.
        ValueError: from these, if an array has the wrong shape.
        HardwareError: if a reply is NaN, infinite, or of the wrong shape.
    """

    def __init__(self, inner: AbstractInstrument):
        self.inner = inner
        self.address, self.n_params, self.limits = inner.address, inner.n_params, inner.limits
        self.reads, self.own_line, self.most_together = inner.reads, inner.own_line, inner.most_together
        self.settle_seconds, self.reads_together = inner.settle_seconds, inner.reads_together
        self._theta = np.zeros(self.n_params, np.float32)
        self.identity: Identity | None = None
        self.target = np.zeros((0, 0), np.float32)

    def open(self) -> None:
        self.inner.open()
        # What only the open chip knows (a count, limits it reports) may have come.
        self.n_params, self.limits = self.inner.n_params, self.inner.limits
        if self.limits.low.size != self.n_params:
            self.inner.close()
            raise HardwareError(
                f"{self.address}: {self.n_params} parameters and limits for {self.limits.low.size}: "
                "give limits for each, or one for all"
            )

    def close(self) -> None:
        self.inner.close()

    def identify(self) -> Identity:
        self.identity = self.inner.identify()
        return self.identity

    def known(self) -> Identity:
        """Who is there, without asking again."""
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
        """Checks many perturbations of these parameters at once; `put` and `put_batch` take each as it is after that.

        Raises:
            LimitError: if one would leave its limits.
        """
        self.limits.check(self._vector(theta), "parameter")
        self.limits.check(theta + signals, "with its perturbation, parameter")

    def put(self, signal: Float[np.ndarray, " p"]) -> None:
        """Sends a vetted signal: θ̃ to its own line, or where there is none θ + θ̃ as parameters."""
        if self.own_line:
            self.inner.perturb(signal)
        else:
            self.inner.set_parameters(signal)

    def put_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        """The costs with each of these vetted signals on the chip."""
        return self._finite(self.inner.measure_batch(signals), (len(signals),), "measure_batch")

    def put_batch_outputs(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k batch outputs"]:
        """The outputs with each of these vetted signals on the chip; NaN where it cannot be measured."""
        shape = (len(signals), *self.target.shape)
        values = numbers_of(self.inner.read_batch(signals), shape, self.address, "read_batch")
        measured = values[~np.isnan(values).all((1, 2))]
        self._finite(measured, measured.shape, "read_batch")
        return values

    def measure_cost(self) -> float:
        cost = self.inner.measure_cost()
        # The common case first: this is asked at every measurement.
        return (
            cost if isinstance(cost, float) and math.isfinite(cost) else self._finite(cost, (), "measure_cost").item()
        )

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        return self._finite(self.inner.read_outputs(), self.target.shape, "read_outputs")

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

    def safe_state(self) -> None:
        self.inner.safe_state()

    def _vector(self, values: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
        values = np.asarray(values, np.float32)
        if values.shape != (self.n_params,):
            raise ValueError(f"{self.address} has {self.n_params} parameters, got an array of shape {values.shape}")
        return values

    def _finite(self, reply: object, shape: tuple[int, ...], verb: str) -> np.ndarray:
        values = numbers_of(reply, shape, self.address, verb)
        if not np.isfinite(values).all():
            raise HardwareError(
                f"{self.address}: {verb} gave {values.ravel()[~np.isfinite(values.ravel())][0]}: check the readout",
                passing=True,
            )
        return values


@contextmanager
def opened(
    instrument: AbstractInstrument, *, serial: str | None = None, alone: bool = True, patience_seconds: float = 0.0
) -> Iterator[Guarded]:
    """Opens an instrument behind a guard; however the body is left, the chip is put in its safe state.

    Ctrl-C, SIGTERM and SIGHUP (the terminal was closed) arrive as `KeyboardInterrupt` in the body, unless the program
    has handlers of its own; a trainer asks between pieces whether they came. While the chip is being left they wait.

    Args:
        instrument: not open.
        serial: that it must have; None for any.
        alone: whether no other program may use the same address meanwhile.
        patience_seconds: how long to try again, if it does not open and that may pass.

    Raises:
        HardwareError: if it cannot be opened, another program uses it (by whatever address), or it is another piece.

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
    with _alone(instrument.address) if alone else nullcontext():
        guarded = Guarded(instrument)
        with interruptible() as signals:
            _open(guarded, serial, patience_seconds, signals)
            says_so = True
            try:
                signals.on = True
                yield guarded
            except HardwareError:  # which tells already that the chip does not do what it must
                says_so = False
                raise
            finally:
                signals.on = False  # first of all: no call is before it, within which an exception could come
                _leave(guarded, says_so)


def _leave(instrument: AbstractInstrument, says_so: bool) -> None:
    """Leaves a chip, and may say so if it could not be made safe; a driver that waits for ever does not hold it up."""
    with alarm(_LONGEST_LEAVING, _LONGEST_LEAVING, _too_long):
        safe = leave_safely(instrument)
    if says_so and not safe:
        warnings.warn(
            f"{instrument.address} could not be put in its safe state, and may hold its last parameters: see to it",
            MgdWarning,
            stacklevel=4,
        )


def _too_long() -> None:
    raise HardwareError(f"no answer within {_LONGEST_LEAVING:g} s")


def leave_safely(instrument: AbstractInstrument) -> bool:
    """Puts a chip in its safe state and closes it; whether it took the safe state (the line may be gone)."""
    try:
        instrument.safe_state()
        return True
    except (MgdError, OSError):
        # Once more on a fresh line: what broke may have been the line alone.
        with suppress(MgdError, OSError):
            instrument.close()
            instrument.open()
            instrument.safe_state()
            return True
        return False
    finally:
        instrument.close()


def _open(instrument: AbstractInstrument, serial: str | None, patience_seconds: float, signals: Interrupter) -> None:
    """Opens it and sees who is there; it is left again if that fails."""
    give_up, wait = awake() + patience_seconds, _FIRST_WAIT
    while True:
        is_open = False
        try:
            signals.on = True
            instrument.open()
            is_open = True
            _check_identity(instrument, serial)
            signals.on = False
            return
        except BaseException as error:
            signals.on = False
            passes = isinstance(error, OSError) or (isinstance(error, HardwareError) and error.passing)
            if not passes or awake() + wait > give_up:
                if is_open:
                    _leave(instrument, isinstance(error, KeyboardInterrupt))
                if isinstance(error, OSError):
                    raise HardwareError(f"{instrument.address} cannot be opened: {error}") from error
                raise
        instrument.close()
        signals.on = True
        time.sleep(wait)
        signals.on = False
        wait = min(2 * wait, _LONGEST_WAIT)


def _check_identity(instrument: AbstractInstrument, serial: str | None) -> None:
    identity = instrument.identify()
    if serial is not None and identity.serial != serial:
        raise HardwareError(
            f"{instrument.address}: serial {identity.serial!r} answers ({identity}), {serial!r} is meant: "
            "connect that chip, or change its serial in the chip file"
        )
