"""The network beside a training circuit, made to fit a task."""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from ..chips import AbstractChip
from ..datasets import Task
from ..onchip import FixedPointNetwork
from ._onchip import circuit_of
from ._own_chip import Shapes


def network_on_chip(table: Mapping[str, Any], task: Task | Shapes) -> AbstractChip:
    """The network of a circuit that has one.

    Args:
        table: of the circuit.
        task: what it is to learn.

    Raises:
        ValueError: if the task has other inputs or outputs, or values that an activation does not hold.
    """
    spec = circuit_of(table)
    due = prod(task.input_shape), task.n_outputs
    if (spec.layers[0], spec.layers[-1]) != due:
        fitting = [due[0], *spec.layers[1:-1], due[1]]
        raise ValueError(
            f"the task has {due[0]} inputs and {due[1]} outputs, and the circuit layers = {list(spec.layers)}: "
            f"give layers = {fitting}"
        )
    if isinstance(task, Task):
        _check_range(task)
    return FixedPointNetwork(spec)


def _check_range(task: Task) -> None:
    for name, values in (("inputs", task.train.x), ("targets", task.train.y)):
        low, high = float(np.min(values)), float(np.max(values))
        if low < 0 or high > 1:
            raise ValueError(
                f"activations on the chip are from 0 to 1, and the {name} of {task.name} from {low:g} to {high:g}: "
                "scale them (a table of yours with scaling = 'min-max'), or leave layers out and train a network "
                "outside"
            )
