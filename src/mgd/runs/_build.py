"""From settings to chip, task and algorithm."""

from dataclasses import replace
from typing import Any

import jax
import optax

from .. import chips
from .._until import Until
from ..algorithm import (
    AbstractAlgorithm,
    Accumulate,
    Algorithm,
    Backprop,
    HighPass,
    LowPass,
    Remeasured,
    TimeConstants,
    TwoSided,
)
from ..chips import AbstractChip
from ..chips.imperfections import AbstractMemory
from ..datasets import Task, check_batch
from ..onchip import Circuit
from ..perturbations import AbstractPerturbation, Block
from ..rows import FAMILIES, OPTIMIZERS
from ._chip_file import ChipFile
from ._config import Perturbed, RunConfig, Settings
from ._imperfect import build_imperfections
from ._network_on_chip import network_on_chip
from ._onchip import circuit_of
from ._own_chip import Shapes, own_chip
from ._own_parts import build_cost, build_own_chip, whole_task
from ._presets import resolve

_BASELINES = {"remeasured": Remeasured, "two-sided": TwoSided, "high-pass": HighPass}
_INTEGRATORS = {"discrete": Accumulate, "analog": LowPass}


def build_task(config: Settings) -> Task:
    """The task of resolved settings.

    Raises:
        ValueError: if the task does not take a setting, has fewer samples than a batch, or is made by a function that
            may not run yet.
        DataError: if its files cannot be found, fetched or read, or have changed since the run began.
    """
    task = whole_task(config)
    if config.holdout is not None:
        n = len(task.train.y)
        if config.holdout >= n:
            raise ValueError(f"holdout must leave samples to train on: {task.name} has {n}, got {config.holdout}")
        kept, out = slice(0, n - config.holdout), slice(n - config.holdout, n)
        task = replace(task, train=task.train.subset(kept), held_out=task.train.subset(out))
    check_batch(config.batch, task)
    return task


def build_chip(config: Settings, task: Task | Shapes) -> AbstractChip:
    """The chip of resolved settings, made to fit a task.

    Raises:
        ValueError: if the network does not fit the task, or an imperfection not the network.
    """
    if config.onchip is not None and config.onchip["layers"]:
        return network_on_chip(config.onchip, task)
    chip = _network(config, task) if config.chip is None else build_own_chip(config, task)
    if config.imperfect is None:
        return chip
    parts = build_imperfections(config.imperfect)
    if config.onchip is not None and (memories := [part for part in parts if isinstance(part, AbstractMemory)]):
        raise ValueError(
            f"parameters are in registers of the training circuit, which hold what is written: leave the "
            f"imperfection {type(memories[0]).__name__} of writes out"
        )
    return chips.imperfect(chip, *parts)


def build_served_chip(file: ChipFile) -> AbstractChip:
    """The chip of a file by itself, as a run on a task of its inputs and outputs would have it.

    Raises:
        ValueError: if the file does not say all of its network, or an imperfection does not fit it.
    """
    if file.inputs is None or file.outputs is None or not {"chip", "hidden", "channels"} & set(file.chip):
        raise ValueError(
            f"{file.path}: without a task the file must describe the whole network: give inputs, outputs and hidden "
            "(or channels, or build) in [chip], such as inputs = [49], outputs = 4, hidden = [4]"
        )
    shapes, table = Shapes(file.inputs, file.outputs), file.own
    # The task is a stand-in: settings of training are not used.
    config = resolve(RunConfig.of({"task": "nist7x7"} | {k: v for k, v in file.chip.items() if k != "chip"}))
    if table is None:
        return build_chip(config, shapes)
    chip = own_chip(table, shapes, build_cost(config))
    return chip if config.imperfect is None else chips.imperfect(chip, *build_imperfections(config.imperfect))


def _network(config: Settings, task: Task | Shapes) -> AbstractChip:
    if config.channels is not None:
        return chips.cnn(task.input_shape, config.channels, task.n_outputs, cost=build_cost(config), init=config.init)
    inputs = 1
    for n in task.input_shape:
        inputs *= n
    assert config.hidden is not None, "resolved settings have one kind of network"
    sizes = (inputs, *config.hidden, task.n_outputs)
    output = config.output or ("logistic" if config.cost == "mse" else "linear")
    return chips.mlp(sizes, activation=config.activation, output=output, cost=build_cost(config), init=config.init)


def build_algorithm(config: Settings) -> AbstractAlgorithm:
    """The algorithm of resolved settings.

    Raises:
        ValueError: if its parts cannot be used together.
    """
    if config.onchip is not None:
        return Circuit(circuit_of(config.onchip))
    perturbed = config.perturbed
    if perturbed is None:
        return Backprop(_optimizer(config, 1))
    high_pass = {"tau_hp": perturbed.tau_hp} if perturbed.baseline == "high-pass" else {}
    window = perturbed.tau_theta if config.algorithm == "discrete" else 1
    return Algorithm(
        perturbation=_perturbation(perturbed, config.blocks),
        baseline=_BASELINES[perturbed.baseline](),
        integrator=_INTEGRATORS[config.algorithm](),
        optimizer=_optimizer(config, window),
        time_constants=TimeConstants(
            tau_p=perturbed.tau_p, tau_x=perturbed.tau_x, tau_theta=perturbed.tau_theta, **high_pass
        ),
        modulation_limit=config.modulation_limit,
        bitwise=bool(config.bitwise),
    )


def _perturbation(settings: Perturbed, blocks: int | None) -> AbstractPerturbation:
    family = FAMILIES.build(settings.perturbation, lambda row: row.build(amplitude=settings.amplitude))
    return family if blocks is None else Block(family, n_blocks=blocks)


def _optimizer(config: Settings, window: int) -> optax.GradientTransformation:
    """The update rule, for updates that are that many timesteps apart."""
    rate: float | optax.Schedule = config.learning_rate
    if config.schedule == "cosine":
        n_updates = -(-(config.fall_steps or config.steps) // window)
        rate = _promoting(optax.cosine_decay_schedule(rate, n_updates, alpha=config.fall_to or 0.0))
    update = OPTIMIZERS.build(config.optimizer, lambda row: row.build(learning_rate=rate))
    if config.weight_decay:
        return optax.chain(optax.add_decayed_weights(config.weight_decay), update)
    return update


def _promoting(schedule: optax.Schedule) -> optax.Schedule:
    """The same schedule where JAX refuses to mix types: optax's divide a count, which is whole, by a float."""

    def rate(count: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return schedule(count)

    return rate


def build_until(config: RunConfig) -> Until:
    """What a run ends by before its last timestep; one that was lengthened goes to its last."""
    if config.begun_for is not None:
        return Until()
    return Until(config.until_accuracy, bool(config.until_solved), config.patience)
