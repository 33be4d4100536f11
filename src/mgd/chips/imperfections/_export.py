"""What a trained piece is made of, in a form that can be taken elsewhere."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._base import AbstractChip
from .._network import NetworkChip
from ._imperfect import Imperfect, inside


def applied_parameters(chip: AbstractChip, theta: Float[Array, " p"], *, device: Any = None) -> Float[Array, " p"]:
    """The parameters with which a piece computes, when θ is written in its memory.

    They differ from θ if a converter rounds it, a cell is stuck, a line couples to its neighbours, or a memory has
    drifted. Without such imperfections they are θ.

    Args:
        chip: the design.
        theta: θ of one chip, as in `Result.theta[r]`.
        device: the device of the same chip, from `Result.piece(r)`.

    >>> import mgd
    >>> chip = mgd.chips.imperfect(mgd.chips.mlp((1, 1)), mgd.chips.imperfections.DAC(2, 0.0, 3.0))
    >>> applied_parameters(chip, jnp.array([0.8, 2.2]), device=chip.fabricate(key=jax.random.key(0))).tolist()
    [1.0, 2.0]
    """
    return inside(chip, theta, device, key=jax.random.key(0))[1]


def device_arrays(chip: AbstractChip, device: Any) -> dict[str, np.ndarray]:
    """The arrays of a device by name: the imperfection and the quantity.

    Args:
        chip: the design.
        device: the device of one piece, or of many with a leading axis.

    >>> import mgd
    >>> chip = mgd.chips.imperfect(mgd.chips.mlp((2, 3, 1)), mgd.chips.imperfections.ActivationVariation(0.1))
    >>> arrays = device_arrays(chip, chip.fabricate(key=jax.random.key(0)))
    >>> sorted(arrays)[:2], arrays["activation_variation.layer1.alpha"].shape
    (['activation_variation.layer1.alpha', 'activation_variation.layer1.beta'], (3,))
    """
    return {name: np.asarray(leaf) for name, leaf in _named(chip, device)}


def device_from_arrays(chip: AbstractChip, arrays: Mapping[str, np.ndarray]) -> Any:
    """The device from the arrays of `device_arrays`; arrays with other names are ignored.

    Raises:
        ValueError: if an array of this design is missing.

    >>> import mgd
    >>> chip = mgd.chips.imperfect(mgd.chips.mlp((2, 1)), mgd.chips.imperfections.StuckCells(dead=0.5))
    >>> device = chip.fabricate(key=jax.random.key(0))
    >>> bool(eqx.tree_equal(device_from_arrays(chip, device_arrays(chip, device)), device))
    True
    """
    like = eqx.filter_eval_shape(chip.fabricate, key=jax.random.key(0))
    names = [name for name, _ in _named(chip, like)]
    if missing := [name for name in names if name not in arrays]:
        raise ValueError(f"this chip's device needs {missing[0]}, which is not among the arrays: {', '.join(arrays)}")
    return jax.tree.unflatten(jax.tree.structure(like), [jnp.asarray(arrays[name]) for name in names])


def _named(chip: AbstractChip, device: Any) -> list[tuple[str, Any]]:
    """The leaves of a device with their names, in the order of the tree."""
    found, around = [], "chip"
    while isinstance(chip, Imperfect):
        around = chip.imperfection.name.replace("-", "_")
        own, device = device
        found += [(".".join([around, *path]), leaf) for path, leaf in _leaves(own)]
        chip = chip.chip
    # A network's device is its neurons, which the imperfection directly around it made, layer by layer.
    network = isinstance(chip, NetworkChip)
    for path, leaf in _leaves(device):
        named = [around, f"layer{int(path[0]) + 1}", *path[1:]] if network else ["chip", *path]
        found.append((".".join(named), leaf))
    return found


def _leaves(tree: Any) -> list[tuple[list[str], Any]]:
    """The arrays of a tree, each with the parts of its path."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [
        ([str(getattr(key, "name", getattr(key, "idx", getattr(key, "key", key)))) for key in path], leaf)
        for path, leaf in leaves
    ]
