"""Functions that people name in settings, as "package.module:function". Nothing here imports JAX."""

import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from .._errors import MgdError
from .._input import nearest


def check_names(settings: Mapping[str, Any], needed: Iterable[str], known: Iterable[str], kind: str) -> None:
    """Raises: ValueError: if a setting of a kind of instrument is unknown, or one that is needed is not there."""
    known = (*needed, *known)
    for name in settings:
        if name not in known:
            raise ValueError(f"unknown setting {name!r}{nearest(name, known)} ({kind} has {', '.join(known)})")
    for name in needed:
        if name not in settings:
            raise ValueError(f"an instrument of kind {kind!r} needs the setting {name!r}, which was not given")


def check_one(settings: Mapping[str, Any]) -> None:
    """Raises: ValueError: if the settings of one instrument have another within them."""
    for name, value in settings.items():
        several = value if isinstance(value, list) else [value]
        has_another = any(isinstance(one, Mapping) and {"resource", "kind"} & one.keys() for one in several)
        if has_another or (name == "resource" and isinstance(value, list)):
            raise ValueError(
                f"{name!r} makes several instruments, which one chip has in tables [instrument.NAME] beside kind = "
                '"scpi"; or use kind = "callables" with build = "module:function", your own function that speaks to '
                "all of them and returns from_callables(…)"
            )


def build(reference: Any, arguments: Any, folder: Path, setting: str) -> Any:
    """What the function that a setting names returns.

    Args:
        reference: "package.module:function"; the module is looked for in the folder first, as Python does for a
            script in it.
        arguments: of the function, by name.
        folder: that of the settings' file.
        setting: how the setting is called.

    Raises:
        ValueError: if it is not found, or does not return; what it raised is named.
        MgdError: from the function.
    """
    said = f"{setting} = {reference!r}"
    if not isinstance(arguments, Mapping):
        raise ValueError(f"arguments must be a table of names and values, got {arguments!r}")
    make = function_named(reference, folder, setting)
    try:
        return make(**arguments)
    except (MgdError, ValueError):
        raise
    except Exception as error:
        raise ValueError(f"{said}: it raised {type(error).__name__}: {error}") from error


def function_named(reference: Any, folder: Path, setting: str) -> Callable[..., Any]:
    """The function that a setting names.

    Args:
        reference: "package.module:function", as in `build`.
        folder: the first folder in which to look for the module.
        setting: how the setting is called.

    Raises:
        ValueError: if it is not found, or is not a function.
    """
    said = f"{setting} = {reference!r}"
    if not isinstance(reference, str) or not all(part.strip() for part in _parts(reference)):
        raise ValueError(f'{said} must name a module and a function in it, as "my_lab:chip"')
    return _named(*_parts(reference), folder.resolve(), said)


def _parts(reference: str) -> tuple[str, str]:
    module, _, name = reference.partition(":")
    return module, name


def _named(module: str, name: str, folder: Path, said: str) -> Callable[..., Any]:
    top = module.partition(".")[0]
    beside = [path for path in (folder / f"{top}.py", folder / top / "__init__.py") if os.path.isfile(path)]
    loaded = getattr(sys.modules.get(top), "__file__", None)
    if beside and loaded and Path(loaded).resolve() not in beside:
        raise ValueError(f"{said}: another module named {top} is loaded ({loaded}): give {beside[0]} another name")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        where = f"looked in {folder} and in Python's path" if error.name in (module, top) else "which it imports"
        raise ValueError(f"{said}: there is no module {error.name!r}: {where}") from error
    except Exception as error:
        why = (str(error).splitlines() or [""])[0]
        raise ValueError(f"{said}: importing it raised {type(error).__name__}: {why}") from error
    make = getattr(found, name, None)
    if not callable(make):
        have = [each for each, value in vars(found).items() if callable(value) and not each.startswith("_")]
        raise ValueError(f"{said}: {found.__file__} has no function {name!r}{nearest(name, have)}")
    return make
