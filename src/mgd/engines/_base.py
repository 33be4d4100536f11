"""What an engine is, and a run between two timesteps."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from .._counter import Counter
from ..algorithm import AbstractAlgorithm, State
from ..chips import AbstractCost
from ._data import Data

A = TypeVar("A", bound=AbstractAlgorithm)


class Progress(eqx.Module):
    """A run of many replicas, between two timesteps.

    Attributes:
        state: the algorithm's state, with a leading replica axis on all but the clock.
        device: the individual values and the memory of each replica's chip.
        diverged: for each replica, whether a measured cost was not finite.
        diverged_at: the timestep of the first one.
    """

    state: State
    device: Any
    diverged: Bool[Array, " replica"]
    diverged_at: Counter

    @staticmethod
    def of(state: State, device: Any = None) -> "Progress":
        """A run whose costs have all been finite so far.

        Args:
            state: the state, with a leading replica axis on all but the clock.
            device: the device, likewise; None for perfect chips, and for instruments.
        """
        n_replicas = state.theta.shape[0]
        none = jnp.zeros(n_replicas, jnp.uint32)
        return Progress(state, device, jnp.zeros(n_replicas, bool), Counter(none, none))

    @staticmethod
    def one(state: State) -> "Progress":
        """A run of one replica, whose state has no replica axis."""
        return Progress.of(jax.tree.map(lambda x: x[None], state.with_clock(None)).with_clock(state.clock))

    @staticmethod
    def together(states: Sequence[State]) -> "Progress":
        """A run of these replicas, which are at the same timestep."""
        batched = jax.tree.map(lambda *x: jnp.stack(x), *(state.with_clock(None) for state in states))
        return Progress.of(batched.with_clock(states[0].clock))

    def replica(self, number: int = 0) -> State:
        """The state of one replica, without a replica axis."""
        clock = self.state.clock
        return jax.tree.map(lambda x: x[number], self.state.with_clock(None)).with_clock(clock)

    def after(
        self, state: State, device: Any, finite: Bool[Array, " replica"], offset: Int[Array, " replica"]
    ) -> "Progress":
        """The run with a new state and device; some of its last costs may not have been finite."""
        first = ~finite & ~self.diverged
        at, here = self.diverged_at, jax.vmap(self.state.clock.step.plus)(offset)
        at = Counter(jnp.where(first, here.high, at.high), jnp.where(first, here.low, at.low))
        return Progress(state, device, self.diverged | first, at)


class AbstractEngine(ABC, Generic[A]):
    """A loop that calls ask and tell: on a simulated chip, compiled, or on a real one.

    The caller hands a run in and gets it back; an engine keeps no run, and caches only to save time. The outcome is the
    same to the bit, however a run is cut into calls of `advance`, if it is cut at multiples of `stride`.

    Attributes:
        name: its name for users.
        measures: whether it measures costs one by one, so that the algorithm's state contains the last one.
        algorithm: the training algorithm.
        batch: samples over which a measurement is averaged.
    """

    name: ClassVar[str]
    measures: ClassVar[bool] = True
    algorithm: A
    batch: int

    @property
    @abstractmethod
    def stride(self) -> int:
        """The number of timesteps at whose multiples a run may be cut."""

    @property
    @abstractmethod
    def groups(self) -> Mapping[str, slice]:
        """The chip's names of slices of θ; empty if it has none."""

    @property
    @abstractmethod
    def cost_of_outputs(self) -> AbstractCost | None:
        """The function from outputs to a cost; None if only the chip knows it."""

    @abstractmethod
    def gives_outputs(self, data: Data) -> bool:
        """Whether the chip gives outputs for these samples, and not only its cost."""

    @abstractmethod
    def shown_of(self, n_samples: int) -> int:
        """How many of these test samples the chip sees at an evaluation."""

    @abstractmethod
    def check(self, n_replicas: int, data: Data, *, key: PRNGKeyArray) -> None:
        """Refuses a run that is not possible, before anything is allocated.

        Raises:
            ValueError: if the replicas do not fit in memory, or their number does not match the chips.
        """

    @abstractmethod
    def init(
        self, n_replicas: int, *, key: PRNGKeyArray, start: Float[np.ndarray, "replica p"] | None = None
    ) -> Progress:
        """The start of a run; replica r is the same however many there are.

        Args:
            n_replicas: number of replicas.
            key: the seed of all random numbers.
            start: the parameters of each replica; by default the chip draws them.

        Raises:
            ValueError: if the parameters cannot be trained like this.
        """

    @abstractmethod
    def check_start(self, progress: Progress, data: Data) -> None:
        """Warns of, or refuses, a chip that this engine would train wrongly, as far as the start shows it.

        Raises:
            ValueError: if the engine would train another chip than this one.

        Warns:
            MgdWarning: if the training would differ from what is expected.
        """

    @abstractmethod
    def advance(self, data: Data, progress: Progress, n_steps: int) -> Progress:
        """The run after `n_steps` more timesteps, fewer than 2³¹. The progress given is used up."""

    @abstractmethod
    def evaluate(self, progress: Progress, data: Data) -> tuple[Float[Array, " replica"], Float[Array, " replica"]]:
        """Mark and mean cost of each replica on these samples, as in `mgd.engines.evaluate`."""
