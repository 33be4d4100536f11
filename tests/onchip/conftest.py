"""Trajectories of the twin, which the RTL is compared with."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
import pytest

import mgd
from mgd.engines import Data, Measured, Progress
from mgd.onchip import Circuit, FixedPointNetwork, Spec

Registers = dict[str, Any]
# They are run in a simulator's process, by cocotb.
collect_ignore = ["bench_in_cocotb.py", "bench_axi_in_cocotb.py"]


class Twin:
    """Twins that learn parity, which differ in start and signs: where they start, and their registers later on."""

    def __init__(self, spec: Spec, task: mgd.datasets.Task, n_replicas: int):
        self.spec, self.task, self.n_replicas = spec, task, n_replicas
        self._engine = Measured(FixedPointNetwork(spec), Circuit(spec))
        self._begin = self._engine.init(n_replicas, key=jax.random.key(0))

    def starts(self) -> list[tuple[np.ndarray, int]]:
        """Parameters and the seed of the signs, of each."""
        codes = np.asarray(self._begin.state.optimizer.code)
        return [(row["theta"], int(code)) for row, code in zip(self._registers(self._begin), codes, strict=True)]

    def after(self, steps: Iterable[int]) -> list[list[Registers]]:
        """The registers of each after so many timesteps."""
        progress, done, found = jax.tree.map(lambda x: x.copy(), self._begin), 0, []
        data = Data.of(self.task.train, self.task.kind, self.task.order)
        for step in steps:
            progress, done = self._engine.advance(data, progress, int(step) - done), int(step)
            found.append(self._registers(progress))
        return [list(of_one) for of_one in zip(*found, strict=True)]

    def _registers(self, progress: Progress) -> list[Registers]:
        spec, state = self.spec, progress.state
        registers, step = state.optimizer, int(state.clock.step)
        late = registers.code if registers.late is None else registers.late
        for_all = {
            "theta": np.round(np.asarray(state.theta) * 2.0**spec.theta_fraction).astype(np.int32),
            "kept": np.asarray(registers.kept),
            "sum": np.asarray(registers.sum),
            "code": np.asarray(registers.code).astype(np.uint32).view(np.int32),
            "late": np.asarray(late).astype(np.uint32).view(np.int32),
            "baseline": np.asarray(state.baseline.cost * 2.0**spec.cost_fraction).astype(np.int32),
            "sticky": np.asarray(registers.sticky) @ np.array([1, 2, 4]),
        }
        counters = {"step": step, "p": step % spec.tau_p, "x": step % spec.tau_x, "theta_count": step % spec.tau_theta}
        return [{name: values[one] for name, values in for_all.items()} | counters for one in range(self.n_replicas)]


@pytest.fixture
def parity() -> Callable[[int], mgd.datasets.Task]:
    """Parity, whose samples come in turn, as they do on the chip."""
    return lambda bits=2: dataclasses.replace(mgd.datasets.parity(bits=bits), order="sequential")


@pytest.fixture
def twin(parity) -> Callable[..., Twin]:
    return lambda spec, n_replicas=1: Twin(spec, parity(spec.layers[0]), n_replicas)


@pytest.fixture
def different() -> Callable[[Registers, Registers], dict]:
    """The registers in which two circuits differ, of those that both have."""

    def compare(one: Registers, other: Registers) -> dict:
        names = one.keys() & other.keys()
        assert names >= {"theta", "kept", "sum", "code", "late", "baseline", "sticky", "step", "p", "x", "theta_count"}
        return {name: (one[name], other[name]) for name in names if not np.array_equal(one[name], other[name])}

    return compare
