"""A page for each public package, with every public name."""

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from markdown_table import table

PACKAGE = Path(str(importlib.import_module("mgd").__file__)).parent
# Parts of mgd.engines, which has all of their names that are public.
_NOT_PUBLIC = {"mgd.engines.loop", "mgd.engines.simulated"}


def pages() -> dict[str, str]:
    """The page of each package, by its path on the site."""
    return {f"reference/{package}.md": text for package, text in _packages()}


def _public_names() -> dict[str, list[str]]:
    """The public names of each public package."""
    folders = sorted(file.parent for file in PACKAGE.rglob("__init__.py"))
    packages = [".".join(folder.relative_to(PACKAGE.parent).parts) for folder in folders]
    return {
        package: sorted(_names(importlib.import_module(package)), key=str.lower)
        for package in packages
        if "._" not in package and package not in _NOT_PUBLIC
    }


def _names(package: ModuleType) -> Iterable[str]:
    """What a package says it has; where it has no `__all__`, what it re-exports."""
    if hasattr(package, "__all__"):
        return package.__all__
    source = inspect.getsource(package)
    return re.findall(r"^from \..* as (\w+)$", source, re.MULTILINE)


def _packages() -> Iterator[tuple[str, str]]:
    """Each public package, and its page. A name of several packages is described where its path is longest."""
    names = _public_names()
    homes: dict[int, str] = {}
    for package in sorted(names, key=lambda package: package.count(".")):
        for name in names[package]:
            value = getattr(importlib.import_module(package), name)
            if inspect.isclass(value) or inspect.isroutine(value):
                homes[id(value)] = f"{package}.{name}"
    for package in names:
        module = importlib.import_module(package)
        described, elsewhere = [], []
        for name in names[package]:
            value = getattr(module, name)
            home = homes.get(id(value), f"{package}.{name}")
            if inspect.ismodule(value):
                elsewhere.append((name, f"[package]({package}.{name}.md)", value))
            elif home != f"{package}.{name}":
                elsewhere.append((name, f"[{home}]({home.rpartition('.')[0]}.md#{home})", value))
            else:
                described.append(f"::: {package}.{name}")
        rows = [(f"`{name}`", where, _first_line(value)) for name, where, value in elsewhere]
        parts = [f"# {package}", inspect.getdoc(module) or "", table(("name", "described in", ""), rows), *described]
        yield package, "\n\n".join(part for part in parts if part) + "\n"


def _first_line(value: Any) -> str:
    return (inspect.getdoc(value) or "").partition("\n")[0]
