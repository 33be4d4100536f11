"""The entry point of the kind `scpi`: one instrument, or several. Nothing here imports JAX."""

from pathlib import Path
from typing import Any

from .._base import AbstractInstrument
from .._factory import check_one
from ._driver import Scpi
from ._parts import PartTables
from ._settings import ScpiSettings
from ._several import Several
from ._transports import check_visa


def load(settings: dict[str, Any], folder: Path) -> AbstractInstrument:
    """A chip that answers text commands, through VISA or a socket.

    Args:
        settings: its own settings, those of `ScpiSettings`; or a table of them for each of several instruments, those
            of `PartSettings`.
        folder: unused, because the settings contain no paths.

    Raises:
        ValueError: if one is wrong, or PyVISA is needed and not installed.
    """
    if (tables := PartTables.of(settings)) is not None:
        return Several(tables, {name: _driver(part, f"instrument.{name}") for name, part in tables.parts.items()})
    check_one(settings)
    return _driver(ScpiSettings.of(settings), "instrument")


def _driver(settings: ScpiSettings, table: str) -> Scpi:
    check_visa(settings.resource, settings.backend, settings.visa, table)
    try:
        return Scpi(settings)
    except ValueError as error:
        raise ValueError(f"{table}.{error}") from None
