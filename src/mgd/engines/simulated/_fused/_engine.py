"""The fused engine: whole timesteps of many small chips in one compiled loop, a chip to a lane."""

import copy
import importlib
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt32

from ...._counter import Counter
from ...._numbers import stacked
from ...._permutation import factors
from ....algorithm import AbstractAlgorithm, Algorithm, State
from ....chips import AbstractChip
from ....perturbations import LFSR
from ..._base import Progress
from ..._choice import Wanted, refuse_bitwise
from ..._data import Data
from ..._numbers import Parts, for_program
from .._amplitude import check_amplitude, expected_modulation
from .._base import AbstractSimulated
from ._groups import Replicas, remembering
from ._plan import Plan, Uncovered, blocks_of, planned
from ._settings import Tables
from ._stretches import Stretch, counting, stretches_of, updating

# Their places are counted in 32 bits, with a sign.
_MOST_NUMBERS = 2**31
# It has a copy of them in four bytes each, however they are stored: of more, that is memory worth more than speed.
_MOST_TO_COPY = 200_000_000
# Lanes of a kernel's vectors. Wide ones have more arithmetic under way, and half as much control for a chip. They are
# for groups whose parameters, G, memory and inputs are within this: half of a small second-level cache, or the first
# where an update is a sum and no more; and where the last round of groups leaves threads idle for as good as no longer.
_NARROW, _WIDE = 32, 64
_MOST_BYTES, _MOST_BYTES_BARE, _MOST_MORE = 2**18, 2**15, 1.05
# Below so many replicas lanes are mostly empty; below so many parameters × samples, the measured engine is done in
# seconds, and Numba has not been waited for.
_FEWEST_IN_LANES, _LEAST_WORK = 8, 1e9
_KEPT = ("theta", "gradient", "trace", "baseline", "costs", "arrived", "bad")


class _Alike(NamedTuple):
    """A group of chips that are side by side.

    Attributes:
        plan: of its first chip.
        stretches: of the run.
        members: the numbers of its replicas.
        lanes: of the vectors, which are as many or more.
    """

    plan: Plan
    stretches: tuple[Stretch, ...]
    members: Int[np.ndarray, " members"]
    lanes: int


