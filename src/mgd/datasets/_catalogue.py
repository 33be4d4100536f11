"""What tasks there are: names and one line each, without importing JAX."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "parity": "n-bit parity, all 2^n patterns (2 bits: XOR)",
        "nist7x7": "letters N, I, S, T on a 7x7 grid, 44,136 generated images, 4 classes",
        "yin-yang": "points in the yin-yang symbol, 4 inputs, 3 classes",
        "digits": "scikit-learn's 8x8 handwritten digits, 1,797 images, 10 classes",
        "fashion-mnist": "28x28 grey images of clothing, 60,000 + 10,000, 10 classes",
        "cifar10": "32x32 colour photographs, 50,000 + 10,000, 10 classes",
    }
)


@dataclass(frozen=True)
class Available:
    """A task and where its files are, for `mgd data list`.

    Args:
        name: as on the command line.
        description: one line.
        found: the folder or archive that would be read, or None (also for a task that has no files).
        download_megabytes: what fetching it transfers, in MB (10^6 bytes); 0 if nothing is ever fetched.
    """

    name: str
    description: str
    found: Path | None
    download_megabytes: float


def names() -> tuple[str, ...]:
    """Every task's name on the command line.

    Returns:
        The names, smallest task first.

    Example:
        >>> from mgd.datasets import names
        >>> names()[:2]
        ('parity', 'nist7x7')
    """
    return tuple(DESCRIPTIONS)


def check_name(name: str) -> None:
    """Raise ValueError, with the nearest names, unless `name` is a task's."""
    if name in DESCRIPTIONS:
        return
    near = difflib.get_close_matches(name, DESCRIPTIONS, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ValueError(f"no task is called {name!r}; {hint}The tasks are {', '.join(DESCRIPTIONS)}")
