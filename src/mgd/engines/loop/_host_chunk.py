"""The same few timesteps in NumPy, where to call a compiled program takes longer than what it works out."""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from ..._counter import Counter
from ...algorithm import Algorithm, Clock, State
from .._linear_rule import linear_rule
from ._chunk import AbstractChunk, Applied, Layout, Limit, Told, Vector, turn_of

# The longest hold whose timesteps are gone through one by one.
_LONGEST_HOLD = 16
# Timesteps whose perturbations are made together, and numbers.
_MOST_STEPS, _MOST_NUMBERS = 256, 2**18


class Descent(NamedTuple):
    """Gradient descent: m ← G + decay·m, Δθ = rate·m; without momentum m is G.

    Attributes:
        rate: minus the learning rate.
        decay: of the momentum; None where there is none.
    """

    rate: np.float32
    decay: np.float32 | None

    @staticmethod
    def of(algorithm: Algorithm, n_params: int) -> "Descent | None":
        """What the algorithm's optimizer does; None if that is more."""
        rule = linear_rule(algorithm.optimizer, n_params)
        if rule is None or rule.counts:
            return None
        of_gradient, decay, *rest = np.array(rule.first, np.float32)
        theta_in_memory, rate, of_memory, theta_in_change = rest
        if theta_in_memory or theta_in_change:
            return None
        if not rule.remembers:
            return Descent(rate, None)
        return Descent(rate, decay) if of_gradient == 1 and of_memory == rate * decay else None


class HostState(NamedTuple):
    """A state between two timesteps, on the host.

    Attributes:
        step: timesteps finished.
        due: whether a baseline is measured next.
        theta: the parameters.
        gradient: G, as integrated so far.
        momentum: m; of no meaning where there is none.
        baseline: what the baseline remembers of earlier costs.
        seed: of the perturbations.
        origin: the state that it came from, which has all that does not change.
    """

    step: int
    due: bool
    theta: Float[np.ndarray, " p"]
    gradient: Float[np.ndarray, " p"]
    momentum: Float[np.ndarray, " p"]
    baseline: Any
    seed: bytes
    origin: State


