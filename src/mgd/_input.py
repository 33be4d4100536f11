"""What settings from people need: a TOML file read with one-line errors, and the name that was meant."""

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def read_toml(path: Path) -> dict[str, Any]:
    """The contents of a TOML file.

    Raises:
        ValueError: if it cannot be read or is not TOML; the file is named.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from error


def nearest(name: object, known: Iterable[str]) -> str:
    """ ": did you mean 'x'?" for the known name that is most like this one; empty if none is.

    >>> nearest("walsch", ["walsh", "lfsr"])
    ": did you mean 'walsh'?"
    """
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else ""
