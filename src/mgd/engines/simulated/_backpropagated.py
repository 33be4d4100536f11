"""The engine of ordinary gradient descent."""

import warnings
from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from ..._errors import MgdWarning
from ...algorithm import AbstractAlgorithm, Backprop, State
from ...chips import AbstractChip
from .._base import Progress
from .._choice import Wanted
from .._data import Data
from ._slope import check_slope
from ._windows import AbstractWindowed, gradient_of


class Backpropagated(eqx.Module, AbstractWindowed[Backprop]):
    """Trains by the gradient of each mini-batch's cost, through the model of the chip.

    Args:
        chip: the simulated chip.
        algorithm: the update rule for the gradient.
        batch: samples in a mini-batch.
    """

    name: ClassVar[str] = "backprop"
    measures: ClassVar[bool] = False
    chip: AbstractChip
    algorithm: Backprop
    batch: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.chip.n_sites != self.chip.n_params:
            raise ValueError(
                "backprop needs perturbations of the parameters, and this chip perturbs other sites: "
                "give it the chip without that"
            )
        if self.chip.traits.coarse:
            names = ", ".join(self.chip.traits.coarse)
            raise ValueError(f"a chip with {names} has no gradient to propagate back: leave these out for backprop")

    def check_start(self, progress: Progress, data: Data) -> None:
        if wrong := check_slope(self.chip, progress, data, engine=self.name):
            warnings.warn(
                f"{wrong}; backprop follows jax.grad, so its result says nothing about training this chip by "
                f"measurements",
                MgdWarning,
                stacklevel=5,
            )

    def estimate(
        self, state: State, device: Any, data: Data, key: PRNGKeyArray
    ) -> tuple[Float[Array, " p"], Float[Array, ""]]:
        """The gradient of the mini-batch that comes next, and its cost."""
        rows = data.rows(state.clock.step, seed=state.seeds.samples, batch=self.batch)
        return gradient_of(self.chip, state.theta, device, *data.show(rows), key=key)


def offer(chip: AbstractChip, algorithm: AbstractAlgorithm, wanted: Wanted) -> Backpropagated | None:
    """The engine for what is wanted; None if the algorithm is another."""
    return Backpropagated(chip, algorithm, wanted.batch) if isinstance(algorithm, Backprop) else None
