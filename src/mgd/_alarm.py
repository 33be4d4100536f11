"""A bell in the main thread, for waits that may never end."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ._stops import in_callback

# Three years; a timer cannot be set for what any float says.
_LONGEST = 1e8
# A timer of no time at all is none.
_AT_ONCE = 1e-6


@contextmanager
def alarm(seconds: float, every: float, ring: Callable[[], None]) -> Iterator[None]:
    """Calls `ring` after so long and again, while the body runs; what it raises takes the body out of its wait.

    Within another alarm, it rings at the earlier of both times; the other goes on afterwards, and rings after its
    interval if its time has come meanwhile.

    Only the main thread can be taken out of a wait; elsewhere nothing rings.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # It rings again: in a callback, what is raised would be lost.
    before = signal.signal(signal.SIGALRM, lambda number, frame: None if in_callback(frame) else ring())
    left, again = signal.getitimer(signal.ITIMER_REAL)
    signal.setitimer(signal.ITIMER_REAL, min(seconds, left or _LONGEST, _LONGEST), min(every, _LONGEST))
    began = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            left -= time.monotonic() - began
            signal.setitimer(signal.ITIMER_REAL, left if left > 0 else again or _AT_ONCE, again)


def until_alarm(otherwise: float) -> float:
    """Seconds until the alarm rings that is set now; another number if there is none."""
    return signal.getitimer(signal.ITIMER_REAL)[0] or otherwise
