"""Ctrl-C, SIGTERM and SIGHUP (the terminal was closed): what each of them ends, and how.

Python's own way is to raise `KeyboardInterrupt` wherever the main thread happens to be. In an import, in a callback of
the garbage collector or half way out of a `with` this is lost, or it ends in a traceback or a crash. There are three
ways here instead:

- `end_at_once`, of the command line: one line and exit code 130. What is on disk is whole at every moment, so nothing
  has to be unwound.
- `stop_requested`, of a run: a question that is asked between pieces. A second signal goes to whoever was there before.
- `interruptible`, of an open chip, which must be left with care: `KeyboardInterrupt`, but only where it comes out.

A SIGHUP that is ignored (by `nohup`) stays ignored.
"""

import _thread
import contextlib
import errno
import gc
import os
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterator
from types import FrameType

STOPPED = 130
GO_ON = "stopped; mgd resume RUN continues a run from its last checkpoint"
_AGAIN_SECONDS = 0.02
# What a progress bar leaves on a terminal: its line is emptied, and the cursor shown again.
_CLEAN = b"\r\x1b[2K\x1b[?25h"


class EndAtOnce:
    """A handler that ends the process.

    Attributes:
        hint: what is said.
        code: the exit code once the command has come to its end and has said all there is to say; None before.
    """

    def __init__(self):
        self.hint = GO_ON
        self.code: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        _let_terminal_go(number)
        if self.code is None:
            line = f"mgd: {self.hint}\n".encode()
            with contextlib.suppress(OSError):
                os.write(2, _CLEAN + line if os.isatty(2) else line)
        os._exit(STOPPED if self.code is None else self.code)


def end_at_once() -> EndAtOnce:
    """From now on, a signal ends the process with one line and exit code 130."""
    import atexit

    handler = EndAtOnce()
    for number in _signals():
        signal.signal(number, handler)
    # Called last of all: what is left is Python's own leaving, where no handler works.
    atexit.register(_ignore, _signals())
    return handler


@contextlib.contextmanager
def stop_requested(
    hint: str = GO_ON,
    *,
    on_stop: Callable[[], object] = lambda: None,
    patience_seconds: float | None = None,
) -> Iterator[Callable[[], bool]]:
    """Turns signals into a question that is asked between pieces; a second one is not held back.

    Args:
        hint: what a process says that a second one ends.
        on_stop: called when the first one comes.
        patience_seconds: after which a SIGTERM or SIGHUP that nobody has asked for comes once more, since whoever sent
            it may not be there to send another; None for never.
    """
    asked: list[int] = []
    answered: list[bool] = []

    def come_again(number: int) -> None:
        time.sleep(patience_seconds or 0.0)
        if not answered:
            os.kill(os.getpid(), number)

    def ask(number: int, frame: FrameType | None) -> None:
        _let_terminal_go(number)
        if not asked:
            asked.append(number)
            on_stop()
            if patience_seconds is not None and number != signal.SIGINT:
                _thread.start_new_thread(come_again, (number,))  # not by `threading`: see `Interrupter.again`
            return
        handler = before[number]
        if not callable(handler):
            raise KeyboardInterrupt(hint)
        if isinstance(handler, EndAtOnce | Interrupter):
            handler.hint = hint
        handler(number, frame)

    def is_asked() -> bool:
        if asked:
            answered.append(True)
        return bool(asked)

    before: dict[int, Callable[..., object] | int | None] = {number: signal.getsignal(number) for number in _signals()}
    try:
        for number in before:
            signal.signal(number, ask)
    except ValueError:  # not in the main thread, where signals do not arrive
        yield lambda: False
        return
    try:
        yield is_asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        unheard = bool(asked) and not answered
        answered.append(True)
    if unheard:  # it came when nobody asked any more
        signal.raise_signal(asked[0])


class Interrupter:
    """A handler that raises `KeyboardInterrupt`, but only while it is on, and where the exception comes out.

    Elsewhere it tries again a little later. So a signal is never lost, and leaves no chip in mid-air.

    Attributes:
        on: whether it may raise. To set it is a plain store, within which no signal is dealt with.
        hint: what the exception says.
    """

    def __init__(self):
        self.on, self.hint, self._raised, self._comes_again = False, GO_ON, False, False
        self._outside = set(_frames(sys._getframe()))

    def __call__(self, number: int, frame: FrameType | None) -> None:
        _let_terminal_go(number)
        if self.on and self._comes_out(frame):
            self._raised = True
            raise KeyboardInterrupt(self.hint)
        if self.on or not self._raised:  # else it is on its way already, and the chip is being left
            self.again(number)

    def again(self, number: int = signal.SIGINT) -> None:
        """Has the signal come once more, soon."""
        if not self._comes_again:
            self._comes_again = True
            # Not by `threading`, whose locks the interrupted code may hold.
            _thread.start_new_thread(self._later, (number,))

    def _later(self, number: int) -> None:
        time.sleep(_AGAIN_SECONDS)
        self._comes_again = False
        os.kill(os.getpid(), number)

    def _comes_out(self, frame: FrameType | None) -> bool:
        """Whether what is raised in a frame reaches the body: not from an import, a callback, a `with` being left."""
        if frame is not None and frame.f_code.co_filename == contextlib.__file__:
            return False
        if in_callback(frame):
            return False
        inside = (each for each in _frames(frame) if each not in self._outside)
        return not any(each.f_code.co_filename.startswith("<frozen importlib") for each in inside)


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupter]:
    """Has signals arrive as `KeyboardInterrupt` while what it gives is on; a program's own handlers stay."""
    before = {number: signal.getsignal(number) for number in _signals()}
    outer = next((handler for handler in before.values() if isinstance(handler, Interrupter)), None)
    handler = outer or Interrupter()
    mine = [
        number
        for number, found in before.items()
        if found in (signal.SIG_DFL, signal.default_int_handler) or isinstance(found, EndAtOnce)
    ]
    try:
        for number in mine:
            signal.signal(number, handler)
    except ValueError:  # not in the main thread, where signals do not arrive
        yield Interrupter()
        return
    was_on, hook = handler.on, sys.unraisablehook

    def lost(unraisable) -> None:
        """From a callback that was not known beforehand."""
        if unraisable.exc_type is KeyboardInterrupt:
            handler.again()
        else:
            hook(unraisable)

    sys.unraisablehook = lost
    try:
        yield handler
    finally:
        handler.on = was_on
        sys.unraisablehook = hook
        for number in mine:
            signal.signal(number, before[number])


def in_callback(frame: FrameType | None) -> bool:
    """Whether a frame is within a finaliser or a callback of the garbage collector, where exceptions are lost."""
    callbacks = {getattr(callback, "__code__", None) for callback in gc.callbacks}
    return any(each.f_code in callbacks or each.f_code.co_name == "__del__" for each in _frames(frame))


@contextlib.contextmanager
def not_for_children() -> Iterator[None]:
    """Processes that are started in the body never see Ctrl-C or SIGHUP, which a terminal sends to all."""
    kept = {signal.SIGINT, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, kept)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _signals() -> tuple[signal.Signals, ...]:
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM) if ignored else (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _ignore(numbers: tuple[signal.Signals, ...]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _let_terminal_go(number: int) -> None:
    """After a SIGHUP, what is written to a terminal that is gone goes nowhere, rather than fail."""
    if number != signal.SIGHUP:
        return
    for stream in (0, 1, 2):
        try:
            termios.tcgetattr(stream)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                nowhere = os.open(os.devnull, os.O_RDWR)
                os.dup2(nowhere, stream)
                os.close(nowhere)
