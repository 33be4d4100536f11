"""Replicas as groups of lanes, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32

from ...._counter import Counter
from ....algorithm import Algorithm
from ....perturbations import LFSR
from ..._replicas import Progress
from ._plan import Plan, blocks_of
from ._settings import ARRIVED, BOTTOM, OLDEST, SETTLED, TOP, WAITING, WALSH, Group

# A cache line, and the widest register.
_ALIGNED = 64


@dataclass(frozen=True)
class Replicas:
    """A run's arrays on the host, a replica a row.

    Attributes:
        theta: the parameters.
        gradient: G.
        trace: the optimizer's memory, or None.
        baseline: what the baseline remembers, one or two numbers.
        seeds: of perturbations, samples, measurements and writes.
        neurons: gains and offsets of each neuron, or None where they are ideal.
        cells: bounds and pulses of each parameter, or None where writes are not of pulses.
        costs: that each chip remembers.
        arrived: which of them is the oldest, and whether there has been one; 0 or 1.
        register: of the shift register of each block, or None.
        numbers: what each chip has for itself.
        scale: what C̃ θ̃ is multiplied by to enter G.
    """

    theta: Float[np.ndarray, "replica p"]
    gradient: Float[np.ndarray, "replica p"]
    trace: Float[np.ndarray, "replica p"] | None
    baseline: list[Float[np.ndarray, " replica"]]
    seeds: tuple[UInt32[np.ndarray, "replica 2"], ...]
    neurons: Float[np.ndarray, "replica neuron_numbers"] | None
    cells: Float[np.ndarray, "replica cell_numbers"] | None
    costs: Float[np.ndarray, "replica costs"]
    arrived: UInt32[np.ndarray, "replica 2"]
    register: UInt32[np.ndarray, "replica blocks"] | None
    numbers: Float[np.ndarray, "replica numbers"]
    scale: Float[np.ndarray, "replica scales"]

    @staticmethod
    def of(
        progress: Progress, plans: Sequence[Plan], which: Int[np.ndarray, " replica"], algorithm: Algorithm
    ) -> "Replicas":
        """Those of a run, whose replicas have the plans of these numbers."""
        state, plan, register = progress.state, plans[0], None
        family, sizes = blocks_of(algorithm.perturbation, plan.n_params)
        if isinstance(family, LFSR):
            index = state.clock.step.quotient(plan.signals.tau_p)
            register = np.asarray(_registers(family, index, state.seeds.perturbation, len(sizes), max(sizes)))
        neurons = None
        if plan.network.varied:
            each = [np.stack([of.alpha, of.beta, of.shift, of.offset], -1) for of in plan.neurons(progress.device)]
            neurons = np.concatenate(each, axis=1).reshape(len(state.theta), -1)
        cells = None
        if plan.update.pulses:
            found = plan.cells(progress.device)
            cells = np.concatenate([found.top, found.bottom, found.log_up, found.log_down], axis=1)
        costs, arrived = remembered(*plan.costs(progress.device), len(state.theta))
        return Replicas(
            theta=np.asarray(state.theta),
            gradient=np.asarray(state.gradient),
            trace=np.asarray(jax.tree.leaves(state.optimizer)[0]) if plan.update.remembers else None,
            baseline=[np.asarray(leaf) for leaf in jax.tree.leaves(state.baseline)],
            seeds=(*map(np.asarray, jax.tree.leaves(state.seeds)),),
            neurons=neurons,
            cells=cells,
            costs=costs,
            arrived=arrived,
            register=register,
            numbers=np.stack([plan.numbers for plan in plans])[which],
            scale=np.stack([plan.scale for plan in plans])[which],
        )

    def group(self, lanes: Int[np.ndarray, " lanes"], plan: Plan, batch: int) -> Group:
        """The replicas with these numbers, one a lane."""
        n_params, network, signals = plan.n_params, plan.network, plan.signals
        values, converted = not signals.packed, plan.converter.bits > 0
        zeros = partial(_zeros, len(lanes))
        theta = _lanes(self.theta, lanes)
        np.clip(theta, plan.update.low, plan.update.high, out=theta)
        cells = zeros(1)
        if self.cells is not None:
            cells = _lanes(self.cells, lanes)
            np.clip(theta, cells[BOTTOM * n_params :][:n_params], cells[TOP * n_params :][:n_params], out=theta)
        codes = zeros(signals.size if signals.family == WALSH else 1, np.uint32)
        if self.register is not None:
            codes = _lanes(self.register, lanes)
        of_signs, of_samples, of_costs, of_writes = (_lanes(seeds, lanes) for seeds in self.seeds)
        baseline = zeros(2)
        for row, remembered in enumerate(self.baseline):
            baseline[row] = remembered[lanes]
        return Group(
            theta=theta,
            gradient=_lanes(self.gradient, lanes) if plan.gathers else zeros(1),
            trace=zeros(1) if self.trace is None else _lanes(self.trace, lanes),
            baseline=baseline,
            perturbation_seed=of_signs,
            block_seed=zeros(2, np.uint32),
            samples_seed=of_samples,
            measurement_seed=of_costs,
            write_seed=of_writes,
            neurons=zeros(1) if self.neurons is None else _lanes(self.neurons, lanes),
            cells=cells,
            signs=zeros(-(-n_params // 32), np.uint32),
            wiggle=zeros(n_params if values else 1),
            base=zeros(n_params if converted else 1),
            applied=zeros(n_params if converted else 1),
            codes=codes,
            chosen=zeros(1, np.uint32),
            epoch=zeros(3, np.uint32),
            x=zeros(batch * int(network.sizes[0])),
            target=zeros(batch * int(network.sizes[-1])),
            outputs=zeros(4 * int(network.sizes[1:].max())),
            numbers=_lanes(self.numbers, lanes),
            scale=_lanes(self.scale, lanes),
            costs=_lanes(self.costs, lanes),
            arrived=_lanes(self.arrived, lanes),
            bad=zeros(2, np.uint32),
        )


def remembered(
    settled: Any, pending: Any, n_replicas: int
) -> tuple[Float[np.ndarray, "replica costs"], UInt32[np.ndarray, "replica 2"]]:
    """What devices remember of costs, in the rows of a group."""
    costs, arrived = [np.zeros((n_replicas, 1), np.float32)], np.zeros((n_replicas, 2), np.uint32)
    if settled is not None:
        costs[SETTLED][:, 0] = settled.cost
        arrived[:, ARRIVED] |= ~np.asarray(settled.empty)
    if pending is not None:
        costs.append(np.asarray(pending.costs))
        arrived[:, OLDEST] = pending.oldest
        arrived[:, ARRIVED] |= ~np.asarray(pending.empty)
    return np.concatenate(costs, axis=1), arrived


def remembering(
    settled: Any, pending: Any, costs: Float[np.ndarray, "replica costs"], arrived: UInt32[np.ndarray, "replica 2"]
) -> list[Array]:
    """The leaves of both, which remember what is now in the rows of a group."""
    empty, leaves = jnp.asarray(arrived[:, ARRIVED] == 0), []
    if settled is not None:
        leaves += [jnp.asarray(costs[:, SETTLED]), empty]
    if pending is not None:
        leaves += [jnp.asarray(costs[:, WAITING:]), jnp.asarray(arrived[:, OLDEST].astype(np.int32)), empty]
    return leaves


@eqx.filter_jit
def _registers(family: LFSR, index: Counter, seeds: UInt32[Array, "replica 2"], n_blocks: int, size: int) -> Any:
    """The register of each block at its next perturbation, that with number `index` or later."""

    def one(seed: UInt32[Array, " 2"], block: UInt32[Array, ""]) -> UInt32[Array, ""]:
        turn = index.plus(jnp.uint32(n_blocks - 1) - block).quotient(n_blocks)
        return family.register(turn, seed=seed + jnp.stack([block, block]), n_params=size)

    blocks = jnp.arange(n_blocks, dtype=jnp.uint32)
    return jax.vmap(lambda seed: jax.vmap(lambda block: one(seed, block))(blocks))(seeds)


def _zeros(lanes: int, rows: int, dtype: type = np.float32) -> np.ndarray:
    """An aligned array of that many vectors."""
    raw = np.zeros(rows * lanes * 4 + _ALIGNED, np.uint8)
    start = -raw.ctypes.data % _ALIGNED
    return raw[start : start + rows * lanes * 4].view(dtype).reshape(rows, lanes)


def _lanes(rows: np.ndarray, lanes: Int[np.ndarray, " lanes"]) -> np.ndarray:
    """These rows as columns."""
    columns = _zeros(len(lanes), rows.shape[1], rows.dtype.type)
    columns[:] = rows[lanes].T
    return columns
