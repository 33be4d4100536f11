"""A bell in the main thread, for waits that may never end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ._stops import in_callback

# Three years; a timer cannot be set for what any float says.
_LONGEST = 1e8


@contextmanager
def alarm(seconds: float, every: float, ring: Callable[[], None]) -> Iterator[None]:
    """Calls `ring` after so long and again, while the body runs; what it raises takes the body out of its wait.

    Only the main thread can be taken out of a wait; elsewhere nothing rings.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # It rings again: in a callback, what is raised would be lost.
    before = signal.signal(signal.SIGALRM, lambda number, frame: None if in_callback(frame) else ring())
    signal.setitimer(signal.ITIMER_REAL, min(seconds, _LONGEST), min(every, _LONGEST))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
