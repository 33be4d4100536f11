"""What a training circuit says of a run, in the words of its settings. Nothing here imports JAX."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..onchip import Spec

# Settings of parts that the circuit has not.
_NOT_THERE = ("blocks", "modulation_limit", "bitwise", "instrument", "devices")
# Those of a chip, if the circuit has its network beside it.
_NOT_BESIDE = ("chip", "channels", "label_smoothing", "imperfect")


def circuit_of(table: Mapping[str, Any]) -> "Spec":
    """The circuit of a table.

    Raises:
        ValueError: as `Spec.of`.
    """
    from ..onchip import Spec

    return Spec.of(table)


def said_by_circuit(table: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that follow from a circuit, by the names that an algorithm and a perceptron have for them.

    Args:
        table: of the circuit.
        given: the settings of the run as they were given.

    Raises:
        ValueError: if one of them is not what the circuit has.
    """
    spec = circuit_of(table)
    said = _of_algorithm(spec) | (_of_network(spec) if spec.layers else {})
    for name, value in said.items():
        if name in given and given[name] != value:
            had, got = (list(one) if isinstance(one, tuple) else one for one in (value, given[name]))
            raise ValueError(
                f"{name} is of the training circuit, which has {had!r}: change onchip, or leave {name} out, got {got!r}"
            )
    for name in _NOT_THERE + (_NOT_BESIDE if spec.layers else ()):
        if given.get(name):
            whose = "its own network" if name in _NOT_BESIDE else "simulated chips"
            raise ValueError(f"a training circuit here trains {whose}, for which there is no {name}: leave it out")
    chosen = {"batch": 1} | ({"order": "sequential"} if spec.layers else {})
    return said | chosen


def without_said(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those that follow from their circuit."""
    spec = circuit_of(settings["onchip"])
    names = _of_algorithm(spec) | (_of_network(spec) if spec.layers else {})
    return {name: value for name, value in settings.items() if name not in names}


def _of_algorithm(spec: "Spec") -> dict[str, Any]:
    return {
        "algorithm": "discrete",
        "perturbation": spec.code,
        "baseline": "two-sided" if spec.two_sided else "remeasured",
        "amplitude": spec.amplitude * 2.0**-spec.theta_fraction,
        "optimizer": "sgd",
        "learning_rate": spec.learning_rate,
        "schedule": "constant",
        "weight_decay": 0.0,
        "tau_p": spec.tau_p,
        "tau_x": spec.tau_x,
        "tau_theta": spec.tau_theta,
    }


def _of_network(spec: "Spec") -> dict[str, Any]:
    return {
        "hidden": spec.layers[1:-1],
        "activation": "logistic",
        "output": "logistic",
        "init": "uniform",
        "cost": "mse",
    }
