"""Every cost since the last checkpoint, as measured: what a run goes on from after a kill, in the middle of a window.

A file `costs-STEP.journal` belongs to the checkpoint after STEP timesteps. It begins with 8 bytes "mgdcosts" and the
first 8 bytes of the digest of whose it is (settings and run); then come records of a count n, a CRC-32 (both 32-bit
words, little end first) and n costs in float32, in the order in which they were measured. A last record that is cut
short by a kill is left out: its costs are measured again, and have not been counted.

The file of the checkpoint before the newest is kept too. A run that must go on from that one finds all costs up to the
newest in it, and those that come after in the next file.
"""

import errno
import os
import re
import struct
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import Float

from .._errors import MgdWarning, RunError
from .._input import read_file

_MAGIC = b"mgdcosts"
_RECORD = struct.Struct("<II")
# How long a cost may wait for others before it is written. What waits is measured again after a kill.
_LONGEST_WAIT_SECONDS = 0.05


class Journal:
    """The costs since the last checkpoint, in the run directory. Iterating gives those that were kept, each once.

    Args:
        count: how many costs are measured in so many timesteps from the start.
        name: what its files are named after.

    Attributes:
        size: bytes of costs since the last checkpoint.
        behind: costs that were kept and are not taken up yet.
        damaged: whether some that were kept could not be taken up.
    """

    def __init__(self, count: Callable[[int], int] | None = None, *, name: str = "costs"):
        self._name, self._count, self.size, self.behind, self.damaged = name, count, 0, 0, False
        self._folder, self._header, self._begun = Path(), b"", 0
        self._file = None
        self._kept: Iterator[float] = iter(())
        self._waiting, self._due = bytearray(), 0.0

    def open(self, folder: Path, owner: str) -> None:
        """Says which run directory it is kept in, and whose it is: a digest in hexadecimal."""
        self._folder, self._header = folder, _MAGIC + bytes.fromhex(owner)[:8]

    def begin(self, step: int, oldest: int | None = None) -> None:
        """Goes on from the checkpoint at this step: reads what was kept since, and drops what came before the oldest.

        Warns if costs that were kept are lost; they are measured again.

        Args:
            step: of the checkpoint.
            oldest: the step from which on files are kept; by default this one.

        Raises:
            RunError: if a file belongs to another run, or is no file.
        """
        self.close()
        self._begun, steps = step, self._steps()
        at, kept, whole = self._take_up(step, [one for one in steps if one > step])
        self._kept, self.size, self.behind = iter(kept.tolist()), whole, kept.size
        path = self._path(at)
        try:
            self._file = path.open("r+b" if at in steps else "xb", buffering=0)
            self._file.truncate(whole)
            self._file.seek(whole)
            if not whole:
                self._file.write(self._header)
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}") from error
        first = step if oldest is None else min(oldest, step)
        for one in steps:
            if one < first:
                self._path(one).unlink()

    def forget(self) -> None:
        """Has all that was kept measured again, since it does not go with the costs of others that are lost."""
        self.close()
        for step in self._steps():
            if step >= self._begun:
                self._path(step).unlink()
        self.begin(self._begun, oldest=0)

    def __iter__(self) -> Iterator[float]:
        return self

    def __next__(self) -> float:
        kept = next(self._kept)
        self.behind -= 1
        return kept

    def keep(self, costs: Float[np.ndarray, " n"]) -> None:
        """Adds costs; they are written now, or together with those of the next moments. Before `begin`, nothing is."""
        if self._file is None:
            return
        self._waiting += costs.tobytes()
        self.size += costs.nbytes
        now = time.monotonic()
        if now >= self._due:
            self.flush()
            self._due = now + _LONGEST_WAIT_SECONDS

    def flush(self) -> None:
        """Writes what waits."""
        if not self._waiting or self._file is None:
            return
        content, self._waiting = bytes(self._waiting), bytearray()
        record, at = _RECORD.pack(len(content) // 4, zlib.crc32(content)) + content, self._file.tell()
        try:
            # One call, so that a kill leaves a whole record or a part that is seen to be none.
            if self._file.write(record) != len(record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with suppress(OSError):
                self._file.seek(at)
                self._file.truncate(at)
            # No fault of the chip's: not to be asked again for it.
            raise RunError(
                f"cannot write to {self._folder}: {error.strerror}; earlier measurements are kept: correct that, "
                f"then mgd resume {self._folder}"
            ) from error

    def close(self) -> None:
        """Writes what waits, and closes."""
        if self._file is not None:
            try:
                self.flush()
            finally:
                self._file.close()
                self._file = None

    def remove(self) -> None:
        """Takes the files away, when the run is finished."""
        self.close()
        for step in self._steps():
            self._path(step).unlink()

    def _path(self, step: int) -> Path:
        return self._folder / f"{self._name}-{step}.journal"

    def _steps(self) -> list[int]:
        """Of the files that are there, in order."""
        pattern = re.compile(rf"{re.escape(self._name)}-(\d+)\.journal")
        return sorted(int(match[1]) for path in self._folder.iterdir() if (match := pattern.fullmatch(path.name)))

    def _take_up(self, step: int, later: list[int]) -> tuple[int, Float[np.ndarray, " n"], int]:
        """The last file with costs since a checkpoint, all these costs, and where those in this file end."""
        parts, self.damaged = [], False
        for at, following in zip([step, *later], [*later, None], strict=True):
            costs, whole, lost = self._read(at)
            parts.append(costs)
            due = None if following is None or self._count is None else self._count(following) - self._count(at)
            behind = [one for one in later if one > at and self._read(one)[0].size] if due != costs.size else []
            if due is not None and costs.size > due:
                raise RunError(
                    f"{self._path(at)} has {costs.size} costs up to step {following}, and there must be {due}: it "
                    "does not belong to this run; restore the right one, or delete it"
                )
            if lost or behind:
                self.damaged = True
                self._warn(at, sum(map(len, parts)), whole, lost)
                for one in later:
                    if one > at:
                        self._path(one).unlink()
                return at, np.concatenate(parts), whole
            if following is None:
                return at, np.concatenate(parts), whole
        raise AssertionError("unreachable: the last file has none that follows")

    def _warn(self, at: int, kept: int, whole: int, lost: int) -> None:
        what = f"damaged at byte {whole:,}" if lost else "incomplete"
        how_many = f"{lost:,} costs" if lost else "costs"
        warnings.warn(
            f"{self._path(at)} is {what}: {how_many} after the first {kept:,} are lost, with all measured "
            "later; they are measured again",
            MgdWarning,
            stacklevel=2,
        )

    def _read(self, step: int) -> tuple[Float[np.ndarray, " n"], int, int]:
        """The costs of a file up to its end or the first record that is none, where they end, and how many are lost."""
        path = self._path(step)
        try:
            content = read_file(path)
        except FileNotFoundError:
            content = b""
        except OSError as error:
            raise RunError(
                f"cannot read {path}: {error.strerror}; remove it to continue from the checkpoint"
            ) from error
        if self._header.startswith(content):  # made, and not written to yet
            return np.zeros(0, np.float32), 0, 0
        if not content.startswith(self._header):
            raise RunError(f"{path} does not belong to this run's settings: delete it to continue from the checkpoint")
        costs, whole = _records(content, len(self._header))
        return costs, whole, _lost(content, whole)


def _records(content: bytes, start: int) -> tuple[Float[np.ndarray, " n"], int]:
    """The costs of all whole records, and where these end."""
    costs, at = [], start
    while n := _whole(content, at):
        at += _RECORD.size
        costs.append(np.frombuffer(content, np.float32, n, at))
        at += 4 * n
    return np.concatenate([np.zeros(0, np.float32), *costs]), at


def _whole(content: bytes, at: int) -> int:
    """How many costs the record there has; 0 if it is not one, or not whole."""
    if at + _RECORD.size > len(content):
        return 0
    n, digest = _RECORD.unpack_from(content, at)
    piece = content[at + _RECORD.size : at + _RECORD.size + 4 * n]
    return n if len(piece) == 4 * n and zlib.crc32(piece) == digest else 0


def _lost(content: bytes, at: int) -> int:
    """How many costs, about, are behind a place where a whole record should be; 0 if that is only a torn tail."""
    rest = np.frombuffer(content, "<u4", (len(content) - at) // 4, at).astype(np.int64)
    # Records begin at multiples of four bytes, and have a count that fits.
    candidates = np.flatnonzero((rest > 0) & (rest <= len(rest) - 2 - np.arange(len(rest))))
    for place in candidates.tolist():
        if place and _whole(content, at + 4 * place):
            return max(place - 2, 1) + _records(content, at + 4 * place)[0].size
    # The last of all is complete, and wrong: its costs or their digest, or how many there are.
    if candidates.size and candidates[0] == 0:
        return int(rest[0])
    costs = content[at + _RECORD.size :]
    return len(costs) // 4 if len(rest) > 2 and zlib.crc32(costs) == rest[1] else 0
