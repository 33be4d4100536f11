"""Settings that learn, for every task. Nothing here imports JAX."""

from typing import Any

from ._config import RunConfig

_COMMON: dict[str, Any] = {
    "activation": "logistic",
    "init": "uniform",
    "cost": "mse",
    "amplitude": 0.01,
    "optimizer": "sgd",
    "weight_decay": 0.0,
    "tau_p": 1,
    "tau_hp": 100.0,
    "batch": 1,
    "seed": 0,
    "engine": "auto",
}
_ALGORITHMS: dict[str, dict[str, Any]] = {
    "discrete": {"perturbation": "rademacher", "baseline": "remeasured", "tau_x": 1, "tau_theta": 1},
    "analog": {"perturbation": "sinusoid", "baseline": "high-pass"},
}
# What each task adds, for either algorithm; found by the sweeps in docs/defaults.md.
_TASKS: dict[str, dict[str, dict[str, Any]]] = {
    "parity": {
        "discrete": {
            "bits": 2,
            "hidden": [2],
            "learning_rate": 0.5,
            "weight_decay": 3e-4,
            "steps": 100_000,
            "replicas": 64,
        },
        "analog": {"learning_rate": 0.5, "weight_decay": 3e-4, "steps": 100_000, "replicas": 64},
    },
}


def resolve(config: RunConfig) -> RunConfig:
    """These settings with the task's default for each that is None."""
    given = config.model_dump(exclude_none=True)
    algorithm = given.setdefault("algorithm", "discrete")
    settings = _COMMON | _ALGORITHMS[algorithm] | _TASKS[config.task][algorithm]
    return RunConfig.of(settings | given)
