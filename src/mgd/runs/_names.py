"""The names settings go by, each with one line. Nothing here imports JAX."""

from collections.abc import Mapping
from types import MappingProxyType

ALGORITHMS: Mapping[str, str] = MappingProxyType(
    {
        "discrete": "baseline re-measured, G accumulated over tau_theta steps, used and reset",
        "analog": "cost through a high-pass, G through a low-pass, parameters written every step",
        "backprop": "ordinary gradients through a model of the chip, for comparison",
    }
)
BASELINES: Mapping[str, str] = MappingProxyType(
    {
        "remeasured": "cost at zero perturbation, measured whenever sample or parameters change",
        "two-sided": "cost at plus and at minus the perturbation, every step",
        "high-pass": "no baseline: the cost through a first-order high-pass of tau_hp",
    }
)
SCHEDULES: Mapping[str, str] = MappingProxyType(
    {
        "constant": "the same learning rate throughout",
        "cosine": "the learning rate falls as half a cosine, to zero over the run, or to fall_to over fall_steps",
    }
)
