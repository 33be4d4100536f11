"""What comes from outside: files that are files, TOML checked with one-line errors, and the name that was meant."""

import difflib
import errno
import os
import re
import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from pydantic import ValidationError

# Letters of a wrong value that are shown.
_LONGEST_SHOWN = 200


_NO_FILES = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def printable(text: str) -> str:
    r"""Text of others as a terminal may be given it: control characters, which it would obey, are spelt out.

    >>> printable("A7\x1b[2J")
    'A7\\x1b[2J'
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def open_file(path: Path) -> BinaryIO:
    """Opens what is a file for reading. A pipe would be waited for, and a device may never end.

    Raises:
        OSError: if it cannot be opened, or is no regular file; `strerror` says which.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind != stat.S_IFREG:
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"it must be a file, and is {_NO_FILES.get(kind, 'something else')}", str(path))
    return os.fdopen(descriptor, "rb")


def read_file(path: Path) -> bytes:
    """All that is in a file.

    Raises:
        OSError: as `open_file`.
    """
    with open_file(path) as file:
        return file.read()


def check_files(path: Path) -> None:
    """Sees whether a folder has nothing but files and folders in it, however deep: reading might wait for all else.

    Raises:
        OSError: if it has.
    """
    kinds = [os.stat(path).st_mode]
    for root, folders, files in os.walk(path):
        kinds += [os.stat(Path(root, name)).st_mode for name in (*folders, *files)]
    if not stat.S_ISDIR(kinds[0]):
        raise OSError("it is not a folder")
    if not all(stat.S_ISDIR(kind) or stat.S_ISREG(kind) for kind in kinds):
        raise OSError("it contains something that is not a file")


def read_toml(path: Path) -> dict[str, Any]:
    """The contents of a TOML file.

    Raises:
        ValueError: if it cannot be read or is not TOML; the file is named.
    """
    try:
        text = read_file(path).decode()
        return tomllib.loads(text.replace("\r\n", "\n").replace("\r", "\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    except RecursionError:
        raise ValueError(f"{path} cannot be read as TOML: it is nested too deep") from None
    except ValueError as error:  # one of TOML's, or a number of thousands of digits
        raise ValueError(f"{path} is not TOML: {error}") from error


def check_whole(least: int, **numbers: object) -> None:
    """Raises: ValueError: if one of these is not a whole number from `least` on."""
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def check_path(**paths: object) -> None:
    """Raises: ValueError: if one of these is not a name or a path."""
    for name, value in paths.items():
        if not isinstance(value, str | os.PathLike):
            raise ValueError(f"{name} must be a name or a path, got {value!r}")


def nearest(name: object, known: Iterable[str]) -> str:
    """ ": did you mean 'x'?" for the known name that is most like this one; empty if none is.

    >>> nearest("walsch", ["walsh", "lfsr"])
    ": did you mean 'walsh'?"
    >>> nearest("dac", ["dead", "dac-bits"])
    ": did you mean 'dac-bits'?"
    """
    names, word = list(known), str(name)
    near = [each for each in names if word and word in re.split("[-_.]", each)]
    near = near or difflib.get_close_matches(word, names, n=1, cutoff=0.5)
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
    if first["type"] == "json_invalid":  # what was given is the whole file
        return message
    given = repr(first["input"])
    return f"{name}: {message}, got {given if len(given) <= _LONGEST_SHOWN else given[:_LONGEST_SHOWN] + '…'}"
