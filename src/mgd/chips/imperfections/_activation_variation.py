"""Neurons that differ from device to device."""

from typing import Any, ClassVar

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from ..._normal import normal
from ..._numbers import NUMBER
from ...networks import Neurons
from .._base import AbstractChip, Traits
from .._network import NetworkChip
from ._checks import require
from ._kinds import AbstractImperfection


class ActivationVariation(AbstractImperfection):
    r"""Device-to-device variation of each neuron's activation, fixed for each piece.

    $$y_k = \alpha_k\, f\big(\beta_k (a_k - a_{0,k})\big) + b_k, \qquad
      \alpha_k, \beta_k \sim \mathcal N(1, \sigma_a^2), \quad a_{0,k}, b_k \sim \mathcal N(0, \sigma_a^2)$$

    with f the ideal activation (logistic in the paper; for tanh and ReLU the same numbers are gains and offsets).
    A convolution's channel is one neuron, shared by all positions. Put it directly around a network.

    Args:
        sigma: σ_a, in units of the ideal neuron's input and output; 0 for none.

    Raises:
        ValueError: if it is negative or not finite.

    >>> import mgd
    >>> chip = mgd.chips.imperfect(mgd.chips.mlp((2, 2, 1)), ActivationVariation(0.1))
    >>> _, neurons = chip.fabricate(key=jax.random.key(0))
    >>> [layer.alpha.shape for layer in neurons]
    [(2,), (1,)]

    References:
        McCaughan et al., APL Mach. Learn. 1, 026118 (2023).
    """

    name: ClassVar[str] = "activation-variation"
    side: ClassVar[str] = "in"
    place: ClassVar[int] = 0
    sigma: float = eqx.field(metadata=NUMBER)

    def __check_init__(self):
        require(self.name, "sigma", self.sigma, low=0.0)

    def make(self, chip: AbstractChip, *, key: PRNGKeyArray) -> tuple[Any, Any]:
        if not isinstance(chip, NetworkChip):
            raise ValueError(
                f"{self.name} needs neurons: put it directly around a perceptron or convolutional network, "
                f"got {type(chip).__name__}"
            )
        layers = []
        for k, n in enumerate(chip.neuron_counts):
            alpha, beta, shift, offset = normal(self.sigma, key=jax.random.fold_in(key, k), shape=(4, n))
            layers.append(Neurons(alpha=1 + alpha, beta=1 + beta, shift=shift, offset=offset))
        return None, tuple(layers)

    def enter(self, own, theta, perturbation, *, key):
        return theta, perturbation

    def leave(self, own, theta, cost, *, key):
        return cost, own

    def write(self, own, theta, delta, *, store, key):
        return store(theta, delta, key=key)

    def traits(self, inside: Traits) -> Traits:
        return inside
