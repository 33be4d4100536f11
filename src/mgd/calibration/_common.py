"""What all stages of a calibration share."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from ..datasets import Task
from ._noise import Noise, Sigma, float_floor, resolution
from ._parameters import Point
from ._prober import Prober

# Operating points.
POINTS = 4


@dataclass
class Common:
    """The chip, where it is measured, and what the stages before have found.

    Attributes:
        prober: the chip.
        points: where it is measured: parameters, and a batch.
        rng: what codes, samples and parameters are drawn from.
        batches: draws a batch.
        noise: of a cost, once it is known.
        noise_measurements: that this was found by.
        load_seconds: that a presentation takes.
        coarsest: the width of the coarsest levels of parameters, once known; 0 if they have none.
    """

    prober: Prober
    points: list[Point]
    rng: np.random.Generator
    batches: Callable[[], tuple[np.ndarray, np.ndarray]]
    noise: Noise | None = None
    noise_measurements: int = 0
    load_seconds: float = 0.0
    coarsest: float = 0.0

    @property
    def highest(self) -> float:
        """The largest amplitude for all parameters together: an eighth of a range, or two levels."""
        limits = self.prober.instrument.limits
        together = max(float((limits.high - limits.low).min()) / 8, 2 * self.coarsest)
        return float(min((1 - 1e-5) * self.room().min(), together))  # float32 rounds

    @property
    def readout_step(self) -> float:
        """The step of the cost's readout; 0 if it has none."""
        return resolution(self.prober.distinct) or 0.0

    @property
    def sigma(self) -> Sigma:
        """The noise of a cost, by all that was read so far."""
        assert self.noise is not None
        white, step = self.noise.white.value, self.readout_step
        covered = white > step / 2  # then the record of noise has the step's error in it
        return Sigma(white, max(0.0 if covered else step / math.sqrt(12), float_floor(self.noise.cost.value)))

    def room(self) -> Float[np.ndarray, " p"]:
        """How far each parameter may move at every point."""
        limits = self.prober.instrument.limits
        return np.min([np.minimum(p.theta - limits.low, limits.high - p.theta) for p in self.points], axis=0)

    def alone(self, index: int) -> float:
        """How far a parameter is moved by itself."""
        return 0.5 * float(self.room()[index])

    def elsewhere(self) -> Point:
        """Another point, up to half way from the middle to the limits, with another batch."""
        limits = self.prober.instrument.limits
        half = (limits.high - limits.low) / 2
        theta = limits.low + half * (1 + self.rng.uniform(-0.5, 0.5, half.size))
        return Point(theta.astype(np.float32), self.batches())


def common_of(prober: Prober, task: Task, batch: int, key: PRNGKeyArray, start: np.ndarray | None) -> Common:
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,), jnp.uint32)))
    limits, n = prober.instrument.limits, prober.n_params
    start = prober.instrument.start if start is None else start
    if start is not None and np.shape(start) != (n,):
        raise ValueError(f"the chip has {n} parameters, and its start has shape {np.shape(start)}")

    def batches() -> tuple[np.ndarray, np.ndarray]:
        rows = rng.choice(len(task.train), size=batch, replace=batch > len(task.train))
        return np.asarray(task.train.features(jnp.asarray(task.train.x[rows]))), task.train.y[rows]

    def place() -> np.ndarray:
        return (limits.low + limits.high) / 2 + (limits.high - limits.low) / 20 * rng.uniform(-1, 1, n)

    first = place() if start is None else np.asarray(start)
    thetas = [first, *(place() for _ in range(POINTS - 1))]
    points = [Point(theta.astype(np.float32), batches()) for theta in thetas]
    return Common(prober, points, rng, batches)
