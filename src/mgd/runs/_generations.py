"""The checkpoints of a run: the newest, and some older ones.

`checkpoint.safetensors` is the newest, `checkpoint-STEP.safetensors` are older ones. The newest two are always kept,
so that a run goes on if one is damaged. Older ones are kept at distances that double with their age, to go back to:
after n checkpoints about 2 log₂ n. Of large chips only the newest two are, whatever is bigger than `LARGE` bytes.
"""

import os
import re
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from .._errors import MgdWarning, RunError
from .._version import __version__
from ._contents import SUMMARY
from ._header import FILE, Header, Owner, check_version, unpack_arrays, unpack_header
from ._metrics import METRICS
from ._replace import replace_file

if TYPE_CHECKING:
    from .._train import Snapshot

T = TypeVar("T")
LARGE = 8_000_000
_OTHERS = (
    "{path} does not fit config.toml: it belongs to another run, or the settings have changed "
    "(restore them, or start a new run)"
)
_OLDER = re.compile(r"checkpoint-(\d+)\.safetensors")


def write_checkpoint(folder: Path, snapshot: "Snapshot", owner: Owner) -> None:
    """Writes a snapshot into a run directory; the newest until now becomes an older one.

    Args:
        folder: the run directory.
        snapshot: what the run goes on from.
        owner: whose it is.

    Raises:
        OSError: if it cannot be written; what was there is then there still.
    """
    from ._checkpoint import pack

    step, content = snapshot.step, pack(snapshot, owner)
    last = _header_or_none(folder / FILE)
    # What is as far as this one, or farther, was undone, or found damaged; and what is another's was put there.
    older = last is not None and last.step < step and last.owner == owner
    kept = _older(folder, last.step) if last is not None and older else None
    if (folder / FILE).is_dir():
        (folder / FILE).rename(folder / (FILE + ".damaged"))
    replace_file(folder / FILE, content, before=kept)
    _thin(folder, step, len(content))


def oldest_needed(folder: Path) -> int | None:
    """The step of the second newest checkpoint, from which costs are to be kept; None if there is none."""
    return max(_steps(folder), default=None)


def read_header(folder: Path) -> Header | None:
    """The header of the newest undamaged checkpoint of a run directory; None if there is no checkpoint.

    Warns if a newer one is damaged.

    Raises:
        RunError: if all are damaged.
    """
    header, troubles = _newest(folder, unpack_header)
    if header is None and troubles:
        raise RunError(f"{troubles[0]}; start a new run") from troubles[0]
    if header is not None and troubles:
        said = f"{troubles[0]}; the checkpoint before it is at step {header.step}"
        warnings.warn(said, MgdWarning, stacklevel=2)
    return header


def read_checkpoint(folder: Path, like: "Snapshot", settings: str) -> "tuple[Snapshot, Owner] | None":
    """The newest snapshot in a run directory that is whole, and whose it is; None if there is none yet.

    Args:
        folder: the run directory.
        like: a fresh snapshot of the same settings, for its structure.
        settings: a digest of them.

    Raises:
        RunError: if all are damaged, or none is where there must be one; if the newest was written by another version,
            or belongs to other settings.
    """
    from ._checkpoint import unpack

    found = _newest_whole(folder, settings, lambda path, header: unpack(path, header, like), "the run goes on from")
    return None if found is None else (found[1], found[0].owner)


def read_arrays(folder: Path, settings: str) -> tuple[Header, dict[str, np.ndarray]] | None:
    """The newest whole checkpoint of a run directory, and its arrays by name; None if there is none yet.

    Args:
        folder: the run directory.
        settings: a digest of its settings.

    Raises:
        RunError: as `read_checkpoint`.
    """
    return _newest_whole(folder, settings, unpack_arrays, "what is taken is")


def _newest_whole(
    folder: Path, settings: str, read: Callable[[Path, Header], T], taken: str
) -> tuple[Header, T] | None:
    """The newest checkpoint that can be read, and what is read of it; `taken` says what is made of an older one."""

    def whole(path: Path) -> tuple[Path, Header, T | None]:
        header = unpack_header(path)
        if header.settings != settings:
            raise RunError(_OTHERS.format(path=path))
        return path, header, read(path, header) if header.version == __version__ else None

    found, troubles = _newest(folder, whole)
    if found is not None:
        path, header, contents = found
        check_version(header, path)
        if troubles:
            said = "; ".join(map(str, troubles))
            warnings.warn(f"{said}; {taken} the checkpoint before it, at step {header.step}", MgdWarning, stacklevel=3)
        return header, cast(T, contents)
    if troubles:
        raise RunError(f"{troubles[0]}; all others are damaged too: start a new run") from troubles[0]
    begun = [path for path in (folder / METRICS, *folder.glob("*.journal")) if os.path.lexists(path)]
    if begun:
        raise RunError(f"{folder} has no {FILE}, though it has {begun[0].name}: restore it, or start a new run")
    return None


