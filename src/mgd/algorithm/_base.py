"""What any way of training is to those who run it."""

from abc import abstractmethod

import equinox as eqx
import optax
from equinox import AbstractVar
from jaxtyping import Array, Float, PRNGKeyArray

from ._counts import Counts
from ._state import Clock, State
from ._time_constants import TimeConstants
from ._write import Write


class AbstractAlgorithm(eqx.Module):
    """A way of training: how it starts, how long its windows are, what an update does, and what it counts.

    Attributes:
        optimizer: the update rule.
        time_constants: how long things are held.
    """

    optimizer: AbstractVar[optax.GradientTransformation]
    time_constants: AbstractVar[TimeConstants]

    @property
    @abstractmethod
    def interval(self) -> int:
        """Timesteps between two parameter updates."""

    @abstractmethod
    def init(self, theta: Float[Array, " p"], *, key: PRNGKeyArray, n_sites: int | None = None) -> State:
        """The state before the first timestep.

        Args:
            theta: where training starts.
            key: of this chip's run; all its random streams are drawn from it.
            n_sites: how many sites are perturbed; by default, as many as there are parameters.

        Raises:
            ValueError: if the parameters cannot be trained like this.
        """

    @abstractmethod
    def check(self, n_sites: int) -> None:
        """Refuses, or warns of, settings that do not work on a chip with this number of sites.

        Raises:
            ValueError: if the parameters cannot be trained like this.
        """

    @abstractmethod
    def for_program(self, n_params: int, n_sites: int | None = None) -> "AbstractAlgorithm":
        """The same algorithm, with its optimizer and derived numbers as data, which `as_data` cannot find.

        It has been checked, and is only for chips with that many parameters, and that many sites (by default as many).
        """

    @abstractmethod
    def clock_at(self, step: int) -> Clock:
        """The clock after that many whole timesteps."""

    @abstractmethod
    def conclude(self, state: State, gradient: Float[Array, " p"], *, write: Write) -> State:
        """The state at a window's end, from the state at its start and its G."""

    @abstractmethod
    def counts(self, n_steps: int, *, batch: int = 1) -> Counts:
        """How often a chip is measured and written in that many timesteps."""


def check_optimizer(optimizer: object) -> None:
    """Raises: ValueError: if it is not an optax transformation."""
    if not isinstance(optimizer, optax.GradientTransformation):
        raise ValueError(f"optimizer must be an optax transformation, such as optax.sgd(0.1), got {optimizer!r}")
