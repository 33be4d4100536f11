"""One parameter at a time."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from .._counter import Counter
from .._hash import Row
from .._numbers import NUMBER
from .._permutation import permute
from ._base import AbstractPerturbation, SignalTraits, require_amplitude


class Sequential(AbstractPerturbation):
    r"""One parameter at a time, in an order shuffled once by the seed.

    $$\tilde\theta_i(m) = \Delta\theta \;\text{ if } \pi(m \bmod P) = i,\; 0 \text{ otherwise}$$

    where Δθ is `amplitude`. A window of P perturbations is the forward finite difference; a window of one is
    coordinate descent. ⟨θ̃_i²⟩ = Δθ²/P, so a single perturbation's estimate is P times the difference quotient.

    Args:
        amplitude: Δθ, in the parameter's unit.

    Raises:
        ValueError: if the amplitude is not a finite number above 0.

    >>> from mgd._counter import Counter
    >>> seed = jnp.array([1, 2], jnp.uint32)
    >>> code = [Sequential(amplitude=1.0)(Counter.of(m), seed=seed, n_params=3) for m in range(3)]
    >>> sum(code).tolist()
    [1.0, 1.0, 1.0]
    """

    amplitude: float = eqx.field(metadata=NUMBER, default=1e-2)

    def __check_init__(self):
        require_amplitude(self.amplitude)

    def __call__(self, index: Counter, *, seed: UInt32[Array, " 2"], n_params: int) -> Float[Array, " p"]:
        chosen = permute(index.remainder(n_params), Row.of(seed, Counter.of(0)), n_params)
        return jnp.where(
            jnp.arange(n_params, dtype=jnp.uint32) == chosen, jnp.asarray(self.amplitude, jnp.float32), 0.0
        )

    def mean_square(self, n_params: int) -> float:
        return self.amplitude**2 / n_params

    def period(self, n_params: int) -> int | None:
        return n_params

    def traits(self, n_params: int) -> SignalTraits:
        return SignalTraits(largest=1.0, independent=False, zero_sum=False, turn=1)

    def high_pass_gain(self, pole: float, tau_p: int, n_params: int) -> float:
        raise ValueError(
            "Sequential perturbation cannot be used with the high-pass baseline: when one parameter steps back "
            "as the next steps up, the filter gives the second the first one's gradient; use Rademacher, Walsh, "
            "LFSR or Sinusoid, or the re-measured baseline"
        )

    def check(self, n_params: int, tau_p: int, window: int | None) -> None:
        pass
