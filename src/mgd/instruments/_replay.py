"""An instrument that answers what a recording says. Nothing here imports JAX."""

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, NoReturn

import numpy as np
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from .._errors import DataError, HardwareError
from .._input import first_error, open_file
from ._base import AbstractInstrument, Identity, checked_range
from ._limits import Limits
from ._recorder import FAILED, HEAD, MAGIC, PASSING, SKIP, TAIL, VERBS, digest

_Identity = Annotated[list[str], Field(min_length=3, max_length=4)]


class _Header(BaseModel):
    """What a recording says of its instrument."""

    model_config = ConfigDict(extra="ignore", strict=True)

    identity: _Identity
    address: str
    n_params: Annotated[int, Field(ge=1)]
    low: list[float]
    high: list[float]
    unit: str
    reads: Literal["cost", "outputs", "both"]
    own_line: bool
    most_together: Annotated[int, Field(ge=0)]
    # Old recordings do not have these.
    reads_together: Literal["cost", "outputs"] = "cost"
    start: list[float] | None = None
    groups: dict[str, tuple[int, int]] = {}
    units: dict[str, Any] | None = None
    believable: list[float] | None = None


@dataclass(frozen=True)
class _Exchange:
    verb: str
    outcome: int
    sent: int
    reply: bytes


class Replay(AbstractInstrument):
    """An instrument made from a recording: it gives the same bytes for the same queries, without the chip.

    Recorded failures are raised again, in the same way. The file is read during the replay.

    `safe_state`, `close` and `identify` are always allowed, and need not come where they were recorded. If it is opened
    again, it continues where it was; to begin again, make another.

    Args:
        path: the path of a file written by `Recorder`.

    Raises:
        DataError: if the file is missing, or is not a recording.
        HardwareError: from a method, if the recording has another method or other arrays there, or ends; the message
            gives the position.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            with open_file(self.path) as file:
                header = _header(file, self.path)
                self._at = file.tell()
        except OSError as error:
            raise DataError(f"cannot read the recording {self.path}: {error.strerror}") from error
        try:
            recorded = _Header.model_validate_json(header)
            self._identity = Identity(*recorded.identity)
            self.recorded_address, self.n_params = recorded.address, recorded.n_params
            self.limits = Limits.of(recorded.model_dump())
            if recorded.start is not None and len(recorded.start) != recorded.n_params:
                raise ValueError(
                    f"it has a start of {len(recorded.start)} parameters, and n_params is {recorded.n_params}"
                )
            if self.limits.low.shape != (recorded.n_params,):
                raise ValueError(
                    f"it has limits of {self.limits.low.size} parameters, and n_params is {recorded.n_params}"
                )
        except ValidationError as error:
            why = first_error(error, _Header.model_fields)
            raise DataError(f"the recording {self.path} has a damaged header: {why}: record it again") from None
        except ValueError as error:
            raise DataError(f"the recording {self.path} has a damaged header: {error}: record it again") from error
        self.reads, self.own_line = recorded.reads, recorded.own_line
        self.most_together, self.reads_together = recorded.most_together, recorded.reads_together
        self.start = None if recorded.start is None else np.array(recorded.start, np.float32)
        self.believable = None if recorded.believable is None else checked_range(recorded.believable)
        self.groups = {name: slice(*ends) for name, ends in recorded.groups.items()}
        self.address = f"replay of {self.path} in process {os.getpid()}"
        self._position, self._rows = 0, 1
        self._file: BinaryIO | None = None
        self._opened = False
        self._next: _Exchange | None = None

    def open(self) -> None:
        if self._file is None:
            try:
                self._file = open_file(self.path)
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
        if not reply:
            return self._identity
        try:
            return Identity(*TypeAdapter(_Identity).validate_json(reply))
        except ValidationError as error:
            raise HardwareError(f"{self.path}: exchange {self._position} has no identity: {reply!r}") from error

    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        self._take("set_parameters", digest(theta))

    def perturb(self, perturbation: Float[np.ndarray, " p"]) -> None:
        self._take("perturb", digest(perturbation))

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        self._take("present", digest(x, target))
        self._rows = len(target)

    def measure_cost(self) -> float:
        numbers = _numbers(self._take("measure_cost", 0))
        if numbers.size != 1:
            self._differs("measure_cost", f"the answer had {numbers.size} numbers")
        return float(numbers[0])

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
            self._differs(verb, self._why_none())
        if found.verb != verb:
            self._differs(verb, f"the recording has {found.verb} there: replay with the same settings")
        if found.sent != sent:
            self._differs(verb, "the recording has other values there: replay with the same settings")
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
        raise HardwareError(f"{self.path}: at exchange {self._position}, {verb} was called, but {why}")

    def _why_none(self) -> str:
        """Why there is no exchange where one is due."""
        assert self._file is not None
        self._file.seek(self._at)
        head = self._file.read(HEAD.size)
        whole = len(head) == HEAD.size and self._at + HEAD.size + HEAD.unpack(head)[3] + TAIL.size <= _size(self._file)
        if whole:
            return f"the recording is damaged at byte {self._at:,}: take a copy of it, or record it again"
        return "the recording ends here: record for longer, or stop earlier"

    def _peek(self) -> _Exchange | None:
        """The next exchange; None at the end, or where what follows is torn."""
        if self._file is None:
            raise HardwareError(f"{self.path} is not open: open the replay first")
        if self._next is None:
            self._file.seek(self._at)
            self._next = _exchange(self._file)
        return self._next


def _header(file: BinaryIO, path: Path) -> bytes:
    if file.read(len(MAGIC)) != MAGIC:
        raise DataError(f"{path} is not a recording of this version: it does not begin with {MAGIC.decode().strip()!r}")
    line = file.readline()
    if not line.endswith(b"\n"):
        raise DataError(f"the recording {path} has an incomplete header: record it again")
    return line


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _exchange(file: BinaryIO) -> _Exchange | None:
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    verb, outcome, sent, length = HEAD.unpack(head)
    if length > _size(file):  # damaged: not worth its memory
        return None
    reply, tail = file.read(length), file.read(TAIL.size)
    if len(tail) < TAIL.size or TAIL.unpack(tail)[0] != zlib.crc32(head + reply) or verb >= len(VERBS):
        return None
    return _Exchange(VERBS[verb], outcome, sent, reply)


def _numbers(reply: bytes) -> np.ndarray:
    # A reply is of whole numbers; its checksum says that it is as it was recorded.
    return np.frombuffer(reply, "<f4", len(reply) // 4).astype(np.float32)
