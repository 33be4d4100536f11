"""Ordinary gradient descent, to compare with."""

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from .._counter import Counter
from .._hash import Row
from .._numbers import with_fields
from ._base import AbstractAlgorithm, check_optimizer
from ._counts import Counts
from ._rule import Rule, rule_of
from ._state import Clock, Seeds, State
from ._time_constants import TimeConstants
from ._write import Write


class Backprop(AbstractAlgorithm):
    r"""Gradient descent by backpropagation, which needs a model of the chip, for comparison with perturbative training.

    $$\theta \leftarrow \theta + \text{update}(\nabla C)$$

    with ∇C of one mini-batch; samples come in the same order as in the other algorithms. A timestep is
    one update. Nothing is measured, so only samples and updates are counted (each sample of a batch is one
    forward and one backward pass).

    Args:
        optimizer: any optax transformation, to be applied to ∇C.

    >>> Backprop(optax.sgd(0.1)).counts(10, batch=100).inferences
    1000
    """

    optimizer: optax.GradientTransformation
    time_constants: TimeConstants = eqx.field(static=True, default=TimeConstants())

    def __check_init__(self):
        check_optimizer(self.optimizer)
        if (self.time_constants.tau_x, self.time_constants.tau_theta) != (1, 1):
            raise ValueError("backprop takes one mini-batch an update: leave tau_x and tau_theta at 1")
        if self.time_constants != TimeConstants():
            raise ValueError(
                f"backprop has no perturbation and no high-pass: leave tau_p and tau_hp out, got {self.time_constants}"
            )

    @property
    def interval(self) -> int:
        return 1

    def init(self, theta: Float[Array, " p"], *, key: PRNGKeyArray, n_sites: int | None = None) -> State:
        theta = jnp.asarray(theta, jnp.float32)
        return State(
            clock=self.clock_at(0),
            theta=theta,
            gradient=jnp.zeros_like(theta),
            baseline=None,
            optimizer=self.optimizer.init(theta),
            seeds=Seeds.of(key),
        )

    def check(self, n_sites: int) -> None:
        pass

    def for_program(self, n_params: int, n_sites: int | None = None) -> "Backprop":
        if isinstance(self.optimizer, Rule):
            return self
        return with_fields(self, optimizer=rule_of(self.optimizer, n_params))

    def clock_at(self, step: int) -> Clock:
        return Clock(Counter.of(step), jnp.int32(0))

    def conclude(self, state: State, gradient: Float[Array, " p"], *, write: Write) -> State:
        step = state.clock.step.plus(1)
        delta, optimizer = self.optimizer.update(gradient, state.optimizer, state.theta)
        theta = write(state.theta, jnp.asarray(delta), key=Row.of(state.seeds.write, step).key(0))
        clock = Clock(step, state.clock.slot)
        return State(clock, theta, state.gradient, state.baseline, optimizer, state.seeds)

    def counts(self, n_steps: int, *, batch: int = 1) -> Counts:
        samples = n_steps * batch
        return Counts(
            cost_measurements=0, inferences=samples, parameter_writes=n_steps, sample_loads=samples, perturbations=0
        )
