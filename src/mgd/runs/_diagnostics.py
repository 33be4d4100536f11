"""The diagnostics of a run on a chip at each checkpoint: a file of JSON lines, each with its own checksum."""

import json
import warnings
import zlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .._errors import MgdWarning, RunError
from .._input import read_file
from ._header import FILE, Owner, unpack_header

DIAGNOSTICS = "diagnostics.jsonl"
_CHECKSUM = ', "crc32": "'


class _Line(BaseModel):
    """The fields that are read from a line; it has more."""

    model_config = ConfigDict(extra="allow", strict=True)

    step: int
    warnings: list[str] = []
    snr: float | None = None
    noise_is_bound: float = 0.0
    observed_angle: float | None = None
    predicted_angle: float | None = None
    run: str = ""


def mark_of(owner: Owner) -> str:
    """What the lines of a run are marked with."""
    return owner.digest()[:16]


def as_line(diagnostics: dict[str, Any]) -> str:
    """A line of the file."""
    text = json.dumps(diagnostics, allow_nan=False, ensure_ascii=False)
    return f'{text[:-1]}{_CHECKSUM}{zlib.crc32(text.encode()):08x}"}}\n'


def read_content(folder: Path) -> bytes:
    """The file as it is; nothing if there is none.

    Raises:
        RunError: if it is not a file, or cannot be read.
    """
    try:
        return read_file(folder / DIAGNOSTICS)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise RunError(f"cannot read {folder / DIAGNOSTICS}: {error.strerror}; remove it") from error


def read_diagnostics(folder: Path, *, quiet: bool = False) -> list[dict[str, Any]]:
    """The diagnostics of a run on a chip, one for each checkpoint; empty for other runs.

    An incomplete last line, after a kill, is ignored; so are damaged lines and those of another run, with a warning.

    Args:
        folder: the run directory.
        quiet: whether the warning was given before.

    Raises:
        RunError: if it is not a file, or cannot be read.
    """
    *lines, _ = read_content(folder).split(b"\n")
    found, damaged = [], 0
    for line in lines:
        try:
            found.append(_read_line(line))
        except (ValueError, RecursionError):
            damaged += 1
    due = _mark(folder) if found else ""
    # Lines of old versions have no mark; and a run that lost all its checkpoints was begun anew beside its first lines.
    if due and not any(line.get("run", due) == due for line in found):
        if not quiet:
            warnings.warn(
                f"{folder / DIAGNOSTICS}: {len(found)} lines are of another run, and ignored", MgdWarning, stacklevel=2
            )
        found = []
    if damaged and not quiet:
        n = "a line is" if damaged == 1 else f"{damaged} lines are"
        warnings.warn(f"{folder / DIAGNOSTICS}: {n} damaged, and ignored", MgdWarning, stacklevel=2)
    return found


def _mark(folder: Path) -> str:
    """The mark of the run whose checkpoint is in a directory; empty if that is not known."""
    try:
        return mark_of(unpack_header(folder / FILE).owner)
    except RunError:
        return ""


def _read_line(line: bytes) -> dict[str, Any]:
    """Raises: ValueError: if it is not as it was written."""
    text = line.decode()
    body, checksum, digest = text.rpartition(_CHECKSUM)
    if checksum and f'{zlib.crc32((body + "}").encode()):08x}"}}' != digest:
        raise ValueError("its checksum is wrong")
    try:
        _Line.model_validate_json(text)
    except ValidationError as error:
        raise ValueError("it is not a line of diagnostics") from error
    found = json.loads(text)
    found.pop("crc32", None)
    return found
