"""What a chip that can be traced is."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
from equinox import AbstractVar
from jaxtyping import Array, Float, PRNGKeyArray


@dataclass(frozen=True)
class Traits:
    """What engines must know of a chip, to leave out work or to refuse it.

    Attributes:
        cost_noise: standard deviation of white noise on every measured cost, in the cost's unit.
        remembers: names of what makes a measurement depend on earlier ones.
        coarse: names of what makes the cost other than a smooth function of the perturbation.

    Raises:
        ValueError: if the noise is negative or not finite, or names are not a tuple of strings.

    >>> Traits(coarse=("ternary weights",)).coarse
    ('ternary weights',)
    """

    cost_noise: float = 0.0
    remembers: tuple[str, ...] = ()
    coarse: tuple[str, ...] = ()

    def __post_init__(self):
        if not 0 <= self.cost_noise < float("inf"):
            raise ValueError(f"cost_noise must be a finite standard deviation of 0 or more, got {self.cost_noise!r}")
        for name in ("remembers", "coarse"):
            value = getattr(self, name)
            if not (isinstance(value, tuple) and all(isinstance(one, str) for one in value)):
                raise ValueError(f"{name} must be a tuple of names, such as ('ternary weights',), got {value!r}")


class Reading(NamedTuple):
    """What a measurement gives.

    Attributes:
        cost: averaged over the batch.
        device: after it.
        credit: what C̃ is multiplied by for each parameter, in place of θ̃; None for θ̃ itself.
    """

    cost: Float[Array, ""]
    device: Any
    credit: Float[Array, " p"] | None = None


class AbstractChip(eqx.Module):
    """Something with P tunable parameters and a cost that can be measured.

    θ is one flat vector, as a bank of DACs is. θ and θ̃ are handed over apart, because chips differ in how
    they meet: through one DAC, or on a line of its own.

    A chip is a design. What differs from one piece to the next, and what a piece remembers from one measurement
    to the next, is its `device`: any tree of arrays, None for a perfect chip.

    What is perturbed is the parameters, unless a chip says that it has *sites* of its own (`n_sites`): pre-activations,
    say. Its `read` then hands back a credit for each parameter, and its perturbations have a value for each site.

    Attributes:
        n_params: P.
    """

    n_params: AbstractVar[int]

    @property
    def n_sites(self) -> int:
        """How many sites are perturbed; those of most chips are their parameters."""
        return self.n_params

    @property
    @abstractmethod
    def groups(self) -> Mapping[str, slice]:
        """Names of slices of θ (layers, banks)."""

    @property
    @abstractmethod
    def traits(self) -> Traits:
        """What engines must know."""

    @abstractmethod
    def init(self, *, key: PRNGKeyArray) -> Float[Array, " p"]:
        """Fresh parameters."""

    @abstractmethod
    def fabricate(self, *, key: PRNGKeyArray) -> Any:
        """The device of one piece: its device-to-device spread, and an empty memory."""

    @abstractmethod
    def measure(
        self,
        theta: Float[Array, " p"],
        perturbation: Float[Array, " sites"],
        x: Float[Array, "batch *features"],
        target: Float[Array, "batch outputs"],
        *,
        device: Any = None,
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, ""], Any]:
        """The cost, averaged over the batch, with a perturbation on the sites; and the device after it.

        `key` is for noise.
        """

    def read(
        self,
        theta: Float[Array, " p"],
        perturbation: Float[Array, " sites"],
        x: Float[Array, "batch *features"],
        target: Float[Array, "batch outputs"],
        *,
        device: Any = None,
        key: PRNGKeyArray,
    ) -> Reading:
        """As `measure`, with the credit of chips that hand one back."""
        return Reading(*self.measure(theta, perturbation, x, target, device=device, key=key))

    @abstractmethod
    def respond(
        self, theta: Float[Array, " p"], x: Float[Array, "batch *features"], *, device: Any = None, key: PRNGKeyArray
    ) -> Float[Array, "batch outputs"]:
        """The outputs for a batch of inputs; none, of shape (batch, 0), if the chip only tells its cost."""

    @abstractmethod
    def cost(
        self, outputs: Float[Array, "batch outputs"], target: Float[Array, "batch outputs"]
    ) -> Float[Array, " batch"]:
        """The cost of each sample's outputs."""

    @abstractmethod
    def write(
        self, theta: Float[Array, " p"], delta: Float[Array, " p"], *, device: Any = None, key: PRNGKeyArray
    ) -> Float[Array, " p"]:
        """The parameters after a change was asked for; a perfect memory adds it."""
