"""The twin of the training circuit: the same registers, moved by the same integers in the same order."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, ScalarLike, UInt32

from .._counter import Counter
from .._hash import Row
from ..algorithm import (
    AbstractAskTell,
    Accumulate,
    Algorithm,
    Clock,
    Counts,
    Info,
    Probe,
    Remeasured,
    Seeds,
    State,
    TimeConstants,
    TwoSided,
    Write,
    write_exactly,
)
from ..algorithm._compiled import as_cost, compiled
from ..perturbations import Rademacher
from ._code import LEAP, REGISTERS
from ._spec import Spec


class Held(eqx.Module):
    """The first cost of a pair: C₀, or C₊."""

    cost: Float[Array, ""]


class Registers(eqx.Module):
    """What the circuit has in registers beside θ, the held cost and its counters.

    Attributes:
        kept: of each parameter, the accumulator, or of a merged one the remainder.
        sum: the sum of C̃ since the last broadcast.
        code: the state of the code.
        late: the same, as many perturbations ago as the cost is late; None if it is not.
        sticky: whether ever a sum overflowed, C̃ was clamped, θ was at its limit.
    """

    kept: Int[Array, " p"]
    sum: Int[Array, ""]
    code: UInt32[Array, ""]
    late: UInt32[Array, ""] | None
    sticky: Bool[Array, " 3"]


class Circuit(AbstractAskTell):
    """The training circuit of a `Spec`, as an algorithm: it trains any chip, and is equal to the RTL to the bit.

    θ is in the registers of the circuit, so a start is rounded to them, and costs are cut to the bits of their ADC. The
    state's θ and costs are float32, in which all these numbers are exact. `Spec.learning_rate` is the rate of
    `reference`, the same algorithm without a circuit.

    Args:
        spec: the circuit.

    >>> import jax, mgd
    >>> circuit = Circuit(Spec(parameters=2, theta_bits=8, merged=True))
    >>> state = circuit.init(jnp.array([0.3, -0.7]), key=jax.random.key(0))
    >>> state.theta.tolist()  # in steps of 1/16
    [0.3125, -0.6875]
    """

    spec: Spec = eqx.field(static=True)
    optimizer: optax.GradientTransformation
    time_constants: TimeConstants = eqx.field(static=True)

    def __init__(self, spec: Spec):
        self.spec = spec
        self.optimizer = optax.sgd(spec.learning_rate)
        self.time_constants = TimeConstants(tau_p=spec.tau_p, tau_x=spec.tau_x, tau_theta=spec.tau_theta)

    @property
    def reference(self) -> Algorithm:
        """The algorithm that the circuit approximates: in float32, with independent signs."""
        return Algorithm(
            perturbation=Rademacher(self._amplitude),
            baseline=TwoSided() if self.spec.two_sided else Remeasured(),
            integrator=Accumulate(),
            optimizer=self.optimizer,
            time_constants=self.time_constants,
        )

    @property
    def n_slots(self) -> int:
        return 2

    @property
    def once_a_hold(self) -> bool:
        return not self.spec.two_sided

    @property
    def interval(self) -> int:
        return self.spec.tau_theta

    @property
    def hold(self) -> int:
        return math.gcd(self.spec.tau_x, self.spec.tau_theta)

    @property
    def always_due(self) -> bool:
        return self.spec.tau_x == 1 or self.spec.tau_theta == 1

    def init(self, theta: Float[Array, " p"], *, key: PRNGKeyArray, n_sites: int | None = None) -> State:
        self.check(n_sites or theta.size)
        seeds, spec = Seeds.of(key), self.spec
        code = self.first_code(seeds)
        most = 2 ** (spec.theta_bits - 1)
        steps = jnp.clip(jnp.round(theta / self._step), -most, most - 1)
        registers = Registers(
            kept=jnp.zeros(theta.shape, jnp.int32),
            sum=jnp.int32(0),
            code=code,
            late=code if spec.delay else None,
            sticky=jnp.zeros(3, bool),
        )
        return State(
            clock=self.clock_at(0),
            theta=(steps * self._step).astype(jnp.float32),
            gradient=jnp.zeros(0),
            baseline=Held(jnp.float32(0)),
            optimizer=registers,
            seeds=seeds,
        )

    def first_code(self, seeds: Seeds) -> UInt32[Array, ""]:
        """The state of the code at the start: of the shift register, a seed that is not zero."""
        if self.spec.code != "lfsr":
            return jnp.uint32(0)
        word = Row.of(seeds.perturbation, Counter.of(0)).words(jnp.uint32(0))
        return jnp.maximum(word & jnp.uint32(2**self.spec.register_bits - 1), jnp.uint32(1))

    def check(self, n_sites: int) -> None:
        if n_sites != self.spec.parameters:
            raise ValueError(f"the circuit trains {self.spec.parameters} parameters, and the chip has {n_sites}")

    def for_program(self, n_params: int, n_sites: int | None = None) -> "Circuit":
        return self

    def clock_at(self, step: int) -> Clock:
        counter = Counter.of(step)
        return Clock(counter, self._first_slot(counter))

    def counts(self, n_steps: int, *, batch: int = 1) -> Counts:
        return self.reference.counts(n_steps, batch=batch)

    def conclude(self, state: State, gradient: Float[Array, " p"], *, write: Write) -> State:
        raise ValueError("a circuit has no G but its own sums: use the measured engine")

    @compiled
    def ask(self, state: State, *, slot: int | None = None, n_sites: int | None = None) -> tuple[Probe, State]:
        counter = state.clock.step
        presentation, since = counter.divmod(self.spec.tau_x)
        number = state.clock.slot if slot is None else slot
        multiples = (1.0, -1.0) if self.spec.two_sided else (0.0, 1.0)
        if slot is not None and multiples[slot] == 0:
            perturbation = jnp.zeros_like(state.theta)  # XLA would make all signs, to multiply them by zero
        else:
            multiple = jnp.asarray(multiples)[number]
            perturbation = multiple * self._amplitude * self.signs(state.optimizer.code)
        probe = Probe(
            theta=state.theta,
            perturbation=perturbation,
            presentation=presentation,
            fresh=since == 0,
            key=Row.of(state.seeds.measurement, counter).key(number),
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
        if credit is not None:
            raise ValueError("the circuit perturbs parameters: it cannot train a chip that hands back credits")
        cost = self.converted(jnp.asarray(as_cost(cost), jnp.float32))
        if slot is None:
            branches = [partial(self._first, write=write), partial(self._second, write=write)]
            return lax.switch(state.clock.slot, branches, state, cost)
        return (self._first, self._second)[slot](state, cost, write=write)

    def converted(self, cost: Float[Array, ""]) -> Float[Array, ""]:
        """A cost as the ADC gives it: cut to its steps and limited to its range; what is not a number stays so."""
        scale = 2.0**self.spec.cost_fraction
        return jnp.clip(jnp.floor(cost * scale), 0, 2**self.spec.cost_bits - 1) / scale

    def signs(self, code: UInt32[Array, ""]) -> Float[Array, " p"]:
        """±1 for each parameter, 0 for those that are not perturbed."""
        masks = jnp.asarray(self.spec.signs.masks)
        if self.spec.code == "sequential":
            return (masks == code).astype(jnp.float32)
        return 1.0 - 2.0 * (lax.population_count(masks & code) & jnp.uint32(1)).astype(jnp.float32)

    def after(self, code: UInt32[Array, ""]) -> UInt32[Array, ""]:
        """The state of the code one perturbation later."""
        bits = self.spec.signs.state_bits
        if self.spec.code == "sequential":
            return jnp.where(code == jnp.uint32(self.spec.parameters - 1), jnp.uint32(0), code + jnp.uint32(1))
        if self.spec.code == "walsh":
            return (code + jnp.uint32(1)) & jnp.uint32(2**bits - 1)
        taps = REGISTERS[bits]
        left = LEAP
        while left:  # as many stages at a time as depend on old ones alone
            n = min(left, min(taps))
            left -= n
            new = jnp.uint32(0)
            for tap in taps:
                new = new ^ (code >> (tap - n))
            code = (code << n) | (new & jnp.uint32(2**n - 1))
        return code & jnp.uint32(2**bits - 1)

    def estimate(
        self,
        state: State,
        modulation: Float[Array, ""],
        *,
        credit: Float[Array, " p"] | None = None,
        n_sites: int | None = None,
    ) -> Float[Array, " p"]:
        share = self.spec.tau_theta * (2 if self.spec.two_sided else 1)
        return modulation / (share * self._amplitude) * self.signs(self._late(state.optimizer))

    def apart(self, state: State, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    def step_together(
        self,
        state: State,
        measure: Callable[..., tuple],
        device: Any,
        size: int,
        *,
        write: Write = write_exactly,
        axis: str | None = None,
        n_sites: int | None = None,
    ) -> tuple[State, Any, Info]:
        def one(carry: tuple[State, Any], _: None) -> tuple[tuple[State, Any], Info]:
            state, device, info = self.step(carry[0], measure, carry[1], write=write, n_sites=n_sites)
            return (state, device), info

        (state, device), info = lax.scan(one, (state, device), None, length=size)
        return state, device, info

    @property
    def _step(self) -> float:
        return 2.0**-self.spec.theta_fraction

    @property
    def _amplitude(self) -> float:
        return self.spec.amplitude * self._step

    @staticmethod
    def _late(registers: Registers) -> UInt32[Array, ""]:
        return registers.code if registers.late is None else registers.late

    def _first_slot(self, step: Counter) -> Int[Array, ""]:
        if self.spec.two_sided or self.always_due:
            return jnp.int32(0)
        changed = (step.remainder(self.spec.tau_x) == 0) | (step.remainder(self.spec.tau_theta) == 0)
        return jnp.where(changed, jnp.int32(0), jnp.int32(1))

    def _first(self, state: State, cost: Float[Array, ""], *, write: Write) -> tuple[State, Info]:
        clock = Clock(state.clock.step, jnp.int32(1))
        state = State(clock, state.theta, state.gradient, Held(cost), state.optimizer, state.seeds)
        return state, Info(cost, jnp.float32(0), jnp.bool(False))

    def _second(self, state: State, cost: Float[Array, ""], *, write: Write) -> tuple[State, Info]:
        spec, registers = self.spec, state.optimizer
        difference = state.baseline.cost - cost if spec.two_sided else cost - state.baseline.cost
        modulation, clamped = _saturated(self._whole(difference, spec.cost_fraction), spec.modulation_bits)
        # The range of C̃ is symmetric.
        clamped |= modulation < -spec.largest_modulation
        modulation = jnp.maximum(modulation, -spec.largest_modulation)
        total, overflow = _saturated(registers.sum + modulation, spec.sum_bits)
        sticky = registers.sticky | jnp.stack([overflow, clamped, jnp.bool(False)])
        registers = Registers(registers.kept, total, registers.code, registers.late, sticky)
        step = state.clock.step.plus(1)
        updated, p_ends = step.remainder(spec.tau_theta) == 0, step.remainder(spec.tau_p) == 0
        in_time = jnp.bool(True)
        if spec.delay:
            first = Counter.of(spec.delay * spec.tau_p)
            now = state.clock.step
            in_time = (now.high > first.high) | ((now.high == first.high) & (now.low >= first.low))

        def apply(theta: Array, registers: Registers) -> tuple[Array, Registers]:
            return self._applied(state, theta, registers, step, updated, in_time, write)

        if spec.tau_p == 1 or spec.tau_theta == 1:
            theta, registers = apply(state.theta, registers)
        else:
            theta, registers = lax.cond(updated | p_ends, apply, lambda *same: same, state.theta, registers)
        code = jnp.where(p_ends, self.after(registers.code), registers.code)
        late = registers.late
        if late is not None:
            late = jnp.where(p_ends & in_time, self.after(late), late)
        registers = Registers(registers.kept, registers.sum, code, late, registers.sticky)
        clock = Clock(step, self._first_slot(step))
        state = State(clock, theta, state.gradient, state.baseline, registers, state.seeds)
        return state, Info(cost, difference, updated)

    def _applied(
        self,
        state: State,
        theta: Float[Array, " p"],
        registers: Registers,
        step: Counter,
        updated: Bool[Array, ""],
        in_time: Bool[Array, ""],
        write: Write,
    ) -> tuple[Float[Array, " p"], Registers]:
        """θ and the registers after the sum of C̃ has been broadcast, and at the end of a window, after the update."""
        spec = self.spec
        signs = self.signs(self._late(registers)).astype(jnp.int32)
        change = -signs * jnp.where(in_time, registers.sum, 0)
        whole, word_bits = self._whole(theta, spec.theta_fraction), spec.theta_bits + spec.shift
        low = jnp.int32(2**spec.shift - 1)
        if spec.merged:
            word, limited = _saturated((whole << spec.shift) + registers.kept + change, word_bits)
            overflow = jnp.zeros_like(limited)
            moved, kept = word >> spec.shift, word & low
        else:
            kept, overflow = _saturated(registers.kept + change, spec.accumulator_bits)
            word, limited = _saturated((whole << spec.shift) + kept, word_bits)
            moved, limited = jnp.where(updated, word >> spec.shift, whole), limited & updated
            kept = jnp.where(updated, word & low, kept)
        sticky = registers.sticky | jnp.stack([overflow.any(), jnp.bool(False), limited.any()])
        key = Row.of(state.seeds.write, step).key(0)
        theta = write(theta, (moved - whole).astype(jnp.float32) * self._step, key=key)
        return theta, Registers(kept, jnp.int32(0), registers.code, registers.late, sticky)

    @staticmethod
    def _whole(value: Float[Array, "*shape"], fraction: int) -> Int[Array, "*shape"]:
        return jnp.round(value * 2.0**fraction).astype(jnp.int32)


def _saturated(value: Int[Array, "*shape"], bits: int) -> tuple[Int[Array, "*shape"], Bool[Array, "*shape"]]:
    """A number limited to the range of so many bits, and whether it was outside."""
    most = 2 ** (bits - 1)
    limited = jnp.clip(value, -most, most - 1)
    return limited, limited != value
