"""What every perturbation family is: θ̃ as a pure function of (seed, index)."""

from abc import abstractmethod
from dataclasses import dataclass

import equinox as eqx
import numpy as np
from equinox import AbstractVar
from jaxtyping import Array, Float, UInt32

from .._counter import Counter


@dataclass(frozen=True)
class SignalTraits:
    """The properties of a family's signals that engines, limits and diagnostics use; they never look at its class.

    Attributes:
        largest: the largest |θ̃_i|, in units of the amplitude; parameters stay this far from a limit.
        independent: whether perturbations with different numbers are independent, as random ones are, so that any two
            parts of a window are two estimates.
        zero_sum: whether the perturbations of a period sum to zero in every parameter, or, if the period is long, to a
            single one of them; an error of their common baseline then cancels in G.
        turn: number of perturbations until every block of parameters had one; 1 if there is only one block.
    """

    largest: float
    independent: bool
    zero_sum: bool
    turn: int


class AbstractPerturbation(eqx.Module):
    """A family of perturbation signals θ̃.

    A family computes θ̃ from the perturbation's number, `index`. It stores nothing, can compute any θ̃ again, and gives
    every parameter its own stream. `n_params` is fixed when a program is traced.

    Attributes:
        amplitude: Δθ, the size of the perturbation of one parameter, in the parameter's unit.
    """

    amplitude: AbstractVar[float]

    @abstractmethod
    def __call__(self, index: Counter, *, seed: UInt32[Array, " 2"], n_params: int) -> Float[Array, " p"]:
        """θ̃ at this perturbation number."""

    @abstractmethod
    def mean_square(self, n_params: int) -> float:
        """⟨θ̃_i²⟩, the mean over perturbations of one parameter's squared perturbation."""

    @abstractmethod
    def period(self, n_params: int) -> int | None:
        """Perturbations in one full code period, or None if there is none."""

    @abstractmethod
    def traits(self, n_params: int) -> SignalTraits:
        """The properties of its signals."""

    @abstractmethod
    def high_pass_gain(self, pole: float, tau_p: int, n_params: int) -> float | np.ndarray:
        """The share of a parameter's own signal that a high-pass of the cost leaves in phase with it.

        The filter is C̃_n = pole·(C̃_{n−1} + C_n − C_{n−1}); the answer is ⟨C̃_n θ̃_n⟩ / (∂C/∂θ ⟨θ̃²⟩), one for
        all parameters or one for each.

        Raises:
            ValueError: if the family cannot be used with a high-pass.
        """

    @abstractmethod
    def check(self, n_params: int, tau_p: int, window: int | None) -> None:
        """Refuses, or warns of, settings that this family does not support; `window` is in timesteps, or None.

        Raises:
            ValueError: if it cannot perturb this number of parameters.
        """


def require_amplitude(amplitude: float) -> None:
    """Raises: ValueError: if an amplitude is not a positive number whose square and inverse square float32 holds."""
    if not isinstance(amplitude, int | float) or not 0 < amplitude < float("inf"):
        raise ValueError(f"amplitude must be a finite number above 0, got {amplitude!r}")
    if not 1e-18 <= amplitude <= 1e18:
        raise ValueError(
            f"amplitude must be from 1e-18 to 1e18, so that float32 can hold its square, got {amplitude!r}"
        )
