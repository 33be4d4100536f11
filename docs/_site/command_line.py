"""The page of the command line."""

import inspect
from collections.abc import Iterator

import click
from markdown_table import table

from mgd.cli._main import commands


def page() -> str:
    """Every command with its help and its options."""
    said = "What `mgd COMMAND --help` says. Exit codes are in [first steps](../getting-started.md#the-first-run)."
    parts = ["# Command line", said]
    for path, command in _commands("mgd", commands):
        context = click.Context(command, info_name=path)
        usage = [path, *command.collect_usage_pieces(context)]
        parts += [f"## {path}", f"```text\n{' '.join(usage)}\n```", inspect.cleandoc(command.help or "")]
        options = [each for each in command.get_params(context) if isinstance(each, click.Option) and not each.hidden]
        rows = [(_flags(each), _plain(each.help or ""), _taken(each, context)) for each in options]
        parts.append(table(("option", "meaning", "value"), rows))
        if command.epilog:
            example = command.epilog.removeprefix("Example: ")
            parts.append(f"Example:\n\n```bash\n{example}\n```" if example != command.epilog else command.epilog)
    return "\n\n".join(part for part in parts if part) + "\n"


def _commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from _commands(f"{path} {name}", each)


def _flags(option: click.Option) -> str:
    return ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))


def _taken(option: click.Option, context: click.Context) -> str:
    """What comes after an option."""
    if option.is_flag or option.count:
        return ""
    if isinstance(option.type, click.Choice):
        return ", ".join(f"`{each}`" for each in option.type.choices)
    return f"`{option.make_metavar(context)}`"


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;").replace("[", "\\[")
