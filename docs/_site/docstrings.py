"""What griffe cannot see by itself in the source: arguments of Equinox modules, doctests in texts, and comments."""

import importlib
import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import griffe

_LONG = 300
_DOCTEST = re.compile(r"^( *)>>> .*(?:\n *\S.*)*", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Completes a package after it was read."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Gives Equinox modules their arguments, constants their comments, and doctests a block of code."""
        for each in _inside(pkg):
            if each.docstring is not None:
                each.docstring.value = _DOCTEST.sub(_fenced, each.docstring.value)
            if isinstance(each, griffe.Class):
                self._add_arguments(each)
            if isinstance(each, griffe.Attribute) and isinstance(each.parent, griffe.Module):
                self._describe(each)

    def _add_arguments(self, each: griffe.Class) -> None:
        """An Equinox module is a dataclass: its fields are the arguments that make it."""
        value = getattr(importlib.import_module(each.module.path), each.name, None)
        if "__init__" in each.members or not (inspect.isclass(value) and issubclass(value, eqx.Module)):
            return
        arguments = griffe.Parameters()
        for name, argument in inspect.signature(value).parameters.items():
            field = each.all_members.get(name)
            annotation = field.annotation if isinstance(field, griffe.Attribute) else None
            default = None if argument.default is inspect.Parameter.empty else repr(argument.default)
            kind = griffe.ParameterKind[argument.kind.name.lower()]
            arguments.add(griffe.Parameter(name, annotation=annotation, kind=kind, default=default))
        each.set_member("__init__", griffe.Function("__init__", parameters=arguments, lineno=0, endlineno=0))

    def _describe(self, each: griffe.Attribute) -> None:
        """A constant is described by the comment above it; a table fills a module, whose docstring describes it."""
        is_table = len(str(each.value)) > _LONG
        lines = each.lines_collection[each.filepath] if isinstance(each.filepath, Path) else []
        above = reversed(lines[: (each.lineno or 1) - 1])
        comment = [line.lstrip("# ") for line in itertools.takewhile(lambda line: line.startswith("#"), above)]
        module = each.module.docstring
        text = "\n".join(reversed(comment)) or (module.value if is_table and module is not None else "")
        if each.docstring is None and text:
            each.docstring = griffe.Docstring(text, parent=each)
        if is_table:
            each.value = None


def _inside(each: griffe.Object) -> Iterator[griffe.Object]:
    yield each
    for member in each.members.values():
        if isinstance(member, griffe.Object):
            yield from _inside(member)


def _fenced(doctest: re.Match) -> str:
    indent = doctest[1]
    return f"{indent}```pycon\n{doctest[0]}\n{indent}```"
