"""Methods that are compiled once, whoever calls them.

A host that asks and tells by hand hands over costs as it has them: Python floats, NumPy scalars, arrays. For
`eqx.filter_jit` a Python number is a constant of the program, so each new cost would be compiled again. So such methods
compile themselves, with the cost as an array; and to whoever compiles them once more (`eqx.filter_jit(algorithm.tell)`)
their signature hands the cost on as an array.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

F = TypeVar("F", bound=Callable)


def as_cost(cost: Any) -> Any:
    """A measured cost as one float32.

    Raises:
        ValueError: if it is not one real number.
    """
    cost = cost if isinstance(cost, jax.Array) else np.asarray(cost)
    is_real = jnp.issubdtype(cost.dtype, jnp.floating) or jnp.issubdtype(cost.dtype, jnp.integer)
    if cost.shape != () or not is_real:
        raise ValueError(f"a cost must be one real number, got {cost.dtype} of shape {cost.shape}")
    return cost if cost.dtype == np.float32 else cost.astype(np.float32)


def compiled(method: F) -> F:
    """A pure method of a module that is compiled where it is called with arrays, and traced where it is traced."""
    signature = _CostAsArray.of(inspect.signature(method))
    ready = eqx.filter_jit(method)

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        traced = any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((bound.args, bound.kwargs)))
        return (method if traced else ready)(*bound.args, **bound.kwargs)

    call.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]
    return call  # pyright: ignore[reportReturnType]


class _CostAsArray(inspect.Signature):
    """A signature that takes any number for the argument `cost`, and hands on an array."""

    __slots__ = ()

    @staticmethod
    def of(signature: inspect.Signature) -> "_CostAsArray":
        return _CostAsArray(list(signature.parameters.values()), return_annotation=signature.return_annotation)

    def bind(self, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
        bound = super().bind(*args, **kwargs)
        if "cost" in bound.arguments:
            bound.arguments["cost"] = as_cost(bound.arguments["cost"])
        return bound
