"""Numbers are data, structure is static: what a compiled program is given, rather than has in it.

A field that is declared with `metadata=NUMBER` holds a number that may be tuned. To users it is a Python float.
`as_data` makes a float32 array of it where a module enters a compiled program, so one program serves every value; and
`stacked` joins modules that differ in nothing else, so one program trains replicas with a value each.

Zero stays a Python number, because zero is structure: noise of size zero is noise that is not there, and no program
draws it. So code that leaves something out for zero asks `is_zero`, which is never true of an array.

What is worked out from numbers is worked out before that, in Python's double precision, and is data too (`derived`): a
program that has the numbers as constants does so as well, and comes to the same bits.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

# Metadata of a field that holds a number which may be tuned: `sigma: float = eqx.field(metadata=NUMBER)`.
NUMBER = {"number": True}
T = TypeVar("T")


class DifferentError(ValueError):
    """Modules differ in more than numbers."""


class Each(eqx.Module):
    """A number that each replica has for itself, in the place of one that all have."""

    values: Float[Array | np.ndarray, "replica *shape"]


def is_zero(number: Any) -> bool:
    """Whether a number is exactly zero for everyone, known when a program is compiled."""
    return isinstance(number, int | float) and number == 0


def as_data(module: T) -> T:
    """A module with float32 arrays for its numbers; itself, if they are arrays already.

    >>> import mgd
    >>> chip = mgd.chips.imperfect(mgd.chips.mlp((2, 2, 1)), mgd.chips.imperfections.CostNoise(0.25))
    >>> as_data(chip).imperfection.sigma
    array(0.25, dtype=float32)
    """
    changed = {}
    for field in dataclasses.fields(module):  # pyright: ignore[reportArgumentType]
        value = getattr(module, field.name)
        if field.metadata.get("number"):
            data = _array(value)
        else:
            data = as_data(value) if isinstance(value, eqx.Module) else value
        if data is not value:
            changed[field.name] = data
    if getattr(module, "_derived", ...) is None:
        derive: Any = module._derive  # pyright: ignore[reportAttributeAccessIssue]
        changed["_derived"] = {name: _array(number) for name, number in derive().items()}
    return with_fields(module, **changed) if changed else module


def derived(module: Any) -> dict[str, Any]:
    """What a module works out from its numbers with `_derive`: in double precision, where they are known.

    In a compiled program they are not, so `as_data` puts what was worked out before into the field `_derived`.
    """
    return module._derive() if module._derived is None else module._derived


def with_fields(module: T, **changed: Any) -> T:
    """A module with other values in some fields, which are not checked again: arrays may stand for numbers."""
    new = object.__new__(type(module))
    for field in dataclasses.fields(module):  # pyright: ignore[reportArgumentType]
        object.__setattr__(new, field.name, changed.get(field.name, getattr(module, field.name)))
    return new


def stacked(members: Sequence[T], which: Int[np.ndarray, " replica"]) -> T:
    """One module for many replicas, whose numbers are `Each` where the members differ.

    Args:
        members: modules as `as_data` gives them.
        which: for each replica, the number of its member.

    Raises:
        DifferentError: if they differ in more than numbers.
    """
    flat = [jax.tree.flatten(member) for member in members]
    if any(structure != flat[0][1] for _, structure in flat):
        raise DifferentError("they differ in structure")
    joined = [_joined(leaves, which) for leaves in zip(*(leaves for leaves, _ in flat), strict=True)]
    return jax.tree.unflatten(flat[0][1], joined)


def split(module: T) -> tuple[T, T]:
    """The numbers that each replica has for itself, and all the rest: `eqx.combine` joins them again."""
    own = jax.tree.map(lambda leaf: leaf.values if _is_each(leaf) else None, module, is_leaf=_is_each)
    rest = jax.tree.map(lambda leaf: None if _is_each(leaf) else leaf, module, is_leaf=_is_each)
    return own, rest


def of_first(module: T) -> T:
    """A module as the first replica has it."""
    return jax.tree.map(lambda leaf: leaf.values[0] if _is_each(leaf) else leaf, module, is_leaf=_is_each)


def _array(value: Any) -> Any:
    if value is None or is_zero(value) or isinstance(value, Each | jax.Array):
        return value
    return value if isinstance(value, np.ndarray) and value.dtype == np.float32 else np.asarray(value, np.float32)


def _joined(leaves: tuple, which: Int[np.ndarray, " replica"]) -> Any:
    first = leaves[0]
    if all(leaf is first for leaf in leaves):
        return first
    if not all(eqx.is_array(leaf) or isinstance(leaf, float) for leaf in leaves):
        if all(leaf == first for leaf in leaves):
            return first
        raise DifferentError("they differ in structure")
    arrays = [np.asarray(leaf) for leaf in leaves]
    shape = max((array.shape for array in arrays), key=len)
    if all(_same(array, arrays[0]) for array in arrays):
        return first
    if any(array.shape not in ((), shape) for array in arrays):
        raise DifferentError("they differ in structure")
    return Each(np.stack([np.broadcast_to(np.asarray(array, np.float32), shape) for array in arrays])[which])


def _same(one: np.ndarray, other: np.ndarray) -> Bool[np.ndarray, ""] | bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def _is_each(leaf: Any) -> bool:
    return isinstance(leaf, Each)
