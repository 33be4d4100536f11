"""An instrument that answers what a recording says. Nothing here imports JAX."""

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np
from jaxtyping import Float

from .._errors import DataError, HardwareError
from ._base import AbstractInstrument, Identity
from ._limits import Limits
from ._recorder import FAILED, HEAD, MAGIC, PASSING, SKIP, TAIL, VERBS, digest


@dataclass(frozen=True)
class _Exchange:
    verb: str
    outcome: int
    sent: int
    reply: bytes


class Replay(AbstractInstrument):
    """The instrument of a recording: the same bytes for the same questions, with no hardware.

    What failed when it was recorded fails again, in the same way. The file is read as it is replayed.

    Leaving is always allowed, and so is asking, or not asking, who is there: `safe_state`, `close` and `identify` need
    not be where they were. Opened again it goes on from where it is; make another to begin anew.

    Args:
        path: of a file by `Recorder`.

    Raises:
        DataError: if there is none, or it is no recording.
        HardwareError: from a verb, if the recording has another there, or of other arrays, or ends; with the place.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                header = _header(file, self.path)
                self._at = file.tell()
        except OSError as error:
            raise DataError(f"cannot read the recording {self.path}: {error.strerror}") from error
        try:
            self._identity = Identity(*header["identity"])
            self.recorded_address, self.n_params = str(header["address"]), int(header["n_params"])
            self.limits = Limits(np.array(header["low"]), np.array(header["high"]), header["unit"])
            self.reads, self.own_line = header["reads"], bool(header["own_line"])
            self.most_together = int(header["most_together"])
            # Not in recordings of before there were others, and of before they were kept.
            self.reads_together = header.get("reads_together", "cost")
            start, groups = header.get("start"), header.get("groups") or {}
            self.start = None if start is None else np.array(start, np.float32)
            self.groups = {str(name): slice(*map(int, ends)) for name, ends in groups.items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"the recording {self.path} has a damaged header: {error!r}: record it again") from error
        self.address = f"replay of {self.path} in process {os.getpid()}"
        self._position, self._rows = 0, 1
        self._file: BinaryIO | None = None
        self._opened = False
        self._next: _Exchange | None = None

    def open(self) -> None:
        if self._file is None:
            try:
                self._file = self.path.open("rb")
            except OSError as error:
                raise HardwareError(f"cannot read the recording {self.path}: {error.strerror}") from error
            self._file.seek(self._at)
        if self._opened:
            self._take_if_next("open")
        self._opened = True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def identify(self) -> Identity:
        reply = self._take_if_next("identify")
        return Identity(*json.loads(reply)) if reply else self._identity

    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        self._take("set_parameters", digest(theta))

    def perturb(self, perturbation: Float[np.ndarray, " p"]) -> None:
        self._take("perturb", digest(perturbation))

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        self._take("present", digest(x, target))
        self._rows = len(target)

    def measure_cost(self) -> float:
        return float(_numbers(self._take("measure_cost", 0))[0])

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        numbers = _numbers(self._take("read_outputs", 0))
        return numbers.reshape(self._rows, -1) if numbers.size % self._rows == 0 else numbers[None]

    def read_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, "k batch outputs"]:
        numbers, rows = _numbers(self._take("read_batch", digest(signals))), len(signals) * self._rows
        return numbers.reshape(len(signals), self._rows, -1) if numbers.size % rows == 0 else numbers[None, None]

    def measure_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        return _numbers(self._take("measure_batch", digest(signals)))

    def safe_state(self) -> None:
        self._take_if_next("safe_state")

    def _take(self, verb: str, sent: int) -> bytes:
        """The reply of the next exchange, which must be this one."""
        found = self._peek()
        while found is not None and found.verb == "identify" != verb and not found.outcome:
            self._pass(found)
            found = self._peek()
        if found is None:
            self._differs(verb, "the recording ends here: record for longer, or stop earlier")
        if found.verb != verb:
            self._differs(verb, f"{found.verb} was asked when it was recorded: replay with the settings of then")
        if found.sent != sent:
            self._differs(verb, "other values were sent when it was recorded: replay with the settings of then")
        self._pass(found)
        if found.outcome & FAILED:
            raise HardwareError(
                found.reply.decode(errors="replace"),
                passing=bool(found.outcome & PASSING),
                skip=bool(found.outcome & SKIP),
            )
        return found.reply

    def _take_if_next(self, verb: str) -> bytes:
        found = self._peek()
        return self._take(verb, 0) if found is not None and found.verb == verb else b""

    def _pass(self, exchange: _Exchange) -> None:
        self._next, self._at = None, self._at + HEAD.size + len(exchange.reply) + TAIL.size
        self._position += 1

    def _differs(self, verb: str, why: str) -> NoReturn:
        raise HardwareError(f"{self.path}: exchange {self._position} is asked to be {verb}, and {why}")

    def _peek(self) -> _Exchange | None:
        """The next exchange; None at the end, or where what follows is torn."""
        if self._file is None:
            raise HardwareError(f"{self.path} is not open: open the replay before it is asked")
        if self._next is None:
            self._file.seek(self._at)
            self._next = _exchange(self._file)
        return self._next


def _header(file: BinaryIO, path: Path) -> dict:
    if file.read(len(MAGIC)) != MAGIC:
        raise DataError(f"{path} is no recording of this version: it does not begin with {MAGIC.decode().strip()!r}")
    line = file.readline()
    try:
        if not line.endswith(b"\n"):
            raise ValueError("it is cut off")
        return json.loads(line)
    except ValueError as error:
        raise DataError(f"the recording {path} has a damaged header: {error}: record it again") from error


def _exchange(file: BinaryIO) -> _Exchange | None:
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    verb, outcome, sent, length = HEAD.unpack(head)
    if length > os.fstat(file.fileno()).st_size:  # damaged: not worth its memory
        return None
    reply, tail = file.read(length), file.read(TAIL.size)
    if len(tail) < TAIL.size or TAIL.unpack(tail)[0] != zlib.crc32(head + reply) or verb >= len(VERBS):
        return None
    return _Exchange(VERBS[verb], outcome, sent, reply)


def _numbers(reply: bytes) -> np.ndarray:
    return np.frombuffer(reply, "<f4").astype(np.float32)
