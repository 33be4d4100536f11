"""Which engine runs what."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..algorithm import AbstractAlgorithm, Algorithm, Backprop
from ..chips import AbstractChip
from ._rows import ENGINES, ROWS

if TYPE_CHECKING:
    from .simulated._base import AbstractSimulated


@dataclass(frozen=True)
class Wanted:
    """The run that an engine is wanted for.

    Attributes:
        named: whether the engine was asked for by its name.
        n_replicas: chips side by side.
        batch: samples over which a measurement is averaged.
        n_steps: timesteps of the run.
        n_numbers: number of inputs in all training samples together.
    """

    named: bool
    n_replicas: int
    batch: int
    n_steps: int
    devices: int
    n_numbers: int = 0


def choose(
    name: str,
    chip: AbstractChip,
    algorithm: AbstractAlgorithm,
    *,
    n_replicas: int,
    batch: int,
    n_steps: int,
    devices: int = 1,
    n_numbers: int = 0,
) -> "AbstractSimulated[Any, Any]":
    """The engine of that name; for "auto", the first that suits.

    Args:
        name: one of `ENGINES`; "auto" is the fused engine if it saves time, otherwise the measured one.
        chip: the simulated chip.
        algorithm: the training algorithm.
        n_replicas: chips side by side.
        batch: samples over which a measurement is averaged.
        n_steps: timesteps of the run.
        devices: number of JAX devices to use.
        devices: JAX devices to spread it over.
        n_numbers: inputs of all training samples together.

    Raises:
        ValueError: if the engine is unknown, or does not support these settings.
    """
    if name not in ENGINES:
        raise ValueError(f"unknown engine {name!r}: choose one of {', '.join(ENGINES)}")
    if devices > 1 and (name not in ("auto", "measured") or not isinstance(algorithm, Algorithm)):
        raise ValueError(
            f"only the measured engine uses several devices: leave devices out, got {devices}, with engine {name!r} "
            f"and {type(algorithm).__name__}"
        )
    wanted = Wanted(name != "auto", n_replicas, batch, n_steps, devices, n_numbers)
    for row in ROWS:
        if name in ("auto", row.name):
            module, function = row.offer.split(":")
            engine = getattr(importlib.import_module(module, __package__), function)(chip, algorithm, wanted)
            if engine is not None:
                return engine
    if isinstance(algorithm, Backprop):
        raise ValueError(f"backprop measures nothing and has its own engine: leave engine out, got {name!r}")
    raise ValueError(f"no engine runs a {type(algorithm).__name__}: give an Algorithm or Backprop")


def refuse_bitwise(algorithm: Algorithm, name: str) -> None:
    """Raises: ValueError: if an engine that was asked for by name cannot keep to the bits of the measured one."""
    if algorithm.bitwise:
        raise ValueError(f"bitwise needs the measured engine on one device, got {name!r}: leave engine out")


def choose_for_each(
    name: str, members: Sequence[tuple[AbstractChip, AbstractAlgorithm]], **settings: int
) -> list["AbstractSimulated[Any, Any]"]:
    """An engine of one kind for each chip and its algorithm, as from `choose`."""
    chosen = [choose(name, *member, **settings) for member in members]
    if name == "auto" and len({type(engine) for engine in chosen}) > 1:  # the fused engine covers some of them
        return choose_for_each("measured", members, **settings)
    return chosen
