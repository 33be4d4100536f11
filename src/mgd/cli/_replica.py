"""The option that chooses one of a run's chips."""

from collections.abc import Callable
from typing import Any

import click


class _Replica(click.ParamType):
    name = "replica"

    def __init__(self, *words: str):
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if not (value in self.words or str(value).isdecimal()):
            self.fail(f"{value!r} is not a replica: give a number from 0 on, or {' or '.join(self.words)}", param, ctx)
        return value if value in self.words else int(value)


def replica_option(*words: str, default: str = "best") -> Callable:
    """The option `--replica` of a command, which takes numbers and these words."""
    return click.option(
        "--replica",
        type=_Replica(*words),
        metavar="|".join(("N", *words)),
        default=default,
        show_default=True,
        help="Which chip of the run; best is by the held-out samples, if there are any, or the test samples.",
    )
