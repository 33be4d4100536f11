"""The tasks, with one line about each, without importing JAX."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ..rows import TASKS

# Of this package's own tasks.
DESCRIPTIONS: Mapping[str, str] = MappingProxyType({name: row.line for name, row in TASKS.own.items()})


# What people call tasks that have another name here.
_ALSO_CALLED = {
    "xor": "XOR is parity of 2 bits: mgd train parity --bits 2. ",
    "nist": "did you mean nist7x7? ",
    "fmnist": "did you mean fashion-mnist? ",
    "cifar": "did you mean cifar10? ",
    "cifar-10": "did you mean cifar10? ",
}


@dataclass(frozen=True)
class Available:
    """A task and the place of its files, for `mgd data list`.

    Args:
        name: its name on the command line.
        description: one line.
        found: the folder or archive that would be read, or None (also for a task that has no files).
        download_megabytes: size of the download, in MB (10^6 bytes); 0 if nothing is ever downloaded.
    """

    name: str
    description: str
    found: Path | None
    download_megabytes: float


def names() -> tuple[str, ...]:
    """Every task's name on the command line.

    Returns:
        The names, smallest task first, then those of other packages.

    Example:
        >>> from mgd.datasets import names
        >>> names()[:2]
        ('parity', 'nist7x7')
    """
    return TASKS.names()


def check_name(name: str) -> None:
    """Raises: ValueError: if no task has this name; the message has the nearest names."""
    if name in TASKS:
        return
    near = difflib.get_close_matches(name, names(), n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    hint = _ALSO_CALLED.get(name.lower(), hint)
    raise ValueError(f"no task is called {name!r}; {hint}The tasks are {', '.join(TASKS)}")
