"""What a training circuit says of a run, in the words of its settings. Nothing here imports JAX."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..instruments import Limits
    from ..onchip import Spec

# With more, a step is below what a float32 tells apart.
_MOST_FRACTION = 24
# Settings of parts that the circuit has not.
_NOT_THERE = ("blocks", "modulation_limit", "bitwise", "devices")
# Those of a chip, if the circuit has its network beside it.
_NOT_BESIDE = ("chip", "instrument", "channels", "label_smoothing", "imperfect")


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
    for name in _NOT_THERE:
        if given.get(name):
            raise ValueError(f"a training circuit has no {name}: leave it out")
    for name in _NOT_BESIDE if spec.layers else ():
        if given.get(name):
            raise ValueError(
                f"a training circuit with layers trains its own network, for which there is no {name}: leave it out, "
                f"or give the circuit parameters = {spec.parameters} in place of layers"
            )
    chosen = {"batch": 1} | ({"order": "sequential"} if spec.layers else {})
    return said | chosen


def check_reach(table: Mapping[str, Any], limits: "Limits", *, saturates: bool) -> None:
    """Checks that what is in a circuit's registers can be set on a real chip.

    Args:
        table: of the circuit.
        limits: of the chip.
        saturates: whether its parameters are to stop short of the limits.

    Raises:
        ValueError: if it cannot be set, or the registers would not hold what is.
    """
    spec = circuit_of(table)
    if saturates:
        raise ValueError(
            "parameters are in registers of the training circuit, which stop at their own limits: leave at_limit out"
        )
    most = 2 ** (spec.theta_bits - 1)
    lowest, highest = -(most + spec.amplitude), most - 1 + spec.amplitude
    steps = 2.0 ** -np.arange(spec.theta_fraction, _MOST_FRACTION)[:, None]
    fits = ((lowest * steps >= limits.low) & (highest * steps <= limits.high)).all(1)
    if fits[0]:
        return
    k = int(np.argmax((lowest * steps[0] < limits.low) | (highest * steps[0] > limits.high)))
    advice = f"give theta_fraction = {spec.theta_fraction + int(np.argmax(fits))}" if fits.any() else "widen them"
    raise ValueError(
        f"θ ± Δ of the training circuit reaches from {lowest * steps[0, 0]:g} to {highest * steps[0, 0]:g}, beyond the "
        f"limits of parameter {k} of the chip, {limits.low[k]:g} … {limits.high[k]:g} {limits.unit}".rstrip()
        + f": {advice}"
    )


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
