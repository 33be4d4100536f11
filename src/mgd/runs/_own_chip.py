"""A chip that a function of the user's builds: an `AbstractChip`, an Equinox module, or a pair of functions."""

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from .._errors import MgdError
from .._input import nearest, read_file
from ..chips import AbstractChip, AbstractCost, Traits, from_function, from_module
from ..instruments import function_named
from ._chip_table import OwnChip

if TYPE_CHECKING:
    from ..datasets import Task

_KINDS = (
    "an mgd.chips.AbstractChip, an Equinox module, a pair of functions (cost, init) as from_function takes them, or a "
    "PyTorch module"
)


class Shapes(NamedTuple):
    """What a chip needs to know of a task."""

    input_shape: tuple[int, ...]
    n_outputs: int


@dataclass(frozen=True, eq=False)
class Function:
    """The function of a table, with all its arguments but the key.

    Attributes:
        said: the setting that names it, for messages.
        call: the function.
        arguments: by name.
        keyed: whether it takes a key, from which it draws its start.
    """

    said: str
    call: Callable[..., Any]
    arguments: Mapping[str, Any]
    keyed: bool

    def __call__(self, key: PRNGKeyArray) -> Any:
        """What it returns.

        Raises:
            ValueError: if it raises anything that is no error of this package.
        """
        try:
            return self.call(**self.arguments, **({"key": key} if self.keyed else {}))
        except MgdError:
            raise
        except Exception as error:  # whatever the user's code raises
            raise ValueError(f"{self.said} raised {first_line(error)}") from error

    @staticmethod
    def of(table: OwnChip, shapes: Shapes | None, task: "Callable[[], Task] | None") -> "Function":
        """The function, with what its signature takes among inputs, outputs, task and its arguments.

        Args:
            table: the table that names it.
            shapes: of the task; None if nobody knows.
            task: gives the task; None if there is none.

        Raises:
            ValueError: if it is not found, or takes other arguments.
        """
        call, own = function_named(table.build, table.where, "build"), dict(table.arguments or {})
        try:
            parameters = inspect.signature(call).parameters
        except ValueError:  # of a function in C: what is wrong shows when it is called
            return Function(table.said, call, own, False)
        takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        if not takes_any and (wrong := [name for name in own if name not in parameters]):
            raise ValueError(
                f"{table.said} takes no argument {wrong[0]!r}{nearest(wrong[0], parameters)} "
                f"(it takes {', '.join(parameters) or 'none'})"
            )
        offered: dict[str, Callable[[], Any]] = {}
        if shapes is not None:
            offered = {"inputs": lambda: shapes.input_shape, "outputs": lambda: shapes.n_outputs}
        if task is not None:
            offered["task"] = task
        given = {name: make() for name, make in offered.items() if name in parameters and name not in own}
        keyed = "key" in parameters and "key" not in own
        needed = [
            name
            for name, each in parameters.items()
            if each.default is each.empty and each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        ]
        missing = [name for name in needed if name not in own | given and not (name == "key" and keyed)]
        if missing:
            raise ValueError(f"{table.said} needs the argument {missing[0]!r}: {_where(missing[0])}")
        return Function(table.said, call, own | given, keyed)


def _where(name: str) -> str:
    if name in ("inputs", "outputs"):
        return f"without a task the file must say it: give {name} in [chip]"
    if name == "task":
        return "there is no task here: let the function do without one, by inputs and outputs"
    return f"give {name} in [chip.arguments]"


def own_chip(
    table: OwnChip, shapes: Shapes, cost: AbstractCost, task: "Callable[[], Task] | None" = None
) -> AbstractChip:
    """The chip that a table's function builds, tried without computing anything.

    Args:
        table: the table that names the function.
        shapes: of the task.
        cost: of the outputs of an Equinox module; the other kinds have their own.
        task: gives the task, if there is one.

    Raises:
        ValueError: if the function is not found, raises, returns something else, or its chip does not fit the task.
    """
    function = Function.of(table, shapes, task)
    made = function(jax.random.key(0))
    if is_torch(made):
        raise ValueError(f"{table.said} returns a PyTorch module, which is an instrument: it cannot be simulated")
    chip = _chip(made, function, table, shapes, cost)
    _check(chip, table.said, shapes)
    return chip


def is_module(made: Any) -> bool:
    """Whether it is an Equinox module, whose cost settings say."""
    return isinstance(made, eqx.Module) and not isinstance(made, AbstractChip)


