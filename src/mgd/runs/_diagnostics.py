"""The diagnostics of a run on a chip at each checkpoint: a file of JSON lines, each with its own checksum."""

import json
import warnings
import zlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .._errors import MgdWarning, RunError
from .._input import read_file

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

    An incomplete last line, after a kill, is ignored; so are damaged lines, with a warning.

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
    if damaged and not quiet:
        n = "a line is" if damaged == 1 else f"{damaged} lines are"
        warnings.warn(f"{folder / DIAGNOSTICS}: {n} damaged, and ignored", MgdWarning, stacklevel=2)
    return found


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
