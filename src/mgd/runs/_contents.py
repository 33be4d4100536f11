"""How the files of a run directory are read: each in one way, which finds out what harm may have come to it.

What is written once (settings, parameters, picture, summary) or rarely (who answered, who was dropped) is listed with
its digest in `SHA256SUMS`, as `sha256sum` writes it. What is written again and again (checkpoints, metrics, journals,
diagnostics) carries digests of its own. A file that is not listed, as in runs of old versions, is not
checked for its digest, but all are for their shape.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from .._errors import RunError
from .._input import first_error, read_file
from ._replace import replace_file

SUMS = "SHA256SUMS"
CONFIG, SUMMARY, THETA, CURVE = "config.toml", "summary.json", "theta.safetensors", "curve.png"
DEVICE, INSTRUMENT, DROPPED = "device.safetensors", "instrument.json", "dropped.json"
START = "start.safetensors"
TASK = "task.json"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")


class _Open(BaseModel):
    """What has these fields, and others."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Counts(_Open):
    cost_measurements: int
    parameter_writes: int


class _Summary(_Open):
    task: str
    n_params: int
    steps: int
    replicas: int
    accuracy: float | None
    accuracy_per_replica: list[float | None]
    solved_fraction: float | None
    counts: _Counts
    seconds: float


class _Calibration(_Open):
    id: str


class _Told(_Open):
    identity: Annotated[list[str], Field(min_length=3, max_length=4)]
    serial: str
    address: str
    calibration: _Calibration | None
    low: list[float]
    high: list[float]
    unit: str
    own_line: bool


class _Scaling(_Open):
    how: str
    offset: Any
    spread: Any


class _Task(_Open):
    name: str
    kind: str
    classes: list[str]
    input_shape: list[int]
    n_outputs: int
    inputs: list[str] | None
    scaling: _Scaling | None
    offset: float
    scale: float


class _Kind(NamedTuple):
    """What a file must be, and what to do if it is not."""

    remedy: str
    shape: Any = None


_KINDS = {
    CONFIG: _Kind("restore it; if you changed it on purpose (an instrument has moved), delete its line in " + SUMS),
    SUMMARY: _Kind("mgd resume {folder} writes it again", _Summary),
    THETA: _Kind("mgd resume {folder} writes it again"),
    START: _Kind("put it back as it was, or start a run anew"),
    DEVICE: _Kind("mgd resume {folder} writes it again"),
    TASK: _Kind("mgd resume {folder} writes it again", _Task),
    INSTRUMENT: _Kind(
        "restore it, or delete it if the same chip is still connected",
        Annotated[list[_Told], Field(min_length=1)],
    ),
    DROPPED: _Kind(
        "restore it, or go back with mgd resume {folder} --before STEP",
        dict[Annotated[str, Field(pattern=r"^\d+$")], tuple[int, str]],
    ),
}


def damaged(folder: Path, name: str, why: str) -> RunError:
    """That a file is damaged, and what to do."""
    return RunError(f"{folder / name} is damaged ({why}): {_KINDS[name].remedy.format(folder=folder)}")


def read_bytes(folder: Path, name: str) -> bytes | None:
    """What is in a file of a run; None if there is none.

    Raises:
        RunError: if it is not a file, cannot be read, or is not as it was written.
    """
    try:
        content = read_file(folder / name)
    except (FileNotFoundError, NotADirectoryError):
        content = None
    except OSError as error:
        raise RunError(f"cannot read {folder / name}: {error.strerror}") from error
    listed = _sums(folder).get(name)
    if content is None:
        if listed and name == DROPPED:  # without it nobody knows whose costs are in the parameters
            raise damaged(folder, name, "it is missing")
        return None
    if listed and _digest(content) not in listed:
        raise damaged(folder, name, f"its digest is not the one in {SUMS}")
    return content


def read_json(folder: Path, name: str) -> Any:
    """What a JSON file of a run says; None if there is none.

    Raises:
        RunError: as `read_bytes`, and if it says something else than it must.
    """
    content = read_bytes(folder, name)
    if content is None:
        return None
    try:
        found = json.loads(content)
        TypeAdapter(_KINDS[name].shape).validate_json(content)
    except ValidationError as error:
        raise damaged(folder, name, first_error(error, ())) from None
    except (ValueError, RecursionError) as error:  # not UTF-8, no JSON, or deeper than any of ours
        raise damaged(folder, name, str(error)) from None
    return found


def put(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Writes files, in this order, each whole or as it was; whenever it is cut off, all are as they are listed.

    Raises:
        OSError: if one cannot be written.
    """
    before = _sums(folder)
    both = {name: tuple(dict.fromkeys((*before.get(name, ())[-1:], _digest(contents[name])))) for name in contents}
    _write_sums(folder, before | both)
    for name, content in contents.items():
        replace_file(folder / name, content)
    if any(len(digests) > 1 for digests in both.values()):
        _write_sums(folder, before | {name: digests[-1:] for name, digests in both.items()})


def put_first(folder: Path, name: str, content: bytes) -> None:
    """Writes the file that is there before the list is.

    Raises:
        OSError: if it cannot be written.
    """
    replace_file(folder / name, content)
    _write_sums(folder, {name: (_digest(content),)})


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sums(folder: Path) -> dict[str, tuple[str, ...]]:
    """The digests that are listed for each file: one, or the old and the new one while it is being replaced."""
    try:
        content = read_file(folder / SUMS)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise RunError(f"cannot read {folder / SUMS}: {error.strerror}: remove it, or restore it") from error
    found: dict[str, tuple[str, ...]] = {}
    for line in content.decode(errors="replace").splitlines():
        if match := _LINE.fullmatch(line):
            found[match[2]] = (*found.get(match[2], ()), match[1])
    return found


def _write_sums(folder: Path, sums: Mapping[str, tuple[str, ...]]) -> None:
    lines = [f"{digest}  {name}\n" for name, digests in sorted(sums.items()) for digest in digests]
    replace_file(folder / SUMS, "".join(lines).encode())
