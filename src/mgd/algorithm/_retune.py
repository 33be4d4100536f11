"""An optax transformation made again with another number.

A transformation is a pair of functions that remember what they were made with, and tell nobody. What they remember has
names, though: those of the arguments of optax that they came from. So it is looked up there and replaced, in copies.
"""

import types
from collections.abc import Callable
from typing import Any

import numpy as np
import optax

# As optax itself calls these: the function that remembers them (where the name alone does not say it), and the name.
# All other numbers have the name under which they were given.
_NAMES = {"learning_rate": (("scale.", "step_size"), ("", "init_value")), "momentum": (("trace.", "decay"),)}
# A rate is kept with the sign of a step that goes down.
_NEGATED = ("step_size",)


def retuned(optimizer: optax.GradientTransformation, name: str, value: float) -> optax.GradientTransformation:
    """The same update rule with another number.

    Args:
        optimizer: an update rule of optax's own transformations; it is not changed.
        name: the name of the number: `learning_rate` (for a schedule, its start), `momentum`, or an argument's name in
            optax, such as `weight_decay`.
        value: the number.

    Raises:
        ValueError: if there is no such number in the rule, or there are several.

    >>> import jax.numpy as jnp
    >>> rule = retuned(optax.sgd(0.1), "learning_rate", 0.5)
    >>> updates, _ = rule.update(jnp.ones(1), rule.init(jnp.ones(1)))
    >>> updates.tolist()
    [-0.5]
    """
    # Optax leaves out what is a zero of Python's, and then it is another rule.
    replace = _Replace(_NAMES.get(name, (("", name),)), value or np.float32(0))
    changed = replace(optimizer)
    if len(replace.found) != 1:
        many = "no" if not replace.found else "more than one"
        raise ValueError(
            f"the optimizer has {many} {name} to vary: vary `optimizer` instead, with one for each replica, such as "
            "[optax.sgd(rate) for rate in rates]"
        )
    return changed


class _Replace:
    """Copies functions, tuples and lists with another number in the cells of a name, and notes which cells."""

    def __init__(self, names: tuple[tuple[str, str], ...], value: float | np.float32):
        self._names, self._value = names, value
        self._copies: dict[int, Any] = {}
        self.found: set[int] = set()

    def __call__(self, what: Any) -> Any:
        if id(what) not in self._copies:
            self._copies[id(what)] = what  # until it is known: what contains itself is left as it is
            self._copies[id(what)] = self._copy(what)
        return self._copies[id(what)]

    def _copy(self, what: Any) -> Any:
        if isinstance(what, types.FunctionType) and what.__closure__:
            return self._copy_function(what)
        if isinstance(what, tuple | list):
            items = [self(item) for item in what]
            if all(new is old for new, old in zip(items, what, strict=True)):
                return what
            return type(what)(*items) if hasattr(what, "_fields") else type(what)(items)
        return what

    def _copy_function(self, function: types.FunctionType) -> Callable:
        names = [name for owner, name in self._names if function.__qualname__.startswith(owner)]
        cells = [
            self._number(name, cell) if name in names and _is_number(cell) else self._cell(cell)
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        ]
        if all(new is old for new, old in zip(cells, function.__closure__ or (), strict=True)):
            return function
        copy = types.FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, tuple(cells)
        )
        copy.__kwdefaults__ = function.__kwdefaults__
        copy.__dict__.update(function.__dict__)
        return copy

    def _number(self, name: str, cell: types.CellType) -> types.CellType:
        self.found.add(id(cell))
        return types.CellType(-self._value if name in _NEGATED else self._value)

    def _cell(self, cell: types.CellType) -> types.CellType:
        try:
            content = cell.cell_contents
        except ValueError:  # of a name that was never given a value
            return cell
        new = self(content)
        return cell if new is content else types.CellType(new)


def _is_number(cell: types.CellType) -> bool:
    content = cell.cell_contents
    return isinstance(content, float | int) and not isinstance(content, bool)
