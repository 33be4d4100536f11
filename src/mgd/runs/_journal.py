"""Every cost since the last checkpoint, as measured: what a run goes on from after a kill, in the middle of a window.

A file `costs-STEP.journal` belongs to the checkpoint after STEP timesteps. It begins with 8 bytes "mgdcosts" and the
first 8 bytes of the digest of the run's settings; then come records of a count n, a CRC-32 (both 32-bit words, little
end first) and n costs in float32, in the order in which they were measured. A last record that is cut short by a
kill is left out: its costs are measured again, and have not been counted.
"""

import errno
import os
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import Float

from .._errors import RunError

_MAGIC = b"mgdcosts"
_RECORD = struct.Struct("<II")
# How long a cost may wait for others before it is written. What waits is measured again after a kill.
_LONGEST_WAIT_SECONDS = 0.05


class Journal:
    """The costs since the last checkpoint, in the run directory. Iterating gives those that were kept, each once.

    Args:
        settings: a digest of the run's settings, in hexadecimal.
        name: what its files are named after.

    Attributes:
        size: bytes of costs since the last checkpoint.
        behind: costs that were kept and are not taken up yet.
    """

    def __init__(self, settings: str, *, name: str = "costs"):
        self._name, self.size, self.behind = name, 0, 0
        self._folder, self._header = Path(), _MAGIC + bytes.fromhex(settings)[:8]
        self._file = None
        self._kept: Iterator[float] = iter(())
        self._waiting, self._due = bytearray(), 0.0

    def open(self, folder: Path) -> None:
        """Says which run directory it is kept in."""
        self._folder = folder

    def begin(self, step: int) -> None:
        """Goes on from the checkpoint at this step: reads what was kept since, and drops what came before it.

        Raises:
            RunError: if the file belongs to other settings.
        """
        self.close()
        path = self._folder / f"{self._name}-{step}.journal"
        content = path.read_bytes() if path.exists() else b""
        if content and content[: len(self._header)] != self._header:
            raise RunError(f"{path} does not belong to this run's settings: delete it to go on from the checkpoint")
        kept, whole = _read(content, len(self._header))
        self._kept, self.size, self.behind = iter(kept.tolist()), whole, kept.size
        self._file = path.open("r+b" if content else "wb", buffering=0)
        if content:
            self._file.truncate(whole)
            self._file.seek(whole)
        else:
            self._file.write(self._header)
        for old in self._folder.glob(f"{self._name}-*.journal"):
            if old != path:
                old.unlink()

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
                f"cannot write to {self._folder}: {error.strerror}; what was measured until then is kept: mend that, "
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
        """Takes the file away, when the run is finished."""
        self.close()
        for path in self._folder.glob(f"{self._name}-*.journal"):
            path.unlink()


def _read(content: bytes, start: int) -> tuple[Float[np.ndarray, " n"], int]:
    """The costs of all whole records, and where these end."""
    costs, at = [], start
    while at + _RECORD.size <= len(content):
        n, digest = _RECORD.unpack_from(content, at)
        piece = content[at + _RECORD.size : at + _RECORD.size + 4 * n]
        if len(piece) < 4 * n or zlib.crc32(piece) != digest:
            break
        costs.append(np.frombuffer(piece, np.float32))
        at += _RECORD.size + 4 * n
    return np.concatenate([np.zeros(0, np.float32), *costs]), at
