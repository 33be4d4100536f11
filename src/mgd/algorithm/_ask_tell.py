"""The methods that engines may call of an algorithm that trains by `ask` and `tell`."""

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, ScalarLike

from ._base import AbstractAlgorithm
from ._state import Info, Probe, State
from ._write import Write, write_exactly

if TYPE_CHECKING:
    from ._algorithm import Algorithm

# From a probe and a chip's device: the cost, the device after it was measured, and, of a chip that hands one back, the
# credit.
Measure = Callable[[Probe, Any], tuple]
T = TypeVar("T")


class AbstractAskTell(AbstractAlgorithm):
    r"""A way of training by measurements: `ask` says what to apply to a chip, and `tell` takes the measured cost.

    A timestep has one or more measurements, its slots. The *sites* that a probe perturbs are the parameters, unless
    a chip has its own sites (for example pre-activations). A measurement may then return a *credit* for each parameter,
    which `tell` uses in place of θ̃: with θ̃ on pre-activations, a weight's credit is s·x.

    An engine calls only the methods below.
    """

    @property
    @abstractmethod
    def n_slots(self) -> int:
        """The largest number of measurements in a timestep."""

    @property
    @abstractmethod
    def once_a_hold(self) -> bool:
        """Whether slot 0 is only measured where θ or the sample has just changed."""

    @property
    @abstractmethod
    def hold(self) -> int:
        """Length of a hold, in timesteps: from any multiple of it, neither θ nor the sample changes."""

    @property
    @abstractmethod
    def always_due(self) -> bool:
        """Whether θ or the sample changes at every timestep."""

    @property
    @abstractmethod
    def reference(self) -> "Algorithm":
        """The `Algorithm` that it is, or is in place of, which says how large and how even its perturbations are."""

    @abstractmethod
    def ask(self, state: State, *, slot: int | None = None, n_sites: int | None = None) -> tuple[Probe, State]:
        """What to apply to the chip next.

        Args:
            state: the state after the last `tell`; it may be asked again, for the same answer.
            slot: the measurement that comes next, if the caller knows it (this saves a branch in the compiled program).
            n_sites: how many sites are perturbed; by default, as many as there are parameters.

        Returns:
            The probe, and the next state.
        """

    @abstractmethod
    def tell(
        self,
        state: State,
        cost: ScalarLike,
        *,
        write: Write = write_exactly,
        slot: int | None = None,
        credit: Float[Array, " p"] | None = None,
        n_sites: int | None = None,
    ) -> tuple[State, Info]:
        """Takes the cost that was measured with the last probe on the chip.

        Args:
            state: as returned by `ask`.
            cost: the measured scalar: a number of Python or NumPy, or an array.
            write: how the chip's memory takes a change of its parameters.
            slot: as for `ask`.
            credit: the factor of C̃ for each parameter; θ̃ by default.
            n_sites: as for `ask`.

        Raises:
            ValueError: if the cost is not one real number.
        """

    @abstractmethod
    def estimate(
        self,
        state: State,
        modulation: Float[Array, ""],
        *,
        credit: Float[Array, " p"] | None = None,
        n_sites: int | None = None,
    ) -> Float[Array, " p"]:
        """The contribution to G of the timestep that begins at this state, for a given C̃."""

    @abstractmethod
    def apart(self, state: State, function: Callable[..., T], *arguments: Any) -> T:
        """The value of a function; it is compiled separately if engines must give the same bits."""

    @abstractmethod
    def step_together(
        self,
        state: State,
        measure: Measure,
        device: Any,
        size: int,
        *,
        write: Write = write_exactly,
        axis: str | None = None,
        n_sites: int | None = None,
    ) -> tuple[State, Any, Info]:
        """`size` timesteps within which neither θ nor the sample changes, measured as one batch.

        It equals `size` calls of `step`, except for rounding, because it sums G in another order.

        Args:
            state: after a multiple of `size` timesteps.
            measure: as for `step`.
            device: as for `step`, for a chip whose measurements do not change it.
            size: a divisor of `hold`.
            write: as for `step`.
            axis: the mesh axis of devices that share out the measurements, inside `jax.shard_map`; their number must
                divide `size`.
            n_sites: as for `ask`.

        Returns:
            The state and the device after the timesteps, and the `Info` of each timestep's last measurement.
        """

    def step(
        self,
        state: State,
        measure: Measure,
        device: Any = None,
        *,
        write: Write = write_exactly,
        n_sites: int | None = None,
    ) -> tuple[State, Any, Info]:
        """One whole timestep of a chip that JAX can trace: each measurement that is due, in order.

        Args:
            state: between two timesteps.
            measure: a function of a probe and the device that returns the cost, the device after the measurement, and
                the credit, if the chip returns one.
            device: the chip's individual values and its memory.
            write: how the chip's memory takes a change of its parameters.
            n_sites: as for `ask`.

        Returns:
            The state and the device after the timestep, and the `Info` of its last measurement.
        """
        state, device = self.measure_baseline(state, measure, device, write=write, n_sites=n_sites)
        info = Info(jnp.float32(0), jnp.float32(0), jnp.bool(False))
        for slot in self.slots_of_each_step:
            probe, state = self.ask(state, slot=slot, n_sites=n_sites)
            cost, device, *credit = measure(probe, device)
            state, info = self.tell(state, cost, write=write, slot=slot, credit=_one(credit), n_sites=n_sites)
        return state, device, info

    def measure_baseline(
        self, state: State, measure: Measure, device: Any, *, write: Write, n_sites: int | None = None
    ) -> tuple[State, Any]:
        """Measures the slot that is only measured once a hold, if there is one and it is due."""
        if not self.once_a_hold:
            return state, device

        def turn(state: State, device: Any) -> tuple[State, Any]:
            probe, state = self.ask(state, slot=0, n_sites=n_sites)
            cost, device, *_ = measure(probe, device)
            return self.tell(state, cost, write=write, slot=0, n_sites=n_sites)[0], device

        if self.always_due:
            return turn(state, device)
        return lax.cond(state.clock.slot == 0, turn, lambda *unchanged: unchanged, state, device)

    @property
    def slots_of_each_step(self) -> range:
        """The slots that are measured at every timestep."""
        return range(1 if self.once_a_hold else 0, self.n_slots)


def _one(credit: list) -> Any:
    return credit[0] if credit else None
