"""The studies by name, each with one line. Nothing here imports JAX."""

from collections.abc import Mapping
from types import MappingProxyType

STUDIES: Mapping[str, str] = MappingProxyType(
    {
        "waveforms": "perturbation, cost, modulation and G of the code families on a toy, discrete and analog",
        "equivalences": "finite differences, coordinate descent, SPSA and analog as settings of one framework, on XOR",
        "angle": "angle between G and the gradient against measurements: parity, NIST7x7, Fashion-MNIST CNN",
        "tau-theta": "training time and largest stable learning rate against tau_theta; batch size by tau_theta/tau_x",
        "tau-x": "narrow input: accuracy against sample loads",
        "cost-noise": "NIST7x7 against noise on the cost: how many chips learn, and how long it takes",
        "update-noise": "NIST7x7 against noise on writes",
        "defects": "NIST7x7 against device-to-device variation of the activations",
        "fashion-mnist": "Fashion-MNIST CNN to 1e7 measurements against tau_theta, with backprop for comparison",
        "cifar10": "CIFAR-10 CNN to 1e7 measurements against tau_theta, with backprop for comparison",
        "hardware-time": "the table of times on hardware, from counts and profiles, against backprop",
    }
)
