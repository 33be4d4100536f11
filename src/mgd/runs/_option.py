"""Settings that are also options of the command line. Nothing here imports JAX."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """The option of the command line for a setting, which has the setting's name.

    Attributes:
        help: one line of help.
        metavar: the form of its value, if its type does not show it.
        several: whether the option may be repeated.
    """

    help: str
    metavar: str | None = None
    several: bool = False