class Fused(AbstractSimulated[Algorithm, AbstractChip]):
    """Simulates every measurement of every replica, like the measured engine, and many times faster for small chips.

    Chips are layered perceptrons, and may have activation variation, cost noise, update noise, a parameter range,
    converters of parameters and of the cost, a cost that settles or comes late, or writes by pulses between soft
    bounds. A replica is a lane of vectors; all data of a group of replicas stay in cache, and groups are spread over
    the processor's cores. Keys, perturbations, noise and order of samples are those of the measured engine, so the
    result is the same, to rounding; it does not depend on how a run is cut into calls. If a converter rounds, or a
    write is of whole pulses, a difference in rounding may become a difference of one level or pulse, after which
    trajectories diverge. A start outside a range is moved to its end at once, and not at the first write.

    Numba compiles it (`pip install "mgd[fused]"`), once on each machine.

    Args:
        chip: the simulated chip; replicas differ by their keys.
        algorithm: the training algorithm; its optimizer must be plain gradient descent, with or without momentum,
            weight decay and a schedule.
        batch: samples over which a measurement is averaged.
        threads: cores to use; by default all that the process may use.

    Raises:
        ValueError: if Numba cannot be imported, `threads` is below 1, or the engine does not support a part of the chip
            or the algorithm, which the message names.

    >>> import mgd
    >>> engine = Fused(mgd.chips.mlp((2, 2, 1)), mgd.discrete())
    >>> task = mgd.datasets.parity(2)
    >>> progress = engine.init(64, key=jax.random.key(0))
    >>> progress = engine.advance(Data.of(task.train), progress, 1000)
    >>> progress.state.theta.shape
    (64, 9)
    """

    name: ClassVar[str] = "fused"

    def __init__(self, chip: AbstractChip, algorithm: Algorithm, batch: int = 1, *, threads: int | None = None):
        self.chip, self.algorithm, self.batch = chip, algorithm, batch
        self._plan = planned(chip, algorithm, batch)
        # Of replicas that differ in numbers, each combination has its plan, and each replica the number of its own.
        self._plans, self._which = [self._plan], None
        if why := _no_numba():
            raise ValueError(
                f'the fused engine needs Numba, which cannot be imported ({why}): pip install "mgd[fused]"'
            )
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be 1 or more, got {threads}: leave it out for all cores")
        self._threads = threads or _cores()
        self._tables: tuple[Data, Tables] | None = None

    @staticmethod
    def applies(chip: AbstractChip, algorithm: Algorithm) -> bool:
        """Whether it supports a chip and an algorithm, and can be compiled here."""
        if _no_numba():
            return False
        try:
            planned(chip, algorithm, 1)
        except Uncovered:
            return False
        return True

    def check_start(self, progress: Progress, data: Data) -> None:
        cost, modulation = expected_modulation(self.chip, self.algorithm, self.batch, progress, data)
        check_amplitude(self.chip, self.algorithm, progress.state.theta[0], cost, modulation)

    def for_each(self, engines: Sequence["Fused"], which: Int[np.ndarray, " replica"]) -> "Fused":
        """As `AbstractSimulated.for_each`: replicas that differ in numbers alone are side by side in lanes."""
        one = copy.copy(engines[0])
        programs = [for_program(Parts(engine.chip, engine.algorithm)) for engine in engines]
        parts = stacked(programs, which)
        one.chip, one.algorithm = parts.chip, parts.algorithm  # pyright: ignore[reportAttributeAccessIssue]
        one._plans, one._which = [engine._plan for engine in engines], which
        return one

    def advance(self, data: Data, progress: Progress, n_steps: int) -> Progress:
        """The run after `n_steps` more timesteps.

        Raises:
            ValueError: if the samples, or the run, do not match this chip.
        """
        from ._compiled import kernel

        plan, tables = self._plan, self._tables_of(data)
        if progress.state.theta.shape[1] != plan.n_params:
            raise ValueError(
                f"the chip has {plan.n_params:,} parameters, got a run of {progress.state.theta.shape[1]:,}: begin one "
                "with this engine's init"
            )
        n = len(data.y)
        of_samples = {"n_samples": n, "samples_split": factors(n) if data.order == "shuffled" else (0, 0)}
        first, n_replicas = int(progress.state.clock.step), len(progress.state.theta)
        optimizer = progress.state.optimizer
        stretches = [stretches_of(plan, optimizer, first, n_steps) for plan in self._plans]
        groups = self._groups(n_replicas, stretches)
        kernels = {lanes: kernel(lanes) for lanes in {lanes for *_, lanes in groups}}
        arrays = Replicas.of(progress, self._plans, self._plan_of_each(n_replicas), self.algorithm)

        def run(one: _Alike) -> dict[str, np.ndarray]:
            plan, parts, members, lanes = one
            signals = plan.signals._replace(**of_samples)
            group = arrays.group(np.resize(members, lanes), plan, self.batch)
            for start, steps, rule in parts:
                update = updating(plan, group, rule)
                kernels[lanes](plan.network, signals, update, plan.converter, tables, group, start, steps)
            return {name: getattr(group, name)[:, : len(members)] for name in _KEPT}  # not what it worked with

        with ThreadPoolExecutor(min(self._threads, len(groups))) as pool:
            done = list(pool.map(run, groups))
        order = np.argsort(np.concatenate([members for *_, members, _ in groups]))
        kept = {name: np.concatenate([group[name] for group in done], axis=1)[:, order].T for name in _KEPT}
        return self._after(progress, kept, first + n_steps, first // plan.update.interval)

    def _groups(self, n_replicas: int, stretches: Sequence[tuple[Stretch, ...]]) -> list["_Alike"]:
        """The groups of chips, where each plan's run is of these stretches."""
        which, alike, groups = self._plan_of_each(n_replicas), {}, []
        for number, (plan, parts) in enumerate(zip(self._plans, stretches, strict=True)):
            alike.setdefault((plan.structure, parts if plan.rule.counts else None), []).append(number)
        for numbers in alike.values():
            plan, members = self._plans[numbers[0]], np.flatnonzero(np.isin(which, numbers))
            lanes = self._group_size(len(members), plan)
            groups += [
                _Alike(plan, stretches[numbers[0]], members[start : start + lanes], lanes)
                for start in range(0, len(members), lanes)
            ]
        return groups

    def _plan_of_each(self, n_replicas: int) -> Int[np.ndarray, " replica"]:
        return np.zeros(n_replicas, np.int64) if self._which is None else self._which

    def _group_size(self, n_replicas: int, plan: Plan) -> int:
        """Chips of a group: more, if what it needs stays in cache, and threads have as good as no more lanes to do."""
        kinds = 1 + plan.update.remembers + plan.gathers + (not plan.signals.packed) + 2 * (plan.converter.bits > 0)
        kinds += 4 * plan.update.pulses
        vectors = kinds * plan.n_params + self.batch * int(plan.network.sizes[0])
        is_bare = kinds == 1 and not plan.update.noisy and plan.update.high == math.inf
        is_small = vectors * _WIDE * 4 <= (_MOST_BYTES_BARE if is_bare else _MOST_BYTES)
        narrow, wide = (-(-n_replicas // (lanes * self._threads)) * lanes for lanes in (_NARROW, _WIDE))
        return _WIDE if is_small and wide <= _MOST_MORE * narrow else _NARROW

    def _tables_of(self, data: Data) -> Tables:
        """What all groups share, made once for the same samples."""
        if self._tables is None or self._tables[0] is not data:
            x, y = (np.asarray(a, np.float32).reshape(len(data.y), -1) for a in data.show(jnp.arange(len(data.y))))
            self._check(x, y)
            masks = jump = np.zeros(1, np.uint32)
            family, sizes = blocks_of(self.algorithm.perturbation, self._plan.n_params)
            if isinstance(family, LFSR):
                masks, jump = family.circuit(max(sizes))
            self._tables = data, Tables(x.reshape(-1), y.reshape(-1), masks, jump)
        return self._tables[1]

    def _check(self, x: Float[np.ndarray, "n inputs"], y: Float[np.ndarray, "n outputs"]) -> None:
        """Refuses samples that are not of this network: the kernel would read beyond them."""
        given, sizes = (x.shape[1], y.shape[1]), self._plan.network.sizes
        if given != (sizes[0], sizes[-1]):
            raise ValueError(
                f"samples must have {sizes[0]} inputs and {sizes[-1]} outputs, as the chip has, got {given[0]} and "
                f"{given[1]}"
            )
        if x.size >= _MOST_NUMBERS:
            raise ValueError(
                f"the fused engine takes fewer than {_MOST_NUMBERS:,} numbers as inputs, got {x.size:,}: use the "
                "measured engine, or fewer samples"
            )

    def _after(self, progress: Progress, kept: dict[str, np.ndarray], step: int, updates_before: int) -> Progress:
        """The run at `step`, from what became of the replicas."""
        state, plan = progress.state, self._plan
        theta, gradient = state.theta, state.gradient
        updates = step // plan.update.interval - updates_before
        if updates:  # until then a range has not been written through
            theta = jnp.asarray(kept["theta"])
        if plan.gathers:
            gradient = jnp.asarray(kept["gradient"])
        optimizer = counting(state.optimizer, kept["trace"] if plan.update.remembers else None, updates)
        remembered = kept["baseline"]
        leaves, structure = jax.tree.flatten(state.baseline)
        baseline = jax.tree.unflatten(structure, [jnp.asarray(remembered[:, k]) for k in range(len(leaves))])
        state = eqx.tree_at(
            lambda s: (s.clock, s.theta, s.gradient, s.baseline, s.optimizer),
            state,
            (self.algorithm.clock_at(step), theta, gradient, baseline, optimizer),
        )
        device, now = progress.device, remembering(*plan.costs(progress.device), kept["costs"], kept["arrived"])
        if now:
            device = eqx.tree_at(lambda device: jax.tree.leaves(plan.costs(device)), device, now)
        return _with_bad(progress, state, device, kept["bad"])


def _with_bad(progress: Progress, state: State, device: Any, bad: UInt32[np.ndarray, "replica 2"]) -> Progress:
    """The run at a new state, where `bad` is the first timestep whose cost was not finite, counted from one."""
    numbers = (bad[:, 0].astype(np.uint64) << np.uint64(32)) | bad[:, 1]
    first = (numbers > 0) & ~np.asarray(progress.diverged)
    at = numbers - np.uint64(1)
    high, low = (
        np.where(first, word, old).astype(np.uint32)
        for word, old in (
            (at >> np.uint64(32), np.asarray(progress.diverged_at.high)),
            (at & np.uint64(0xFFFFFFFF), np.asarray(progress.diverged_at.low)),
        )
    )
    diverged = jnp.asarray(np.asarray(progress.diverged) | first)
    return Progress(state, device, diverged, Counter(jnp.asarray(high), jnp.asarray(low)))


def _no_numba() -> str:
    """Why there is no Numba, or none that works with the NumPy that is here; empty if there is."""
    try:
        importlib.import_module("numba")
    except ImportError as error:
        return str(error) or type(error).__name__
    return ""


def _cores() -> int:
    """Those that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def offer(chip: AbstractChip, algorithm: AbstractAlgorithm, wanted: Wanted) -> Fused | None:
    """The engine for what is wanted, if it was asked for by name, or covers it and pays.

    Raises:
        ValueError: if it was asked for, and does not cover that.
    """
    if not isinstance(algorithm, Algorithm):
        return None
    if not wanted.named:
        work = wanted.n_steps * wanted.n_replicas * wanted.batch * chip.n_params
        pays = wanted.n_replicas >= _FEWEST_IN_LANES and work >= _LEAST_WORK and jax.default_backend() == "cpu"
        pays = pays and wanted.n_numbers <= _MOST_TO_COPY
        if algorithm.bitwise or not pays or not Fused.applies(chip, algorithm):
            return None
    refuse_bitwise(algorithm, "fused")
    return Fused(chip, algorithm, wanted.batch)
