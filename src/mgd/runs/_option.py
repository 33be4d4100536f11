"""That a setting can be given on the command line. Nothing here imports JAX."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """That a setting can be given on the command line, by its own name.

    Attributes:
        help: what it is, in one line.
        metavar: how its value is written, where that is not said by its type.
        several: whether it may be given again.
    """

    help: str
    metavar: str | None = None
    several: bool = False
