"""Signals put on a chip and costs read back, in order, with late and unsettled readings taken care of."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._awake import awake
from .._errors import HardwareError
from ..chips import AbstractCost
from ..chips._costs import averaged
from ..instruments import Guarded

# Numbers in one exchange.
_MOST_NUMBERS = 2_000_000
# Measurements in one exchange: few different sizes, so that what compiles its exchanges does so a few times only.
_SIZES = (2048, 128, 8, 1)
# Times the middle one of all that a measurement may take before it is missed.
_SLOWER = 4
Batch = tuple[np.ndarray, np.ndarray]


class Prober:
    """Measures on a chip through its verbs alone.

    Args:
        instrument: open.
        cost: of outputs, for chips that give these.
        on_progress: called with the number of measurements made.

    Attributes:
        count: measurements made.
        delay: measurements by which costs come late, once that is known.
        hold: measurements after which a cost has settled, once that is known.
        distinct: every cost read so far, once.
        present_seconds: the time of each presentation.
        exchanges: the time of a measurement in each exchange, and the number of these.
    """

    def __init__(self, instrument: Guarded, cost: AbstractCost, on_progress: Callable[[int], None]):
        self.instrument, self._on_progress = instrument, on_progress
        self.n_params, self.count, self.delay, self.hold = instrument.n_params, 0, 0, 1
        self.distinct = np.zeros(0, np.float32)
        self.present_seconds: list[float] = []
        # Since when an answer is waited for, and how many measurements it is of; None if none is.
        self._waits: tuple[float, int] | None = None
        self.exchanges: list[tuple[float, int]] = []
        self._cost_of, self._costs_of = averaged(cost)
        self._theta, self._target = np.zeros(self.n_params, np.float32), np.zeros((1, 0), np.float32)

    def place(self, theta: Float[np.ndarray, " p"], batch: Batch) -> None:
        """Puts parameters and a batch on the chip, and waits until costs are of these."""
        start = time.perf_counter()
        with self._waiting(len(batch[1])):
            self.instrument.present(*batch)
        self.present_seconds.append(time.perf_counter() - start)
        self.write(theta)
        self._target = batch[1]
        self._flush()

    def write(self, theta: Float[np.ndarray, " p"]) -> None:
        """Writes parameters."""
        self._theta = np.asarray(theta, np.float32)
        with self._waiting(1):
            self.instrument.set_parameters(self._theta)

    def raw(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        """The costs as they are read, one for each perturbation in turn."""
        instrument, signals = self.instrument, np.asarray(signals, np.float32)
        together, measure = instrument.most_together, self._one_by_one
        if together:
            measure = instrument.measure_batch if instrument.reads_together == "cost" else self._read_together
        most = max(1, min(together or len(signals), _MOST_NUMBERS // self.n_params))
        pieces, start = [], 0
        while start < len(signals):
            size = next(size for size in _SIZES if size <= min(most, len(signals) - start))
            rows = signals[start : start + size]
            rows = rows if instrument.own_line else self._theta + rows
            began = time.perf_counter()
            with self._waiting(size):
                pieces.append(measure(rows))
            self.exchanges.append(((time.perf_counter() - began) / size, size))
            start += size
            self.count += size
            self._on_progress(self.count)
        costs = np.concatenate(pieces).astype(np.float64)
        self.distinct = np.union1d(self.distinct, costs.astype(np.float32))
        return costs

    def settled(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        """The settled cost of each perturbation: each is held, and costs are read as late as they come."""
        repeated = np.repeat(signals, self.hold, axis=0)
        if self.delay:
            repeated = np.concatenate([repeated, np.repeat(signals[-1:], self.delay, axis=0)])
        return self.raw(repeated)[self.delay + self.hold - 1 :: self.hold][: len(signals)]

    def written(self, thetas: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        """The settled cost with each of these written, and no perturbation."""
        back, costs = self._theta, []
        for theta in thetas:
            self.write(theta)
            costs.append(self.raw(np.zeros((self.delay + self.hold, self.n_params), np.float32))[-1])
        self.write(back)
        self._flush()
        return np.array(costs)

    @property
    def each_seconds(self) -> float:
        """The time of a measurement, of the middle one of all."""
        seconds, sizes = np.array(sorted(self.exchanges)).T
        return float(seconds[np.searchsorted(np.cumsum(sizes), sizes.sum() / 2)])

    def silence(self) -> float:
        """Seconds since an answer was asked for, less what so many measurements may take; 0 if none is due."""
        if self._waits is None:
            return 0.0
        since, size = self._waits
        return awake() - since - (_SLOWER * size * self.each_seconds if self.exchanges else 0.0)

    @contextmanager
    def _waiting(self, size: int) -> Iterator[None]:
        self._waits = awake(), size
        try:
            yield
        finally:
            self._waits = None

    def price(self, n: int) -> int:
        """Measurements that so many settled costs take."""
        return n * self.hold + self.delay

    def _flush(self) -> None:
        """Readings that are still of what was there before."""
        n = self.delay + self.hold - 1
        if n:
            self.raw(np.zeros((n, self.n_params), np.float32))

    def _read_together(self, rows: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        costs = np.asarray(self._costs_of(self.instrument.read_batch(rows), self._target))
        if np.isnan(costs).any():
            raise HardwareError(
                f"{self.instrument.address}: {np.isnan(costs).sum()} of {len(rows)} measurements cannot be made: "
                "calibrate where the chip can be measured"
            )
        return costs

    def _one_by_one(self, rows: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        return np.array([self._one(row) for row in rows])

    def _one(self, row: Float[np.ndarray, " p"]) -> float:
        instrument = self.instrument
        if instrument.own_line:
            instrument.perturb(row)
        else:
            instrument.set_parameters(row)
        if instrument.reads == "outputs":
            return float(self._cost_of(jnp.asarray(instrument.read_outputs()), jnp.asarray(self._target)))
        return instrument.measure_cost()
