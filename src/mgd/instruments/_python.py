"""The kind "callables": an instrument that a function of a lab's own builds. Nothing here imports JAX."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._base import AbstractInstrument
from ._factory import build, check_names


def load(settings: Mapping[str, Any], folder: Path) -> AbstractInstrument:
    """A chip that a Python function of your own returns, for example made by `from_callables`.

    Args:
        settings: `build`, the function as "module:function"; and `arguments`, a table, if it takes some.
        folder: the first folder in which to look for the module.

    Raises:
        ValueError: if a setting is wrong, there is no such function, or it returns something else.
    """
    check_names(settings, ("build",), ("arguments",), "callables")
    made = build(settings["build"], settings.get("arguments", {}), folder, "build")
    if not isinstance(made, AbstractInstrument):
        raise ValueError(
            f"build = {settings['build']!r} must return an instrument, such as from_callables makes, got a "
            f"{type(made).__name__}"
        )
    return made
