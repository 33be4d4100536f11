"""Kinds of instruments, built in and by others, from one group of entry points. Nothing here imports JAX."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from .._input import nearest
from ._base import AbstractInstrument

GROUP = "mgd.instruments"


def kinds() -> dict[str, EntryPoint]:
    """Every kind that is installed, by name: this package's own and those of others.

    An entry point of the group `mgd.instruments` names a function (settings, folder) → instrument: settings are
    the `[instrument]` table of a chip file without what is common to all, folder is that of the file. It raises
    `ValueError` for a wrong setting, and connects to nothing.

    >>> "scpi" in kinds()
    True
    """
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


def load_instrument(kind: str, settings: Mapping[str, Any], folder: Path) -> AbstractInstrument:
    """An instrument of a kind, not yet open.

    Args:
        kind: its name, as `mgd instruments` lists it.
        settings: its own settings.
        folder: what paths in the settings are relative to.

    Raises:
        ValueError: if there is no such kind, a setting is wrong, or an extra is not installed.
    """
    found = kinds()
    if kind not in found:
        raise ValueError(
            f"unknown kind of instrument {kind!r}{nearest(kind, found)}; choose {', '.join(found)}, "
            "or install the package that brings it"
        )
    try:
        make = found[kind].load()
    except ImportError as error:
        raise ValueError(f"instruments of kind {kind!r} cannot be loaded: {error}") from error
    return make(dict(settings), folder)
