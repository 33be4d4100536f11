"""What a chip that can be traced is."""

from abc import abstractmethod
from collections.abc import Mapping

import equinox as eqx
from equinox import AbstractVar
from jaxtyping import Array, Float, PRNGKeyArray


class AbstractChip(eqx.Module):
    """Something with P tunable parameters and a cost that can be measured.

    θ is one flat vector, as a bank of DACs is. θ and θ̃ are handed over apart, because chips differ in how
    they meet: through one DAC, or on a line of its own.

    Attributes:
        n_params: P.
    """

    n_params: AbstractVar[int]

    @property
    @abstractmethod
    def groups(self) -> Mapping[str, slice]:
        """Names of slices of θ (layers, banks)."""

    @abstractmethod
    def init(self, *, key: PRNGKeyArray) -> Float[Array, " p"]:
        """Fresh parameters."""

    @abstractmethod
    def measure(
        self,
        theta: Float[Array, " p"],
        perturbation: Float[Array, " p"],
        x: Float[Array, "batch *features"],
        target: Float[Array, "batch outputs"],
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, ""]:
        """The cost, averaged over the batch, with a perturbation on the parameters; `key` is for noise."""

    @abstractmethod
    def respond(
        self, theta: Float[Array, " p"], x: Float[Array, "batch *features"], *, key: PRNGKeyArray
    ) -> Float[Array, "batch outputs"]:
        """The outputs for a batch of inputs; none, of shape (batch, 0), if the chip only tells its cost."""

    @abstractmethod
    def cost(
        self, outputs: Float[Array, "batch outputs"], target: Float[Array, "batch outputs"]
    ) -> Float[Array, " batch"]:
        """The cost of each sample's outputs."""

    @abstractmethod
    def write(self, theta: Float[Array, " p"], delta: Float[Array, " p"], *, key: PRNGKeyArray) -> Float[Array, " p"]:
        """The parameters after a change was asked for; a perfect memory adds it."""
