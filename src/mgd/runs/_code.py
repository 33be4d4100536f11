"""Code that settings name, which is run only after someone has said that it is to be.

Whoever gives a chip file to a command says so by that. A run directory names code as well, and may be another's: there
it must be said, unless this user has run that code before. Nothing here imports JAX.
"""

import hashlib
from pathlib import Path
from typing import Any

import platformdirs

from .._errors import RunError

# The kinds of this package whose settings name a function, and where.
_NAMED_BY = {"callables": "build", "torch": "module", "task": "build", "chip": "build"}


def code_named(table: dict[str, Any]) -> str | None:
    """The "module:function" that the table of an instrument, a task or a chip names; None if it names none."""
    setting = _NAMED_BY.get(str(table.get("kind")))
    return None if setting is None else str(table.get(setting, ""))


def said_to_run(tables: tuple[dict[str, Any], ...]) -> None:
    """Remembers, for this user and on this machine, that the code named in these settings may run.

    Raises:
        RunError: if that cannot be stored.
    """
    for table in tables:
        if code_named(table) is not None:
            remember(_named(table))


def check_said(tables: tuple[dict[str, Any], ...], folder: Path | None) -> None:
    """Raises: ValueError: if tables of a run directory name code that was never said to be meant to run."""
    for table in tables:
        named = code_named(table)
        if named is not None and not is_remembered(_named(table)):
            where, run = (folder, folder) if folder is not None else ("this run", "RUN")
            raise ValueError(
                f"{where} names code that was not run here before: {named!r}, from {table.get('folder', '.')}: if you "
                f"trust it as you would a program, mgd resume {run} --run-code"
            )


def remember(what: str) -> None:
    """Remembers, for this user and on this machine, that this code is meant to be run.

    Raises:
        RunError: if that cannot be kept.
    """
    mark = _mark(what)
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        raise RunError(
            f"cannot write to {mark.parent} which code may run: {error.strerror}: make it writable, or "
            "set XDG_STATE_HOME to a folder that is"
        ) from error


def is_remembered(what: str) -> bool:
    """Whether this user has said, on this machine, that this code is meant to be run."""
    return _mark(what).exists()


def _named(table: dict[str, Any]) -> str:
    return "\0".join((str(table["kind"]), str(code_named(table)), str(Path(table.get("folder", ".")).resolve())))


def _mark(what: str) -> Path:
    return Path(platformdirs.user_state_dir("mgd")) / "code" / hashlib.sha256(what.encode()).hexdigest()[:32]
