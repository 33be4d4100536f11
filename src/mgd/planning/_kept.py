"""Simulations of a plan that are done, a line each, so that a plan that was stopped continues."""

import json
from dataclasses import asdict
from pathlib import Path

from .._errors import RunError
from ._simulate import Passage


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
            lines = path.read_text(encoding="utf-8").splitlines() if path and path.exists() else []
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"cannot read {path}: {error}") from error
        for line in lines:
            try:
                entry = json.loads(line)
                key = entry.pop("key")
                self._known[key] = Passage(**{**entry, "each": tuple(entry["each"])})
            except (ValueError, TypeError, KeyError):
                continue  # the last line of a call that was killed: it is simulated again

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
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, **asdict(passage)}) + "\n")
        except OSError as error:
            raise RunError(f"cannot write {self._path}: {error.strerror}") from error
