"""The instrument engine: a host loop of ask → instrument → tell."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..._counter import Counter
from ..._errors import HardwareError
from ...algorithm import AbstractAskTell, Algorithm, State
from ...bench import Bench, Pending, Slipped
from ...chips import AbstractCost
from ...instruments import GIVE_UP_SECONDS, Guarded
from .._base import AbstractEngine, Progress
from .._data import Data, HostData, coming_rows
from .._evaluate import marks
from .._start import check_room, room_within
from ._chunk import AbstractChunk, Applied, Chunk, Layout, Told
from ._host_chunk import HostChunk
from ._rates import check_amplitude, rates, with_rates
from ._skips import Skips

# Numbers that a chunk holds at most, and timesteps.
_MOST_NUMBERS, _LONGEST_CHUNK = 2_000_000, 4096
_EVALUATED_TOGETHER = 256

Keep = Callable[[Float[np.ndarray, " n"]], None]
Watch = Callable[[Told, int, Float[np.ndarray, " m"]], None]


@dataclass(frozen=True)
class Options:
    """Further settings for training an instrument.

    Attributes:
        saturate: whether parameters stop short of their limits, by the largest perturbation; if not, a parameter
            that would leave them ends the run with `LimitError`.
        test_samples: the largest number of test samples in an evaluation.
        give_up_seconds: how long a chip may fail to answer before the run is given up.
        keep: called with every cost, in order, as soon as it is confirmed.
        replay: costs with which `keep` was called before, in a run with the same settings from the same start.
        settle: called when kept costs must not be lost any more, because several chips' costs enter one θ.
        watch: called with the `Told` of each chunk, its number of timesteps, and the cost of its baseline, if any.

    Raises:
        ValueError: if a number is out of range.
    """

    saturate: bool = False
    test_samples: int = 500
    give_up_seconds: float = GIVE_UP_SECONDS
    keep: Keep = lambda costs: None
    replay: Iterator[float] = field(default_factory=lambda: iter(()))
    settle: Callable[[], None] = lambda: None
    watch: Watch = lambda told, n, baseline: None

    def __post_init__(self):
        if not 0 < self.give_up_seconds <= 1e7:
            raise ValueError(f"give_up_seconds must be above 0 and at most 1e7, got {self.give_up_seconds!r}")
        if not 1 <= self.test_samples <= 2**31:
            raise ValueError(f"test_samples must be from 1 to {2**31}, got {self.test_samples!r}")


class _Point(NamedTuple):
    """What a run goes back to."""

    at: int
    state: Any
    even: Any
    applied: Applied
    skips: tuple[int, float, bool]


class Instrumented(AbstractEngine[AbstractAskTell]):
    """Measures on an instrument; ask and tell are compiled as for every other engine.

    Unlike other engines it has effects: it moves a real chip, and hands each cost to `keep`. The costs in `replay` are
    taken as measured before the chip is used, so a run continues from the last cost that was kept, in the middle of a
    window or of a hold.

    If replies can slip, costs are confirmed when the chip has answered a query with a known answer, at the end of each
    `advance` and, after trouble, between holds. If the answer is wrong, or the line was lost meanwhile, the run goes
    back to the last confirmed measurement and measures again.

    Args:
        instrument: open, and guarded.
        algorithm: the training algorithm.
        start: the parameters at the start.
        cost: the cost of outputs, for chips that give outputs, and for the test set.
        batch: samples over which a measurement is averaged.
        options: further settings.

    Attributes:
        bench: the chip with its measurements.
        rated: the algorithm with the learning rates of the chip's groups.
        start: the parameters at the start; if parameters saturate, with room for a perturbation.
        room: lowest and highest value of each parameter that leave room for a perturbation.
        told: the `Told` of the last chunk.
    """

    name: ClassVar[str] = "instrument"

    def __init__(
        self,
        instrument: Guarded,
        algorithm: AbstractAskTell,
        start: Float[np.ndarray, " p"],
        *,
        cost: AbstractCost,
        batch: int = 1,
        options: Options | None = None,
    ):
        self.options = options or Options()
        self.algorithm: AbstractAskTell = algorithm
        self.rated = with_rates(algorithm, instrument.limits)
        self.batch, self._cost = batch, cost
        self.n_params = instrument.n_params
        self.bench = Bench(instrument, cost, give_up_seconds=self.options.give_up_seconds)
        limits = instrument.limits
        family = algorithm.reference.perturbation
        largest = float(np.float32(family.amplitude * family.traits(self.n_params).largest))
        self._limits, self.room = (limits.low, limits.high), room_within(limits, largest)
        if self.options.saturate:
            check_room(limits, largest)
        self.start = self._with_room(start)
        self._hold, self._interval, self._tau_x = algorithm.hold, algorithm.interval, algorithm.time_constants.tau_x
        longest = max(1, min(_LONGEST_CHUNK, _MOST_NUMBERS // self.n_params))
        # The signs of a circuit are in its state: what it applies is not known before it is told the costs before.
        known = self._hold if isinstance(algorithm, Algorithm) else 1
        self._size, self._stride = _chunks(known, longest, instrument.most_together)
        self._layout = Layout.of(algorithm, self._size)
        self._skips = Skips(self._layout)
        self._chunk: AbstractChunk[Any] | None = None
        self._lender: Instrumented | None = None
        self.told: Told | None = None
        self._even: Any = np.zeros(self.n_params, np.float32)
        # The next chunk was asked with the tell of the last, if the run goes on from where it left.
        self._next: tuple[Progress, Applied] | None = None
        # The samples on the host, and the rows of some presentations, from the first of them on.
        self._on_host: HostData | None = None
        self._rows_from, self._rows = -1, np.zeros((0, batch), np.int32)
        self._pending = Pending(self.options.replay)
        # The batch of a presentation, worked out beforehand.
        self._foreseen: tuple[int, tuple[np.ndarray, np.ndarray]] | None = None

    @property
    def stride(self) -> int:
        return self._stride

    @property
    def cost_of_outputs(self) -> AbstractCost:
        return self._cost

    def gives_outputs(self, data: Data) -> bool:
        return self.bench.instrument.reads != "cost"

    def check(self, n_replicas: int, data: Data, *, key: PRNGKeyArray) -> None:
        if n_replicas != 1:
            raise ValueError(f"an instrument is one chip: replicas must be 1, got {n_replicas}")
        check_amplitude(self.algorithm, self.bench.instrument.limits)

    def check_start(self, progress: Progress, data: Data) -> None:
        """Does nothing: a real chip is watched during the run."""

    def shown_of(self, n_samples: int) -> int:
        return min(n_samples, self.options.test_samples)

    @property
    def skipped(self) -> int:
        """Number of skipped measurements, from which nothing was learnt."""
        return self._skips.count

    @property
    def groups(self) -> Mapping[str, slice]:
        return self.bench.instrument.groups

    def init(
        self,
        n_replicas: int,
        *,
        key: PRNGKeyArray,
        start: Float[np.ndarray, "1 p"] | None = None,
        replica: int = 0,
    ) -> Progress:
        """The start of the run; there is one replica, the chip.

        Args:
            n_replicas: 1.
            key: the seed of all random numbers.
            start: the parameters at the start, in place of the engine's own.
            replica: which replica of a simulation with the same key has the same perturbations and samples.

        Raises:
            ValueError: if another number is asked for, or the parameters do not fit.
            LimitError: if the start is outside the limits.
        """
        if n_replicas != 1:
            raise ValueError(f"an instrument is one chip: replicas must be 1, got {n_replicas}")
        if start is not None:
            self.start = self._with_room(start[0])
        if self.start.shape != (self.n_params,):
            raise ValueError(f"the chip has {self.n_params} parameters, and its start has shape {self.start.shape}")
        self.bench.instrument.limits.check_start(self.start)
        self._rows_from, self._foreseen = -1, None
        _, run_key = jax.random.split(jax.random.fold_in(key, replica))
        return Progress.one(self.rated.init(jnp.asarray(self.start), key=run_key))

    def advance(self, data: Data, progress: Progress, n_steps: int) -> Progress:
        """The run after `n_steps` more timesteps.

        Raises:
            HardwareError: if the chip gives no valid answer for `give_up_seconds`, or is another one.
            LimitError: if a parameter would leave its limits; nothing is sent.
        """
        alone = progress.replica()
        chunk = self._chunk or self._make(alone)
        state, seed = chunk.pack(alone), alone.seeds.samples
        at = int(alone.clock.step)
        if self._next is not None and self._next[0] is progress:
            applied = self._next[1]
        else:
            applied = chunk.begin(state, self._ahead(at))
        if math.isnan(self._skips.reference) and at:  # the run was taken up: what the next cost is compared with
            self._skips.reference = float(jax.tree.leaves(alone.baseline)[0])
        sure = _Point(at, state, self._even, applied, self._skips.mark())
        end = at + n_steps
        try:
            while at < end:
                n = min(end - at, self._ahead(at))
                try:
                    foresee = partial(self._foresee, data, chunk, state, seed, at + n)
                    costs, baseline = self._measure(data, seed, applied, at, n, foresee)
                    at += n
                    state, self._even, told, applied = chunk.turn(state, self._even, costs, n, self._ahead(at))
                    self.told = told
                    self._put_off(partial(self.options.watch, told, n, baseline))
                    if at == end or self.bench.check_is_due:
                        self.bench.make_sure()
                except Slipped:
                    at, state, self._even, applied, skips = sure
                    self._skips.go_back(skips)
                    self._pending.void()
                    continue
                if self.bench.is_sure:
                    self._pending.settle()
                    sure = _Point(at, state, self._even, applied, self._skips.mark())
        finally:
            self._pending.catch_up()
        after = Progress.one(chunk.unpack(state))
        self._next = after, applied
        return after

    def evaluate(self, progress: Progress, data: Data) -> tuple[Float[Array, " 1"], Float[Array, " 1"]]:
        """Mark and mean cost of the chip on the first `test_samples` samples, as in `mgd.engines.evaluate`.

        Without outputs, the mark is NaN; if the chip cannot be measured (a circuit that does not converge), both are.
        """
        theta, skips = np.asarray(progress.replica().theta), self._skips.mark()
        while True:
            try:
                found = self._evaluated(theta, data)
                self.bench.make_sure()
                return found
            except Slipped:
                self._skips.go_back(skips)

    def _evaluated(self, theta: Float[np.ndarray, " p"], data: Data) -> tuple[Float[Array, " 1"], Float[Array, " 1"]]:
        n = self.shown_of(len(data.y))
        right, total = 0.0, 0.0
        for start in range(0, n, _EVALUATED_TOGETHER):
            rows = jnp.arange(start, min(n, start + _EVALUATED_TOGETHER))
            x, y = (np.asarray(a) for a in data.show(rows))
            try:
                if self.bench.instrument.reads == "cost":
                    right, total = math.nan, total + self.bench.cost_of_others(theta, x, y) * len(y)
                    continue
                outputs = jnp.asarray(self.bench.respond(theta, x, y))
            except HardwareError as error:
                if not error.skip:
                    raise
                self._skips.count += 1
                right = total = math.nan
                break
            right += float(marks(np.asarray(outputs), y, data.kind, self._cost).sum())
            total += float(self._cost(outputs, jnp.asarray(y)).sum())
        return jnp.asarray([right / n], jnp.float32), jnp.asarray([total / n], jnp.float32)

    def share_program(self, other: "Instrumented") -> None:
        """Takes the other's compiled parts of ask and tell, if the chips' programs are the same."""
        mine, theirs = (
            (
                *of._limits,
                of._size,
                of.options.saturate,
                of.bench.instrument.own_line,
                rates(of.bench.instrument.limits),
            )
            for of in (self, other)
        )
        if all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True)) and self.algorithm is other.algorithm:
            self._lender = other

    def _with_room(self, start: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Parameters at the start; where parameters saturate, so that a perturbation has room.

        Raises:
            LimitError: if they are outside the limits.
        """
        start = np.asarray(start, np.float32)
        if not self.options.saturate or start.shape != (self.n_params,):
            return start
        self.bench.instrument.limits.check_start(start)
        return np.clip(start, *self.room)

    def _make(self, like: State) -> AbstractChunk[Any]:
        """What asks and tells: on the host where holds are short and it can."""
        if self._lender is not None:
            self._chunk = (self._lender._chunk or self._lender._make(like)).for_another()
            return self._chunk
        common: Any = {"layout": self._layout, "limits": self._limits, "own_line": self.bench.instrument.own_line}
        algorithm = self.rated
        descent = HostChunk.covers(algorithm, self.n_params) if isinstance(algorithm, Algorithm) else None
        if isinstance(algorithm, Algorithm) and descent is not None:
            room = self.room if self.options.saturate else None
            self._chunk = HostChunk(algorithm, descent, room=room, **common)
        else:
            self._chunk = Chunk(self.rated, write=self._write, like=like, **common)
        return self._chunk

    def _ahead(self, at: int) -> int:
        """Timesteps from there to the end of the hold, or as many as a chunk has."""
        return min(self._size, self._hold - at % self._hold)

    def _measure(
        self, data: Data, seed: Array, applied: Applied, at: int, n: int, foresee: Callable[[], None]
    ) -> tuple[Float[np.ndarray, " rows"], np.ndarray]:
        """The costs of a chunk's rows, and that of its baseline if it has one; `foresee` can be done meanwhile."""
        costs = np.zeros(self._layout.n_rows, np.float32)
        head, last = self._layout.head, self._layout.row(n)
        first = 0 if head and bool(applied.due) else head
        known = first
        for kept in self._pending.known() if known < last else ():
            costs[known] = self._skips.filled(known, kept)
            known += 1
            if known == last:
                break
        if known < last:
            self._prepare(data, seed, applied, at)
            self._pending.soon(foresee)
            rows, together = np.asarray(applied.rows), self.bench.instrument.most_together
            made = costs.copy()  # as they are kept: NaN for what could not be measured
            for row in range(known, last) if not together else ():
                made[row] = cost = self._cost_or_nan(rows, row)
                self._put_off(partial(self.options.keep, made[row : row + 1]))
                costs[row] = self._skips.filled(row, cost)
            for start in range(known, last, together) if together else ():
                stop = min(last, start + together)
                made[start:stop] = self.bench.measure_batch(rows[start:stop], self._pending.catch_up)
                if math.isnan(made[start]) and math.isnan(self._skips.reference):
                    raise HardwareError(
                        f"{self.bench.instrument.address}: the first cost of the run could not be measured: "
                        "start at parameters where the chip can be measured"
                    )
                costs[start:stop] = self._skips.filled_together(start, made[start:stop])
                self._put_off(partial(self.options.keep, made[start:stop]))
        return costs, costs[first:head]

    def _prepare(self, data: Data, seed: Array, applied: Applied, at: int) -> None:
        """Says what is to be on the chip, if it may be."""
        written, shown = at // self._interval, at // self._tau_x
        if not bool(applied.inside):
            theta, rows = np.asarray(applied.theta), np.asarray(applied.rows)
            self.bench.instrument.vet(theta, rows if self.bench.instrument.own_line else rows - theta)
        if self.bench.written != written:
            self.bench.place_parameters(np.asarray(applied.theta), written)
        if self.bench.shown != shown:
            self.bench.place_sample(*self._samples(data, seed, shown), shown)

    def _samples(self, data: Data, seed: Array, presentation: int) -> tuple[np.ndarray, np.ndarray]:
        """The inputs and targets of a presentation."""
        if self._on_host is None or self._on_host.data is not data:
            self._on_host, self._rows_from, self._foreseen = HostData.of(data), -1, None
        if self._foreseen is not None and self._foreseen[0] == presentation:
            return self._foreseen[1]
        if self._rows_from < 0 or not 0 <= presentation - self._rows_from < len(self._rows):
            self._rows_from = presentation
            sizes: dict[str, Any] = {"n_samples": len(data.y), "batch": self.batch, "order": data.order}
            rows = coming_rows(Counter.of(presentation), seed, **sizes)
            self._rows = np.asarray(rows)
        return self._on_host.show(self._rows[presentation - self._rows_from])

    def _foresee(self, data: Data, chunk: AbstractChunk[Any], state: Any, seed: Array, at: int) -> None:
        """Works out what comes at that timestep, as far as no measurement is needed for it."""
        shown = at // self._tau_x
        if self.bench.shown != shown:
            self._foreseen = shown, self._samples(data, seed, shown)
        chunk.foresee(state, at, self._ahead(at))

    def _put_off(self, job: Callable[[], None]) -> None:
        """Has it done when there is time, and what was measured is sure."""
        self._pending.put_off(job, sure=self.bench.is_sure)

    def _cost_or_nan(self, rows: np.ndarray, row: int) -> float:
        """The cost of a row; NaN if it cannot be measured, or would tell nothing without one that could not."""
        if self._skips.lacks_reference(row):
            return math.nan
        try:
            return self.bench.measure(rows[row], self._pending.catch_up)
        except HardwareError as error:
            if not error.skip or math.isnan(self._skips.reference):
                raise
            return math.nan

    def _write(self, theta: Float[Array, " p"], delta: Float[Array, " p"], *, key: PRNGKeyArray) -> Float[Array, " p"]:
        changed = theta + delta
        return jnp.clip(changed, *self.room) if self.options.saturate else changed


def _chunks(hold: int, longest: int, together: int) -> tuple[int, int]:
    """The timesteps of a chunk, and of what a run may be cut at: in batches, whole chunks."""
    if not together:
        return min(hold, longest), 1
    if hold <= longest:
        return hold, hold
    even = max(n for n in range(1, longest + 1) if hold % n == 0)
    return (even, even) if 16 * even > longest else (longest, hold)
