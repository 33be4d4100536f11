"""The sampled engine: each window's G from its law, at the price of a gradient."""

import math
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray, ScalarLike

from ..._numbers import derived, is_zero
from ...algorithm import AbstractAlgorithm, Algorithm, State, TwoSided
from ...chips import AbstractChip
from .._base import Progress
from .._choice import Wanted, refuse_bitwise
from .._data import Data
from ._laws import Errors, law_of
from ._slope import check_slope
from ._windows import AbstractWindowed, gradient_of

# Gradients of several presentations are worked out together up to so many numbers, and so many samples.
_MOST_NUMBERS = 2_000_000
_MOST_SAMPLES = 256


class Sampled(eqx.Module, AbstractWindowed[Algorithm]):
    r"""Draws the G of each window from its law in the limit of small perturbations.

    With g_k the gradient of presentation k with respect to the perturbation, T perturbations s = θ̃/Δθ in a
    window, and n_m the error of a modulation by cost noise over Δθ (its own, and that of the baseline it shares):

    $$G = \frac1T \sum_m c_m s(m), \qquad c_m = g_{k(m)} \cdot s(m) + n_m$$

    For Rademacher and Gaussian codes, the n perturbations under one presentation are not drawn themselves, but only
    their components a_m = ĝ·s(m) ~ N(0, 1), and one vector z⊥, standard normal across g, for all the rest:

    $$\sum_m c_m s(m) = \Big(\sum_m c_m a_m\Big) \hat g + \Big(\sum_m c_m^2\Big)^{1/2} z_\perp$$

    Walsh and sequential codes are those of the run itself, by fast transforms and by position. Each presentation in a
    window costs a gradient and O(P), for Walsh codes O(P³ᐟ²); and a window O(T) in all. The measured engine needs at
    least T forward passes.

    The law neglects two errors of G, given here relative to G. The cost is taken as linear in the perturbation: O(Δθ)
    for Walsh and sequential codes measured from one side (with Walsh the mean is right to O(Δθ²)), O(Δθ²) otherwise.
    For signs it uses the central limit theorem, which needs many parameters that contribute: the law's variance of G_i
    is too large by 2gᵢ²/T, O(maxᵢ gᵢ²/‖g‖²). For Gaussian codes it neglects nothing else. Costs have no rounding here.

    Args:
        chip: the simulated chip; apart from white noise, its cost must be smooth in the perturbation.
        algorithm: the algorithm, with an accumulating integrator and a re-measured or two-sided baseline.
        batch: samples over which a measurement is averaged.

    Raises:
        ValueError: if the law does not cover the chip or the algorithm; the message says why, and what to do.

    References:
        McCaughan et al., APL Mach. Learn. 1, 026118 (2023), for the algorithm; the law is derived in
        docs/sampled-engine.md and tested against the measured engine.
    """

    name: ClassVar[str] = "sampled"
    measures: ClassVar[bool] = False
    chip: AbstractChip
    algorithm: Algorithm
    batch: int = eqx.field(static=True, default=1)
    _derived: dict | None = eqx.field(init=False, default=None)

    def __check_init__(self):
        refuse_uncovered(self.chip, self.algorithm)

    @property
    def stride(self) -> int:
        return self.algorithm.interval

    def check_start(self, progress: Progress, data: Data) -> None:
        amplitude = float(self.algorithm.perturbation.amplitude)
        if wrong := check_slope(self.chip, progress, data, engine=self.name, amplitude=amplitude):
            raise ValueError(f"{wrong}; the sampled engine would train another chip: use the measured engine")

    def estimate(
        self, state: State, device: Any, data: Data, key: PRNGKeyArray
    ) -> tuple[Float[Array, " p"], Float[Array, ""]]:
        """G of the window that starts at this state, and one of its costs (to check that it is finite)."""
        times, algorithm = self.algorithm.time_constants, self.algorithm
        n_groups, n = self._groups()
        samples = self._samples()
        size = _divisor(n_groups, max(1, min(_MOST_NUMBERS // self.chip.n_params, _MOST_SAMPLES // samples)))
        first_group = state.clock.step.quotient(max(times.tau_x, times.tau_p))
        first = state.clock.step.quotient(times.tau_p)
        law, known = law_of(algorithm.perturbation), derived(self)

        def one(group: Int[Array, ""]) -> tuple[Float[Array, " p"], Float[Array, ""]]:
            rows = data.rows(first_group.plus(group), seed=state.seeds.samples, batch=samples)
            cost_key, law_key = jax.random.split(jax.random.fold_in(key, group))
            g, cost = gradient_of(self.chip, state.theta, device, *data.show(rows), key=cost_key)
            own = _both(known["own"], known["own_relative"], cost)
            errors = Errors(own, _both(known["shared"], known["shared_relative"], cost), known["limit"])
            part = law.gather(g, first.plus(group * n), n, errors, seed=state.seeds.perturbation, key=law_key)
            return part, cost

        def chunk(groups: Int[Array, " size"]) -> tuple[Float[Array, " p"], Float[Array, ""]]:
            if size == 1:
                return one(groups[0])
            parts, costs = jax.vmap(one)(groups)
            return jnp.sum(parts, axis=0), jnp.sum(costs)

        groups = jnp.arange(n_groups).reshape(-1, size)
        if n_groups == size:
            total, cost = chunk(groups[0])
        else:
            start = jnp.zeros_like(state.theta), jnp.float32(0)
            add = partial(jax.tree.map, jnp.add)
            total, cost = lax.scan(lambda sums, each: (add(sums, chunk(each)), None), start, groups)[0]
        return total * known["scale"], cost

    def _derive(self) -> dict[str, Any]:
        errors, (own, shared) = self._errors(), self._sizes(self.chip.traits.relative_noise)
        known = {"scale": self._scale(), "own": errors.own, "shared": errors.shared, "limit": errors.limit}
        return known | {"own_relative": own, "shared_relative": shared}

    def _scale(self) -> float:
        """What Σ c s is multiplied by to be G: 1/T, and the share of the time a parameter is perturbed."""
        perturbation, times = self.algorithm.perturbation, self.algorithm.time_constants
        share = perturbation.mean_square(self.chip.n_params) / perturbation.amplitude**2
        return times.tau_p / (times.tau_theta * share)

    def _groups(self) -> tuple[int, int]:
        """Into how many groups of one gradient a window falls, and the perturbations of each."""
        times = self.algorithm.time_constants
        span = min(times.tau_theta, max(times.tau_x, times.tau_p))
        return times.tau_theta // span, span // times.tau_p

    def _samples(self) -> int:
        """Samples of which a group has the mean gradient."""
        times = self.algorithm.time_constants
        return self.batch * max(1, times.tau_p // times.tau_x)

    def _errors(self) -> Errors:
        own, shared = self._sizes(self.chip.traits.cost_noise)
        limit = self.algorithm.modulation_limit
        return Errors(own, shared, None if limit is None else limit / self.algorithm.perturbation.amplitude)

    def _sizes(self, noise: float) -> tuple[float, float]:
        """Standard deviations of a modulation's own error and of a shared one, from that of a cost."""
        times, sigma = self.algorithm.time_constants, noise / self.algorithm.perturbation.amplitude
        if isinstance(self.algorithm.baseline, TwoSided):
            return sigma / math.sqrt(2 * times.tau_p), 0.0
        # A perturbation held over several samples has as many baselines.
        return sigma / math.sqrt(times.tau_p), sigma / math.sqrt(max(1, times.tau_p // times.tau_x))


def refuse_uncovered(chip: AbstractChip, algorithm: Algorithm) -> None:
    """Raises: ValueError: if the sampled engine's law does not cover a chip or an algorithm."""
    law_of(algorithm.perturbation)
    times, traits = algorithm.time_constants, chip.traits
    instead = "use the measured engine"
    if chip.n_sites != chip.n_params:
        raise ValueError(f"the sampled engine's law is for perturbed parameters, and not for other sites: {instead}")
    if not algorithm.integrator.resets or not algorithm.baseline.pointwise:
        raise ValueError(
            f"the sampled engine draws whole windows; it has no law for a {type(algorithm.baseline).__name__} baseline "
            f"with a {type(algorithm.integrator).__name__} integrator: {instead}"
        )
    if traits.remembers or traits.coarse:
        names = ", ".join((*traits.remembers, *traits.coarse))
        raise ValueError(f"the sampled engine's law does not cover a chip with {names}: {instead}")
    for long, short in (("tau_x", "tau_p"), ("tau_x", "tau_theta"), ("tau_theta", "tau_p")):
        a, b = getattr(times, long), getattr(times, short)
        if a % b and (b % a or long == "tau_theta"):
            raise ValueError(
                f"the sampled engine needs windows that divide evenly: {long} = {a} and {short} = {b} do not divide; "
                f"change one, or {instead}"
            )
    if traits.relative_noise and times.tau_p > times.tau_x:
        raise ValueError(
            "the sampled engine's law covers noise relative to the cost only for perturbations within a sample, got "
            f"tau_p = {times.tau_p} and tau_x = {times.tau_x}: {instead}"
        )
    if algorithm.modulation_limit is not None and times.tau_p > 1:
        raise ValueError(
            f"the sampled engine's law covers a clamp on the modulation only for tau_p = 1, got tau_p = {times.tau_p}: "
            f"{instead}"
        )


def _both(sigma: ScalarLike, relative: ScalarLike, cost: Float[Array, ""]) -> ScalarLike:
    """The standard deviation of noise of two parts, one in parts of the cost."""
    if is_zero(relative):
        return sigma
    part = relative * cost
    return jnp.sqrt(sigma * sigma + part * part)


def _divisor(n: int, most: int) -> int:
    """The largest divisor of n that is no more than `most`."""
    return max(k for k in range(1, min(n, most) + 1) if n % k == 0)


def offer(chip: AbstractChip, algorithm: AbstractAlgorithm, wanted: Wanted) -> Sampled | None:
    """The engine for what is wanted, if it was asked for by name.

    Raises:
        ValueError: if its law does not cover that.
    """
    if not wanted.named or not isinstance(algorithm, Algorithm):
        return None
    refuse_bitwise(algorithm, "sampled")
    return Sampled(chip, algorithm, wanted.batch)
