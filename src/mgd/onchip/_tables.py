"""Descriptions of circuits in TOML: tables whose settings are the arguments of a class. Nothing here imports JAX."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from .._input import nearest, read_toml

T = TypeVar("T")


def read(path: str | Path, of: Callable[[Mapping[str, Any]], T]) -> T:
    """What a TOML file describes, as a function makes it of the table.

    Raises:
        ValueError: if the file cannot be read, or a setting is wrong; the file is named.
    """
    table = read_toml(Path(path))
    try:
        return of(table)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def arguments(kind: Any, table: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a dataclass as they stand in a table, whose lists are tuples here.

    Raises:
        ValueError: if the class has no such argument.
    """
    names = [field.name for field in fields(kind)]
    for name in table:
        if name not in names:
            raise ValueError(f"unknown setting {name!r}{nearest(name, names)}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}
