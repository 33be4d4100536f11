"""Independent normal values."""

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, UInt32

from .._counter import Counter
from .._hash import Row
from .._numbers import NUMBER, derived
from ..theory import white_gain
from ._base import AbstractPerturbation, SignalTraits, require_amplitude

# Of |z|, which comes from 23 bits: erf⁻¹(1 − 2⁻²³) √2 = 5.3, and some room for its rounding.
_LARGEST = 5.4


class Gaussian(AbstractPerturbation):
    r"""Independent normal values, redrawn at every perturbation.

    $$\tilde\theta_i(m) = \Delta\theta\, z_i(m), \qquad z_i(m) \sim \mathcal N(0, 1)$$

    where Δθ is `amplitude`, the standard deviation. Each value comes from 23 bits through the inverse error
    function, so |z| ≤ 5.3. The fourth moment makes G noisier along the gradient than with signs.

    Args:
        amplitude: Δθ, in the parameter's unit.

    Raises:
        ValueError: if the amplitude is not a finite number above 0.

    >>> from mgd._counter import Counter
    >>> seed = jnp.array([1, 2], jnp.uint32)
    >>> theta = Gaussian(amplitude=0.1)(Counter.of(0), seed=seed, n_params=10_000)
    >>> round(float(jnp.std(theta)), 2)
    0.1
    """

    amplitude: float = eqx.field(metadata=NUMBER, default=1e-2)
    _derived: dict | None = eqx.field(init=False, default=None)

    def __check_init__(self):
        require_amplitude(self.amplitude)

    def _derive(self) -> dict[str, float]:
        return {"factor": self.amplitude * 2**0.5}

    def __call__(self, index: Counter, *, seed: UInt32[Array, " 2"], n_params: int) -> Float[Array, " p"]:
        words = Row.of(seed, index).words(jnp.arange(n_params, dtype=jnp.uint32))
        # 23 bits and a half: a float holds that exactly, so the ends ±1, where the function is infinite, never occur.
        centred = ((words >> 9).astype(jnp.float32) + 0.5) * 2.0**-22 - 1.0
        return derived(self)["factor"] * lax.erf_inv(centred)

    def mean_square(self, n_params: int) -> float:
        return self.amplitude**2

    def period(self, n_params: int) -> int | None:
        return None

    def traits(self, n_params: int) -> SignalTraits:
        return SignalTraits(largest=_LARGEST, independent=True, zero_sum=False, turn=1)

    def high_pass_gain(self, pole: float, tau_p: int, n_params: int) -> float:
        return white_gain(pole, tau_p)

    def check(self, n_params: int, tau_p: int, window: int | None) -> None:
        pass