def _newest(folder: Path, read: Callable[[Path], T]) -> tuple[T | None, list[RunError]]:
    """What is read of the newest checkpoint that can be read, and why newer ones cannot be.

    Another process may be writing: if a checkpoint was moved or removed meanwhile, all are read again.
    """
    while True:
        there = _marks(folder)
        found, troubles = None, []
        for path in _newest_first(folder):
            try:
                found = read(path)
                break
            except RunError as error:
                troubles.append(error)
        if not troubles or _marks(folder) == there:
            return found, troubles


def _marks(folder: Path) -> dict[Path, tuple[int, int] | None]:
    """What tells whether a checkpoint is the same file as before."""
    marks: dict[Path, tuple[int, int] | None] = {}
    for path in _newest_first(folder):
        try:
            stat = path.lstat()
            marks[path] = stat.st_ino, stat.st_mtime_ns
        except FileNotFoundError:
            marks[path] = None
    return marks


def go_back(folder: Path, before: int, settings: str) -> int:
    """Makes the newest checkpoint before a step the newest of all; what was learnt and measured since it is forgotten.

    Args:
        folder: the run directory.
        before: more than the step of the checkpoint.
        settings: a digest of its settings.

    Returns:
        The step of the checkpoint.

    Raises:
        RunError: if there is none.
    """
    there: list[int] = []
    for path in _newest_first(folder):
        try:
            header = unpack_header(path)
            unpack_arrays(path, header)
        except RunError:
            continue
        check_version(header, path)
        if header.settings != settings:
            continue
        there.append(header.step)
        if header.step < before:
            _forget(folder, path, header.step)
            return header.step
    steps = f"it has those at {', '.join(f'{step:,}' for step in sorted(there))}" if there else "none is whole"
    raise RunError(f"{folder} has no checkpoint before step {before:,}: {steps}")


def _forget(folder: Path, path: Path, step: int) -> None:
    """Removes newer checkpoints, the newest last, so that a run that is killed here can go back again."""
    (folder / SUMMARY).unlink(missing_ok=True)
    for journal in folder.glob("*.journal"):
        journal.unlink()
    shutil.rmtree(folder / METRICS, ignore_errors=True)  # written again by the next checkpoint
    for newer in _steps(folder):
        if newer > step:
            _older(folder, newer).unlink()
    if path.name != FILE:
        path.replace(folder / FILE)


def _newest_first(folder: Path) -> list[Path]:
    newest = [folder / FILE] if os.path.lexists(folder / FILE) else []
    return newest + [_older(folder, step) for step in sorted(_steps(folder), reverse=True)]


def _older(folder: Path, step: int) -> Path:
    return folder / f"checkpoint-{step}.safetensors"


def _steps(folder: Path) -> list[int]:
    """Of the older checkpoints."""
    try:
        found = [_OLDER.fullmatch(name) for name in os.listdir(folder)]
    except OSError as error:
        raise RunError(f"cannot read {folder}: {error.strerror}") from error
    return [int(match[1]) for match in found if match]


def _header_or_none(path: Path) -> Header | None:
    with suppress(RunError):
        return unpack_header(path)
    return None


def _thin(folder: Path, newest: int, size: int) -> None:
    steps = sorted(_steps(folder), reverse=True)
    kept = spaced(newest, [step for step in steps if step < newest], only_one=size > LARGE)
    for step in set(steps) - set(kept):
        with suppress(IsADirectoryError, PermissionError):  # no checkpoint: left where it is
            _older(folder, step).unlink()


def spaced(newest: int, older: list[int], *, only_one: bool = False) -> list[int]:
    """Which older checkpoints are kept: the last, and those that leave no gap longer than they are old.

    Args:
        newest: the step of the newest checkpoint.
        older: those of the others, the last first.
        only_one: whether the last is enough.

    >>> spaced(16, [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0])
    [15, 14, 12, 8, 0]
    """
    if only_one or len(older) < 2:
        return older[:1]
    kept = older[:1]
    for step, after in zip(older[1:], [*older[2:], None], strict=True):
        if after is None or kept[-1] - after > newest - kept[-1]:
            kept.append(step)
    return kept
