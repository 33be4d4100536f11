"""The kind "callables": an instrument that a function of a lab's own builds. Nothing here imports JAX."""

import builtins
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._input import nearest
from ._base import AbstractInstrument
from ._callables import Callables
from ._factory import build, check_names, function_named
from ._failures import RetryOn
from ._grouped import Grouped


def load(settings: Mapping[str, Any], folder: Path) -> AbstractInstrument:
    """A chip that a Python function of your own returns, for example made by `from_callables`.

    Args:
        settings: `build`, the function as "module:function"; `arguments`, a table, if it takes some; and `retry_on`,
            the exceptions after which the chip is asked again, by name: "TimeoutError", "pyvisa.errors.VisaIOError",
            "my_lab:Glitch".
        folder: the first folder in which to look for the module.

    Raises:
        ValueError: if a setting is wrong, there is no such function, or it returns something else.
    """
    check_names(settings, ("build",), ("arguments", "retry_on"), "callables")
    made = build(settings["build"], settings.get("arguments", {}), folder, "build")
    if not isinstance(made, AbstractInstrument):
        raise ValueError(
            f"build = {settings['build']!r} must return an instrument, such as from_callables makes, got a "
            f"{type(made).__name__}"
        )
    if "retry_on" in settings:
        plain = made.inner if isinstance(made, Grouped) else made
        if not isinstance(plain, Callables):
            raise ValueError(
                f"retry_on is for a chip that from_callables makes, and build = {settings['build']!r} returned a "
                f"{type(made).__name__}: leave it out, or let its methods raise HardwareError(…, passing=True)"
            )
        plain.retry_on = _exceptions(settings["retry_on"], folder)
    return made


def _exceptions(names: Any, folder: Path) -> RetryOn:
    """The classes that are named.

    Raises:
        ValueError: if one is not found, or is no exception.
    """
    if not isinstance(names, list | tuple):
        raise ValueError(f'retry_on is a list of names, such as ["TimeoutError", "my_lab:Glitch"], got {names!r}')
    found = []
    for name in names:
        setting = "retry_on"
        if isinstance(name, str) and not re.search("[:.]", name):
            if not hasattr(builtins, name):
                known = [each for each, value in vars(builtins).items() if _is_exception(value)]
                raise ValueError(f"{setting}: Python has no exception {name!r}{nearest(name, known)}")
            made = getattr(builtins, name)
        else:
            given = name if not isinstance(name, str) or ":" in name else ":".join(name.rpartition(".")[::2])
            made = function_named(given, folder, setting)
        if not _is_exception(made):
            raise ValueError(f"{setting}: {name!r} is not a class of exceptions: name one")
        found.append(made)
    return tuple(found)


def _is_exception(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Exception)
