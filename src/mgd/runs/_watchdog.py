"""A chip that stops answering inside a driver that waits for ever."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .._errors import HardwareError
from ..engines import Bench

# A driver has time-outs of its own and is asked again; only beyond that is it taken out of its wait.
_PATIENCE = 2.0


@contextmanager
def watchdog(bench: Bench) -> Iterator[None]:
    """Ends a wait for an answer that has lasted for twice `give_up_seconds`, with a `HardwareError`.

    Only the main thread can be taken out of a wait; elsewhere nothing is watched.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    limit = _PATIENCE * bench.give_up_seconds

    def bark(number: int, frame: object) -> None:
        silence = bench.silence()
        if silence > limit:
            raise HardwareError(
                f"{bench.instrument.address} has not answered for {silence:.0f} s, and its driver still waits: "
                "check its power and its line; every measurement made is kept"
            )

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, limit, max(0.05, limit / 4))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
