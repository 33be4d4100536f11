"""The option that says which of a run's chips is meant."""

from collections.abc import Callable
from typing import Any

import click


class _Replica(click.ParamType):
    name = "replica"

    def __init__(self, *words: str):
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if not (value in self.words or str(value).isdecimal()):
            self.fail(f"{value!r} is no replica: give its number, from 0 on, or {' or '.join(self.words)}", param, ctx)
        return value if value in self.words else int(value)


def replica_option(*words: str, default: str = "best") -> Callable:
    """`--replica` of a command, with these words beside numbers."""
    return click.option(
        "--replica",
        type=_Replica(*words),
        metavar="|".join(("N", *words)),
        default=default,
        show_default=True,
        help="Which chip of the run; the best is so on samples held out, or else on the test samples.",
    )
