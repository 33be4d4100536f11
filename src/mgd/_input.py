"""What settings from people need: TOML files read and checked with one-line errors, and the name that was meant."""

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError

# Letters of a wrong value that are shown.
_LONGEST_SHOWN = 200


def read_toml(path: Path) -> dict[str, Any]:
    """The contents of a TOML file.

    Raises:
        ValueError: if it cannot be read or is not TOML; the file is named.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    except RecursionError:
        raise ValueError(f"{path} is not TOML that anyone writes: it is nested too deep") from None
    except ValueError as error:  # one of TOML's, or a number of thousands of digits
        raise ValueError(f"{path} is not TOML: {error}") from error


def nearest(name: object, known: Iterable[str]) -> str:
    """ ": did you mean 'x'?" for the known name that is most like this one; empty if none is.

    >>> nearest("walsch", ["walsh", "lfsr"])
    ": did you mean 'walsh'?"
    """
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f": did you mean {near[0]!r}?" if near else ""


def first_error(error: "ValidationError", fields: Iterable[str], table: str = "") -> str:
    """What is wrong with settings, in one line: the first thing, where it is, and what was given.

    Args:
        error: pydantic's.
        fields: the names that settings may have.
        table: the name of the table they are in.
    """
    first = error.errors()[0]
    last = str(first["loc"][-1]) if first["loc"] else table
    name = ".".join(part for part in (table, *map(str, first["loc"])) if part)
    if first["type"] == "extra_forbidden":
        return f"unknown setting {name!r}{nearest(last, fields)}"
    if first["type"] == "missing":
        return f"the setting {name!r} is needed and was not given"
    if first["type"] == "value_error":
        return f"{name}: {first.get('ctx', {}).get('error')}"
    message = first["msg"][:1].lower() + first["msg"][1:]
    given = repr(first["input"])
    return f"{name}: {message}, got {given if len(given) <= _LONGEST_SHOWN else given[:_LONGEST_SHOWN] + '…'}"
