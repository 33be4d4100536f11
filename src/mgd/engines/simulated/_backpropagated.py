"""The engine of ordinary gradient descent."""

from typing import Any, ClassVar

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from ...algorithm import Backprop, State, rows_of
from ...chips import AbstractChip
from .._data import Data
from .._evaluate import evaluate
from .._replicas import Progress, fresh_replicas
from ._windows import advance_windows, gradient_of


class Backpropagated(eqx.Module):
    """Trains by the gradient of each mini-batch's cost, through the model of the chip.

    Args:
        chip: the simulated chip.
        algorithm: what the gradient is used by.
        batch: samples in a mini-batch.
    """

    name: ClassVar[str] = "backprop"
    chip: AbstractChip
    algorithm: Backprop
    batch: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.chip.traits.coarse:
            names = ", ".join(self.chip.traits.coarse)
            raise ValueError(f"a chip with {names} has no gradient to propagate back: leave that out for backprop")

    def init(self, n_replicas: int, *, key: PRNGKeyArray) -> Progress:
        """Fresh replicas. Replica r is the same however many there are."""
        return fresh_replicas(self.chip, self.algorithm, n_replicas, key)

    def advance(self, data: Data, progress: Progress, n_steps: int) -> Progress:
        """The run after `n_steps` more updates. The progress given is used up."""
        return advance_windows(self, data, progress, n_steps)

    def evaluate(self, progress: Progress, data: Data) -> tuple[Float[Array, " replica"], Float[Array, " replica"]]:
        """Mark and mean cost of each replica on these samples, as `mgd.engines.evaluate` has them."""
        return evaluate(self.chip, progress.state.theta, data, progress.device)

    def estimate(
        self, state: State, device: Any, data: Data, key: PRNGKeyArray
    ) -> tuple[Float[Array, " p"], Float[Array, ""]]:
        """The gradient of the mini-batch that comes next, and its cost."""
        rows = rows_of(state.clock.step, seed=state.seeds.samples, n_samples=len(data.y), batch=self.batch)
        return gradient_of(self.chip, state.theta, device, *data.show(rows), key=key)
