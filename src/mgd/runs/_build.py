"""From settings to chip, task and algorithm."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import optax

from .. import chips, datasets, perturbations
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
from ..chips import AbstractChip, AbstractCost, CrossEntropy, MeanSquaredError, imperfections
from ..chips.imperfections import AbstractImperfection
from ..datasets import Task, check_batch
from ..perturbations import AbstractPerturbation, Block
from ._chip_file import ChipFile
from ._config import RunConfig
from ._imperfect import Imperfections
from ._presets import resolve

_BASELINES = {"remeasured": Remeasured, "two-sided": TwoSided, "high-pass": HighPass}
_INTEGRATORS = {"discrete": Accumulate, "analog": LowPass}
_FAMILIES: dict[str, Callable[..., AbstractPerturbation]] = {
    "rademacher": perturbations.Rademacher,
    "walsh": perturbations.Walsh,
    "lfsr": perturbations.LFSR,
    "gaussian": perturbations.Gaussian,
    "sequential": perturbations.Sequential,
    "sinusoid": perturbations.Sinusoid,
}
_MOMENTUM = 0.9
T = TypeVar("T")


def build_task(config: RunConfig) -> Task:
    """The task of resolved settings.

    Raises:
        ValueError: if the task does not take what was given, or has fewer samples than a batch.
        DataError: if its files cannot be found, fetched or read.
    """
    task = datasets.load(config.task, bits=config.bits, data=config.data)
    if config.holdout is not None:
        n = len(task.train.y)
        if config.holdout >= n:
            raise ValueError(f"holdout must leave samples to train on: {task.name} has {n}, got {config.holdout}")
        kept, out = slice(0, n - config.holdout), slice(n - config.holdout, n)
        task = replace(task, train=task.train.subset(kept), held_out=task.train.subset(out))
    check_batch(config.batch or 1, task)
    return task


class Shapes(NamedTuple):
    """What a chip needs to know of a task."""

    input_shape: tuple[int, ...]
    n_outputs: int


def build_chip(config: RunConfig, task: Task | Shapes) -> AbstractChip:
    """The chip of resolved settings, made to fit a task.

    Raises:
        ValueError: if the network does not fit the task, or an imperfection not the network.
    """
    chip = _network(config, task)
    return chip if config.imperfect is None else chips.imperfect(chip, *_imperfections(config.imperfect))


def build_served_chip(file: ChipFile) -> AbstractChip:
    """The chip of a file by itself, as a run on a task of its inputs and outputs would have it.

    Raises:
        ValueError: if the file does not say all of its network, or an imperfection does not fit it.
    """
    if file.inputs is None or file.outputs is None or not {"hidden", "channels"} & set(file.chip):
        raise ValueError(
            f"{file.path}: a chip without a task needs its whole network: give inputs, outputs and hidden "
            "(or channels) in [chip], such as inputs = [49], outputs = 4, hidden = [4]"
        )
    # The task is a stand-in: settings of training are not used.
    config = resolve(RunConfig.of({"task": "nist7x7"} | file.chip))
    return build_chip(config, Shapes(file.inputs, file.outputs))


def _network(config: RunConfig, task: Task | Shapes) -> AbstractChip:
    if config.channels is not None:
        return chips.cnn(
            task.input_shape, config.channels, task.n_outputs, cost=build_cost(config), init=_given(config.init)
        )
    inputs = 1
    for n in task.input_shape:
        inputs *= n
    sizes = (inputs, *_given(config.hidden), task.n_outputs)
    output = "logistic" if config.cost == "mse" else "linear"
    return chips.mlp(
        sizes, activation=_given(config.activation), output=output, cost=build_cost(config), init=_given(config.init)
    )


def _imperfections(given: Imperfections) -> list[AbstractImperfection]:
    """Each at its place along the signal's path, from the network outwards."""
    made: list[AbstractImperfection] = []
    single: tuple[tuple[Callable[[Any], AbstractImperfection], Any], ...] = (
        (imperfections.ActivationVariation, given.activation_variation),
        (imperfections.CrossTalk, given.cross_talk),
        (lambda end: imperfections.ParameterRange(-end, end), given.parameter_range),
        (imperfections.UpdateNoise, given.update_noise),
        (imperfections.PerturbationGain, given.perturbation_gain),
        (imperfections.Settling, given.settling),
        (imperfections.CostNoise, given.cost_noise),
        (imperfections.FlickerNoise, given.flicker_noise),
    )
    made += [kind(value) for kind, value in single if value is not None]
    if given.delay is not None:
        made.append(imperfections.Delay(given.delay))
    if given.stuck is not None or given.dead is not None:
        end = given.stuck_range or 1.0
        made.append(imperfections.StuckCells(given.stuck or 0.0, given.dead or 0.0, -end, end))
    if given.dw_min is not None:
        names = ("dw_min", "up_down", "w_max", "w_min", "dw_min_dtod", "dw_min_ctoc", "up_down_dtod")
        settings = {name: getattr(given, name) for name in (*names, "w_max_dtod", "w_min_dtod")}
        made.append(
            imperfections.SoftBoundsWrite(**{name: value for name, value in settings.items() if value is not None})
        )
    if given.leak is not None or given.drift is not None:
        made.append(imperfections.Drift(given.leak or 0.0, given.drift or 0.0))
    if given.dac_bits is not None:
        end = _given(given.dac_range)
        stochastic, own_line, copy = map(bool, (given.dac_stochastic, given.dac_own_line, given.dac_finer_copy))
        made.append(imperfections.DAC(given.dac_bits, -end, end, stochastic, own_line, copy))
    if given.adc_bits is not None:
        made.append(imperfections.ADC(given.adc_bits, 0.0, _given(given.adc_range)))
    return sorted(made, key=lambda one: (one.side == "out", one.place))


