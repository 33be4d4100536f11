"""A chip that is not there any more. Nothing here imports JAX."""

from collections.abc import Mapping
from typing import NoReturn

import numpy as np
from jaxtyping import Float

from .._errors import HardwareError
from ._base import AbstractInstrument, Identity
from ._limits import Limits


class Absent(AbstractInstrument):
    """Replaces a chip that was dropped from a fleet. Its costs until then are known, so it is never used.

    Args:
        identity: the dropped chip's identity.
        address: its address.
        limits: its limits.
        own_line: whether its perturbation had lines of its own.
        start: its own parameters at the start, if it had some.
        groups: its names of slices of θ.
    """

    def __init__(
        self,
        identity: Identity,
        address: str,
        limits: Limits,
        *,
        own_line: bool,
        start: Float[np.ndarray, " p"] | None = None,
        groups: Mapping[str, slice] | None = None,
    ):
        self._identity, self.address, self.limits, self.own_line = identity, address, limits, own_line
        self.n_params, self.start, self.groups = limits.low.size, start, groups or {}

    def open(self) -> None:
        self._gone()

    def close(self) -> None:
        """Nothing: it is not there."""

    def identify(self) -> Identity:
        return self._identity

    def set_parameters(self, theta: Float[np.ndarray, " p"]) -> None:
        self._gone()

    def perturb(self, perturbation: Float[np.ndarray, " p"]) -> None:
        self._gone()

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        self._gone()

    def measure_cost(self) -> float:
        self._gone()

    def safe_state(self) -> None:
        """Nothing: it is not there."""

    def _gone(self) -> NoReturn:
        raise HardwareError(f"{self.address} ({self._identity}) was dropped from the fleet")
