"""How instantaneous estimates become G."""

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx

from ._time_constants import TimeConstants


class AbstractIntegrator(eqx.Module):
    """A linear filter G ← keep·G + take·e, and how often G is used.

    Attributes:
        resets: whether G starts again from zero after each update.
    """

    resets: ClassVar[bool]

    @abstractmethod
    def interval(self, time_constants: TimeConstants) -> int:
        """Timesteps between two parameter updates."""

    @abstractmethod
    def weights(self, time_constants: TimeConstants) -> tuple[float, float]:
        """(keep, take)."""


class Accumulate(AbstractIntegrator):
    """G is the mean of e over a window of τ_θ timesteps, used at its end and reset."""

    resets: ClassVar[bool] = True

    def interval(self, time_constants: TimeConstants) -> int:
        return time_constants.tau_theta

    def weights(self, time_constants: TimeConstants) -> tuple[float, float]:
        return 1.0, 1.0 / time_constants.tau_theta


class LowPass(AbstractIntegrator):
    """G_n = b e_n + (1 − b) G_{n−1}, b = 1/(τ_θ + 1): used every timestep, never reset."""

    resets: ClassVar[bool] = False

    def interval(self, time_constants: TimeConstants) -> int:
        return 1

    def weights(self, time_constants: TimeConstants) -> tuple[float, float]:
        take = 1.0 / (time_constants.tau_theta + 1)
        return 1.0 - take, take
