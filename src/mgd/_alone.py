"""Arithmetic that is the same in every compiled program."""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool

T = TypeVar("T")


def alone(always: Bool[Array, ""], function: Callable[..., T], *arguments: Any) -> T:
    """What a function gives, compiled as if it were a program of its own.

    Otherwise XLA makes one kernel of it and what is around it, and rounds by program: it contracts products with sums
    and orders sums as each kernel lets it. The branch of a conditional is not taken apart.

    Args:
        always: true, which XLA must not be able to know.
        function: of arrays in trees; its constants are part of it.
        arguments: of it.
    """
    likes = eqx.filter_eval_shape(function, *arguments)

    def never(*_: Any) -> Any:
        return jax.tree.map(lambda like: jnp.zeros(like.shape, like.dtype), likes)

    return lax.cond(always, function, never, *arguments)
