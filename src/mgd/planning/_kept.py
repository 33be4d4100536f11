"""What a plan has computed: its descent, and a line for each simulation. A plan that was stopped continues with it."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .._errors import RunError
from .._input import read_file
from ..runs import replace_file
from ..theory import Landscape
from ._landscape import Descent
from ._simulate import Passage

_DIGEST = "sha256"


def kept_descent(path: Path | None, key: str, make: Callable[[], Descent]) -> Descent:
    """The descent in a file, if it is there and this one; otherwise it is made and kept.

    Args:
        path: the file; None to keep nothing.
        key: what the descent is of.
        make: makes it.

    Raises:
        RunError: if the file cannot be written.
    """
    if path is None:
        return make()
    try:
        entry = json.loads(read_file(path))
        if entry.pop(_DIGEST) == _digest(entry) and entry.pop("key") == key:
            return Descent(**entry | {"landscape": Landscape(**entry["landscape"])})
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass  # it is not there, or damaged
    descent = make()
    entry = {"key": key, **asdict(descent)}
    try:
        replace_file(path, (json.dumps(entry | {_DIGEST: _digest(entry)}, indent=2) + "\n").encode())
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error
    return descent


class Kept:
    """The simulations in a file, or in memory if there is none.

    Args:
        path: the file.

    Raises:
        RunError: if the file cannot be read.
    """

    def __init__(self, path: Path | None = None):
        self._path, self._known = path, {}
        try:
            content = read_file(path) if path and os.path.lexists(path) else b""
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror}; remove it, and all is simulated again") from error
        for line in content.decode(errors="replace").splitlines():
            try:
                entry = json.loads(line)
                # Lines of old versions have no digest.
                if entry.pop(_DIGEST, None) not in (None, _digest(entry)):
                    continue
                key = entry.pop("key")
                self._known[key] = Passage(
                    **{**entry, **{name: tuple(entry[name]) for name in ("each", "seen", "means", "between")}}
                )
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue  # it is damaged, or the last line of a call that was killed: it is simulated again

    def get(self, key: str) -> Passage | None:
        """What is known of a simulation."""
        return self._known.get(key)

    def put(self, key: str, passage: Passage) -> None:
        """Keeps a simulation.

        Raises:
            RunError: if it cannot be written.
        """
        self._known[key] = passage
        if self._path is None:
            return
        try:
            entry = {"key": key, **asdict(passage)}
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry | {_DIGEST: _digest(entry)}) + "\n")
        except OSError as error:
            raise RunError(f"cannot write {self._path}: {error.strerror}") from error


def _digest(entry: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry).encode()).hexdigest()
