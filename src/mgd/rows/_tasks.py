"""Tasks by name, smallest first, each with settings that learn it; docs/defaults.md says how well they do."""

from collections.abc import Mapping
from typing import Any

from ._row import TaskRow
from ._table import Table

_IMAGES = {
    "cost": "cross-entropy",
    "batch": 100,
    "replicas": 1,
}
# A perceptron instead of the task's convolutions takes a larger step.
_STEP_OF_PERCEPTRON = 2.5


def _parity(given: Mapping[str, Any], algorithm: str) -> dict[str, Any]:
    """An n-n-1 chip; more bits take more steps, and less noise from the choice of sample."""
    bits = given.get("bits", 2)
    settings: dict[str, Any] = {"bits": bits, "hidden": [bits]}
    if bits > 2:
        settings |= {"batch": 8, "weight_decay": 1e-4 if algorithm == "analog" else 3e-5}
        if algorithm == "backprop":
            return settings | {"learning_rate": 3.0, "steps": 100_000}
        settings |= {"learning_rate": 0.5 if algorithm == "discrete" else 0.1, "steps": 2_000_000}
    return settings


def _images(analog_rate: float, backprop_steps: int) -> dict[str, Any]:
    """Training of an image task's convolutions, or of a perceptron in their place."""
    long = {"tau_theta": 100, "steps": 200_000}
    training = {
        "discrete": {"learning_rate": 0.02, "amplitude": 1e-3, "tau_x": 100} | long,
        "analog": {"learning_rate": analog_rate, "amplitude": 3e-3} | long,
        "backprop": {"learning_rate": 0.1, "steps": backprop_steps},
    }

    def adjust(given: Mapping[str, Any], algorithm: str) -> dict[str, Any]:
        rate = training[algorithm]["learning_rate"]
        return {"learning_rate": _STEP_OF_PERCEPTRON * rate} if "hidden" in given else {}

    return {"training": training, "adjust": adjust, "rule_steps": 0}


TASKS = Table(
    "task",
    "mgd.tasks",
    TaskRow,
    "mgd.datasets:Task",
    {
        # Its rates are its own: the fused engine, which knows no Adam, is done with its many small chips sooner.
        "parity": TaskRow(
            "n-bit parity, all 2^n patterns (2 bits: XOR)",
            "mgd.datasets:parity",
            takes=("bits",),
            chip={"init": "uniform", "replicas": 64},
            training={
                "discrete": {"learning_rate": 0.5, "weight_decay": 3e-4, "steps": 100_000},
                "analog": {"learning_rate": 0.2, "weight_decay": 3e-4, "amplitude": 0.1, "steps": 500_000},
                "backprop": {"learning_rate": 3.0, "weight_decay": 3e-4, "steps": 10_000},
            },
            rule_steps=0,
            adjust=_parity,
        ),
        "nist7x7": TaskRow(
            "letters N, I, S, T on a 7x7 grid, 44,136 generated images, 4 classes",
            "mgd.datasets:nist7x7",
            inputs=(49,),
            outputs=4,
            samples=40_000,
            chip={"hidden": [4], "replicas": 8},
            training={
                "discrete": {"learning_rate": 0.1, "batch": 64, "steps": 300_000},
                "analog": {"learning_rate": 0.02, "batch": 32, "steps": 400_000},
                "backprop": {"learning_rate": 3.0, "batch": 64, "steps": 10_000},
            },
            rule_steps=200_000,
        ),
        "yin-yang": TaskRow(
            "points in the yin-yang symbol, 4 inputs, 3 classes",
            "mgd.datasets:yin_yang",
            inputs=(4,),
            outputs=3,
            samples=5_000,
            chip={"hidden": [32], "init": "uniform", "batch": 16, "replicas": 8},
            training={
                "discrete": {"learning_rate": 0.3, "steps": 200_000},
                "analog": {"learning_rate": 0.1, "amplitude": 0.05, "steps": 300_000},
                "backprop": {"learning_rate": 3.0, "steps": 10_000},
            },
            rule_steps=100_000,
            # Neurons of few inputs take a larger rate: 96 % after 60,000 measurements, not 89 %.
            rule_rate=0.3,
        ),
        "digits": TaskRow(
            "scikit-learn's 8x8 handwritten digits, 1,797 images, 10 classes",
            "mgd.datasets:digits",
            inputs=(64,),
            outputs=10,
            samples=1_437,
            chip={"hidden": [16], "batch": 32, "replicas": 8},
            training={
                "discrete": {"learning_rate": 0.2, "steps": 200_000},
                "analog": {"learning_rate": 0.05, "steps": 300_000},
                "backprop": {"learning_rate": 1.0, "steps": 10_000},
            },
            rule_steps=200_000,
        ),
        "fashion-mnist": TaskRow(
            "28x28 grey images of clothing, 60,000 + 10,000, 10 classes",
            "mgd.datasets:fashion_mnist",
            takes=("data",),
            inputs=(28, 28, 1),
            outputs=10,
            samples=60_000,
            chip=_IMAGES | {"channels": [16, 32, 32]},
            files="mgd.datasets._fashion_mnist:FILES",
            **_images(analog_rate=1e-4, backprop_steps=10_000),
        ),
        "cifar10": TaskRow(
            "32x32 colour photographs, 50,000 + 10,000, 10 classes",
            "mgd.datasets:cifar10",
            takes=("data",),
            inputs=(32, 32, 3),
            outputs=10,
            samples=50_000,
            chip=_IMAGES | {"channels": [16, 32, 64]},
            files="mgd.datasets._cifar10:FILES",
            **_images(analog_rate=5e-5, backprop_steps=20_000),
        ),
    },
)
