"""How a chip is left: in its safe state, in the time that takes, whatever else happens. Nothing here imports JAX."""

import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from .._alarm import alarm
from .._errors import HardwareError, MgdError, MgdWarning
from ._base import AbstractInstrument
from ._failures import TimeIsUp, said_by

# A chip that takes longer than that to be left is announced.
_NOT_AT_ONCE = 1.0
# That a driver may take to say where the chip is, and to disconnect.
_SAYING, _CLOSING = 3.0, 10.0
# An alarm is for three years at most.
_LONGEST = 1e8
# After the time is up, what still waits is taken out of it that often, until nothing does.
_AGAIN = 1.0
# Waited before a chip that nobody holds is looked for again; doubled each time, up to the longest.
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 2.0


@dataclass(frozen=True)
class Left:
    """How a chip was left.

    Attributes:
        safe: whether it took its safe state.
        why: why not.
        names: what is not safe, as far as that is known.
        given_up: whether it was given up by Ctrl-C.
    """

    safe: bool
    why: str = ""
    names: list[str] = field(default_factory=list)
    given_up: bool = False


def leave(
    instrument: AbstractInstrument,
    seconds: float,
    *,
    fails: bool,
    reported: bool,
    on_left: Callable[[bool], object] = lambda settled: None,
) -> None:
    """Puts a chip in its safe state and closes it, within so many seconds; warns of what is not safe.

    Ctrl-C and SIGTERM are held back meanwhile: at the first a line says so, the second gives up. What was held back
    arrives afterwards.

    Args:
        instrument: open.
        seconds: that it may take.
        fails: whether an error is on its way, which is then what ends the program.
        reported: whether that error already says that the chip does not do what it must.
        on_left: told whether there is nothing more to do, because the chip is safe or was given up.
    """
    with _signals_held(instrument.address) as came, _told_of(instrument.address, seconds):
        left = _left(instrument, seconds, _make_safe)
        on_left(left.safe or left.given_up)
    if not left.safe and (left.names or left.given_up or not reported):
        where = f": check {', '.join(left.names)}" if left.names else ": check it"
        warnings.warn(
            f"{instrument.address} could not be put in its safe state, and may hold its last parameters{where} "
            f"({left.why})",
            MgdWarning,
            stacklevel=5,
        )
    if not fails and left.given_up:
        raise KeyboardInterrupt
    if not fails and came:
        signal.raise_signal(came[0])


def leave_safely(instrument: AbstractInstrument) -> bool:
    """Puts a chip in its safe state and closes it; returns whether it reached the safe state (the line may be lost)."""
    return _left(instrument, instrument.leave_seconds, _make_safe).safe


def rescue(instrument: AbstractInstrument, serial: str | None, seconds: float) -> Left:
    """Puts a chip that another process held in its safe state, and closes it; it is looked for until the time is up.

    Args:
        instrument: not open.
        serial: the serial number that it must have; None for any.
        seconds: that all may take.
    """
    return _left(instrument, seconds, lambda chip: _find_and_make_safe(chip, serial))


def _left(instrument: AbstractInstrument, seconds: float, make_safe: Callable[[AbstractInstrument], None]) -> Left:
    try:
        try:
            with alarm(min(seconds, _LONGEST), _AGAIN, lambda: _ring(seconds)):
                make_safe(instrument)
            return Left(True)
        except (MgdError, OSError) as error:
            why, given_up = said_by(error), False
        except KeyboardInterrupt:
            why, given_up = "given up by Ctrl-C", True
        names = []
        with suppress(MgdError, OSError), alarm(_SAYING, _AGAIN, lambda: _ring(_SAYING)):
            names = instrument.not_safe()
        return Left(False, why, names, given_up)
    finally:
        with suppress(TimeIsUp), alarm(_CLOSING, _AGAIN, lambda: _ring(_CLOSING)):
            instrument.close()


def _make_safe(instrument: AbstractInstrument) -> None:
    try:
        instrument.safe_state()
    except TimeIsUp:
        raise
    except (MgdError, OSError):
        # Once more on a fresh line: what broke may have been the line alone.
        instrument.close()
        instrument.open_to_leave()
        instrument.safe_state()


def _find_and_make_safe(instrument: AbstractInstrument, serial: str | None) -> None:
    wait, last = _FIRST_WAIT, None
    try:
        while True:
            try:
                instrument.open_to_leave()
                if not instrument.parts:  # each of which is asked who it is when it is opened
                    check_identity(instrument, serial)
                instrument.safe_state()
                return
            except TimeIsUp:
                raise
            except (MgdError, OSError) as error:
                if isinstance(error, MgdError) and not getattr(error, "passing", False):
                    raise
                last = error
            instrument.close()
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
    except TimeIsUp:
        if last is None:
            raise
        raise last from None


def check_identity(instrument: AbstractInstrument, serial: str | None) -> None:
    """Sees who is there.

    Raises:
        HardwareError: if it is another piece.
    """
    identity = instrument.identify()
    if serial is not None and identity.serial != serial:
        raise HardwareError(
            f"{instrument.address}: serial {identity.serial!r} answers ({identity}), instead of {serial!r}: "
            "connect that chip, or change its serial in the chip file"
        )


def _ring(seconds: float) -> None:
    raise TimeIsUp(f"it did not end within {seconds:g} s; raise leave_seconds to give it more")


@contextmanager
def _told_of(address: str, seconds: float) -> Iterator[None]:
    """Says so, if the body takes long."""
    line = f"mgd: {address} is being put in its safe state, which may take up to {seconds:g} s"
    timer = threading.Timer(_NOT_AT_ONCE, _say, [line])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _signals_held(address: str) -> Iterator[list[int]]:
    """Holds back what would end the program in the body, but for a second Ctrl-C or SIGTERM; gives what came."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def hold(number: int, frame: object) -> None:
        came.append(number)
        if number == signal.SIGHUP:  # the terminal is gone, and nobody can want to give up
            return
        if len(came) - came.count(signal.SIGHUP) > 1:
            raise KeyboardInterrupt
        _say(f"mgd: {address} is being put in its safe state: press Ctrl-C again to give up and leave it as it is")

    held = [each for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) != signal.SIG_IGN]
    before = {number: signal.signal(number, hold) for number in held}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(line: str) -> None:
    """On the terminal, if there is one."""
    with suppress(OSError, ValueError, AttributeError):
        print(line, file=sys.stderr, flush=True)
