"""A simulator in a process of its own, behind the verbs of an instrument. Nothing here imports JAX."""

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from typing import Any, NoReturn

from .._errors import HardwareError
from ._base import AbstractInstrument

# That a process whose line has closed may take to end.
_LONGEST_ENDING = 1.0


class Process:
    """Takes an instrument into a process of its own; verbs are asked and answered apart, so that several work at once.

    The process ends when its line does, also if this one is killed. Ctrl-C in a terminal is not for it. It is killed
    when it is not needed any more: what it holds must be nothing that has to be left with care.

    Args:
        instrument: not open; a copy of it is asked.

    Raises:
        HardwareError: from every verb, with `passing=True`, if the process has ended.
    """

    def __init__(self, instrument: AbstractInstrument):
        self._address = instrument.address
        path = os.pathsep.join(each or os.getcwd() for each in sys.path)
        # In a process of one thread, which NumPy's BLAS would not leave it, the C library's malloc needs no locks: a
        # fifth of the time of a simulator that allocates as much as ngspice.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path},
            start_new_session=True,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._requests, self._replies = self._process.stdin, self._process.stdout
        self._send(instrument)

    def ask(self, verb: str, *arguments: Any) -> None:
        """Sends what is to be asked of the instrument; `reply` must follow."""
        self._send((verb, arguments))

    def reply(self) -> tuple[Any, Exception | None]:
        """What the verb gave, and what it raised."""
        try:
            return pickle.load(self._replies)
        except (EOFError, OSError, pickle.UnpicklingError):
            self._ended()

    def end(self) -> None:
        """Kills it."""
        self._process.kill()
        self._process.wait()
        with suppress(OSError):  # what was being written when it ended
            self._requests.close()
        self._replies.close()

    def _send(self, what: object) -> None:
        try:
            pickle.dump(what, self._requests)
            self._requests.flush()
        except OSError:
            self._ended()

    def _ended(self) -> NoReturn:
        with suppress(subprocess.TimeoutExpired):  # by itself, so that the code is its own
            self._process.wait(_LONGEST_ENDING)
        self.end()
        raise HardwareError(
            f"{self._address}: its process {self._process.pid} ended with code {self._process.returncode}: "
            "check whether memory ran out, and start again",
            passing=True,
        )


def _serve() -> None:
    """Takes the instrument, and answers until the line is closed."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    instrument = pickle.load(requests)
    while True:
        verb, arguments = pickle.load(requests)
        try:
            answer = getattr(instrument, verb)(*arguments), None
        except Exception as error:
            answer = None, error
        pickle.dump(answer, replies)
        replies.flush()


if __name__ == "__main__":
    try:
        _serve()
    except (EOFError, BrokenPipeError):
        os._exit(0)  # nobody is left to read a message, nor any unflushed output
