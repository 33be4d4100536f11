"""What a compiled program is given of an engine."""

from typing import Any, TypeVar

import equinox as eqx

from .._numbers import as_data, with_fields
from ..algorithm import Algorithm
from ..chips import AbstractChip

E = TypeVar("E")


class Parts(eqx.Module):
    """A chip and its algorithm."""

    chip: AbstractChip
    algorithm: Algorithm


def for_program(engine: E) -> E:
    """An engine whose chip's and algorithm's numbers are arrays; itself, if they are already."""
    given: Any = engine
    return as_data(with_fields(given, algorithm=given.algorithm.for_program(given.chip.n_params, given.chip.n_sites)))
