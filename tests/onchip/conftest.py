"""Trajectories of the twin, which the RTL is compared with."""

import dataclasses
from collections.abc import Callable, Iterator

import jax
import numpy as np
import pytest

import mgd
from mgd.engines import Data, Measured, Progress
from mgd.onchip import Circuit, FixedPointNetwork, Spec

Registers = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Twin:
    """One twin that learns parity: where it starts, and its registers after each of some timesteps."""

    spec: Spec
    task: mgd.datasets.Task
    seed: int

    def __post_init__(self):
        engine = Measured(FixedPointNetwork(self.spec), Circuit(self.spec))
        object.__setattr__(self, "engine", engine)
        object.__setattr__(self, "begin", engine.init(1, key=jax.random.key(self.seed)))

    @property
    def theta(self) -> np.ndarray:
        return self._registers(self.begin)["theta"]

    @property
    def code(self) -> int:
        return int(self.begin.state.optimizer.code[0])

    def after(self, steps: list[int]) -> Iterator[Registers]:
        progress, done = jax.tree.map(lambda x: x.copy(), self.begin), 0
        data = Data.of(self.task.train, self.task.kind, self.task.order)
        for step in steps:
            progress, done = self.engine.advance(data, progress, step - done), step
            yield self._registers(progress)

    def _registers(self, progress: Progress) -> Registers:
        spec, state = self.spec, progress.state
        registers, step = state.optimizer, int(state.clock.step)
        late = registers.code if registers.late is None else registers.late
        return {
            "theta": np.round(np.asarray(state.theta[0]) * 2.0**spec.theta_fraction).astype(np.int32),
            "kept": np.asarray(registers.kept[0]),
            "sum": np.asarray(registers.sum[0]),
            "code": np.asarray(registers.code[0]).astype(np.uint32).view(np.int32),
            "late": np.asarray(late[0]).astype(np.uint32).view(np.int32),
            "baseline": np.asarray(state.baseline.cost[0] * 2.0**spec.cost_fraction).astype(np.int32),
            "sticky": np.int32(np.asarray(registers.sticky[0]) @ [1, 2, 4]),
            "step": np.int32(step),
            "p": np.int32(step % spec.tau_p),
            "x": np.int32(step % spec.tau_x),
            "theta_count": np.int32(step % spec.tau_theta),
        }


@pytest.fixture
def parity() -> Callable[[int], mgd.datasets.Task]:
    """Parity, whose samples come in turn, as they do on the chip."""
    return lambda bits=2: dataclasses.replace(mgd.datasets.parity(bits=bits), order="sequential")


@pytest.fixture
def twin(parity) -> Callable[..., Twin]:
    return lambda spec, seed=0: Twin(spec, parity(spec.layers[0]), seed)


@pytest.fixture
def different() -> Callable[[Registers, Registers], dict]:
    """The registers in which two circuits differ, of those that both have."""

    def compare(one: Registers, other: Registers) -> dict:
        names = one.keys() & other.keys()
        assert names >= {"theta", "kept", "sum", "code", "late", "baseline", "sticky", "step", "p", "x", "theta_count"}
        return {name: (one[name], other[name]) for name in names if not np.array_equal(one[name], other[name])}

    return compare
