"""Independent random signs."""

import equinox as eqx
from jaxtyping import Array, Float, Int, UInt32

from .._counter import Counter
from .._hash import Row
from .._numbers import NUMBER
from ..theory import white_gain
from ._base import AbstractPerturbation, SignalTraits, require_amplitude


class Rademacher(AbstractPerturbation):
    r"""Independent random signs: every parameter moves by +Δθ or −Δθ, redrawn at every perturbation.

    $$\tilde\theta_i(m) = \Delta\theta\, s_i(m), \qquad s_i(m) = \pm 1$$

    where Δθ is `amplitude`. With one perturbation a window this is SPSA; averaged over T perturbations of a
    fixed cost, G makes an angle of cos⁻¹ 1/√(1 + (P−1)/T) with the gradient.

    Args:
        amplitude: Δθ, in the parameter's unit.

    Raises:
        ValueError: if the amplitude is not a finite number above 0.

    >>> import jax.numpy as jnp
    >>> from mgd._counter import Counter
    >>> theta = Rademacher(amplitude=0.5)(Counter.of(3), seed=jnp.array([1, 2], jnp.uint32), n_params=4)
    >>> jnp.abs(theta).tolist()
    [0.5, 0.5, 0.5, 0.5]

    References:
        Spall, IEEE Trans. Automat. Contr. 37, 332 (1992). McCaughan et al., APL Mach. Learn. 1, 026118 (2023).
    """

    amplitude: float = eqx.field(metadata=NUMBER, default=1e-2)

    def __check_init__(self):
        require_amplitude(self.amplitude)

    def __call__(self, index: Counter, *, seed: UInt32[Array, " 2"], n_params: int) -> Float[Array, " p"]:
        return self.amplitude * Row.of(seed, index).signs(n_params)

    def piece(
        self, index: Counter, start: Int[Array, ""], *, seed: UInt32[Array, " 2"], size: int
    ) -> Float[Array, " {size}"]:
        """θ̃ of `size` parameters from number `start` on, the same as in the whole vector."""
        return self.amplitude * Row.of(seed, index).signs_from(start, size)

    def mean_square(self, n_params: int) -> float:
        return self.amplitude**2

    def period(self, n_params: int) -> int | None:
        return None

    def traits(self, n_params: int) -> SignalTraits:
        return SignalTraits(largest=1.0, independent=True, zero_sum=False, turn=1)

    def high_pass_gain(self, pole: float, tau_p: int, n_params: int) -> float:
        return white_gain(pole, tau_p)

    def check(self, n_params: int, tau_p: int, window: int | None) -> None:
        pass
