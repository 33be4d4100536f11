"""Circuits as a kind of instrument: one in this process, or several in others. Nothing here imports JAX."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .._input import first_error
from ._base import AbstractInstrument
from ._circuit import Spice
from ._circuits import Circuits
from ._spice_settings import SpiceLimits, SpiceSettings


def load(settings: Mapping[str, Any], folder: Path) -> AbstractInstrument:
    """A circuit in ngspice, in this process or in processes of its own; `SpiceSettings` lists the settings.

    Raises:
        ValueError: if a setting is wrong, or the netlist cannot be read or lacks a named element.
    """
    try:
        read = SpiceSettings(**settings)
    except ValidationError as error:
        first = error.errors()[0]
        known = SpiceLimits if first["loc"][:1] == ("limits",) else SpiceSettings
        raise ValueError(first_error(error, known.model_fields, "instrument")) from None
    return Spice(read, folder) if read.processes is None else Circuits(read, folder)
