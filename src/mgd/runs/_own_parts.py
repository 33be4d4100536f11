"""From settings to the task, the cost, and your own chip for that task."""

from dataclasses import replace

from .. import datasets
from ..chips import AbstractChip, AbstractCost, CrossEntropy, MeanSquaredError
from ..datasets import Task
from ._code import check_said
from ._config import RunConfig
from ._own_chip import Shapes, own_chip


def whole_task(config: RunConfig) -> Task:
    """The task, before any samples are held out."""
    if isinstance(config.task, str):
        bits = config.bits or (2 if config.task == "parity" else None)
        task = datasets.load(config.task, bits=bits, data=config.data)
    else:
        if given := [name for name in ("bits", "data") if getattr(config, name) is not None]:
            raise ValueError(
                f"{given[0]} is of some tasks by name, and {config.task_name} is of your own: leave it out"
            )
        check_said((config.task.code,), None)
        task = config.task.load(config.order or "shuffled")
    return task if config.order in (None, task.order) else replace(task, order=config.order)


def build_own_chip(config: RunConfig, task: Task | Shapes) -> AbstractChip:
    """The chip that the user's function builds, without imperfections.

    Raises:
        ValueError: if that code may not run yet, cannot be run, or its chip does not fit the task.
    """
    assert config.chip is not None, "the settings name a function"
    check_said((config.chip.code,), None)
    shapes = Shapes(task.input_shape, task.n_outputs)
    return own_chip(config.chip, shapes, build_cost(config), lambda: _given_task(config, task))


def _given_task(config: RunConfig, task: Task | Shapes) -> Task:
    return whole_task(config) if isinstance(task, Shapes) else task


def build_cost(config: RunConfig) -> AbstractCost:
    """The cost of a chip's outputs."""
    return MeanSquaredError() if config.cost in (None, "mse") else CrossEntropy(config.label_smoothing or 0.0)