class HostChunk(AbstractChunk[HostState]):
    """Asks and tells as `Chunk` does, to the bit of a processor without fused multiply-adds; for one chip.

    Perturbations are made by the algorithm's own family, compiled, for many timesteps to come: they depend on nothing
    that is measured. What is left is a few operations on vectors.

    Args:
        algorithm: whose.
        descent: what its optimizer does; see `covers`.
        layout: of the rows.
        limits: lowest and highest value of each parameter.
        own_line: whether perturbations have lines of their own.
        room: where a change of the parameters ends; None if nowhere.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        descent: Descent,
        *,
        layout: Layout,
        limits: tuple[Limit, Limit],
        own_line: bool,
        room: tuple[Limit, Limit] | None,
    ):
        self._algorithm, self._descent, self._layout = algorithm, descent, layout
        self._limits, self._own_line, self._room = limits, own_line, room
        n_params, times = limits[0].size, algorithm.time_constants
        baseline, limit = algorithm.baseline, algorithm.modulation_limit
        # What an equinox module is asked for takes as long as all the arithmetic: it is asked once.
        self._tau_x, self._interval, self._turn = times.tau_x, algorithm.interval, turn_of(algorithm, n_params)
        self._resets, (self._keep, _) = algorithm.integrator.resets, algorithm.integrator.weights(times)
        self._scale = np.asarray(algorithm.scale(n_params))
        self._limit = None if limit is None else np.float32(limit)
        self._slots = [(slot, np.float32(baseline.multiples[slot])) for slot in layout.slots]
        self._observe = partial(type(baseline).observe, baseline, time_constants=times)
        self._none = np.zeros(n_params, np.float32)
        # The perturbations of some timesteps, from the first of them on, and what they were made with.
        self._seed, self._first, self._made = b"", 0, self._none[None][:0]
        self._foreseen = b"", 0, 0, self._made

    @staticmethod
    def covers(algorithm: Algorithm, n_params: int) -> Descent | None:
        """What the optimizer does, if timesteps of this algorithm are for the host; None if they are not."""
        if algorithm.bitwise or algorithm.hold > _LONGEST_HOLD or not algorithm.keeps_apart(n_params):
            return None
        return Descent.of(algorithm, n_params)

    def for_another(self) -> "HostChunk":
        return HostChunk(
            self._algorithm,
            self._descent,
            layout=self._layout,
            limits=self._limits,
            own_line=self._own_line,
            room=self._room,
        )

    def pack(self, state: State) -> HostState:
        memory = jax.tree.leaves(state.optimizer)
        return HostState(
            step=int(state.clock.step),
            due=self._layout.head == 1 and int(state.clock.slot) == 0,
            theta=np.asarray(state.theta),
            gradient=np.asarray(state.gradient),
            momentum=np.asarray(memory[0]) if memory else self._none,
            baseline=jax.tree.map(lambda leaf: np.asarray(leaf)[()], state.baseline),
            seed=np.asarray(state.seeds.perturbation).tobytes(),
            origin=state,
        )

    def unpack(self, now: HostState) -> State:
        structure = jax.tree.structure(now.origin.optimizer)
        return State(
            clock=Clock(Counter.of(now.step), jnp.int32(self._layout.head and not now.due)),
            theta=jnp.asarray(now.theta),
            gradient=jnp.asarray(now.gradient),
            baseline=jax.tree.map(jnp.asarray, now.baseline),
            optimizer=jax.tree.unflatten(structure, [jnp.asarray(now.momentum)] * structure.num_leaves),
            seeds=now.origin.seeds,
        )

    def foresee(self, now: HostState, step: int, n: int) -> None:
        rows = np.zeros((self._layout.n_rows, now.theta.size), np.float32)
        for k in range(n):
            perturbation = self._perturbation(now, step + k)
            for row, (_, multiple) in enumerate(self._slots, self._layout.row(k)):
                rows[row] = perturbation if multiple == 1 else multiple * perturbation
        self._foreseen = now.seed, step, n, rows

    def begin(self, now: HostState, n: int) -> Applied:
        if self._foreseen[:3] != (now.seed, now.step, n):
            self.foresee(now, now.step, n)
        rows, (low, high) = self._foreseen[3], self._limits
        sums = rows + now.theta
        inside = bool(((sums >= low) & (sums <= high)).all())
        return Applied(now.theta, rows if self._own_line else sums, now.due, inside)

    def turn(
        self, now: HostState, even: Vector, costs: Float[np.ndarray, " rows"], n: int, after: int
    ) -> tuple[HostState, Vector, Told, Applied]:
        layout, gradient, updated = self._layout, self._none, False
        modulations = np.zeros(layout.size, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # what is too large is found where it is asked for
            baseline = now.baseline
            if now.due:
                baseline, _ = self._observe(baseline, costs[0], slot=0, fresh=now.step % self._tau_x == 0)
            for k in range(n):
                fresh = now.step % self._tau_x == 0
                for row, (slot, _) in enumerate(self._slots, layout.row(k)):
                    baseline, modulations[k] = self._observe(baseline, costs[row], slot=slot, fresh=fresh)
                estimate = self._estimate(now, modulations[k])
                if now.step // self._turn % 2 == 0:
                    even = even + estimate
                updated = (now.step + 1) % self._interval == 0
                if updated:
                    gradient = now.gradient + estimate
                now = self._after(now, baseline, estimate, updated)
            told = Told(modulations, even, gradient, updated)
            return now, self._none if updated else even, told, self.begin(now, after)

    def _perturbation(self, now: HostState, step: int) -> Float[np.ndarray, " p"]:
        if now.seed != self._seed or not 0 <= step - self._first < len(self._made):
            first = max(0, step - _LONGEST_HOLD)  # what the hold before was is asked for after what comes
            seed, n_params = now.origin.seeds.perturbation, now.theta.size
            made = _perturbations(self._algorithm, Counter.of(first), seed, n_params=n_params)
            self._seed, self._first, self._made = now.seed, first, np.asarray(made)
        return self._made[step - self._first]

    def _estimate(self, now: HostState, modulation: np.float32) -> Float[np.ndarray, " p"]:
        """What a timestep adds to G."""
        if self._limit is not None:
            modulation = np.clip(modulation, -self._limit, self._limit)
        return (modulation * self._scale) * self._perturbation(now, now.step)

    def _after(self, now: HostState, baseline: Any, estimate: Float[np.ndarray, " p"], updated: bool) -> HostState:
        """The state after a timestep."""
        gradient, step = estimate, now.step + 1
        if not (self._resets and self._interval == 1):
            gradient = (now.gradient if self._keep == 1 else self._keep * now.gradient) + estimate
        due = self._layout.head == 1 and (updated or step % self._tau_x == 0)
        if not updated:
            return HostState(step, due, now.theta, gradient, now.momentum, baseline, now.seed, now.origin)
        rate, decay = self._descent
        momentum = gradient if decay is None else gradient + decay * now.momentum
        theta = now.theta + rate * momentum
        if self._room is not None:
            theta = theta.clip(*self._room)
        gradient = self._none if self._resets else gradient
        return HostState(step, due, theta, gradient, momentum, baseline, now.seed, now.origin)


@eqx.filter_jit
def _perturbations(
    algorithm: Algorithm, first: Counter, seed: UInt32[Array, " 2"], *, n_params: int
) -> Float[Array, "steps p"]:
    """θ̃ of some timesteps, from the first of them on."""
    n_steps = max(2 * _LONGEST_HOLD, min(_MOST_STEPS, _MOST_NUMBERS // n_params))

    def one(k: UInt32[Array, ""]) -> Float[Array, " p"]:
        index = first.plus(k).quotient(algorithm.time_constants.tau_p)
        return algorithm.perturbation(index, seed=seed, n_params=n_params)

    return jax.vmap(one)(jnp.arange(n_steps, dtype=jnp.uint32))
