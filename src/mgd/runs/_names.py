"""The names settings go by, each with one line. Nothing here imports JAX."""

from collections.abc import Mapping
from types import MappingProxyType

ALGORITHMS: Mapping[str, str] = MappingProxyType(
    {
        "discrete": "baseline re-measured, G accumulated over tau_theta steps, used and reset",
        "analog": "cost through a high-pass, G through a low-pass, parameters written every step",
        "backprop": "ordinary gradients through a model of the chip: what the others are compared with",
    }
)
PERTURBATIONS: Mapping[str, str] = MappingProxyType(
    {
        "rademacher": "independent random signs (SPSA)",
        "walsh": "orthogonal sign codes, exact over one code period",
        "lfsr": "sign codes of a maximal-length shift register, as a chip carries them",
        "gaussian": "independent normal values",
        "sequential": "one parameter at a time (finite differences)",
        "sinusoid": "a frequency for each parameter (lock-in)",
    }
)
BASELINES: Mapping[str, str] = MappingProxyType(
    {
        "remeasured": "cost at zero perturbation, measured whenever sample or parameters change",
        "two-sided": "cost at plus and at minus the perturbation, every step",
        "high-pass": "no baseline: the cost through a first-order high-pass of tau_hp",
    }
)
OPTIMIZERS: Mapping[str, str] = MappingProxyType(
    {
        "sgd": "plain gradient descent",
        "momentum": "gradient descent with momentum 0.9",
        "nesterov": "gradient descent with Nesterov momentum 0.9",
        "adam": "Adam (Kingma and Ba 2015)",
        "rmsprop": "RMSProp (Tieleman and Hinton 2012)",
        "adagrad": "AdaGrad (Duchi et al. 2011)",
        "lion": "Lion (Chen et al. 2023)",
    }
)
SCHEDULES: Mapping[str, str] = MappingProxyType(
    {
        "constant": "the same learning rate throughout",
        "cosine": "the learning rate falls to zero over the run, as half a cosine",
    }
)
# Of a chip; the settings that go with one have its words in front, as dac-range with dac-bits.
IMPERFECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "activation-variation": "spread of each neuron's gains and offsets, fixed for each chip",
        "stuck": "fraction of parameters that sit at a value of their own, whatever is written",
        "stuck-range": "that value is uniform from minus this to this (1)",
        "dead": "fraction of parameters that sit at 0",
        "cross-talk": "part of each parameter's value that its neighbours' lines carry too",
        "parameter-range": "parameters stop at minus this and at this",
        "dw-min": "smallest write: writes are whole pulses of this size, smaller towards soft bounds",
        "up-down": "asymmetry of upward and downward pulses, relative (0)",
        "w-max": "upper soft bound (10)",
        "w-min": "lower soft bound (minus w-max)",
        "dw-min-dtod": "device-to-device spread of the pulse's size, relative (0)",
        "dw-min-ctoc": "cycle-to-cycle noise of one pulse, in units of dw-min (0)",
        "up-down-dtod": "device-to-device spread of the asymmetry (0)",
        "w-max-dtod": "device-to-device spread of the upper bound, relative (0)",
        "w-min-dtod": "device-to-device spread of the lower bound, relative (0)",
        "update-noise": "standard deviation of the noise on each parameter at each write",
        "leak": "fraction of each parameter that is lost at each measurement",
        "drift": "standard deviation of each parameter's random walk, a measurement",
        "perturbation-gain": "spread of each parameter's applied perturbation, relative, fixed for each chip",
        "dac-bits": "parameters are set by converters of that many bits",
        "dac-range": "their levels go from minus this to this (10)",
        "dac-stochastic": "true: writes are rounded stochastically; false: to the nearest level (false)",
        "dac-finer-copy": "true: whoever writes keeps finer parameters; false: the converter's are all (false)",
        "dac-own-line": "true: the perturbation goes past the converter; false: through it (false)",
        "settling": "time constant of the cost, in measurements",
        "cost-noise": "standard deviation of white noise on every measured cost",
        "flicker-noise": "standard deviation of 1/f noise on every measured cost",
        "adc-bits": "the cost is read by a converter of that many bits",
        "adc-range": "its levels go from 0 to this (1; for cross-entropy 5)",
        "delay": "measurements by which the cost comes late",
    }
)
