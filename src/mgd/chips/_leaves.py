"""Which arrays of a tree are trained, and how they lie in one vector of float32."""

import fnmatch
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from .._input import nearest

# Leaves to train, by their names; or as Equinox says it: a predicate of a leaf, or a tree of booleans and predicates.
FilterSpec = Any


@dataclass(frozen=True)
class Leaves:
    """The leaves that θ is made of, in order.

    θ is float32. What is computed with has the leaf's own type: a 16-bit leaf is rounded where it is used, a complex
    one is two stretches of θ, all its real parts and then all its imaginary parts.

    Attributes:
        names: of each leaf, where it is in the tree.
        shapes: of each.
        dtypes: of each.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype, ...]

    @staticmethod
    def of(tree: Any) -> "Leaves":
        """Of a tree whose leaves are all trained: arrays, or their shapes and types."""
        found = jax.tree_util.tree_leaves_with_path(tree)
        names = tuple(name_of(path) for path, _ in found)
        return Leaves(names, tuple(leaf.shape for _, leaf in found), tuple(_computed(leaf.dtype) for _, leaf in found))

    @property
    def n_params(self) -> int:
        """Real numbers in all."""
        return sum(self._sizes())

    @property
    def groups(self) -> dict[str, slice]:
        """The slice of θ that each leaf is."""
        edges = [0, *accumulate(self._sizes())]
        return {name: slice(*ends) for name, ends in zip(self.names, pairwise(edges), strict=True)}

    @property
    def plain(self) -> bool:
        """Whether every leaf is float32, as θ is."""
        return all(dtype == np.float32 for dtype in self.dtypes)

    def flatten(self, leaves: Sequence[Any]) -> Float[Array, " p"]:
        """θ of these arrays."""
        parts = []
        for leaf in leaves:
            flat = jnp.ravel(leaf)
            parts += [flat.real, flat.imag] if jnp.iscomplexobj(flat) else [flat]
        return jnp.concatenate([part.astype(jnp.float32) for part in parts])

    def unflatten(self, theta: Float[Array, " p"]) -> list[Array]:
        """The arrays of this θ, each of its own type."""
        cuts = []
        for place, dtype in zip(self.groups.values(), self.dtypes, strict=True):
            half = (place.stop - place.start) // 2
            cuts += [place.start, place.start + half] if _is_complex(dtype) else [place.start]
        # The derivative of a split is one concatenation; that of slices would be a sum of vectors of full length.
        pieces = iter(jnp.split(theta, cuts[1:]))
        return [_leaf(pieces, shape, dtype) for shape, dtype in zip(self.shapes, self.dtypes, strict=True)]

    def _sizes(self) -> list[int]:
        return [
            math.prod(shape) * (2 if _is_complex(dtype) else 1)
            for shape, dtype in zip(self.shapes, self.dtypes, strict=True)
        ]


def is_parameter(leaf: object) -> bool:
    """Whether a leaf is an array, or the shape of one, of real or complex floating-point numbers."""
    return isinstance(leaf, jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct) and jnp.issubdtype(
        leaf.dtype, jnp.inexact
    )


def chosen(tree: Any, trainable: FilterSpec) -> Any:
    """The floating-point arrays of a tree that a filter spec takes, or whose names are like given ones; None elsewhere.

    Raises:
        ValueError: if the filter spec is not one of this tree, or a name is like none.
    """
    if are_names(trainable):
        return _like(eqx.filter(tree, is_parameter), trainable)
    try:
        return eqx.filter(eqx.filter(tree, is_parameter), trainable)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            "trainable must be names of arrays, a predicate of an array, or a tree like the module with True, False or "
            "a predicate for each array, as eqx.partition takes it, got "
            f"{type(trainable).__name__}: {str(error).splitlines()[0]}"
        ) from error


def are_names(trainable: FilterSpec) -> bool:
    """Whether a filter spec is a list of names."""
    return isinstance(trainable, list | tuple) and bool(trainable) and all(isinstance(one, str) for one in trainable)


def _like(tree: Any, patterns: Sequence[str]) -> Any:
    """The leaves whose names are like one of these; None elsewhere."""
    # A module is in the field of that name of what maps a batch, of which its user knows nothing.
    short = {name: name.removeprefix("module.") for name in named(tree)}
    # In "layers[0].weight" the brackets are meant; of the patterns' signs only * and ? are.
    plain = [pattern.replace("[", "[[]") for pattern in patterns]
    for pattern, shown in zip(plain, patterns, strict=True):
        if not fnmatch.filter([*short, *short.values()], pattern):
            there = sorted(short.values())
            raise ValueError(f"trainable: no array {shown!r}{nearest(shown, there)}; there are {', '.join(there)}")
    return only(
        tree,
        lambda name: any(fnmatch.fnmatchcase(each, one) for each in (name, short[name]) for one in plain),
    )


def named(tree: Any, within: tuple = ()) -> frozenset[str]:
    """Names of the leaves of a tree, which itself is at this path."""
    return frozenset(name_of((*within, *path)) for path, _ in jax.tree_util.tree_leaves_with_path(tree))


def only(tree: Any, keep: Callable[[str], bool]) -> Any:
    """The tree with None for each leaf whose name is not to be kept."""
    return jax.tree_util.tree_map_with_path(lambda path, leaf: leaf if keep(name_of(path)) else None, tree)


def real(values: Any, what: str) -> Array:
    """The values as float32.

    Raises:
        ValueError: if they are no array of numbers, or complex.
    """
    if not isinstance(values, jax.Array | np.ndarray | np.generic):
        raise ValueError(f"{what} must be one array, got a {type(values).__name__}")
    if _is_complex(values.dtype):
        raise ValueError(
            f"{what} must be real, got {values.dtype}: return what a detector sees, such as jnp.abs(y) ** 2"
        )
    return jnp.asarray(values, jnp.float32)


def name_of(path: tuple) -> str:
    """Of a leaf at this path of a tree."""
    return jax.tree_util.keystr(path).lstrip(".")


def _leaf(pieces: Any, shape: tuple[int, ...], dtype: np.dtype) -> Array:
    first = next(pieces).reshape(shape)
    if not _is_complex(dtype):
        return first if dtype == first.dtype else first.astype(dtype)
    real = np.finfo(dtype).dtype
    return lax.complex(first.astype(real), next(pieces).reshape(shape).astype(real))


def _is_complex(dtype: np.dtype) -> bool:
    return jnp.issubdtype(dtype, jnp.complexfloating)


def _computed(dtype: np.dtype) -> np.dtype:
    """The type that JAX computes with where an array is of this one: without x64, NumPy's float64 is float32."""
    return np.dtype(jax.dtypes.canonicalize_dtype(dtype))
