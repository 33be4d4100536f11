"""A process that makes a chip safe when the trainer ended without doing so. Nothing here imports JAX."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from .._errors import HardwareError, MgdError, MgdWarning
from .._stops import not_for_children
from ._base import AbstractInstrument

LOG_NAME = "guardian.log"
# Kinds whose chips are computed by the trainer itself, and end with it.
_WITHIN = ("rtl", "spice", "torch")
# That a guardian may take to end when it is not needed any more.
_LONGEST_ENDING = 10.0
# How often it is seen whether the trainer is gone, where no event tells.
_LOOK_SECONDS = 0.01
# What the trainer tells: the chip is in its hands; it was left; it could not be left; where notes are to be written.
_BEGUN, _LEFT, _FAILED, _NOTES = "begun", "left", "failed", "notes"


class Guardian:
    """The trainer's end of a guardian; made by `guarded_by`.

    Args:
        instrument: not open.
        process: of the guardian; None if there is none, and nothing is done.
    """

    def __init__(self, instrument: AbstractInstrument, process: subprocess.Popen | None):
        self._address, self._process, self._state = instrument.address, process, ""
        if process is not None:
            _HELD.add(self)

    def begin(self) -> None:
        """From now on the chip is in the trainer's hands."""
        self._tell(_BEGUN)

    def settle(self, safe: bool) -> None:
        """Says how the chip was left: in good order, or so that the guardian is to try once more."""
        self._state = _LEFT if safe else _FAILED
        if safe:  # at once, because a signal may end this process before it comes to its end
            self._tell(_LEFT)

    def note_in(self, folder: Path) -> None:
        """Has what the guardian does be written to a file in this folder."""
        self._tell(_NOTES, os.path.abspath(folder / LOG_NAME))

    def end(self) -> None:
        """Lets it go, or lets it act. The chip must not be locked any more."""
        process = self._process
        if process is None:
            return
        if self._state != _LEFT:  # it was never open, or is to be tried once more
            self._tell(self._state or _LEFT)
        self.close()
        if self._state == _FAILED:
            return
        try:
            code = process.wait(_LONGEST_ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code:
            warnings.warn(
                f"the guardian of {self._address} had ended before (exit code {code}), so nothing guarded the chip: "
                "check whether memory ran out",
                MgdWarning,
                stacklevel=4,
            )

    def close(self) -> None:
        """Closes the line, which tells the guardian that this process does not hold it."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    def _tell(self, *message: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):  # it is not there; what that means is said at the end
                _send(message, self._process.stdin)


# The guardians of this process. A copy of it made by `fork` must not hold their lines.
_HELD: "weakref.WeakSet[Guardian]" = weakref.WeakSet()
os.register_at_fork(after_in_child=lambda: [each.close() for each in list(_HELD)])


def check_guardable(instrument: AbstractInstrument) -> None:
    """Raises: ValueError: if another process could not make an instrument again, or would find nothing there."""
    origin = instrument.origin
    if origin is None:
        raise ValueError(
            f"guardian = true is not for {instrument.address}: another process can open only a chip that was made from "
            "settings: make it with load_instrument, or name your function as build in a chip file"
        )
    check_outlives(origin.kind)


def check_outlives(kind: str) -> None:
    """Raises: ValueError: if chips of a kind end with the trainer, so that there is nothing to guard."""
    if kind in _WITHIN:
        raise ValueError(
            f'guardian = true is not for the kind "{kind}": the trainer computes such a chip, which ends with it: '
            "leave it out"
        )


@contextmanager
def guarded_by(
    instrument: AbstractInstrument, *, wanted: bool, serial: str | None, seconds: float
) -> Iterator[Guardian]:
    """Has a process wait for the end of this one while the body runs, and then make the chip safe if that is needed.

    Args:
        instrument: not open.
        wanted: whether there is to be such a process.
        serial: the serial number that the chip must have.
        seconds: the time that the safe state may take.

    Raises:
        ValueError: if another process could not make the instrument again.
        HardwareError: if the process cannot be started.
    """
    if not wanted:
        yield Guardian(instrument, None)
        return
    check_guardable(instrument)
    guardian = Guardian(instrument, _started(instrument, serial, seconds))
    try:
        yield guardian
    finally:
        guardian.end()


def _started(instrument: AbstractInstrument, serial: str | None, seconds: float) -> subprocess.Popen:
    """The process, which has told that it waits."""
    origin = instrument.origin
    assert origin is not None
    task = {
        "kind": origin.kind,
        "settings": dict(origin.settings),
        "folder": origin.folder,
        "groups": dict(origin.groups),
        "serial": serial,
        "seconds": seconds,
        "address": instrument.address,
        "trainer": os.getpid(),
    }
    try:
        content = pickle.dumps(task)
    except Exception as error:  # whatever an argument raises that is no plain value
        raise ValueError(
            f"guardian = true is not for {instrument.address}: another process cannot be given its settings ({error})"
        ) from error
    path = os.pathsep.join(each or os.getcwd() for each in sys.path)
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path}
    errors = None if os.isatty(2) else subprocess.DEVNULL
    try:
        with not_for_children():
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        assert process.stdin
        assert process.stdout
        with process.stdout as ready:
            process.stdin.write(content)
            process.stdin.flush()
            if not ready.read(1):
                raise OSError(f"it ended with code {process.wait()}")
    except OSError as error:
        raise HardwareError(
            f"the guardian of {instrument.address} could not be started: {error}: leave guardian out to train without"
        ) from error
    return process


def _send(message: tuple[str, ...], line: IO[bytes]) -> None:
    line.write(pickle.dumps(message))
    line.flush()


# --- in the process of the guardian ---


def _guard() -> None:
    """Waits until the trainer says that all is well, or ends."""
    # Whatever is sent to all processes at once, what becomes of the trainer decides.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    messages = sys.stdin.buffer
    task = pickle.load(messages)
    wait_for_end = _end_of(task["trainer"])
    os.write(1, b"\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    from . import _grouped, _kinds, _leaving, _locks  # noqa: F401 (what will be needed, from the disk as it is now)

    begun, notes = False, None
    while True:
        try:
            word, *rest = pickle.load(messages)
        except (EOFError, pickle.UnpicklingError):
            wait_for_end()
            how = "ended without leaving"
            break
        begun = begun or word == _BEGUN
        if word == _NOTES:
            notes = Path(rest[0])
        if word == _LEFT:
            return
        if word == _FAILED:
            how = "could not leave"
            break
    if begun:
        note = _Notes(notes, task)
        note(f"the trainer (process {task['trainer']}) {how} {task['address']} in its safe state, which I do now")
        note(_rescued(task))


class _Notes:
    """Lines about what a guardian does, in a file and on the terminal, as far as they are there."""

    def __init__(self, path: Path | None, task: dict[str, Any]):
        self._path, self._address = path, task["address"]

    def __call__(self, line: str) -> None:
        if self._path is not None:
            with suppress(OSError), self._path.open("a", encoding="utf-8") as file:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                file.write(f"{now} guardian (process {os.getpid()}): {line}\n")
        with suppress(OSError, ValueError):
            print(f"mgd: guardian: {line}", file=sys.stderr, flush=True)


def _rescued(task: dict[str, Any]) -> str:
    """Makes the chip safe; what came of that."""
    from ._grouped import in_groups
    from ._kinds import load_instrument
    from ._leaving import rescue
    from ._locks import alone

    address = task["address"]
    try:
        instrument = load_instrument(task["kind"], task["settings"], task["folder"])
        if task["groups"]:
            instrument = in_groups(instrument, task["groups"])
    except (MgdError, ValueError) as error:
        return f"{address} could not be made again, and may hold its last parameters: check it ({error})"
    with contextlib.ExitStack() as locked:
        try:
            for part in instrument.parts.values() or [instrument]:
                locked.enter_context(alone(part.address, guards=True))
        except HardwareError as error:
            return f"nothing was done: {error}"
        left = rescue(instrument, task["serial"], task["seconds"])
    if left.safe:
        return f"{address} is in its safe state"
    where = f": check {', '.join(left.names)}" if left.names else ": check it"
    return f"{address} could not be put in its safe state, and may hold its last parameters{where} ({left.why})"


def _end_of(process: int) -> Any:
    """A function that returns when a process has ended, so that it holds no lock any more."""
    import select

    if hasattr(os, "pidfd_open"):
        with suppress(OSError):
            descriptor = os.pidfd_open(process)
            return lambda: select.select([descriptor], [], [])

    def wait() -> None:
        while os.getppid() == process:
            time.sleep(_LOOK_SECONDS)

    return wait


if __name__ == "__main__":
    _guard()
