"""The one implementation of multiplexed gradient descent: init, ask, tell."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, ScalarLike

from .._alone import alone
from .._counter import Counter
from .._hash import Row
from .._numbers import NUMBER, with_fields
from ..perturbations import AbstractPerturbation
from ._ask_tell import AbstractAskTell, Measure, T
from ._base import check_optimizer
from ._baselines import AbstractBaseline
from ._compiled import as_cost, compiled
from ._counts import Counts, count
from ._integrators import AbstractIntegrator
from ._rule import rule_of
from ._state import Clock, Info, Probe, Seeds, State
from ._time_constants import TimeConstants
from ._together import step_together
from ._write import Write, write_exactly

# The largest chip whose θ̃ is kept apart in compiled programs, so that others can compute the same bits.
_MOST_PARAMS_APART = 2**15


class Algorithm(AbstractAskTell):
    r"""Multiplexed gradient descent: perturbation × baseline × integrator × update × time constants.

    At every timestep the chip is measured with a perturbation θ̃ on its parameters. The modulation C̃ of its
    cost, multiplied by θ̃, is each parameter's own estimate of its gradient:

    $$e_i = \frac{\tilde C\,\tilde\theta_i}{\langle\tilde\theta_i^2\rangle}, \qquad G \leftarrow k\,G + t\,e,
      \qquad \theta \leftarrow \theta + \text{update}(G)$$

    with (k, t) of the `integrator` and the update of the `optimizer` at the end of each window. For every family, G is
    normalised so that E[G] is the ordinary gradient of the samples seen, so learning rates have their usual meaning.

    The algorithm never calls a chip. `ask` says what to apply, and `tell` takes the measured cost; both are pure
    functions, and compiled once:

    >>> import jax, mgd, optax
    >>> algorithm = mgd.discrete(optimizer=optax.sgd(0.1))
    >>> state = algorithm.init(jax.numpy.array([1.0, -1.0]), key=jax.random.key(0))
    >>> for _ in range(400):
    ...     probe, state = algorithm.ask(state)
    ...     cost = float(((probe.theta + probe.perturbation - 3.0) ** 2).sum())
    ...     state, info = algorithm.tell(state, cost)
    >>> [round(float(x), 1) for x in state.theta]
    [3.0, 3.0]

    Args:
        perturbation: the family of θ̃.
        baseline: the cost with which a perturbed cost is compared.
        integrator: the filter that makes G of instantaneous estimates.
        optimizer: any optax transformation, to be applied to G.
        time_constants: how long perturbation, sample and parameters are held.
        modulation_limit: C̃ is clamped to ± this before it is used, in the cost's unit; None for no clamp.
        bitwise: whether one simulated chip (a single replica) gives the same bits in the measured engine and as an
            instrument. Perturbations, costs and updates are then compiled separately; small chips take two to three
            times as long.
        open: names of the parts that were not given, which `mgd.train` chooses for its chip and steps (`fitted`).

    References:
        McCaughan et al., "Multiplexed gradient descent", APL Mach. Learn. 1, 026118 (2023), arXiv:2303.03986.
    """

    perturbation: AbstractPerturbation
    baseline: AbstractBaseline
    integrator: AbstractIntegrator
    optimizer: optax.GradientTransformation
    time_constants: TimeConstants = eqx.field(static=True)
    modulation_limit: float | None = eqx.field(metadata=NUMBER, default=None)
    bitwise: bool = eqx.field(static=True, default=False)
    open: tuple[str, ...] = eqx.field(static=True, default=())
    # Worked out where the numbers are known, for programs in which they are not.
    _scale: Float[np.ndarray, "*params"] | None = eqx.field(default=None, init=False)

    def __check_init__(self):
        check_optimizer(self.optimizer)
        if self.baseline.pointwise and self.time_constants.tau_hp != TimeConstants().tau_hp:
            raise ValueError(
                f"tau_hp belongs to a high-pass baseline, not to {type(self.baseline).__name__}: leave tau_hp out, got "
                f"{self.time_constants.tau_hp}"
            )
        if self.modulation_limit is not None and not self.modulation_limit > 0:
            raise ValueError(f"modulation_limit must be above 0, or None for no clamp, got {self.modulation_limit}")
        self.baseline.gain(self.perturbation, self.time_constants, 1)

    def init(self, theta: Float[Array, " p"], *, key: PRNGKeyArray, n_sites: int | None = None) -> State:
        """The state before the first measurement.

        Args:
            theta: where training starts.
            key: of this chip's run; all its random streams are drawn from it.
            n_sites: how many sites are perturbed; by default, as many as there are parameters.

        Raises:
            ValueError: if the perturbation cannot perturb that many parameters.
        """
        if theta.ndim != 1 or theta.size == 0:
            raise ValueError(f"theta must be a vector of at least one parameter, got shape {theta.shape}")
        if self._scale is None:
            self.check(n_sites or theta.size)
        theta = jnp.asarray(theta, jnp.float32)
        return State(
            clock=self.clock_at(0),
            theta=theta,
            gradient=jnp.zeros_like(theta),
            baseline=self.baseline.init(),
            optimizer=self.optimizer.init(theta),
            seeds=Seeds.of(key),
        )

    def check(self, n_sites: int) -> None:
        # With a low-pass there is no window: θ itself goes on averaging.
        window = self.interval if self.integrator.resets else None
        self.perturbation.check(n_sites, self.time_constants.tau_p, window)

    def for_program(self, n_params: int, n_sites: int | None = None) -> "Algorithm":
        if self._scale is not None:
            return self
        return with_fields(self, optimizer=rule_of(self.optimizer, n_params), _scale=self.scale(n_sites or n_params))

    def scale(self, n_sites: int) -> Float[Array | np.ndarray, "*sites"]:
        """The factor of C̃ θ̃ in G: one float32 for all sites, or one for each (shape (n_sites,))."""
        if self._scale is not None:
            return self._scale
        _, take = self.integrator.weights(self.time_constants)
        gain = self.baseline.gain(self.perturbation, self.time_constants, n_sites)
        return np.asarray(take / (self.perturbation.mean_square(n_sites) * gain), np.float32)

    def clock_at(self, step: int) -> Clock:
        """The clock after that many whole timesteps."""
        counter = Counter.of(step)
        return Clock(counter, self._first_slot(counter))

    @compiled
    def ask(self, state: State, *, slot: int | None = None, n_sites: int | None = None) -> tuple[Probe, State]:
        counter = state.clock.step
        presentation, since = counter.divmod(self.time_constants.tau_x)
        probe = Probe(
            theta=state.theta,
            perturbation=self.apart(state, lambda state: self._signal(state, slot, n_sites), state),
            presentation=presentation,
            fresh=since == 0,
            key=Row.of(state.seeds.measurement, counter).key(state.clock.slot if slot is None else slot),
            seed=state.seeds.samples,
            slot=slot,
        )
        return probe, state

    @compiled
    def tell(
        self,
        state: State,
        cost: ScalarLike,
        *,
        write: Write = write_exactly,
        slot: int | None = None,
        credit: Float[Array, " p"] | None = None,
        n_sites: int | None = None,
    ) -> tuple[State, Info]:
        cost = jnp.asarray(as_cost(cost), jnp.float32)  # a weak type would go on in the state
        if slot is None:
            branches = [partial(self._tell, slot=k, write=write, n_sites=n_sites) for k in range(self.n_slots)]
            return lax.switch(state.clock.slot, branches, state, cost, credit)
        tell = partial(self._tell, slot=slot, write=write, n_sites=n_sites)
        return self.apart(state, tell, state, cost, credit)

    def apart(self, state: State, function: Callable[..., T], *arguments: Any) -> T:
        """The value of a function; it is compiled separately if engines must give the same bits."""
        if not self.bitwise:
            return function(*arguments)
        return alone(state.clock.step.high < 2**30, function, *arguments)

    def step_together(
        self,
        state: State,
        measure: Measure,
        device: Any,
        size: int,
        *,
        write: Write = write_exactly,
        axis: str | None = None,
        n_sites: int | None = None,
    ) -> tuple[State, Any, Info]:
        return step_together(self, state, measure, device, size, write=write, axis=axis, n_sites=n_sites)

    def gathered(
        self, state: State, added: Float[Array, " p"], size: int, *, write: Write
    ) -> tuple[State, Bool[Array, ""]]:
        """The state after `size` timesteps of a hold that added this to G, and whether θ was updated."""
        step = state.clock.step.plus(size)
        updated = step.remainder(self.interval) == 0
        theta, gradient, optimizer = self._update(state, state.gradient + added, step, write)
        clock = Clock(step, self._first_slot(step))
        return State(clock, theta, gradient, state.baseline, optimizer, state.seeds), updated

    def conclude(self, state: State, gradient: Float[Array, " p"], *, write: Write = write_exactly) -> State:
        """The state at the end of a window, if G was this: for engines that know a window's G without its steps.

        Args:
            state: at the start of a window.
            gradient: G at its end.
            write: how the chip's memory takes a change of its parameters.
        """
        step = state.clock.step.plus(self.interval)
        theta, _, optimizer = self._update(state, gradient, step, write)
        clock = Clock(step, self._first_slot(step))
        return State(clock, theta, jnp.zeros_like(gradient), state.baseline, optimizer, state.seeds)

    @property
    def hold(self) -> int:
        if not (self.baseline.pointwise and self.integrator.resets):
            return 1
        return math.gcd(self.time_constants.tau_x, self.interval)

    def counts(self, n_steps: int, *, batch: int = 1) -> Counts:
        """How often a chip is measured and written in that many timesteps."""
        return count(
            n_steps, baseline=self.baseline, time_constants=self.time_constants, interval=self.interval, batch=batch
        )

    @property
    def reference(self) -> "Algorithm":
        return self

    @property
    def once_a_hold(self) -> bool:
        return self.baseline.once_a_hold

    @property
    def n_slots(self) -> int:
        return len(self.baseline.multiples)

    @property
    def interval(self) -> int:
        """Timesteps between two parameter updates."""
        return self.integrator.interval(self.time_constants)

    @staticmethod
    def keeps_apart(n_sites: int) -> bool:
        """Whether θ̃ is compiled separately, so that hosts and other programs compute the same bits."""
        return n_sites <= _MOST_PARAMS_APART  # for large chips it would cost

    def _signal(self, state: State, slot: int | None, n_sites: int | None) -> Float[Array, " sites"]:
        """θ̃ times the multiple of the slot."""
        if slot is None:
            branches = [lambda s, k=k: self._signal(s, k, n_sites) for k in range(self.n_slots)]
            return lax.switch(state.clock.slot, branches, state)
        multiple = self.baseline.multiples[slot]
        if multiple == 0:
            return jnp.zeros(n_sites or state.theta.size)
        return multiple * self._perturbation(state, n_sites or state.theta.size)

    def _perturbation(self, state: State, n_sites: int) -> Float[Array, " sites"]:
        index = state.clock.step.quotient(self.time_constants.tau_p)
        made = self.perturbation(index, seed=state.seeds.perturbation, n_params=n_sites)
        # So that XLA does not merge constants of the family's with those that come after.
        return lax.optimization_barrier(made) if self.keeps_apart(n_sites) else made

    def _tell(
        self,
        state: State,
        cost: Float[Array, ""],
        credit: Float[Array, " p"] | None,
        *,
        slot: int,
        write: Write,
        n_sites: int | None,
    ) -> tuple[State, Info]:
        fresh = state.clock.step.remainder(self.time_constants.tau_x) == 0
        baseline, modulation = self.baseline.observe(
            state.baseline, cost, slot=slot, fresh=fresh, time_constants=self.time_constants
        )
        if slot + 1 < self.n_slots:
            clock = Clock(state.clock.step, jnp.int32(slot + 1))
            state = State(clock, state.theta, state.gradient, baseline, state.optimizer, state.seeds)
            return state, Info(cost, jnp.float32(0), jnp.bool(False))
        estimate = self.estimate(state, modulation, credit=self.credit_of(slot, credit), n_sites=n_sites)
        gradient = self._integrate(state, estimate)
        step = state.clock.step.plus(1)
        updated = step.remainder(self.interval) == 0
        theta, gradient, optimizer = self._update(state, gradient, step, write)
        state = State(Clock(step, self._first_slot(step)), theta, gradient, baseline, optimizer, state.seeds)
        return state, Info(cost, modulation, updated)

    def _integrate(self, state: State, estimate: Float[Array, " p"]) -> Float[Array, " p"]:
        keep, _ = self.integrator.weights(self.time_constants)
        if self.integrator.resets and self.interval == 1:
            return estimate
        return state.gradient + estimate if keep == 1 else keep * state.gradient + estimate

    def estimate(
        self,
        state: State,
        modulation: Float[Array, ""],
        *,
        credit: Float[Array, " p"] | None = None,
        n_sites: int | None = None,
    ) -> Float[Array, " p"]:
        if self.modulation_limit is not None:
            modulation = jnp.clip(modulation, -self.modulation_limit, self.modulation_limit)
        n_sites = n_sites or state.theta.size
        scale = self.scale(n_sites)
        if credit is None:
            return (modulation * scale) * self._perturbation(state, n_sites)
        if scale.ndim:
            raise ValueError(
                f"{type(self.perturbation).__name__} perturbs each site differently, but credits need all sites alike: "
                "take another family of perturbations"
            )
        return (modulation * scale) * credit

    def credit_of(self, slot: int, credit: Float[Array, " p"] | None) -> Float[Array, " p"] | None:
        """The credit for θ̃, from the credit for a slot's signal, which is θ̃ or −θ̃."""
        return None if credit is None else credit / self.baseline.multiples[slot]

    def _update(self, state: State, gradient: Float[Array, " p"], step: Counter, write: Write) -> tuple:
        """θ, G and the optimizer's state after `step` timesteps: updated if a window ends there."""

        def update(theta, gradient, optimizer):
            delta, optimizer = self.optimizer.update(gradient, optimizer, theta)
            theta = write(theta, jnp.asarray(delta), key=Row.of(state.seeds.write, step).key(0))
            return theta, jnp.zeros_like(gradient) if self.integrator.resets else gradient, optimizer

        if self.interval == 1:
            theta, gradient, optimizer = update(state.theta, gradient, state.optimizer)
            # It is zero already: to write that again would cost small chips XLA's fast form of a loop.
            return theta, state.gradient if self.integrator.resets else gradient, optimizer
        due = step.remainder(self.interval) == 0
        return lax.cond(due, update, lambda *unchanged: unchanged, state.theta, gradient, state.optimizer)

    @property
    def always_due(self) -> bool:
        return self.time_constants.tau_x == 1 or self.interval == 1

    def _first_slot(self, step: Counter) -> Int[Array, ""]:
        """The slot a timestep starts with: past the baseline if sample and θ are those of the timestep before."""
        if not self.baseline.once_a_hold or self.always_due:
            return jnp.int32(0)
        changed = (step.remainder(self.time_constants.tau_x) == 0) | (step.remainder(self.interval) == 0)
        return jnp.where(changed, jnp.int32(0), jnp.int32(1))
