"""A training loop of discrete MGD written by hand in NumPy, to measure ours against; `peer_torch` has its like.

All do the same: every τ is 1, C and C₀ are both measured, θ ← θ − (η/Δθ²) (C − C₀) θ̃, signs, samples drawn at random
for each replica. Replicas are along an axis. What would cost most, drawing signs, is done by the bit, eight from a
random byte.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

AMPLITUDE = 0.01
SHAPE, CHANNELS = (28, 28, 1), (16, 32, 32)


@dataclass
class Problem:
    """What a loop trains: logistic layers, or the convolutional network if there are no sizes.

    Attributes:
        theta: where the replicas start, `[replicas, P]`, in our order of parameters.
        x: samples, `[n, inputs]`, or images, `[n, 28, 28, 1]`.
        y: targets, `[n, outputs]`.
        rate: η.
        sizes: of the layers.
        batch: samples a measurement is averaged over.
    """

    theta: np.ndarray
    x: np.ndarray
    y: np.ndarray
    rate: float
    sizes: tuple[int, ...] = ()
    batch: int = 1


def pieces(sizes: tuple[int, ...]) -> list[tuple[int, int, int, int, int]]:
    """Inputs and outputs of each layer, and where its weights and its biases start, and stop, in θ."""
    found, at = [], 0
    for inputs, outputs in pairwise(sizes):
        end = at + inputs * outputs
        found.append((inputs, outputs, at, end, end + outputs))
        at = end + outputs
    return found


def numpy_first(theta: np.ndarray, x: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Outputs `[replicas, outputs]` of θ `[replicas, P]` for x `[replicas, inputs]`, by a batch of matrix products."""
    for inputs, outputs, start, end, stop in pieces(sizes):
        w = theta[:, start:end].reshape(-1, outputs, inputs)
        x = 1 / (1 + np.exp(theta[:, end:stop] - (w @ x[:, :, None])[:, :, 0]))
    return x


def numpy_last(theta: np.ndarray, x: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Outputs `[outputs, replicas]` of θ `[P, replicas]` for x `[inputs, replicas]`."""
    for inputs, outputs, start, end, stop in pieces(sizes):
        w = theta[start:end].reshape(outputs, inputs, -1)
        x = 1 / (1 + np.exp(theta[end:stop] - np.einsum("oir,ir->or", w, x)))
    return x


@dataclass
class NumpyLoop:
    """The loop in NumPy, float32, with replicas along the first axis or along the last."""

    problem: Problem
    last: bool
    theta: np.ndarray = field(init=False)

    def __post_init__(self):
        start = self.problem.theta
        self.theta = np.array(start.T if self.last else start, order="C")
        self.rng = np.random.default_rng(0)

    @property
    def name(self) -> str:
        return "replicas last, einsum" if self.last else "replicas first, matmul"

    @np.errstate(over="ignore")  # there, the logistic function is 0 as it should be
    def run(self, steps: int) -> None:
        """Makes timesteps."""
        problem, scale = self.problem, np.float32(self.problem.rate / AMPLITUDE)
        forward, axis, theta = (numpy_last, 0, self.theta) if self.last else (numpy_first, 1, self.theta)
        replicas, n = len(problem.theta), theta.size

        def cost(theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return ((forward(theta, x, problem.sizes) - y) ** 2).mean(axis)

        for _ in range(steps):
            rows = self.rng.integers(0, len(problem.x), replicas)
            x, y = problem.x[rows], problem.y[rows]
            if self.last:
                x, y = x.T, y.T
            bits = np.unpackbits(np.frombuffer(self.rng.bytes(-(-n // 8)), np.uint8), count=n)
            signs = bits.astype(np.float32).reshape(theta.shape) * np.float32(2) - np.float32(1)
            difference = cost(theta + np.float32(AMPLITUDE) * signs, x, y) - cost(theta, x, y)
            signs *= np.expand_dims(scale * difference, axis)
            theta -= signs

    def parameters(self) -> np.ndarray:
        """θ `[replicas, P]`."""
        return self.theta.T if self.last else self.theta
