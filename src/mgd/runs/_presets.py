"""Settings that learn, for every task. Nothing here imports JAX."""

from itertools import pairwise
from typing import Any

from .._defaults import defaults
from ._config import RunConfig

_COMMON: dict[str, Any] = {
    "activation": "logistic",
    "init": "glorot",
    "cost": "mse",
    "optimizer": "sgd",
    "schedule": "constant",
    "weight_decay": 0.0,
    "batch": 1,
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
# Each task's chip, and what makes it learn; docs/defaults.md says how well, and is written by `make defaults`.
_CHIPS: dict[str, dict[str, Any]] = {
    "parity": {"init": "uniform", "replicas": 64},
    "nist7x7": {"hidden": [4], "replicas": 8},
    "yin-yang": {"hidden": [32], "init": "uniform", "batch": 16, "replicas": 8},
    "digits": {"hidden": [16], "batch": 32, "replicas": 8},
    "fashion-mnist": {"channels": [16, 32, 32], "batch": 100, "replicas": 1},
    "cifar10": {"channels": [16, 32, 64], "batch": 100, "replicas": 1},
}
_TRAINING: dict[str, dict[str, dict[str, Any]]] = {
    "parity": {
        "discrete": {"learning_rate": 0.5, "weight_decay": 3e-4, "steps": 100_000},
        "analog": {"learning_rate": 0.2, "weight_decay": 3e-4, "amplitude": 0.1, "steps": 500_000},
        "backprop": {"learning_rate": 3.0, "weight_decay": 3e-4, "steps": 10_000},
    },
    "nist7x7": {
        "discrete": {"learning_rate": 0.1, "batch": 64, "steps": 300_000},
        "analog": {"learning_rate": 0.02, "batch": 32, "steps": 400_000},
        "backprop": {"learning_rate": 3.0, "batch": 64, "steps": 10_000},
    },
    "yin-yang": {
        "discrete": {"learning_rate": 0.3, "steps": 200_000},
        "analog": {"learning_rate": 0.1, "amplitude": 0.05, "steps": 300_000},
        "backprop": {"learning_rate": 3.0, "steps": 10_000},
    },
    "digits": {
        "discrete": {"learning_rate": 0.2, "steps": 200_000},
        "analog": {"learning_rate": 0.05, "steps": 300_000},
        "backprop": {"learning_rate": 1.0, "steps": 10_000},
    },
    "fashion-mnist": {
        "discrete": {"learning_rate": 0.02, "amplitude": 1e-3, "tau_x": 100, "tau_theta": 100, "steps": 200_000},
        "analog": {"learning_rate": 1e-4, "amplitude": 3e-3, "tau_theta": 100, "steps": 200_000},
        "backprop": {"learning_rate": 0.1, "steps": 10_000},
    },
    "cifar10": {
        "discrete": {"learning_rate": 0.02, "amplitude": 1e-3, "tau_x": 100, "tau_theta": 100, "steps": 200_000},
        "analog": {"learning_rate": 5e-5, "amplitude": 3e-3, "tau_theta": 100, "steps": 200_000},
        "backprop": {"learning_rate": 0.1, "steps": 20_000},
    },
}
_IMAGES = ("fashion-mnist", "cifar10")
# Inputs and outputs of the tasks whose perceptrons are trained by the one rule, training samples, and timesteps.
# Parity has rates of its own: the fused engine, which knows no Adam, is done with its many small chips sooner.
_BY_RULE = {
    "nist7x7": (49, 4, 40_000, 200_000),
    "yin-yang": (4, 3, 5_000, 100_000),
    "digits": (64, 10, 1_437, 200_000),
}
# Yin-Yang, whose neurons have few inputs, takes a larger rate than the rule: 96 % after 60,000 measurements, not 89 %.
_RATES = {"yin-yang": 0.3}


def resolve(config: RunConfig) -> RunConfig:
    """These settings with the task's default for each that is None.

    Raises:
        ValueError: if what is given does not go together.
    """
    given = config.model_dump(exclude_none=True, by_alias=True)
    task, algorithm = config.task, given.get("algorithm", "discrete")
    settings = _COMMON | {"algorithm": algorithm} | _ALGORITHMS[algorithm] | _CHIPS[task] | _TRAINING[task][algorithm]
    if task in _BY_RULE and algorithm == "discrete" and "channels" not in given:
        settings |= _by_rule(task, given)
    if task in _IMAGES:
        settings["cost"] = "cross-entropy"
    if task == "parity":
        settings |= _parity(given.get("bits", 2), algorithm)
    if "hidden" in given:  # a perceptron instead of the task's convolutions; it takes a larger step
        settings.pop("channels", None)
        if task in _IMAGES:
            settings["learning_rate"] *= 2.5
    elif "channels" in given:
        settings.pop("hidden", None)
        settings["cost"] = "cross-entropy"
    if chips := len(config.instruments):
        settings["replicas"] = chips
        settings |= {"fleet": "shared"} if chips > 1 else {}
    resolved = RunConfig.of(settings | given)
    _check_instruments(resolved)
    if resolved.imperfect is None:
        return resolved
    return resolved.model_copy(update={"imperfect": resolved.imperfect.complete(resolved.cost or "mse")})


def _by_rule(task: str, given: dict[str, Any]) -> dict[str, Any]:
    """What `mgd.train` would choose for the task's perceptron; nothing where a rate or another optimizer is given.

    A rate is on the ordinary gradient unless Adam is asked for, and goes with windows of one timestep unless they are
    given: it means what it means without this rule.
    """
    optimizer = given.get("optimizer")
    if optimizer not in (None, "adam") or (optimizer is None and "learning_rate" in given):
        return {}
    inputs, outputs, n_samples, n_steps = _BY_RULE[task]
    sizes = inputs, *given.get("hidden", _CHIPS[task]["hidden"]), outputs
    n_params = sum((a + 1) * b for a, b in pairwise(sizes))
    chosen = defaults(n_params, given.get("steps", n_steps), n_samples - given.get("holdout", 0))
    window = given.get("tau_theta", chosen.tau_theta)
    return {
        "optimizer": "adam",
        "schedule": "cosine",
        "learning_rate": _RATES.get(task, chosen.learning_rate),
        "weight_decay": chosen.weight_decay,
        "tau_theta": window,
        "tau_x": window,
        "batch": chosen.batch,
        "init": "glorot",
        # What a chip on a bench gives need not be logits.
        "cost": "mse" if given.get("instrument") else "cross-entropy",
        "steps": n_steps,
    }


def _check_instruments(config: RunConfig) -> None:
    """Raises: ValueError: if a setting is of real chips and there are none, or the other way round."""
    n = len(config.instruments)
    if config.record is not None and not n:
        raise ValueError("record is of a real chip: give --chip with a file that says where it is, and no --simulate")
    if config.fleet is not None and n < 2:
        raise ValueError("fleet is of several real chips: give --chip for each of them")
    if n and config.imperfect is not None:
        raise ValueError("imperfect is of simulated chips: leave it out, or give --simulate")
    if n and config.engine != "auto":
        raise ValueError(f"engine is of simulated chips: leave {config.engine!r} out, or give --simulate")
    if n and config.replicas != n:
        what = "an instrument is one chip: replicas must be 1" if n == 1 else f"{n} chips are as many replicas"
        raise ValueError(f"{what}, got {config.replicas}")


def _parity(bits: int, algorithm: str) -> dict[str, Any]:
    """An n-n-1 chip; more bits take more steps, and less noise from the choice of sample."""
    settings: dict[str, Any] = {"bits": bits, "hidden": [bits]}
    if bits > 2:
        settings |= {"batch": 8, "weight_decay": 1e-4 if algorithm == "analog" else 3e-5}
        if algorithm == "backprop":
            return settings | {"learning_rate": 3.0, "steps": 100_000}
        settings |= {"learning_rate": 0.5 if algorithm == "discrete" else 0.1, "steps": 2_000_000}
    return settings
