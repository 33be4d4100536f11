"""One engine for replicas whose numbers differ."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from .._numbers import stacked
from ._numbers import for_program
from .simulated._backpropagated import Backpropagated
from .simulated._fused import Fused
from .simulated._measured import Measured
from .simulated._sampled import Sampled


def one_for_all(engines: Sequence[Any], which: Int[np.ndarray, " replica"]) -> Any:
    """One engine that does for each replica what its own would do.

    Args:
        engines: of one kind.
        which: for each replica, the number of its engine.

    Raises:
        DifferentError: if they differ in more than numbers.
        ValueError: if they are of a kind that trains all replicas alike.
    """
    first = engines[0]
    if len(engines) == 1:
        return first
    if isinstance(first, Fused):
        return Fused.joined(engines, which)
    if not isinstance(first, Measured | Sampled | Backpropagated):
        raise ValueError("numbers vary over the replicas of one device: leave devices out")
    return stacked([for_program(engine) for engine in engines], which)
