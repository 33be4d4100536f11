r"""Recordings of all that is exchanged with an instrument. Nothing here imports JAX.

The format, all numbers little-endian:

    mgd recording 1\n
    {"identity": […], "address": …, "n_params": …, "low": […], "high": […], "unit": …, …}\n      one line of JSON
    exchanges, one after the other, each:
        1 byte    which verb, a place in VERBS
        1 byte    how it ended: 0 with a reply; else it failed: 1, plus 2 if that may pass, plus 4 if it may be skipped
        4 bytes   CRC-32 of what was sent: the shape of each array, as Python writes it, and its float32 numbers
        4 bytes   N
        N bytes   the reply: float32 numbers; of identify, JSON; of a failure, its message in UTF-8
        4 bytes   CRC-32 of the exchange up to here

What follows the last whole exchange is the tail of one that was being written when the program died, and is no part of
the recording. The first opening is not an exchange; those after it, when the line was lost, are. Where replies can
slip, exchanges that turned out not to be sure are taken out again, and the first of them stands there as having failed.
"""

import json
import os
import struct
import time
import warnings
import zlib
from collections.abc import Callable
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from .._errors import HardwareError, MgdWarning, RunError
from ._base import AbstractInstrument, Identity, numbers_of

MAGIC = b"mgd recording 1\n"
VERBS = (
    *("open", "identify", "set_parameters", "perturb", "present", "measure_cost", "read_outputs", "measure_batch"),
    *("safe_state", "read_batch", "make_sure"),
)
HEAD, TAIL = struct.Struct("<BBII"), struct.Struct("<I")
FAILED, PASSING, SKIP = 1, 2, 4
_FLUSH_BYTES, _FLUSH_SECONDS = 65_536, 1.0
T = TypeVar("T")


