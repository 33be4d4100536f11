"""What a family of perturbations makes of a gradient, to first order in the amplitude."""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray, ScalarLike, UInt32

from ..._counter import Counter
from ..._hash import Row
from ..._normal import normal
from ..._numbers import is_zero
from ..._permutation import permute
from ...perturbations import AbstractPerturbation, Gaussian, Rademacher, Sequential, Walsh


class Errors(eqx.Module):
    """What is wrong with the modulations of a hold, in units of the amplitude.

    Attributes:
        own: standard deviation of each perturbation's own error.
        shared: standard deviation of the error of the baseline that they share.
        limit: the clamp on a modulation; None for none.
    """

    own: ScalarLike
    shared: ScalarLike
    limit: ScalarLike | None

    def add(self, slopes: Float[Array, " n"], *, key: PRNGKeyArray) -> Float[Array, " n"]:
        """Modulations as measured, from what they would be without errors."""
        own_key, shared_key = jax.random.split(key)
        if not is_zero(self.own):
            slopes = slopes + normal(self.own, key=own_key, shape=slopes.shape)
        if not is_zero(self.shared):
            slopes = slopes - normal(self.shared, key=shared_key)
        return slopes if self.limit is None else jnp.clip(slopes, -jnp.asarray(self.limit), self.limit)


class AbstractLaw(eqx.Module):
    """The sum Σ c_m s(m) over a hold's perturbations, s = θ̃/Δθ and c_m = g·s(m) + error."""

    @abstractmethod
    def gather(
        self,
        gradient: Float[Array, " p"],
        first: Counter,
        n: int,
        errors: Errors,
        *,
        seed: UInt32[Array, " 2"],
        key: PRNGKeyArray,
    ) -> Float[Array, " p"]:
        """The sum over perturbations first … first + n − 1."""


class IsotropicLaw(AbstractLaw):
    r"""Independent perturbations of unit variance: with a_m = ĝ·s(m) ~ N(0, 1) and c_m = ‖g‖ a_m + error,

    $$\sum_m c_m s(m) = \Big(\sum_m c_m a_m\Big)\,\hat g + \Big(\sum_m c_m^2\Big)^{1/2} z_\perp$$

    with z⊥ standard normal across g: exact for Gaussian codes, and for signs by the central limit theorem.
    """

    def gather(self, gradient, first, n, errors, *, seed, key):
        a_key, error_key, rest_key = jax.random.split(key, 3)
        norm = jnp.linalg.norm(gradient)
        direction = gradient / jnp.where(norm > 0, norm, 1)
        a = jax.random.normal(a_key, (n,), jnp.float32)
        c = errors.add(norm * a, key=error_key)
        z = jax.random.normal(rest_key, gradient.shape, jnp.float32)
        return (jnp.dot(c, a) - jnp.linalg.norm(c) * jnp.dot(z, direction)) * direction + jnp.linalg.norm(c) * z


class SequentialLaw(AbstractLaw):
    """One parameter after the other: each visit is its own difference quotient."""

    def gather(self, gradient, first, n, errors, *, seed, key):
        n_params = gradient.size
        place = (first.remainder(n_params) + jnp.arange(n, dtype=jnp.uint32)) % jnp.uint32(n_params)
        visited = permute(place, Row.of(seed, Counter.of(0)), n_params)
        c = errors.add(gradient[visited], key=key)
        return jnp.zeros_like(gradient).at[visited].add(c)


class WalshLaw(AbstractLaw):
    """The very codes that the family has, by fast transforms: two for each period that the hold touches."""

    family: Walsh

    def gather(self, gradient, first, n, errors, *, seed, key):
        order = self.family.period(gradient.size)
        period, start = first.divmod(order)

        def one(k: int | Array, total: Array) -> Array:
            # The shared error is of the whole hold: it has the same key in every period.
            now, at = period.plus(k), k * order + jnp.arange(order) - start.astype(jnp.int32)
            c = self.family.spectrum(gradient, now, seed=seed)
            if not is_zero(errors.own):
                c = c + normal(errors.own, key=jax.random.fold_in(key, k + 1), shape=(order,))
            c = Errors(0.0, errors.shared, errors.limit).add(c, key=key)
            c = jnp.where((at >= 0) & (at < n), c, 0.0)
            return total + self.family.combine(c, now, seed=seed, n_params=gradient.size)

        n_periods = (n + order - 2) // order + 1
        return lax.fori_loop(0, n_periods, one, jnp.zeros_like(gradient))


def law_of(perturbation: AbstractPerturbation) -> AbstractLaw:
    """The law of a family: worked out for each, so this engine has to know which it is. All others ask its traits.

    Raises:
        ValueError: if there is none.
    """
    if isinstance(perturbation, Rademacher | Gaussian):
        return IsotropicLaw()
    if isinstance(perturbation, Sequential):
        return SequentialLaw()
    if isinstance(perturbation, Walsh):
        return WalshLaw(perturbation)
    raise ValueError(
        f"the sampled engine has no law for {type(perturbation).__name__} perturbations, only for Rademacher, "
        "Gaussian, Walsh and Sequential: choose one of these, or the measured engine"
    )
