"""Packages whose names load on first use, so that to import one costs nothing. Nothing here imports JAX."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazily(
    package: str, public: Mapping[str, str], inside: Mapping[str, str] | None = None
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """A package's `__all__`, `__getattr__` and `__dir__`.

    Args:
        package: its name.
        public: which of its modules has each name that users may rely on.
        inside: the same for names that only other parts of this library use.
    """
    names, homes = sorted(public), {**public, **(inside or {})}

    def load(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module(f".{homes[name]}", package), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return names, load, lambda: list(names)
