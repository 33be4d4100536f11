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
    """The properties of a chip that engines must know, to save work or to refuse the chip.

    Attributes:
        cost_noise: standard deviation of white noise on every measured cost, in the cost's unit.
        remembers: names of the parts that make a measurement depend on earlier ones.
        coarse: names of the parts that keep the cost from being a smooth function of the perturbation.
        relative_noise: standard deviation of white noise that is proportional to the cost, in parts of it.

    Raises:
        ValueError: if the noise is negative or not finite, or names are not a tuple of strings.

    >>> Traits(coarse=("ternary weights",)).coarse
    ('ternary weights',)
    """

    cost_noise: float = 0.0
    remembers: tuple[str, ...] = ()
    coarse: tuple[str, ...] = ()
    relative_noise: float = 0.0

    def __post_init__(self):
        for name in ("cost_noise", "relative_noise"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"{name} must be a finite standard deviation of 0 or more, got {getattr(self, name)!r}"
                )
        for name in ("remembers", "coarse"):
            value = getattr(self, name)
            if not (isinstance(value, tuple) and all(isinstance(one, str) for one in value)):
                raise ValueError(f"{name} must be a tuple of names, such as ('ternary weights',), got {value!r}")


class Reading(NamedTuple):
    """The result of a measurement.

    Attributes:
        cost: the cost, averaged over the batch.
        device: the device after the measurement.
        credit: the factor of C̃ for each parameter, in place of θ̃; None for θ̃ itself.
    """

    cost: Float[Array, ""]
    device: Any
    credit: Float[Array, " p"] | None = None


class AbstractChip(eqx.Module):
    """Something with P tunable parameters and a cost that can be measured.

    θ is one flat vector, like a bank of DACs. θ and θ̃ are separate arguments, because chips add them in different
    ways: through one DAC, or on separate lines.

    A chip is a design. Its `device` contains the values in which one piece differs from another, and the piece's memory
    from one measurement to the next: any tree of arrays, None for a perfect chip.

    Perturbations act on the parameters, unless a chip has its own *sites* (`n_sites`), for example pre-activations. Its
    `read` then returns a credit for each parameter, and its perturbations have a value for each site.

    Attributes:
        n_params: P.
    """

    n_params: AbstractVar[int]

    @property
    def n_sites(self) -> int:
        """The number of perturbed sites; for most chips these are the parameters."""
        return self.n_params

    @property
    @abstractmethod
    def groups(self) -> Mapping[str, slice]:
        """Names of slices of θ (layers, banks)."""

    @property
    @abstractmethod
    def traits(self) -> Traits:
        """The properties that engines must know."""

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
        """The cost, averaged over the batch, with a perturbation on the sites; and the device after the measurement.

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
        """As `measure`, and with a credit, if the chip returns one."""
        return Reading(*self.measure(theta, perturbation, x, target, device=device, key=key))

    @abstractmethod
    def respond(
        self, theta: Float[Array, " p"], x: Float[Array, "batch *features"], *, device: Any = None, key: PRNGKeyArray
    ) -> Float[Array, "batch outputs"]:
        """The outputs for a batch of inputs; none, of shape (batch, 0), if the chip only has a cost."""

    @abstractmethod
    def cost(
        self, outputs: Float[Array, "batch outputs"], target: Float[Array, "batch outputs"]
    ) -> Float[Array, " batch"]:
        """The cost of each sample's outputs."""

    @abstractmethod
    def write(
        self, theta: Float[Array, " p"], delta: Float[Array, " p"], *, device: Any = None, key: PRNGKeyArray
    ) -> Float[Array, " p"]:
        """The parameters after a requested change; a perfect memory adds it."""
