"""Numbers as people write them, and names of options from other programs."""

from contextlib import suppress
from typing import Any

import click

from .._input import nearest

# Options that have another name here.
_ALSO_CALLED = {
    "--lr": "--learning-rate",
    "--eta": "--learning-rate",
    "--step-size": "--learning-rate",
    "--batch-size": "--batch",
    "--batchsize": "--batch",
    "--epochs": "--steps (timesteps)",
    "--iterations": "--steps",
    "--n-steps": "--steps",
    "--n-replicas": "--replicas",
    "--chips": "--replicas",
    "--layers": "--hidden",
    "--noise": "--imperfect cost-noise=SIGMA",
    "--output": "--out",
    "--optim": "--optimizer",
    "--wd": "--weight-decay",
    "--delta": "--amplitude",
    "--early-stopping": "--patience",
    "--early-stop": "--patience",
}


class WholeNumber(click.IntRange):
    """A whole number, within limits if they are given; 1e5, 100_000 and 100,000 are accepted."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(_whole(value) if isinstance(value, str) else value, param, ctx)

    def _describe_range(self) -> str:
        # Of a range without ends, click would say "x<=None" in the help.
        return "" if self.min is None and self.max is None else super()._describe_range()


def _whole(text: str) -> int:
    """Raises: click.BadParameter: if it is not a whole number."""
    plain = text.strip().replace("_", "").replace(",", "")
    with suppress(ValueError):
        return int(plain)
    with suppress(ValueError, OverflowError):
        number = float(plain)
        if number == int(number) and abs(number) < 2**53:  # beyond, floats skip whole numbers
            return int(number)
    raise click.BadParameter(f"give a whole number, such as 100000 or 1e5, got {text!r}")


def unknown_option(error: click.NoSuchOption) -> str:
    """The message for an option that a command does not have, with the one that is probably meant."""
    name = error.option_name
    if name in _ALSO_CALLED:
        return f"no such option {name}: did you mean {_ALSO_CALLED[name]}?"
    known = [] if error.ctx is None else [flag for each in error.ctx.command.params for flag in each.opts]
    return f"no such option {name}{nearest(name, known).replace(chr(39), '')}"
