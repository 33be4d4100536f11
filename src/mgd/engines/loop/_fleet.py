"""A fleet: several instruments, measured at the same time, that train one set of parameters or each its own."""

import math
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from ..._errors import HardwareError
from ..._log import LOG
from ...algorithm import AbstractAskTell, Algorithm, State
from ...chips import AbstractCost
from ...instruments import difference, leave_safely
from .._base import AbstractEngine, Progress
from .._data import Data
from ._instrument import Instrumented
from ._rates import rates

# How often a chip that is being waited for is looked at, and how much longer than its own patience it is given.
_LOOK_SECONDS, _PATIENCE = 0.2, 2.0

Trained = Literal["shared", "own"]
OnDrop = Callable[[int, int, str], None]


class Fleet(AbstractEngine[AbstractAskTell]):
    r"""Trains N chips together, each in its own thread.

    *shared*: one θ. Each chip r measures a whole window, with perturbations and samples from its own seeds, and

    $$G = \frac1{|A|} \sum_{r \in A} G_r$$

    is the mean over the chips A that work until the window's end. It updates θ on all chips. Because all seeds are
    known, only costs need be exchanged; the noise in G falls as in a window |A| times as long.

    *own*: N runs side by side, of N chips that must have equal numbers of parameters but may otherwise differ.

    A chip that gives no valid answer for its `give_up_seconds` is dropped, with its measurements in the current window,
    and the others continue. The run ends when none is left.

    Args:
        members: the chips, each with its options; all with the same algorithm.
        trained: "shared" or "own".
        on_drop: called with the number of a dropped chip, the step and the reason, before the drop takes effect.

    Attributes:
        dropped: the dropped chips, with the step of each drop; a run that resumes before that step may set it.

    Raises:
        ValueError: if the chips differ in their number of parameters, no θ is within the limits of all, or an algorithm
            without windows would have to share θ.
    """

    name: ClassVar[str] = "instrument"

    def __init__(
        self,
        members: Sequence[Instrumented],
        *,
        trained: Trained = "shared",
        on_drop: OnDrop = lambda chip, step, why: None,
    ):
        first = members[0]
        self.members, self.trained, self.algorithm, self.batch = list(members), trained, first.algorithm, first.batch
        self.n_params, self.n_chips = first.n_params, len(members)
        self.dropped: dict[int, int] = {}
        self._on_drop = on_drop
        sizes = [member.n_params for member in members]
        if len(set(sizes)) > 1:
            raise ValueError(f"the chips of a fleet must have equal numbers of parameters, got {sizes}")
        if trained == "shared":
            self._limits = _common_limits(members)
            _check_meaning(members)
            _check_rates(members)
            if not isinstance(self.algorithm, Algorithm):
                raise ValueError(
                    "chips that share their parameters share their G, and a training circuit has its own: let each "
                    'train its own, with fleet = "own"'
                )
            if not self.algorithm.integrator.resets:
                raise ValueError(
                    "chips that share their parameters need windows, and the analog algorithm has none: "
                    'use algorithm = "discrete", or let each train its own'
                )
        for member in members[1:]:
            member.share_program(first)
        self._hands = [_Hand() for _ in members]
        self._running: list[Future] = []

    @property
    def stride(self) -> int:
        if self.trained == "shared":
            return self.algorithm.interval
        return math.lcm(*(member.stride for member in self.members))

    @property
    def groups(self) -> Mapping[str, slice]:
        """The first chip's names of slices of θ; empty if it has none."""
        return self.members[0].groups

    @property
    def cost_of_outputs(self) -> AbstractCost:
        return self.members[0].cost_of_outputs

    def gives_outputs(self, data: Data) -> bool:
        return any(member.gives_outputs(data) for member in self.members)

    def check(self, n_replicas: int, data: Data, *, key: PRNGKeyArray) -> None:
        if n_replicas != self.n_chips:
            raise ValueError(f"a fleet of {self.n_chips} chips is as many replicas, got {n_replicas}")
        for member in self.members:
            member.check(1, data, key=key)

    def check_start(self, progress: Progress, data: Data) -> None:
        """Does nothing: real chips are watched during the run."""

    def shown_of(self, n_samples: int) -> int:
        return min(member.shown_of(n_samples) for member in self.members)

    def living(self, step: int) -> list[int]:
        """The chips that have not been dropped at this step."""
        return [chip for chip in range(self.n_chips) if self.dropped.get(chip, step + 1) > step]

    def init(
        self, n_replicas: int, *, key: PRNGKeyArray, start: Float[np.ndarray, "replica p"] | None = None
    ) -> Progress:
        """The start of the run; replica r is chip r.

        Args:
            n_replicas: as many as there are chips.
            key: everything random is drawn from it.
            start: the parameters of each chip at the start, in place of the engines' own.

        Raises:
            ValueError: if another number is asked for, or the parameters do not fit.
            LimitError: if a start is outside its limits.
        """
        if n_replicas != self.n_chips:
            raise ValueError(f"a fleet of {self.n_chips} chips is as many replicas, got {n_replicas}")
        states = []
        for chip, member in enumerate(self.members):
            own = None if start is None else start[chip : chip + 1]
            if self.trained == "shared":
                own = self.members[0].start[None] if start is None else start[:1]
            states.append(member.init(1, key=key, start=own, replica=chip).replica())
        return Progress.together(states)

    def advance(self, data: Data, progress: Progress, n_steps: int) -> Progress:
        """The run after `n_steps` more timesteps.

        Raises:
            HardwareError: if no chip is left.
            LimitError: if a parameter would leave its limits; nothing is sent.
        """
        states = [progress.replica(chip) for chip in range(self.n_chips)]
        if self.trained == "own":
            at = int(states[0].clock.step)
            end = at + n_steps
            # In a run that goes on, cut where a chip was dropped before, up to which its costs are known.
            for stop in sorted({step for step in self.dropped.values() if at < step < end} | {end}):
                states, at = self._each(data, states, stop - at), stop
            return Progress.together(states)
        for _ in range(n_steps // self.stride):
            states = self._window(data, states)
        if rest := n_steps % self.stride:  # a run that ends within a window, which then changes no θ
            states = self._each(data, states, rest)
        return Progress.together(states)

    def evaluate(self, progress: Progress, data: Data) -> tuple[Float[Array, " chip"], Float[Array, " chip"]]:
        """Mark and mean cost of each chip, as in `mgd.engines.evaluate`; NaN for those that are dropped."""
        states = [progress.replica(chip) for chip in range(self.n_chips)]
        found = self._all(lambda chip: self.members[chip].evaluate(Progress.one(states[chip]), data), states)
        values = np.full((2, self.n_chips), np.nan, np.float32)
        for chip, (mark, cost) in found.items():
            values[:, chip] = mark[0], cost[0]
        return jnp.asarray(values[0]), jnp.asarray(values[1])

    def _each(self, data: Data, states: list[State], n_steps: int) -> list[State]:
        """Each chip's own run; a chip that is dropped stays where it was but for the clock."""
        found = self._all(lambda chip: self.members[chip].advance(data, Progress.one(states[chip]), n_steps), states)
        clock = next(iter(found.values())).state.clock
        return [
            found[chip].replica() if chip in found else states[chip].with_clock(clock) for chip in range(self.n_chips)
        ]

    def _window(self, data: Data, states: list[State]) -> list[State]:
        """One window of a shared θ."""

        def measure(chip: int) -> Float[np.ndarray, " p"]:
            member = self.members[chip]
            member.advance(data, Progress.one(states[chip]), self.stride)
            assert member.told is not None
            return np.asarray(member.told.gradient)

        found = self._all(measure, states)
        # A run that goes on must find every cost that this θ is made of, before any that was measured at the next.
        for chip in found:
            self.members[chip].options.settle()
        # In the order of the chips, whichever came first: so that a run is the same however the threads went.
        gradient = jnp.asarray(np.mean([found[chip] for chip in sorted(found)], axis=0, dtype=np.float32))
        saturate = any(member.options.saturate for member in self.members)
        concluded = _conclude(self.members[0].rated, states[0], gradient, self._limits if saturate else None)
        return [
            State(concluded.clock, concluded.theta, concluded.gradient, each.baseline, concluded.optimizer, each.seeds)
            for each in states
        ]

    def _all(self, work: Callable[[int], Any], states: list[State]) -> dict[int, Any]:
        """The same of every living chip at once; those that fail are dropped.

        Raises:
            HardwareError: if none is left.
        """
        step = int(states[0].clock.step)
        waiting: dict[Future, int] = {self._hands[chip].do(partial(work, chip)): chip for chip in self.living(step)}
        self._running = list(waiting)
        found: dict[int, Any] = {}
        failed: dict[int, Exception] = {}
        broken: BaseException | None = None
        while waiting:
            done, _ = wait(waiting, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                chip = waiting.pop(future)
                try:
                    found[chip] = future.result()
                except (HardwareError, OSError) as error:
                    failed[chip] = error
                except BaseException as error:  # not the chip's: it ends the run, when the others are at rest
                    broken = broken or error
            for future, chip in list(waiting.items()):
                bench = self.members[chip].bench
                if (silence := bench.silence()) > _PATIENCE * bench.give_up_seconds:
                    del waiting[future]
                    bench.halted = True
                    failed[chip] = HardwareError(f"{bench.instrument.address} has not answered for {silence:.0f} s")
                    self._hands[chip] = _Hand()
        if broken is not None:
            raise broken
        if not found:
            # None is dropped: what ailed all of them at once may be mended, and the run go on.
            last = next(iter(failed.values()), None)
            raise HardwareError(f"no chip of the fleet answers; the last error was {last}") from last
        for chip, error in sorted(failed.items()):
            self._drop(chip, step, error)
            if not self.members[chip].bench.halted:
                self._running.append(self._hands[chip].do(partial(leave_safely, self.members[chip].bench.instrument)))
        return found

    def halt(self, seconds: float) -> None:
        """Makes every thread stop using its chip, and waits for that."""
        for member in self.members:
            member.bench.halted = True
        wait(self._running, timeout=seconds)
        for hand in self._hands:
            hand.end()

    def _drop(self, chip: int, step: int, why: Exception) -> None:
        if chip in self.dropped:  # it lives on in what was kept of it, and there is no more
            return
        self.dropped[chip] = step
        LOG.warning("chip %d is dropped at step %d: %s", chip, step, why)
        self._on_drop(chip, step, str(why))


class _Hand:
    """A thread that turns one chip. One whose driver waits for ever does not keep the program from ending."""

    def __init__(self):
        self._jobs: queue.SimpleQueue[tuple[Future, Callable[[], Any]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._turn, daemon=True).start()

    def do(self, job: Callable[[], Any]) -> Future:
        future: Future = Future()
        self._jobs.put((future, job))
        return future

    def end(self) -> None:
        """No more jobs come."""
        self._jobs.put(None)

    def _turn(self) -> None:
        while (given := self._jobs.get()) is not None:
            future, job = given
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)
            del given, future, job


@eqx.filter_jit
def _conclude(algorithm: AbstractAskTell, state: State, gradient: Array, limits: tuple | None) -> State:
    def write(theta: Array, delta: Array, *, key: PRNGKeyArray) -> Array:
        return theta + delta if limits is None else jnp.clip(theta + delta, *limits)

    return algorithm.conclude(state, gradient, write=write)


def _common_limits(members: Sequence[Instrumented]) -> tuple[Float[np.ndarray, " p"], Float[np.ndarray, " p"]]:
    """The range of a shared θ, a perturbation short of the narrowest limits."""
    low = np.max([member.room[0] for member in members], axis=0)
    high = np.min([member.room[1] for member in members], axis=0)
    if not (low < high).all():
        worst = int(np.argmax(low - high))
        raise ValueError(
            f"parameter {worst} has no value within the limits of all chips of the fleet ({low[worst]:g} … "
            f"{high[worst]:g}): leave one out, or let each train its own"
        )
    return low, high


def _check_meaning(members: Sequence[Instrumented]) -> None:
    """Raises: ValueError: if chips that share their θ would be set to different values for it."""
    first, *others = (member.bench.instrument for member in members)
    for chip, other in enumerate(others, 1):
        if first.n_params != other.n_params:
            continue  # refused by itself
        if (found := difference(first.limits.meaning, other.limits.meaning)) is not None:
            what, mine, theirs = found
            raise ValueError(
                f"the chips share their parameters, and the {what} is {mine} for chip 0 ({first.address}) and {theirs} "
                f"for chip {chip} ({other.address}): give them the same groups in their files, or train each chip's "
                "own (--fleet own)"
            )


def _check_rates(members: Sequence[Instrumented]) -> None:
    """Raises: ValueError: if chips that share their parameters would learn at different rates."""
    each = [rates(member.bench.instrument.limits) for member in members]
    for chip, rate in enumerate(each):
        if (different := np.flatnonzero(rate != each[0])).size:
            k = int(different[0])
            raise ValueError(
                f"chips that share their parameters learn at one rate, and learning_rate of the group of parameter {k} "
                f"is {each[0][k]:g} for chip 0 and {rate[k]:g} for chip {chip}: give the same, or let each train its "
                "own"
            )
