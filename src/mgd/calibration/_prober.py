"""Signals put on a chip and costs read back, in order, with late and unsettled readings taken care of."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float

from .._awake import awake
from .._errors import HardwareError
from ..bench import Bench, Slipped
from ..chips import AbstractCost
from ..instruments import Guarded
from ._budget import Budget
from ._timing import LAGS

# Numbers in one exchange.
_MOST_NUMBERS = 2_000_000
# Measurements in one exchange: few different sizes, so that what compiles its exchanges does so a few times only.
_SIZES = (2048, 128, 8, 1)
# Times the middle one of all that a measurement may take before it is missed.
_SLOWER = 4
Batch = tuple[np.ndarray, np.ndarray]


class Prober:
    """Measures on a chip as training does: what fails and may pass is asked for again on a line opened again.

    A chip whose costs come late, or settle, gives a few of what was there before after that: these are measured and
    left out.

    Args:
        instrument: open.
        cost: the cost of outputs, for chips that give outputs.
        budget: of measurements.
        give_up_seconds: how long the chip may fail to answer.
        on_progress: called with the number of measurements made.

    Attributes:
        bench: the chip.
        delay: measurements by which costs come late, once that is known.
        hold: measurements after which a cost has settled, once that is known.
        distinct: every cost read so far, once.
        exchanges: the time of a measurement in each exchange, and the number of these.
    """

    def __init__(
        self,
        instrument: Guarded,
        cost: AbstractCost,
        budget: Budget,
        give_up_seconds: float,
        on_progress: Callable[[int], None],
    ):
        self.instrument, self.budget, self._on_progress = instrument, budget, on_progress
        self.bench = Bench(instrument, cost, give_up_seconds=give_up_seconds)
        self.n_params, self.delay, self.hold = instrument.n_params, 0, 1
        self.distinct = np.zeros(0, np.float32)
        self.exchanges: list[tuple[float, int]] = []
        # Since when an answer is waited for, and how many measurements it is of; None if none is.
        self._waits: tuple[float, int] | None = None
        self._theta, self._placed = np.zeros(self.n_params, np.float32), 0
        # The last signals, to which late costs may still belong; their number is not known at first.
        self._past: deque[np.ndarray] = deque(maxlen=LAGS)

    def settle(self, delay: int, hold: int) -> None:
        """Takes note of how late costs come, and after how many measurements they have settled."""
        self.delay, self.hold = delay, hold
        self._past = deque(self._past, maxlen=self.late)

    @property
    def late(self) -> int:
        """Readings after a change that are not yet of what was changed to."""
        return self.delay + self.hold - 1

    def place(self, theta: Float[np.ndarray, " p"], batch: Batch) -> None:
        """Puts parameters and a batch on the chip, and waits until costs are of these."""
        self.show(batch)
        self.write(theta)
        self._flush()

    def show(self, batch: Batch) -> None:
        """Has another batch in front of the chip from the next measurement on."""
        self._placed += 1
        self.bench.place_sample(*batch, self._placed)

    def write(self, theta: Float[np.ndarray, " p"]) -> None:
        """Has other parameters on the chip from the next measurement on."""
        self._theta, self._placed = np.asarray(theta, np.float32), self._placed + 1
        self.bench.place_parameters(self._theta, self._placed)

    def raw(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        """The costs as they are read, one for each perturbation in turn."""
        signals = np.asarray(signals, np.float32)
        self.instrument.vet(self._theta, signals)
        costs = self._sure(signals).astype(np.float64)
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

    def written_around(
        self, theta: Float[np.ndarray, " p"], changes: Float[np.ndarray, "k p"]
    ) -> Float[np.ndarray, " k"]:
        """The settled cost with each of these changes of some parameters written."""
        return self.written(theta + changes)

    def price(self, n: int, *, write: bool = False) -> int:
        """Measurements that so many settled costs take, of perturbations or of writes."""
        return n * (self.hold + self.delay) + self.late if write else n * self.hold + self.delay

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

    def _pieces(self, signals: Float[np.ndarray, "k p"]) -> Iterator[Float[np.ndarray, "n p"]]:
        """What goes into one exchange each."""
        most, start = max(1, min(self.instrument.most_together or 1, _MOST_NUMBERS // self.n_params)), 0
        while start < len(signals):
            size = next(size for size in _SIZES if size <= min(most, len(signals) - start))
            yield signals[start : start + size]
            start += size

    def _sure(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        """The costs of these, measured again if replies may have been those to other questions."""
        past, is_lost = tuple(self._past), False
        while True:
            try:
                if is_lost:
                    self._past = deque(past, maxlen=self._past.maxlen)
                    self._put_back(signals[0])
                costs = np.concatenate([self._exchange(piece) for piece in self._pieces(signals)])
                self.bench.make_sure()
                return costs
            except Slipped:
                is_lost = True

    def _put_back(self, first: Float[np.ndarray, " p"]) -> None:
        """Repeats the previous measurements, to which late costs belong; without any, the first of the next."""
        if n := self._past.maxlen:
            past = list(self._past) or [first]
            for piece in self._pieces(np.stack([past[0]] * (n - len(past)) + past)):
                self._measured(piece)

    def _exchange(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        """The costs of these; where the line was lost meanwhile, once more after what came before them."""
        recoveries = self.bench.recoveries
        costs = self._measured(signals)
        while self.bench.recoveries != recoveries and self._past.maxlen:
            recoveries = self.bench.recoveries
            self._put_back(signals[0])
            costs = self._measured(signals)
        self._past.extend(signals[max(0, len(signals) - (self._past.maxlen or 0)) :])
        return costs

    def _measured(self, signals: Float[np.ndarray, "k p"]) -> Float[np.ndarray, " k"]:
        self.budget.spend(len(signals))
        rows = signals if self.instrument.own_line else self._theta + signals
        began = time.perf_counter()
        with self._waiting(len(rows)):
            if self.instrument.most_together:
                costs = self.bench.measure_batch(rows)
            else:
                costs = np.array([self.bench.measure(row) for row in rows])
        self.exchanges.append(((time.perf_counter() - began) / len(rows), len(rows)))
        self._on_progress(self.budget.spent)
        if np.isnan(costs).any():
            raise HardwareError(
                f"{self.instrument.address}: {np.isnan(costs).sum()} of {len(rows)} measurements failed: "
                "begin at parameters where the chip can be measured"
            )
        return costs

    @contextmanager
    def _waiting(self, size: int) -> Iterator[None]:
        self._waits = awake(), size
        try:
            yield
        finally:
            self._waits = None

    def _flush(self) -> None:
        """Readings that are still of what was there before."""
        if self.late:
            self.raw(np.zeros((self.late, self.n_params), np.float32))
