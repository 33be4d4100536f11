"""What a compiled program is given of an engine."""

from typing import Any, TypeVar

import equinox as eqx

from .._numbers import as_data, with_fields
from ..algorithm import Algorithm
from ..algorithm._rule import Rule, rule_of
from ..chips import AbstractChip

E = TypeVar("E")
# Of a larger chip, θ and G alone are more than the kilobyte below which XLA runs a loop several times faster.
_MOST_PARAMS_OF_CONSTANTS = 128


class Parts(eqx.Module):
    """A chip and its algorithm."""

    chip: AbstractChip
    algorithm: Algorithm


def for_one_chip(engine: E) -> E:
    """An engine for a single chip; itself, if its numbers are arrays already.

    The numbers of a small chip stay constants of its program: XLA runs a loop several times faster if what it touches
    is below a kilobyte, and a few numbers more can be too many.
    """
    given: Any = engine
    if given.chip.n_params > _MOST_PARAMS_OF_CONSTANTS:
        return for_program(engine)
    optimizer = given.algorithm.optimizer
    if isinstance(optimizer, Rule):
        return engine
    rule = rule_of(optimizer, given.chip.n_params).with_constants()
    return with_fields(given, algorithm=with_fields(given.algorithm, optimizer=rule))


def for_program(engine: E) -> E:
    """An engine whose chip's and algorithm's numbers are arrays; itself, if they are already."""
    given: Any = engine
    return as_data(with_fields(given, algorithm=given.algorithm.for_program(given.chip.n_params, given.chip.n_sites)))
