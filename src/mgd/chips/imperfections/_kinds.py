"""What an imperfection is, and where on the signal's path it sits."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from .._base import AbstractChip, Traits
from ._write import Store

if TYPE_CHECKING:
    from typing import ClassVar as AbstractClassVar
else:
    from equinox import AbstractClassVar


class AbstractImperfection(eqx.Module):
    """One departure of a chip from the ideal: its effect on θ and θ̃ on their way in, on the cost on its way out, and
    on a write.

    Imperfections lie along the signal's path, from the network outwards. Those of the same `side` must go around one
    another in the order of rising `place`.

    Attributes:
        name: its name on the command line and in messages.
        side: "in" (between controller and parameters), "out" (between the cost and controller).
        place: how far out it is on its side, a number: equal ones go in any order, and 2.5 is between 2 and 3.
        mixes_samples: whether later samples' readings contain some or all of the cost of a sample.
    """

    name: AbstractClassVar[str]
    side: AbstractClassVar[str]
    place: AbstractClassVar[Any]  # int or float; a class variable of the one type is none of the other to type checkers
    mixes_samples: ClassVar[bool] = False

    @abstractmethod
    def make(self, chip: AbstractChip, *, key: PRNGKeyArray) -> tuple[Any, Any]:
        """One piece: its own part of the device, and the device of the chip inside."""

    @abstractmethod
    def enter(
        self, own: Any, theta: Float[Array, " p"], perturbation: Float[Array, " p"], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
        """θ and θ̃ as they arrive at the chip inside."""

    @abstractmethod
    def leave(
        self, own: Any, theta: Float[Array, " p"], cost: Float[Array, ""], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], Any]:
        """The cost as it is read outside, and this imperfection's part of the device after the measurement."""

    @abstractmethod
    def write(
        self, own: Any, theta: Float[Array, " p"], delta: Float[Array, " p"], *, store: Store, key: PRNGKeyArray
    ) -> Float[Array, " p"]:
        """The parameters after a requested change; `store` is the write of the chip inside."""

    @abstractmethod
    def traits(self, inside: Traits) -> Traits:
        """The traits of the chip with this imperfection around it."""


class AbstractReadout(AbstractImperfection):
    """An imperfection of the measured cost alone. Its own part of the device is its memory."""

    side: ClassVar[str] = "out"

    @abstractmethod
    def start(self, *, key: PRNGKeyArray) -> Any:
        """The memory before the first measurement; None if there is none."""

    @abstractmethod
    def read(self, memory: Any, cost: Float[Array, ""], *, key: PRNGKeyArray) -> tuple[Float[Array, ""], Any]:
        """The cost as read, and the memory after."""

    def make(self, chip, *, key):
        own_key, inner_key = jax.random.split(key)
        return self.start(key=own_key), chip.fabricate(key=inner_key)

    def enter(self, own, theta, perturbation, *, key):
        return theta, perturbation

    def leave(self, own, theta, cost, *, key):
        return self.read(own, cost, key=key)

    def write(self, own, theta, delta, *, store, key):
        return store(theta, delta, key=key)


class AbstractDrive(AbstractImperfection):
    """An imperfection of the lines that carry θ and θ̃ to the chip. Differences between pieces are drawn once."""

    side: ClassVar[str] = "in"

    @abstractmethod
    def spread(self, n_params: int, *, key: PRNGKeyArray) -> Any:
        """What is this piece's own; None if all are alike."""

    @abstractmethod
    def drive(
        self, own: Any, theta: Float[Array, " p"], perturbation: Float[Array, " p"], *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " p"], Float[Array, " p"]]:
        """θ and θ̃ as they arrive."""

    def make(self, chip, *, key):
        own_key, inner_key = jax.random.split(key)
        return self.spread(chip.n_params, key=own_key), chip.fabricate(key=inner_key)

    def enter(self, own, theta, perturbation, *, key):
        return self.drive(own, theta, perturbation, key=key)

    def leave(self, own, theta, cost, *, key):
        return cost, own

    def write(self, own, theta, delta, *, store, key):
        return store(theta, delta, key=key)


class AbstractMemory(AbstractImperfection):
    """An imperfection of how a memory takes a write. Differences between pieces are drawn once."""

    side: ClassVar[str] = "in"

    @abstractmethod
    def spread(self, n_params: int, *, key: PRNGKeyArray) -> Any:
        """What is this piece's own; None if all are alike."""

    @abstractmethod
    def held(self, own: Any, theta: Float[Array, " p"]) -> Float[Array, " p"]:
        """θ as the memory can hold it."""

    @abstractmethod
    def take(
        self, own: Any, theta: Float[Array, " p"], delta: Float[Array, " p"], *, store: Store, key: PRNGKeyArray
    ) -> Float[Array, " p"]:
        """The parameters after a requested change."""

    def make(self, chip, *, key):
        own_key, inner_key = jax.random.split(key)
        return self.spread(chip.n_params, key=own_key), chip.fabricate(key=inner_key)

    def enter(self, own, theta, perturbation, *, key):
        return self.held(own, theta), perturbation

    def leave(self, own, theta, cost, *, key):
        return cost, own

    def write(self, own, theta, delta, *, store, key):
        return self.take(own, theta, delta, store=store, key=key)