def is_torch(made: Any) -> bool:
    """Whether it is a PyTorch module; PyTorch is not imported for that."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(made, torch.nn.Module)


def digest_of_source(table: OwnChip) -> str:
    """SHA-256 of the file in which the table's function is; empty if it is in none.

    Raises:
        ValueError: if the function is not found, or the file cannot be read.
    """
    path = source_of(table)
    if path is None:
        return ""
    try:
        return hashlib.sha256(read_file(path)).hexdigest()
    except OSError as error:
        raise ValueError(f"{table.said}: cannot read {path}: {error.strerror}") from error


def source_of(table: OwnChip) -> Path | None:
    """The file in which the table's function is looked for."""
    function_named(table.build, table.where, "build")
    file = getattr(sys.modules[table.build.partition(":")[0]], "__file__", None)
    return None if file is None else Path(file)


def first_line(error: Exception) -> str:
    """An exception by its type and the first line of what it says."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}".rstrip(": ")


def _chip(made: Any, function: Function, table: OwnChip, shapes: Shapes, cost: AbstractCost) -> AbstractChip:
    traits = None if table.traits is None else Traits(**table.traits.model_dump())
    pair = isinstance(made, tuple) and len(made) == 2 and all(map(callable, made))
    if isinstance(made, AbstractChip) or pair:
        if table.trainable is not None:
            raise ValueError(f"{table.said}: trainable is for an Equinox or PyTorch module: leave it out")
        if not isinstance(made, AbstractChip):
            with _naming(table.said):
                return from_function(made[0], init=made[1], traits=traits)
        if traits is not None:
            raise ValueError(f"{table.said} returns a chip that has traits of its own: leave [chip.traits] out")
        return made
    if not (is_module(made) or (isinstance(made, tuple) and made and isinstance(made[0], eqx.Module))):
        raise ValueError(f"{table.said} must return {_KINDS}, got a {type(made).__name__}")
    if is_module(made) and not callable(made):
        raise ValueError(f"{table.said} returns a {type(made).__name__}, which has no __call__ from an input")
    if is_module(made):
        _call(made, table.said, shapes)
    with _naming(table.said):
        return from_module(
            function, cost=cost, trainable=table.trainable, traits=traits, input_shape=shapes.input_shape
        )


class _naming:
    """Puts the setting before what is wrong with a chip."""

    def __init__(self, said: str):
        self._said = said

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ValueError) and not str(error).startswith(self._said):
            raise ValueError(f"{self._said}: {(str(error).splitlines() or [''])[0]}") from error


def _call(module: Any, said: str, shapes: Shapes) -> None:
    """Raises: ValueError: if a module does not take one input of the task."""
    x = jax.ShapeDtypeStruct(shapes.input_shape, jnp.float32)
    try:
        eqx.filter_eval_shape(module, x)
    except Exception as error:  # whatever the user's code raises
        raise ValueError(
            f"{said}: for one input of shape {shapes.input_shape} its module raised {first_line(error)}"
        ) from error


def _check(chip: AbstractChip, said: str, shapes: Shapes) -> None:
    """Raises: ValueError: if a chip does not take batches of the task, or returns other shapes than it needs."""
    key = jax.random.key(0)
    x = jax.ShapeDtypeStruct((2, *shapes.input_shape), jnp.float32)
    target = jax.ShapeDtypeStruct((2, shapes.n_outputs), jnp.float32)
    sites = jax.ShapeDtypeStruct((chip.n_sites,), jnp.float32)
    try:
        theta, device = (eqx.filter_eval_shape(make, key=key) for make in (chip.init, chip.fabricate))
        outputs = eqx.filter_eval_shape(chip.respond, theta, x, device=device, key=key)
        _check_outputs(outputs.shape, said, shapes)
        cost, _ = eqx.filter_eval_shape(chip.measure, theta, sites, x, target, device=device, key=key)
    except Exception as error:  # whatever the user's code raises
        if isinstance(error, ValueError) and str(error).startswith(said):
            raise
        raise ValueError(
            f"{said}: for two inputs of shape {shapes.input_shape} and {shapes.n_outputs} outputs its chip raised "
            f"{first_line(error)}"
        ) from error
    if cost.shape != ():
        raise ValueError(f"{said}: its cost has shape {cost.shape}, and must be one number for a batch")


def _check_outputs(shape: tuple[int, ...], said: str, shapes: Shapes) -> None:
    if shape not in ((2, shapes.n_outputs), (2, 0)):
        raise ValueError(
            f"{said}: for one input its outputs have shape {shape[1:]}, and the task has targets of shape "
            f"({shapes.n_outputs},): return that"
        )
