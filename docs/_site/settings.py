"""The page of settings: of settings files, chip files and profiles."""

import inspect
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click
from griffe import (
    Docstring,
    DocstringSection,
    DocstringSectionAttributes,
    DocstringSectionParameters,
    DocstringSectionText,
)
from markdown_table import table
from pydantic import BaseModel

from mgd.cli._list import _TABLES as CHOSEN
from mgd.cli._main import commands
from mgd.instruments import kinds
from mgd.rows import IMPERFECTIONS, TASKS, Table
from mgd.runs import CHOICES, ChipFile, RunConfig, resolve
from mgd.runs._chip_file import _ChipFile, _Network
from mgd.runs._chip_table import OwnChip
from mgd.timing import Profile

# Tables whose settings are described elsewhere.
_DESCRIBED_IN = {_ChipFile: (ChipFile,), _Network: (ChipFile, RunConfig, OwnChip)}
_NAMED = (DocstringSectionAttributes, DocstringSectionParameters)


def page() -> str:
    """The tables of settings files, chip files and profiles."""
    rows = IMPERFECTIONS.usable()[0].values()
    imperfections = {each.name: each for row in rows for each in row.settings}.values()
    parts = [
        "# Settings",
        "Every setting of the three kinds of TOML file. What a settings file leaves out is chosen for the task and "
        "the chip, by [one rule](../defaults.md); `mgd show RUN` and a run's `config.toml` say what was chosen. "
        "*None* means that a setting is left out.",
        "## A settings file",
        "`mgd train FILE.toml` reads it, and every run directory has one, `config.toml`. The settings with an option "
        "can be given on the command line too; an option overrides the file.",
        *_model(RunConfig, "", options=_options()),
        "### What is left out",
        "`mgd train TASK` alone has these settings. Those that are missing are left out on purpose.",
        _defaults(),
        *_choices(),
        "### [imperfect]",
        "The [imperfections](../imperfections.md) of simulated chips; also in a chip file, and as "
        "`--imperfect NAME=VALUE`.",
        table(
            ("setting", "meaning", "value"),
            [(f"`{each.name}`", each.line, _bounded(_name(each.type), each.type.bounds())) for each in imperfections],
        ),
        "## A chip file",
        "`--chip FILE.toml`: [your bench](../bring-your-own-chip.md), [your chip](../your-chip.md).",
        *_model(_ChipFile, "", skipped={"imperfect"}),
    ]
    for name, point in kinds().items():
        load = point.load()
        parts += [f"### [instrument] of kind {name}", _text(load)]
        models = [value for key, value in vars(sys.modules[load.__module__]).items() if key.endswith("Settings")]
        for model in models:
            parts += _model(model, "instrument")
        if not models:
            parts.append(_said(load).get("settings", "").capitalize())
    parts += ["## A profile", "`mgd time RUN --profile FILE.toml`: [hardware time](../hardware-time.md)."]
    return "\n\n".join([*parts, *_model(Profile, "")]) + "\n"


def _defaults() -> str:
    """What is chosen for each task if nothing but its name is given."""
    resolved = {task: resolve(RunConfig.of({"task": task})) for task in TASKS}
    rows = []
    for name in RunConfig.model_fields:
        values = [getattr(settings, name) for settings in resolved.values()]
        if name != "task" and any(value is not None for value in values):
            rows.append((f"`{name}`", *map(_value, values)))
    return table(("setting", *resolved), rows)


