"""What the perturbed cost is compared with: C̃ from measured costs."""

import math
from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..perturbations import AbstractPerturbation
from ._time_constants import TimeConstants


class AbstractBaseline(eqx.Module):
    """Which measurements make up a timestep, and the modulation C̃ they give.

    A timestep has one or two *slots*; in each the chip is measured with a fixed multiple of θ̃ on it.

    Attributes:
        multiples: for each slot, in order, the factor of θ̃.
        once_a_hold: whether slot 0 is only measured when the sample or θ has changed.
        pointwise: whether C̃ depends on nothing before the last slot 0 (so that a hold can be batched).
    """

    multiples: ClassVar[tuple[float, ...]]
    once_a_hold: ClassVar[bool]
    pointwise: ClassVar[bool]

    @abstractmethod
    def init(self) -> Any:
        """The state before the first measurement."""

    @abstractmethod
    def observe(
        self,
        state: Any,
        cost: Any,
        *,
        slot: int,
        fresh: Bool[Array, ""] | bool,
        time_constants: TimeConstants,
    ) -> tuple[Any, Any]:
        """Takes the cost of a slot; `fresh` says that the sample is new. After the last slot it returns C̃.

        Costs and C̃ are JAX arrays in a compiled program, and NumPy arrays on a host.
        """

    @abstractmethod
    def gain(
        self, perturbation: AbstractPerturbation, time_constants: TimeConstants, n_params: int
    ) -> float | np.ndarray:
        """⟨C̃ θ̃_i⟩ / (∂C/∂θ_i ⟨θ̃_i²⟩): the divisor that makes G the gradient (one for all parameters, or for
        each)."""


class Remeasured(AbstractBaseline):
    """C̃ = C − C₀, with C₀ measured at θ̃ = 0 whenever the sample or θ has changed.

    C₀ is a measurement like any other: it is counted, and has the same noise.
    """

    multiples: ClassVar[tuple[float, ...]] = (0.0, 1.0)
    once_a_hold: ClassVar[bool] = True
    pointwise: ClassVar[bool] = True

    def init(self) -> Float[Array, ""]:
        return jnp.float32(0)

    def observe(self, state, cost, *, slot, fresh, time_constants):
        return (cost, np.float32(0)) if slot == 0 else (state, cost - state)

    def gain(
        self, perturbation: AbstractPerturbation, time_constants: TimeConstants, n_params: int
    ) -> float | np.ndarray:
        return 1.0


class TwoSided(AbstractBaseline):
    """C̃ = (C(θ + θ̃) − C(θ − θ̃)) / 2: two measurements every timestep; even orders of Δθ cancel."""

    multiples: ClassVar[tuple[float, ...]] = (1.0, -1.0)
    once_a_hold: ClassVar[bool] = False
    pointwise: ClassVar[bool] = True

    def init(self) -> Float[Array, ""]:
        return jnp.float32(0)

    def observe(self, state, cost, *, slot, fresh, time_constants):
        return (cost, np.float32(0)) if slot == 0 else (state, (state - cost) / 2)

    def gain(
        self, perturbation: AbstractPerturbation, time_constants: TimeConstants, n_params: int
    ) -> float | np.ndarray:
        return 1.0


class HighPass(AbstractBaseline):
    r"""C̃ is the cost through a first-order high-pass: one measurement a timestep, no baseline.

    $$\tilde C_n = a(\tilde C_{n-1} + C_n - C_{n-1}), \qquad a = \frac{\tau_\text{hp}}{\tau_\text{hp} + 1}$$

    When the sample changes, C_{n−1} is set to C_n. This blanks the step of the sample, and with it any step of θ̃ in
    the same timestep. So samples must be held for longer than perturbations. `gain` corrects for the signal that
    blanking and filter remove.
    """

    multiples: ClassVar[tuple[float, ...]] = (1.0,)
    once_a_hold: ClassVar[bool] = False
    pointwise: ClassVar[bool] = False

    def init(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        return jnp.float32(0), jnp.float32(0)

    def observe(self, state, cost, *, slot, fresh, time_constants):
        previous, filtered = state
        where = cost.__array_namespace__().where  # costs are of a compiled program, or of a host
        filtered = self.pole(time_constants) * (filtered + where(fresh, 0.0, cost - previous))
        return (cost, filtered), filtered

    @staticmethod
    def pole(time_constants: TimeConstants) -> float:
        return time_constants.tau_hp / (time_constants.tau_hp + 1)

    def gain(
        self, perturbation: AbstractPerturbation, time_constants: TimeConstants, n_params: int
    ) -> float | np.ndarray:
        tau_p, tau_x = time_constants.tau_p, time_constants.tau_x
        if tau_p % tau_x == 0:
            raise ValueError(
                f"the high-pass baseline cannot see perturbations that change together with the sample: with tau_p = "
                f"{tau_p} hold samples longer, tau_x >= {tau_p + 1}, got tau_x = {tau_x}; or re-measure the baseline"
            )
        unblanked = 1 - tau_p / math.lcm(tau_p, tau_x)
        return unblanked * perturbation.high_pass_gain(self.pole(time_constants), tau_p, n_params)
