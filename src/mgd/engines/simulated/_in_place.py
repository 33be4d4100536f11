"""One very large chip: θ is changed where it is, and neither θ + θ̃ nor G is ever there as a whole."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeGuard

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ..._counter import Counter
from ...algorithm import AbstractAlgorithm, Algorithm, Probe, State
from ...chips import AbstractChip, NetworkChip
from ...networks._pieces import Read
from ...perturbations import Rademacher
from .._base import Progress
from .._choice import Wanted
from .._data import Data
from .._numbers import for_program
from .._replicas import in_front, shown_to_one
from ._amplitude import check_amplitude
from ._base import AbstractSimulated


class InPlace(eqx.Module, AbstractSimulated[Algorithm, NetworkChip]):
    """The measured engine for one perfect perceptron of millions of parameters, perturbed by random signs.

    It gives the same run, to rounding: the same samples and signs, and costs whose sums are taken in another order. The
    signs are computed again, from the counter, wherever a piece of θ + θ̃ is needed. With τ_θ = 1 and plain gradient
    descent it needs little more memory than θ; G (τ_θ > 1, or a low-pass) and an optimizer's momenta need their own.

    Args:
        chip: the simulated chip, which must have `pieces`.
        algorithm: the training algorithm.
        batch: samples over which a measurement is averaged.
    """

    name: ClassVar[str] = "measured"
    copies: ClassVar[float] = 1.3  # benchmarks/large.py
    chip: NetworkChip
    algorithm: Algorithm
    batch: int = eqx.field(static=True, default=1)

    def init(
        self, n_replicas: int, *, key: PRNGKeyArray, start: Float[np.ndarray, "replica p"] | None = None
    ) -> Progress:
        """A fresh run of the one chip: the first replica of any run."""
        if n_replicas != 1:
            raise ValueError(f"chips in place are trained one at a time, got n_replicas = {n_replicas}")
        chip_key, run_key = jax.random.split(jax.random.fold_in(key, 0))
        self.algorithm.check(self.chip.n_sites)
        engine = for_program(self)
        # A copy, since it is used up.
        theta = _fresh_theta(engine, chip_key) if start is None else jnp.array(start[0], jnp.float32, copy=True)
        return _begin((engine, run_key), theta)

    def advance(self, data: Data, progress: Progress, n_steps: int) -> Progress:
        """The run after `n_steps` more timesteps, fewer than 2³¹. The progress given is used up."""
        return _advance((for_program(self), data), progress, jnp.int32(n_steps))

    def check_start(self, progress: Progress, data: Data) -> None:
        cost, changes = modulations(for_program(self), progress, data)
        modulation = float(jnp.sqrt(jnp.mean(changes**2)))
        check_amplitude(self.chip, self.algorithm, progress.state.theta[0], float(cost), modulation)

    def for_each(self, engines: Sequence[Any], which: Int[np.ndarray, " replica"]) -> "InPlace":
        raise ValueError("numbers vary over replicas, and a chip this large is trained alone")

    @property
    def keeps_gradient(self) -> bool:
        """Whether G must be kept between two timesteps."""
        return self.algorithm.interval > 1 or not self.algorithm.integrator.resets

    def reader(self, theta: Float[Array, " p"], index: Counter, seed: Array, multiple: float | Array) -> Read:
        """Pieces of θ + multiple · θ̃."""
        family = self.algorithm.perturbation
        assert isinstance(family, Rademacher), "only random signs are made in pieces"

        def read(start: Int[Array, ""], size: int) -> Float[Array, " size"]:
            piece = lax.dynamic_slice(theta, (start,), (size,))
            if isinstance(multiple, float) and multiple == 0:
                return piece
            return piece + multiple * family.piece(index, start, seed=seed, size=size)

        return read

    def turn(self, data: Data, state: State) -> tuple[State, Bool[Array, ""]]:
        """The state after one timestep, and whether its costs were finite."""
        x, y = shown_to_one(self.algorithm, data, self.batch, state.clock, state.seeds.samples)
        index = state.clock.step.quotient(self.algorithm.time_constants.tau_p)

        def measure(probe: Probe, device: None) -> tuple[Float[Array, ""], None]:
            assert probe.slot is not None, "a timestep knows its slots"
            multiple = self.algorithm.baseline.multiples[probe.slot]
            read = self.reader(probe.theta, index, state.seeds.perturbation, multiple)
            return self.chip.measure_pieces(read, x, y), device

        state, _, info = self.algorithm.step(state, measure)
        return self.kept(state), jnp.isfinite(info.cost) & jnp.isfinite(info.modulation)

    def kept(self, state: State) -> State:
        """The state, without G if it need not be kept."""
        return state if self.keeps_gradient else eqx.tree_at(lambda s: s.gradient, state, jnp.zeros(0))


def serves(chip: AbstractChip, algorithm: AbstractAlgorithm) -> TypeGuard[NetworkChip]:
    """Whether one chip alone is trained in place: a large perfect perceptron, perturbed by random signs."""
    signs = isinstance(algorithm, Algorithm) and isinstance(algorithm.perturbation, Rademacher)
    return signs and isinstance(chip, NetworkChip) and chip.pieces is not None


@eqx.filter_jit
def _fresh_theta(engine: InPlace, key: PRNGKeyArray) -> Float[Array, " p"]:
    return engine.chip.init(key=key)


# A program of its own: together with the above XLA would give θ its replica axis on the way, which costs a copy.
@eqx.filter_jit(donate="all-except-first")
def _begin(kept: tuple[InPlace, PRNGKeyArray], theta: Float[Array, " p"]) -> Progress:
    engine, key = kept
    state = engine.kept(engine.algorithm.init(theta, key=key))
    return Progress.one(state)


@eqx.filter_jit(donate="all-except-first")
def _advance(kept: tuple[InPlace, Data], progress: Progress, n_steps: Int[Array, ""]) -> Progress:
    engine, data = kept

    def turn(_: Array, carry: tuple) -> tuple:
        state, diverged, at = carry
        after, finite = engine.turn(data, state)
        first, here = ~finite & ~diverged, state.clock.step
        at = Counter(jnp.where(first, here.high, at.high), jnp.where(first, here.low, at.low))
        return after, diverged | first, at

    # Within the loop the state has no replica axis: with it, XLA would not change θ where it is.
    start = progress.replica(), progress.diverged, progress.diverged_at
    state, diverged, at = lax.fori_loop(0, n_steps, turn, start)
    return Progress(Progress.one(state).state, None, diverged, at)


@eqx.filter_jit
def modulations(engine: InPlace, progress: Progress, data: Data) -> tuple[Float[Array, ""], Float[Array, " 4"]]:
    """The cost at the start, and C̃ of the first perturbations from derivatives along them (no rounding)."""
    theta, seed = progress.state.theta[0], progress.state.seeds.perturbation[0]
    x, y = (shown[0] for shown in in_front(engine.algorithm, data, engine.batch, progress.state))

    def one(k: Array) -> tuple[Array, Array]:
        def cost_at(share: Array) -> Array:
            read = engine.reader(theta, Counter(jnp.uint32(0), k), seed, share)
            return engine.chip.measure_pieces(read, x, y)

        return jax.jvp(cost_at, (jnp.float32(0),), (jnp.float32(1),))

    costs, changes = lax.map(one, jnp.arange(4, dtype=jnp.uint32))
    return costs[0], changes


def offer(chip: AbstractChip, algorithm: AbstractAlgorithm, wanted: Wanted) -> InPlace | None:
    """The engine for what is wanted, if that is one chip that it serves."""
    if wanted.n_replicas > 1 or not isinstance(algorithm, Algorithm) or algorithm.bitwise:
        return None
    return InPlace(chip, algorithm, wanted.batch) if serves(chip, algorithm) else None