def _value(value: Any) -> str:
    """A value as one reads it; nothing for None."""
    if isinstance(value, tuple):
        return ", ".join(map(_value, value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,}"
    return "" if value is None else str(value)


def _choices() -> Iterator[str]:
    """What settings that name something can name, as `mgd list` lists it."""
    for title, choices in CHOSEN.items():
        lines = choices.lines()[0] if isinstance(choices, Table) else choices
        if title != "imperfections":
            yield f"### {title.capitalize()}"
            yield table(("name", "meaning"), [(f"`{name}`", line) for name, line in lines.items()])


def _options() -> set[str]:
    """The settings that are options of `mgd train`."""
    return {each.name for each in commands.commands["train"].params if each.name and isinstance(each, click.Option)}


def _model(model: type[BaseModel], at: str, options: Iterable[str] = (), skipped: Iterable[str] = ()) -> Iterator[str]:
    """A table of TOML and the tables in it, each with a heading of its path."""
    schema = model.model_json_schema()
    said = {name: text for each in (*_DESCRIBED_IN.get(model, ()), model) for name, text in _said(each).items()}
    rows, below = [], []
    for name, field in schema["properties"].items():
        if name in skipped:
            continue
        kinds_of = [each for each in field.get("anyOf", [field]) if each.get("type") != "null"]
        for each in kinds_of:
            if "$ref" in each:
                below.append((name, each["$ref"].rpartition("/")[2]))
        default = json.dumps(field["default"], ensure_ascii=False) if _is_default(field) else ""
        meaning = said.get(name, "")
        if name in options:
            meaning += f" `--{name.replace('_', '-')}`"
        needed = "required" if name in schema.get("required", ()) else (f"`{default}`" if default else "")
        chosen = _chosen(name) if model is RunConfig else ""
        value = " or ".join(chosen or _kind(each, name) for each in kinds_of)
        rows.append((f"`{name}`", meaning.strip(), value, needed))
    if any(meaning for _, meaning, _, _ in rows):
        yield table(("setting", "meaning", "value", "default"), rows)
    else:
        yield table(("setting", "value", "default"), [(name, value, needed) for name, _, value, needed in rows])
    for name, kind in below:
        path = f"{at}.{name}" if at else name
        yield f"### [{path}]"
        of = _classes(model)[kind]
        yield _text(of)
        yield from _model(of, path)


def _classes(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The models of a model's fields, by their names."""
    found = {}
    for field in model.model_fields.values():
        for kind in _kinds_in(field.annotation):
            found[kind.__name__] = kind
    return found


def _kinds_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for each in getattr(annotation, "__args__", ()):
        yield from _kinds_in(each)


def _is_default(field: dict[str, Any]) -> bool:
    """Whether a setting has a default of its own that is a plain value."""
    return field.get("default") is not None and not isinstance(field["default"], dict)


def _chosen(name: str) -> str:
    """Where the names are listed of which a setting is one; nothing for other settings."""
    for title, choices in CHOSEN.items():
        if name in CHOICES and choices is CHOICES[name]:
            return f"[{title}](#{title})"
    return ""


def _kind(schema: dict[str, Any], name: str) -> str:
    """What a setting may be, in words."""
    if "$ref" in schema or name == "imperfect":
        return f"table `[{name}]`"
    if "enum" in schema or "const" in schema:
        return ", ".join(f'`"{each}"`' for each in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        items = schema.get("items", {})
        of = " or ".join(_kind(each, name) for each in items.get("anyOf", [items]))
        return f"list, each {of}" if of else "list"
    words = {"string": "text", "integer": "whole", "number": "real", "boolean": "truth", "object": "table"}
    ends = {"minimum": "ge", "exclusiveMinimum": "gt", "maximum": "le", "exclusiveMaximum": "lt"}
    bounds = {short: schema[long] for long, short in ends.items() if long in schema}
    return _bounded(words.get(schema.get("type", ""), ""), bounds)


def _bounded(kind: str, bounds: dict[str, Any]) -> str:
    """A kind of value and its ends, in words; the largest numbers that can be counted or held are no ends."""
    words = {"whole": "whole number", "real": "number", "truth": "`true` or `false`"}
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    ends = [f"{signs[end]} {value:g}" for end, value in bounds.items() if abs(value) < 2**31 - 1]
    return " ".join([words.get(kind, kind), ", ".join(ends)]).strip()


def _name(value: object) -> str:
    return type(value).__name__.lower()


def _said(described: Any) -> dict[str, str]:
    """What a docstring says of each field or argument."""
    found = [each for each in _sections(described) if isinstance(each, _NAMED)]
    return {each.name: " ".join(each.description.split()) for section in found for each in section.value}


def _text(described: Any) -> str:
    """What a docstring says of the whole."""
    return "\n\n".join(each.value for each in _sections(described) if isinstance(each, DocstringSectionText))


def _sections(described: Any) -> list[DocstringSection]:
    return Docstring(inspect.cleandoc(described.__doc__ or "")).parse("google", warnings=False)
