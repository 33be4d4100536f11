"""Settings that learn, for every task. Nothing here imports JAX."""

from itertools import pairwise
from math import isclose, prod
from typing import Any

from .._defaults import defaults
from ..rows import FAMILIES, OPTIMIZERS, TASKS, TaskRow
from ._code import said_to_run
from ._config import RunConfig, Settings
from ._imperfect import complete
from ._onchip import said_by_circuit
from ._rule import as_chosen, chosen_for_chip
from ._table import Table
from ._task_table import TaskTable

_COMMON: dict[str, Any] = {
    "activation": "logistic",
    "init": "glorot",
    "cost": "mse",
    "optimizer": "sgd",
    "schedule": "constant",
    "weight_decay": 0.0,
    "batch": 1,
    "replicas": 1,
    "seed": 0,
    "engine": "auto",
}
_ALGORITHMS: dict[str, dict[str, Any]] = {
    "discrete": {
        "perturbation": "rademacher",
        "baseline": "remeasured",
        "tau_p": 1,
        "tau_x": 1,
        "tau_theta": 1,
        "tau_hp": 100.0,
        "amplitude": 0.01,
    },
    # In the high-pass, the cost's own drift as θ moves looks like signal: amplitudes are larger than an update.
    "analog": {
        "perturbation": "sinusoid",
        "baseline": "high-pass",
        "tau_p": 1,
        "tau_x": 10,
        "tau_theta": 10,
        "tau_hp": 10.0,
        "amplitude": 0.03,
    },
    "backprop": {},
}
# What there must be, whoever says it.
_NEEDED = ("learning_rate", "steps")


def resolve(config: RunConfig) -> Settings:
    """These settings with the task's default for each that is None; resolved settings stay as they are.

    Raises:
        ValueError: if the given settings contradict each other.
        DataError: if your own data cannot be read, which happens here if their facts are not known yet.
    """
    if isinstance(config, Settings):
        return config
    if config.stop_unlearnt is not None and not config.instruments:
        raise ValueError(
            f"stop_unlearnt = {config.stop_unlearnt} is for a real chip, and this run has none: leave it out, or give "
            "--chip with a file that has an [instrument] table"
        )
    no_facts = [table for table in (config.task, config.chip) if table and getattr(table, "facts", "") is None]
    if no_facts:
        config = with_facts(config)
    given = config.model_dump(exclude_none=True, by_alias=True)
    row = config.task.row() if isinstance(config.task, TaskTable) else TASKS.row(config.task)
    given["task"], algorithm = config.task, given.get("algorithm", "discrete")
    settings = _COMMON | {"algorithm": algorithm} | _ALGORITHMS[algorithm]
    own = None if config.chip is None else config.chip.facts
    settings |= {**(row.chip if own is None else {}), **row.training.get(algorithm, {})}
    perceptron = "channels" not in given and "hidden" in settings | given
    if row.rule_steps and config.onchip is None and algorithm == "discrete" and perceptron:
        settings |= _by_rule(row, given)
    if row.adjust is not None:
        settings |= row.adjust(given, algorithm)
    if own is not None:
        settings |= chosen_for_chip(own, given, algorithm, settings["steps"])
        settings.pop("hidden", None)
        settings.pop("channels", None)
    elif "hidden" in given:  # a perceptron instead of the task's convolutions
        settings.pop("channels", None)
    elif "channels" in given:
        settings.pop("hidden", None)
        settings["cost"] = row.chip.get("cost", "cross-entropy")
    if chips := len(config.instruments):
        settings["replicas"] = chips
        settings |= {"fleet": "shared"} if chips > 1 else {}
    if config.onchip is not None:
        settings |= said_by_circuit(config.onchip, given)
        settings.pop("channels", None)
    settings |= _said_by_groups(config, given)
    settings |= given
    missing = [name for name in _NEEDED if name not in settings]
    missing += [] if {"chip", "hidden", "channels"} & settings.keys() else ["hidden"]
    if missing:
        raise ValueError(f"the task {config.task_name!r} has no default of {missing[0]} for {algorithm}: give it")
    resolved = Settings.of(settings)
    for table, name in ((FAMILIES, resolved.perturbation), (OPTIMIZERS, resolved.optimizer)):
        if name is not None:
            table.row(name)  # it may be of another package, which cannot be loaded
    _check_instruments(resolved)
    if resolved.imperfect is None:
        return resolved
    return resolved.model_copy(update={"imperfect": complete(resolved.imperfect, resolved.cost)})