class Recorder(AbstractInstrument):
    """Records every exchange with an instrument in a file, for `Replay`.

    A measured cost takes 18 bytes and a set θ or θ̃ 14, so that a measurement by itself takes 32; in a batch it takes
    4, and the batch 14. Outputs take 4 bytes a number. Parameters and inputs are kept as checksums: a recording repeats
    a chip's answers, and does not contain the queries.

    Exchanges are written about once a second. A program that is killed loses only those since the last write.

    Args:
        inner: the instrument.
        path: the path of the file, which must not exist yet.

    Raises:
        ValueError: if the file exists.
        RunError: from every method, if the file cannot be written.

    >>> import tempfile
    >>> from mgd.instruments import Limits, Replay, from_callables
    >>> chip = from_callables(
    ...     set_parameters=lambda theta: None, measure_cost=lambda: 0.5, limits=Limits.uniform(1, -1.0, 1.0)
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "chip.recording"
    ...     with Recorder(chip, path) as recorded:
    ...         _ = recorded.measure_cost()
    ...     with Replay(path) as replayed:
    ...         replayed.measure_cost()
    0.5
    """

    def __init__(self, inner: AbstractInstrument, path: str | Path):
        self.inner, self.path = inner, Path(path)
        if os.path.lexists(self.path):
            raise ValueError(f"{self.path} is there already: record to another file")
        self._buffer, self._file, self._length, self._flushed_at = bytearray(), None, 0, 0.0
        self._target: tuple[int, ...] = ()
        # Where the last sure exchange ends, and the first that is not: its verb, and the digest of what was sent.
        self._sure_length, self._first_unsure = 0, ("", 0)
        self.describe_as(self.inner)

    def open(self) -> None:
        if self._length:
            self._start("ab")
            self._exchange("open", 0, self.inner.open, _nothing)
            self.describe_as(self.inner)
            return
        self.inner.open()
        try:
            self.describe_as(self.inner)
            identity = self.inner.identify()
            self._start("xb")
            self._buffer += MAGIC + json.dumps(self._header(identity), ensure_ascii=False).encode() + b"\n"
            self._flush()
            self._mark_sure()
        except BaseException:
            self.inner.close()
            raise

    def open_to_leave(self) -> None:
        if self._file is None:
            self.inner.open_to_leave()
        else:
            self._exchange("open", 0, self.inner.open_to_leave, _nothing)

    def close(self) -> None:
        self.inner.close()
        self._flush_at_last()
        if self._file is not None:
            self._file.close()
            self._file = None

    def identify(self) -> Identity:
        found = self._exchange("identify", 0, self.inner.identify, lambda reply: json.dumps(astuple(reply)).encode())
        self._mark_sure()  # asked only where nothing was measured since the line was opened
        return found

    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        self._exchange("set_parameters", digest(theta), lambda: self.inner.set_parameters(theta), _nothing)

    def perturb(self, perturbation: Float[np.ndarray, " p"]) -> None:
        self._exchange("perturb", digest(perturbation), lambda: self.inner.perturb(perturbation), _nothing)

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        self._target = target.shape
        self._exchange("present", digest(x, target), lambda: self.inner.present(x, target), _nothing)

    def measure_cost(self) -> float:
        return float(self._numbers("measure_cost", 0, self.inner.measure_cost, ()))

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        return self._numbers("read_outputs", 0, self.inner.read_outputs, self._target)

    def measure_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        ask = partial(self.inner.measure_batch, signals)
        return self._numbers("measure_batch", digest(signals), ask, (len(signals),))

    def read_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k batch outputs"]:
        ask = partial(self.inner.read_batch, signals)
        return self._numbers("read_batch", digest(signals), ask, (len(signals), *self._target))

    def while_waiting(self, work: Callable[[], None]) -> None:
        self.inner.while_waiting(work)

    def make_sure(self) -> None:
        try:
            self.inner.make_sure()
        except (HardwareError, OSError) as error:
            self._failed("make_sure", 0, error)
            raise
        self._mark_sure()

    def pace(self, settle: Float[np.ndarray, " p"] | None, ramp: Float[np.ndarray, " p"] | None) -> None:
        self.inner.pace(settle, ramp)
        self.describe_as(self.inner)

    def is_touched(self) -> bool:
        return self.inner.is_touched()

    def not_safe(self) -> list[str]:
        return self.inner.not_safe()

    def safe_state(self) -> None:
        if self._file is None:  # opening failed before there was a recording
            self.inner.safe_state()
            return
        self._mark_sure()
        try:
            self.inner.safe_state()
        except (HardwareError, OSError) as error:
            self._failed("safe_state", 0, error)
            raise
        finally:
            self._flush_at_last()
        self._append("safe_state", 0, 0, b"")
        self._flush_at_last()

    def _header(self, identity: Identity) -> dict[str, Any]:
        kind = {"reads": self.reads, "own_line": self.own_line, "most_together": self.most_together}
        kind |= {"reads_together": self.reads_together, "believable": self.believable}
        kind |= {"start": None if self.start is None else np.asarray(self.start, np.float32).tolist()}
        kind |= {"groups": {name: [piece.start, piece.stop] for name, piece in self.groups.items()}}
        return (
            {"identity": astuple(identity), "address": self.address, "n_params": self.n_params}
            | self.limits.as_dict()
            | kind
        )

    def _numbers(self, verb: str, sent: int, ask: Callable[[], Any], shape: tuple[int, ...]) -> np.ndarray:
        """An exchange that gives numbers; a wrong shape is recorded as the failure that it will be taken for."""

        def checked() -> np.ndarray:
            return numbers_of(ask(), shape, self.address, verb)

        return self._exchange(verb, sent, checked, lambda values: np.asarray(values, "<f4").tobytes())

    def _exchange(self, verb: str, sent: int, ask: Callable[[], T], reply: Callable[[T], bytes]) -> T:
        try:
            found = ask()
        except (HardwareError, OSError) as error:
            self._failed(verb, sent, error)
            self._flush()
            raise
        self._append(verb, 0, sent, reply(found))
        if len(self._buffer) >= _FLUSH_BYTES or time.monotonic() - self._flushed_at >= _FLUSH_SECONDS:
            self._flush()
        return found

    def _failed(self, verb: str, sent: int, error: HardwareError | OSError) -> None:
        # Training takes an error of the operating system for one that may pass.
        passing, skip = (error.passing, error.skip) if isinstance(error, HardwareError) else (True, False)
        lost = self.may_slip and passing and not skip
        if lost:
            verb, sent = self._take_back(verb, sent)
        self._append(verb, FAILED | PASSING * passing | SKIP * skip, sent, str(error).encode())
        if lost:
            self._mark_sure()

    def _mark_sure(self) -> None:
        """What is recorded is not taken back any more."""
        self._sure_length, self._first_unsure = self._length + len(self._buffer), ("", 0)

    def _take_back(self, verb: str, sent: int) -> tuple[str, int]:
        """Takes out what is not sure, as training does; the first of it, or this exchange if there is none."""
        if not self._first_unsure[0]:
            return verb, sent
        if self._sure_length < self._length and self._file is not None:
            self._file.truncate(self._sure_length)
            self._file.seek(self._sure_length)
            self._length = self._sure_length
        del self._buffer[self._sure_length - self._length :]
        return self._first_unsure

    def _append(self, verb: str, outcome: int, sent: int, reply: bytes) -> None:
        if not self._first_unsure[0]:
            self._first_unsure = verb, sent
        exchange = HEAD.pack(VERBS.index(verb), outcome, sent, len(reply)) + reply
        self._buffer += exchange + TAIL.pack(zlib.crc32(exchange))

    def _start(self, mode: str) -> None:
        if self._file is not None:
            return
        try:
            self._file = self.path.open(mode, buffering=0)
        except OSError as error:
            raise RunError(f"cannot record to {self.path}: {error.strerror}") from error
        self._flushed_at = time.monotonic()

    def _flush(self) -> None:
        self._flushed_at = time.monotonic()
        if self._file is None or not self._buffer:
            return
        try:
            while self._buffer:
                written = self._file.write(self._buffer)
                del self._buffer[:written]
                self._length += written
        except OSError as error:
            raise RunError(
                f"cannot record to {self.path}: {error.strerror}: the recording so far can be replayed"
            ) from error

    def _flush_at_last(self) -> None:
        """When the chip is being left, which must not fail for the sake of a recording."""
        try:
            self._flush()
        except RunError as error:
            self._buffer.clear()
            warnings.warn(str(error), MgdWarning, stacklevel=2)


def digest(*arrays: np.ndarray) -> int:
    """CRC-32 of arrays as they are sent."""
    crc = 0
    for array in arrays:
        numbers = np.ascontiguousarray(array, "<f4")
        crc = zlib.crc32(numbers.tobytes(), zlib.crc32(repr(numbers.shape).encode(), crc))
    return crc


def _nothing(reply: object) -> bytes:
    return b""
