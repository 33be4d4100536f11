"""Kinds of instruments, built in and by others, from one group of entry points. Nothing here imports JAX."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._input import nearest
from ..rows import claimed, loaded, points, said
from ._base import AbstractInstrument, Origin

GROUP = "mgd.instruments"


def kinds() -> dict[str, Any]:
    """Every installed kind, by name: those of this package and of others.

    An entry point of the group `mgd.instruments` names a function (settings, folder) → instrument. The settings are
    those of the `[instrument]` table of a chip file that are not common to all kinds; the folder is the file's. The
    function raises `ValueError` for a wrong setting, and connects to nothing.

    >>> "scpi" in kinds()
    True
    """
    return {point.name: point for point in points(GROUP)}


@dataclass(frozen=True)
class Kind:
    """An installed kind of instrument.

    Attributes:
        name: its name in settings.
        distribution: the package that brings it.
        version: the version of that package.
        line: a one-line description: the first line of its function's docstring.
        missing: a missing requirement, with the remedy; empty if nothing is missing.
        broken: whether it cannot be used at all, because it cannot be loaded or two packages claim its name.
    """

    name: str
    distribution: str
    version: str
    line: str
    missing: str
    broken: bool = False


def available() -> list[Kind]:
    """Every installed kind, with its package and its missing requirements.

    The module that an entry point names may have a function `missing` without arguments. It returns a missing
    requirement, such as 'needs PyVISA, which is not installed: pip install "mgd[lab]"', or an empty text.

    >>> [kind.distribution for kind in available() if kind.name == "callables"]
    ['mgd']
    """
    return [_kind(point) for point in kinds().values()]


def _kind(point: Any) -> Kind:
    name, version = (point.dist.name, point.dist.version) if point.dist else ("", "")
    claims, line = _claims(point.name), ""
    try:
        line = (point.load().__doc__ or "").strip().partition("\n")[0].rstrip(".")
        missing = getattr(sys.modules[point.module], "missing", str)()
    except Exception as error:  # of others' packages; one that is broken must not hide the rest
        return Kind(point.name, name, version, "", f"cannot be loaded: {said(error)}", broken=True)
    if len(claims) > 1:
        return Kind(point.name, name, version, line, claimed(claims), broken=True)
    return Kind(point.name, name, version, line, missing)


def _claims(kind: str) -> list[Any]:
    return [point for point in points(GROUP) if point.name == kind]


def load_instrument(kind: str, settings: Mapping[str, Any], folder: str | Path) -> AbstractInstrument:
    """An instrument of a kind, not yet open.

    Args:
        kind: its name, as in `mgd instruments`.
        settings: its own settings.
        folder: the folder to which paths in the settings are relative.

    Raises:
        ValueError: if there is no such kind, two packages claim its name, it cannot be loaded, a setting is wrong, or
            an extra is not installed.
    """
    found = kinds()
    if kind not in found:
        raise ValueError(
            f"unknown kind of instrument {kind!r}{nearest(kind, found)}; choose {', '.join(found)}, "
            "or install the package that brings it"
        )
    if len(claims := _claims(kind)) > 1:
        raise ValueError(f"the kind of instrument {kind!r} {claimed(claims)}")
    made = loaded("the kind of instrument", found[kind])(dict(settings), Path(folder))
    made.origin = Origin(kind, dict(settings), os.path.abspath(folder))
    return made
