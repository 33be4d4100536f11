"""What the algorithm carries from one measurement to the next, and what it hands out."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt32

from .._counter import Counter
from .._hash import Row, seed_of
from .._permutation import permute


class Clock(eqx.Module):
    """Where in the run we are. It is the same for all replicas, and stays out of `vmap`.

    Attributes:
        step: timesteps finished.
        slot: which measurement of the timestep comes next.
    """

    step: Counter
    slot: Int[Array, ""]


class Seeds(eqx.Module):
    """One seed for each stream of randomness, drawn from the run's key by the stream's name."""

    perturbation: UInt32[Array, " 2"]
    samples: UInt32[Array, " 2"]
    measurement: UInt32[Array, " 2"]
    write: UInt32[Array, " 2"]

    @staticmethod
    def of(key: PRNGKeyArray) -> "Seeds":
        return Seeds(*(seed_of(key, name) for name in ("perturbation", "samples", "measurement", "write")))


class State(eqx.Module):
    """Everything from which training continues.

    Attributes:
        clock: where in the run we are.
        theta: the chip's parameters.
        gradient: G, as integrated so far; empty if an engine keeps none between timesteps.
        baseline: the baseline's memory of earlier costs.
        optimizer: the optax state.
        seeds: the seeds of every random stream.
    """

    clock: Clock
    theta: Float[Array, " p"]
    gradient: Float[Array, " p_or_none"]
    baseline: Any
    optimizer: Any
    seeds: Seeds

    def with_clock(self, clock: Clock | None) -> "State":
        """This state with another clock; or without one, so that `vmap` over replicas does not batch the clock.

        The clock must stay out of the batch, so that a branch on it computes only one side.
        """
        return eqx.tree_at(lambda s: s.clock, self, clock, is_leaf=lambda x: x is None)


class Probe(eqx.Module):
    """What to apply to the chip for the next measurement.

    Attributes:
        theta: the parameters.
        perturbation: the signal to add to them: θ̃, −θ̃, or zero for a baseline.
        presentation: the number of the sample (or mini-batch) to present, counted over the whole run.
        fresh: whether that sample is new at this timestep.
        key: for the noise of a simulated chip; a real one has its own.
        seed: the seed of the order of samples.
        slot: which measurement of the timestep this is, if that is known when a program is compiled.
    """

    theta: Float[Array, " p"]
    perturbation: Float[Array, " sites"]
    presentation: Counter
    fresh: Bool[Array, ""]
    key: PRNGKeyArray
    seed: UInt32[Array, " 2"]
    slot: int | None = eqx.field(static=True, default=None)

    def rows(self, n_samples: int, batch: int = 1, order: str = "shuffled") -> Int[Array, " {batch}"]:
        """The rows of the training set to present: every sample once an epoch, in an order as `rows_of` has them."""
        return rows_of(self.presentation, seed=self.seed, n_samples=n_samples, batch=batch, order=order)


class Info(eqx.Module):
    """The outcome of a measurement, for diagnostics.

    Attributes:
        cost: the cost as measured.
        modulation: C̃ as measured, before any clamp; zero after a slot that does not end a timestep.
        updated: whether the parameters have just been written.
    """

    cost: Float[Array, "*steps"]
    modulation: Float[Array, "*steps"]
    updated: Bool[Array, "*steps"]


def rows_of(
    presentation: Counter, *, seed: UInt32[Array, " 2"], n_samples: int, batch: int, order: str = "shuffled"
) -> Int[Array, " {batch}"]:
    """Rows of the training set in a presentation: batch·presentation, … in the order of shuffled epochs.

    Args:
        presentation: counted over the whole run.
        seed: of the order.
        n_samples: of the training set.
        batch: samples in a presentation.
        order: "shuffled", anew in each epoch; or "sequential", as they lie, and from the first again after the last.
    """
    epoch, start = presentation.times(batch).divmod(n_samples)
    place = start + jnp.arange(batch, dtype=jnp.uint32)
    if order == "sequential":
        return (place % jnp.uint32(n_samples)).astype(jnp.int32)
    if batch == 1:
        return permute(place, Row.of(seed, epoch), n_samples).astype(jnp.int32)

    def one(place: UInt32[Array, ""]) -> UInt32[Array, ""]:
        row = Row.of(seed, epoch.plus(place // jnp.uint32(n_samples)))
        return permute(place % jnp.uint32(n_samples), row, n_samples)

    return eqx.filter_vmap(one)(place).astype(jnp.int32)