def build_algorithm(config: RunConfig) -> AbstractAlgorithm:
    """The algorithm of resolved settings.

    Raises:
        ValueError: if its parts cannot be used together.
    """
    if config.algorithm == "backprop":
        return Backprop(_optimizer(config))
    high_pass = {"tau_hp": _given(config.tau_hp)} if config.baseline == "high-pass" else {}
    return Algorithm(
        perturbation=_perturbation(config),
        baseline=_BASELINES[_given(config.baseline)](),
        integrator=_INTEGRATORS[_given(config.algorithm)](),
        optimizer=_optimizer(config),
        time_constants=TimeConstants(
            tau_p=_given(config.tau_p),
            tau_x=_given(config.tau_x),
            tau_theta=_given(config.tau_theta),
            **high_pass,
        ),
        modulation_limit=config.modulation_limit,
        bitwise=bool(config.bitwise),
    )


def _perturbation(config: RunConfig) -> AbstractPerturbation:
    family = _FAMILIES[_given(config.perturbation)](amplitude=_given(config.amplitude))
    return family if config.blocks is None else Block(family, n_blocks=config.blocks)


def _optimizer(config: RunConfig) -> optax.GradientTransformation:
    name = _given(config.optimizer)
    rate: float | optax.Schedule = _given(config.learning_rate)
    if config.schedule == "cosine":
        window = _given(config.tau_theta) if config.algorithm == "discrete" else 1
        rate = optax.cosine_decay_schedule(rate, -(-_given(config.steps) // window))
    if name in ("momentum", "nesterov"):
        update = optax.sgd(rate, _MOMENTUM, nesterov=name == "nesterov")
    else:
        update = getattr(optax, name)(rate)
    if config.weight_decay:
        return optax.chain(optax.add_decayed_weights(config.weight_decay), update)
    return update


def build_cost(config: RunConfig) -> AbstractCost:
    """The cost of a chip's outputs."""
    return MeanSquaredError() if config.cost == "mse" else CrossEntropy(config.label_smoothing or 0.0)


def _given(value: T | None) -> T:
    """A setting that `resolve` has filled in."""
    if value is None:
        raise ValueError("these settings are not resolved: call resolve first")
    return value
