"""A clock that stands still while this process does (Ctrl-Z, SIGSTOP, a machine that sleeps).

A chip that is waited for cannot be blamed for the hours in which nobody listened.
"""

import threading
import time

_BEAT_SECONDS = 0.1
# A thread that sleeps for a beat comes this late only if the whole process stood still, or hardly got any time.
_LONGEST_BEAT = 0.5


class _Clock:
    """Looks at the time at every beat; a beat that lasted too long was none."""

    def __init__(self):
        # The time of the last look, and how long the process has stood still. They are replaced as one, so that no lock
        # is needed, for which a signal's handler could wait in vain.
        self._seen = time.monotonic(), 0.0
        self._lock = threading.RLock()
        self._beats = False

    def now(self) -> float:
        if not self._beats:
            self._begin()
        (seen, stood), now = self._seen, time.monotonic()
        if now - seen > _LONGEST_BEAT:
            stood += now - seen - _BEAT_SECONDS
        self._seen = now, stood
        return now - stood

    def _begin(self) -> None:
        with self._lock:
            if not self._beats:
                self._seen, self._beats = (time.monotonic(), self._seen[1]), True
                threading.Thread(target=self._beat, daemon=True, name="mgd-awake").start()

    def _beat(self) -> None:
        while True:
            time.sleep(_BEAT_SECONDS)
            self.now()


_CLOCK = _Clock()


def awake() -> float:
    """Seconds that this process was awake, from any moment on; for differences."""
    return _CLOCK.now()