def _said_by_groups(config: RunConfig, given: dict[str, Any]) -> dict[str, Any]:
    """The amplitude that the groups of the chips' parameters say.

    Raises:
        ValueError: if another is given, or chips say different ones.
    """
    if config.onchip is not None:
        return {}
    said = [table.amplitude for table in map(Table.of, config.instruments)]
    known = [one for one in said if one is not None]
    for one in known:
        if not isclose(one, given.get("amplitude", one), rel_tol=1e-6) or not isclose(one, known[0], rel_tol=1e-6):
            other = given.get("amplitude", known[0])
            raise ValueError(
                f"amplitude is {other:g}, and the amplitudes and scales of instrument.groups make it {one:g}: leave "
                "one of them out"
            )
    return {"amplitude": known[0]} if known else {}


def with_facts(config: RunConfig) -> RunConfig:
    """These settings with what data of one's own tell now, which settings follow from: they are read here, once.

    Whoever begins a run with settings that name a function says by that that it is to be run.

    Raises:
        ValueError: if a setting does not fit the data, or a function cannot be run or returns no task.
        DataError: if the data cannot be read.
        RunError: if it cannot be kept that the function is to be run.
    """
    if isinstance(config.task, TaskTable):
        said_to_run((config.task.code,))
        config = config.model_copy(update={"task": config.task.with_facts(config.order or "shuffled")})
    if config.chip is None:
        return config
    said_to_run((config.chip.code,))
    from ._chip_facts import with_chip_facts

    return with_chip_facts(config)


def _by_rule(row: TaskRow, given: dict[str, Any]) -> dict[str, Any]:
    """What `mgd.train` would choose for the task's perceptron; nothing where a rate or another optimizer is given.

    A rate is on the ordinary gradient unless Adam is asked for, and goes with windows of one timestep unless they are
    given: it means what it means without this rule.
    """
    optimizer = given.get("optimizer")
    if optimizer not in (None, "adam") or (optimizer is None and "learning_rate" in given):
        return {}
    sizes = prod(row.inputs), *(given.get("hidden") or row.chip["hidden"]), row.outputs
    n_params = sum((a + 1) * b for a, b in pairwise(sizes))
    chosen = defaults(n_params, given.get("steps", row.rule_steps), row.samples - given.get("holdout", 0))
    return as_chosen(chosen, given) | {
        "learning_rate": chosen.learning_rate if row.rule_rate is None else row.rule_rate,
        "init": "glorot",
        # What a chip on a bench gives need not be logits.
        "cost": row.chip.get("cost", "mse" if given.get("instrument") else "cross-entropy"),
        "steps": row.rule_steps,
    }


def _check_instruments(config: Settings) -> None:
    """Raises: ValueError: if a setting is of real chips and there are none, or the other way round."""
    n = len(config.instruments)
    if config.record is not None and not n:
        raise ValueError(
            "record needs a real chip: give --chip with a file that says how to reach it, and no --simulate"
        )
    if config.fleet is not None and n < 2:
        raise ValueError("fleet needs several real chips: give --chip for each of them")
    if n and config.imperfect is not None:
        raise ValueError("imperfect is for simulated chips: leave it out, or give --simulate")
    if n and config.engine != "auto":
        raise ValueError(f"engine is for simulated chips: leave {config.engine!r} out, or give --simulate")
    if n and config.replicas != n:
        what = "an instrument is one chip: replicas must be 1" if n == 1 else f"{n} chips are as many replicas"
        raise ValueError(f"{what}, got {config.replicas}")
