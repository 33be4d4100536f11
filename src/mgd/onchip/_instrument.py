"""The network's RTL as an instrument. Nothing here imports JAX."""

import itertools
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from .._errors import HardwareError
from .._input import nearest
from ..instruments import AbstractInstrument, Identity, Limits
from ._array import Array, Own
from ._build import lacking
from ._spec import Spec

_NUMBERS = itertools.count(1)
_SETTINGS = ("spec", "cache", "top", "sources", "ports")
_OF_TOP = ("top", "sources", "ports")


def load(settings: Mapping[str, Any], folder: Path) -> AbstractInstrument:
    """The network of a circuit, in Verilator: `spec` is its TOML file, relative to the folder.

    With `top` and `sources`, it is a module of the user's own with the widths of that circuit, whose ports are those of
    `mgd_mlp`, or of `mgd_mlp_serial` with fewer lanes; `ports` has the names of those that are called otherwise.

    Raises:
        ValueError: if a setting is wrong, or the circuit has no network.
    """
    for name, value in settings.items():
        if name not in _SETTINGS:
            raise ValueError(f"unknown setting {name!r}{nearest(name, _SETTINGS)} (rtl has {', '.join(_SETTINGS)})")
        if name not in _OF_TOP and not isinstance(value, str):
            raise ValueError(f"{name} must be a path, got {value!r}")
    if "spec" not in settings:
        raise ValueError("an instrument of kind 'rtl' needs the setting 'spec', which was not given")
    cache = folder / settings["cache"] if "cache" in settings else None
    return Rtl(Spec.read(folder / settings["spec"]), own=_own(settings, folder), cache=cache)


def _own(settings: Mapping[str, Any], folder: Path) -> Own | None:
    """The top module of the user's own, if the settings name one."""
    top, sources, ports = (settings.get(name) for name in _OF_TOP)
    if top is None and sources is None and ports is None:
        return None
    if not isinstance(top, str) or not isinstance(sources, list) or not sources:
        raise ValueError(
            'a module of your own needs its name and files: give top = "my_network" and sources = ["my_network.sv"]'
        )
    if ports is not None and not isinstance(ports, Mapping):
        raise ValueError(f'ports must be a table of names, such as {{drive_i = "theta"}}, got {ports!r}')
    return Own(top, tuple(folder / str(path) for path in sources), {} if ports is None else dict(ports))


def missing() -> str:
    """What is not installed, and how to install it; empty if nothing."""
    return lacking()


class Rtl(AbstractInstrument):
    """A network of neurons as its RTL, which a host trains as it trains any chip.

    Parameters and perturbations are added and rounded to the steps of θ, as a bank of DACs would round them. The cost
    of a batch is the mean of those of its samples. It is compiled when it is opened for the first time.

    Args:
        spec: a circuit with layers.
        own: a module in place of the circuit's network.
        cache: the folder for compiled circuits; by default one of the user's.

    Raises:
        ValueError: if the circuit has no layers.
    """

    reads = "both"
    most_together = 100_000

    def __init__(self, spec: Spec, *, own: Own | None = None, cache: str | Path | None = None):
        if not spec.layers:
            raise ValueError("the circuit has no network of its own: give its layers, such as layers = [2, 2, 1]")
        self.spec, self._own, self._cache, self._array = spec, own, cache, None
        self.n_params, self._scale = spec.parameters, 2.0**spec.theta_fraction
        # A synapse gives θ ± Δ one bit more than θ has.
        most = 2**spec.theta_bits
        self.limits = Limits.uniform(spec.parameters, -most / self._scale, (most - 1) / self._scale)
        self.address = f"rtl {'-'.join(map(str, spec.layers))}, {next(_NUMBERS)} of process {os.getpid()}"
        self._steps = np.zeros(spec.parameters, np.int32)

    def open(self) -> None:
        if self._array is None:
            self._array = Array(self.spec, own=self._own, cache=self._cache)

    def close(self) -> None:
        if self._array is not None:
            self._array.close()
            self._array = None

    def identify(self) -> Identity:
        return Identity("mgd", "rtl", "-".join(map(str, self.spec.layers)))

    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        self._steps = self._rounded(theta)

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        given, due = (math.prod(x.shape[1:]), target.shape[1]), (self.spec.layers[0], self.spec.layers[-1])
        if given != due:
            raise ValueError(
                f"{self.address} has {due[0]} inputs and {due[1]} outputs, but a sample has {given[0]} and {given[1]}"
            )
        for name, values in (("inputs", x), ("targets", target)):
            if values.min() < 0 or values.max() > 1:
                raise ValueError(f"activations of {self.address} are from 0 to 1: scale the {name} to that")
        self._opened().present(x, target)

    def measure_cost(self) -> float:
        return float(self._costs(self._steps[None])[0])

    def read_outputs(self) -> Float[np.ndarray, "batch outputs"]:
        array = self._opened()
        return array.middle(array.answers(self._steps[None])[1][0])

    def measure_batch(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        return self._costs(self._rounded(signals))

    def safe_state(self) -> None:
        """Nothing: what is simulated may be left as it is."""

    def _rounded(self, theta: Float[np.ndarray, "*shape"]) -> np.ndarray:
        return np.round(theta * np.float32(self._scale)).astype(np.int32)

    def _costs(self, steps: np.ndarray) -> Float[np.ndarray, " k"]:
        return self._opened().answers(steps)[0].mean(1, dtype=np.float32)

    def _opened(self) -> Array:
        if self._array is None:
            raise HardwareError(f"{self.address} is not open: open it, or use it in a `with`")
        return self._array
