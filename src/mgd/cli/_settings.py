"""Options of the command line, one for each setting of a run that says it is one. Nothing here imports JAX."""

import os
import types
from collections.abc import Callable, Container, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import click

from ..runs import CHOICES, TASK_OPTIONS, Imperfections, Option, RunConfig, TaskTable
from ._words import WholeNumber

C = TypeVar("C", bound=Callable)


# Where commands that compute much do so.
on_cluster = click.option(
    "--cluster", metavar="CLUSTER", help="tcp://10.0.0.5:8786 (scheduler of Dask), ssh:HOST,HOST, slurm:… or pbs:…."
)


def with_settings(command: C) -> C:
    """A command with an option for each setting that can be given on the command line."""
    return with_some_settings(RunConfig.model_fields)(command)


def with_some_settings(names: Container[str]) -> Callable[[C], C]:
    """Gives a command the options of data of one's own, and of those settings of a run that are named."""

    def add(command: C) -> C:
        for model in (TaskTable, RunConfig):
            for name, info in reversed(model.model_fields.items()):
                for option in info.metadata:
                    if isinstance(option, Option) and (model is TaskTable or name in names):
                        command = _option(name, info.annotation, option)(command)
        return command

    return add


def given_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run that were given as options; those of a task of one's own in a table, `task`."""
    given = {name: value for name, value in options.items() if value is not None}
    table = {name: given.pop(name) for name in TASK_OPTIONS if name in given}
    if "test" in table:
        table["test"] = os.path.abspath(table["test"])
    return given | ({"task": table} if table else {})


def _option(name: str, annotation: Any, option: Option) -> Callable:
    """What click makes of a setting."""
    kind, words = _kind(annotation), "--" + name.replace("_", "-")
    more: dict[str, Any] = {"type": WholeNumber() if kind is int else kind}
    if name in CHOICES:
        more = {"type": click.Choice(list(CHOICES[name]))}
    elif get_origin(kind) is Literal:
        more = {"type": click.Choice(get_args(kind))}
    elif kind is bool:
        more, words = {"is_flag": True, "default": None}, f"{words}/--no-{words[2:]}"
    elif name == "onchip":
        more = {"callback": _circuit}
    elif kind is Imperfections:
        more = {"callback": _imperfections}
    elif get_origin(kind) is tuple:
        more = {"callback": _sizes}
    more |= {} if option.metavar is None else {"metavar": option.metavar}
    return click.option(words, multiple=option.several, help=option.help, **more)


def _kind(annotation: Any) -> Any:
    """The type of a setting, without what else is said of it, and without None."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    if get_origin(annotation) in (types.UnionType, Union):
        first, *_ = (kind for kind in get_args(annotation) if kind is not type(None))
        return _kind(first)
    return annotation


def _sizes(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    """The sizes in "16" or "16,8"."""
    if value is None:
        return None
    try:
        return [int(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"give whole numbers with commas between, such as 16 or 16,8, got {value!r}") from None


def _circuit(context: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """The table of a training circuit in a file."""
    if value is None:
        return None
    from ..onchip import Spec

    return Spec.read(value).table


def _imperfections(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict | None:
    """The settings in "cost-noise=0.01,dac-bits=8"."""
    found: dict[str, Any] = {}
    for item in ",".join(values).split(",") if values else ():
        name, equals, text = (part.strip() for part in item.partition("="))
        if not (name and equals and text):
            raise click.BadParameter(f"give NAME=VALUE, such as cost-noise=0.01,dac-bits=8, got {item!r}")
        if name in found:
            raise click.BadParameter(f"{name} is given twice")
        found[name] = _value(text)
    return found or None


def _value(text: str) -> bool | int | float | str:
    """What a word would be in TOML; text if it is nothing else, which the settings will refuse."""
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
