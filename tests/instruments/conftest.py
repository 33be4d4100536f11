"""A chip of these tests: what it is asked is kept, and it fails when it is told to."""

from collections.abc import Callable

import jaxtyping
import numpy as np
import pytest

from mgd.instruments import AbstractInstrument, Identity, Limits


class Chip(AbstractInstrument):
    """Its cost is the squared distance of θ + θ̃ from 1; its outputs are the inputs times their sum."""

    most_together = 8
    reads = "both"

    def __init__(self, *, own_line: bool = True, address: str = "chip 1"):
        self.address, self.own_line = address, own_line
        self.n_params, self.limits = 3, Limits.uniform(3, -2.0, 2.0, "V")
        self.asked: list[str] = []
        self.fails: dict[str, list[BaseException]] = {}
        self.replies: dict[str, object] = {}
        self.theta = self.wiggle = np.zeros(3, np.float32)
        self.x = np.zeros((1, 2), np.float32)

    def _asked(self, verb: str) -> None:
        self.asked.append(verb)
        if self.fails.get(verb):
            raise self.fails[verb].pop(0)

    def open(self) -> None:
        self._asked("open")

    def close(self) -> None:
        self.asked.append("close")

    def identify(self) -> Identity:
        self._asked("identify")
        return Identity("house", "toy", "S1", "2.0")

    def set_parameters(self, theta) -> None:
        self._asked("set_parameters")
        self.theta, self.wiggle = theta, np.zeros(3, np.float32)

    def perturb(self, perturbation) -> None:
        self._asked("perturb")
        self.wiggle = perturbation

    def present(self, x, target) -> None:
        self._asked("present")
        self.x = x

    def measure_cost(self) -> float:
        self._asked("measure_cost")
        return self.replies.get("measure_cost", float(((self.theta + self.wiggle - 1) ** 2).sum()))  # pyright: ignore

    def read_outputs(self) -> np.ndarray:
        self._asked("read_outputs")
        return self.replies.get("read_outputs", self.x * (self.theta + self.wiggle).sum())  # pyright: ignore

    def measure_batch(self, signals) -> np.ndarray:
        self._asked("measure_batch")
        base = self.theta if self.own_line else 0 * self.theta
        return self.replies.get("measure_batch", ((base + signals - 1) ** 2).sum(1))  # pyright: ignore

    def safe_state(self) -> None:
        self._asked("safe_state")
        self.theta = self.wiggle = np.zeros(3, np.float32)


@pytest.fixture
def make_chip() -> Callable[..., Chip]:
    return Chip


@pytest.fixture
def chip() -> Chip:
    return Chip()


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    """Chips of these tests are in use in this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def as_users_call():
    """Without the checks of shapes and types that these tests run under, and users do not."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
