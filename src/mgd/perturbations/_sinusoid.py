"""A frequency for each parameter."""

import math
import warnings

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, UInt32

from .._counter import Counter
from .._errors import MgdWarning
from .._hash import Row
from .._numbers import NUMBER
from ..theory import white_gain
from ._base import AbstractPerturbation, SignalTraits, require_amplitude

# Of the first frequency, in spacings: so that no sum of two of the default band is a third, which would give
# second-order terms of the cost the look of a gradient.
_OFFSET = (3 - 5**0.5) / 2


class Sinusoid(AbstractPerturbation):
    r"""A frequency of its own for each parameter, as in lock-in extraction.

    $$\tilde\theta_i(m) = \Delta\theta \sin(2\pi (f_i m + \varphi_i)), \qquad
      f_i = f_\text{low} + (i + 0.382)\,\frac{f_\text{high} - f_\text{low}}{P}$$

    where Δθ is `amplitude`, f `lowest_frequency` and `highest_frequency`, and φ seeded phases. Phases are
    32-bit numbers that wrap, as in a direct digital synthesiser, so they stay exact for ever. ⟨θ̃²⟩ = Δθ²/2.
    Neighbouring frequencies should differ by at least one period in a window, or G of one window mixes them; all must
    lie above a high-pass's corner.

    Args:
        amplitude: Δθ, the peak, in the parameter's unit.
        lowest_frequency: lower edge of the band, in cycles per perturbation.
        highest_frequency: upper edge of the band, in cycles per perturbation, at most 0.5.

    Raises:
        ValueError: if the amplitude is not above 0 or the band not inside 0 … 0.5.

    >>> from mgd._counter import Counter
    >>> seed = jnp.array([1, 2], jnp.uint32)
    >>> code = [Sinusoid(amplitude=1.0)(Counter.of(m), seed=seed, n_params=2) for m in range(400)]
    >>> float(jnp.mean(jnp.stack(code) ** 2)).__round__(2)
    0.5
    """

    amplitude: float = eqx.field(metadata=NUMBER, default=1e-2)
    lowest_frequency: float = 0.05
    highest_frequency: float = 0.45

    def __check_init__(self):
        require_amplitude(self.amplitude)
        if not 0 < self.lowest_frequency < self.highest_frequency <= 0.5:
            raise ValueError(
                "a band of frequencies must satisfy 0 < lowest_frequency < highest_frequency <= 0.5 cycles per "
                f"perturbation, got {self.lowest_frequency} and {self.highest_frequency}"
            )

    def __call__(self, index: Counter, *, seed: UInt32[Array, " 2"], n_params: int) -> Float[Array, " p"]:
        lanes = jnp.arange(n_params, dtype=jnp.uint32)
        low, spacing = self._words(n_params)
        phase = self.phases(seed, n_params) + (low + lanes * spacing) * index.low
        turns = lax.bitcast_convert_type(phase, jnp.int32).astype(jnp.float32) * 2.0**-32
        return self.amplitude * jnp.sin(2 * math.pi * turns)

    def phases(self, seed: UInt32[Array, " 2"], n_params: int) -> UInt32[Array, " p"]:
        """φ of each parameter, in cycles·2³²."""
        return Row.of(seed, Counter.of(0)).words(jnp.arange(n_params, dtype=jnp.uint32))

    def frequencies(self, n_params: int) -> np.ndarray:
        """f of each parameter, in cycles per perturbation."""
        return self.lowest_frequency + (np.arange(n_params) + _OFFSET) * self.spacing(n_params)

    def _words(self, n_params: int) -> tuple[jnp.ndarray, jnp.ndarray]:
        """The lowest frequency and the spacing, in cycles·2³²."""
        spacing = self.spacing(n_params)
        return jnp.uint32(round((self.lowest_frequency + spacing * _OFFSET) * 2**32)), jnp.uint32(
            round(spacing * 2**32)
        )

    def spacing(self, n_params: int) -> float:
        """The distance between neighbouring frequencies, in cycles per perturbation."""
        return (self.highest_frequency - self.lowest_frequency) / n_params

    def mean_square(self, n_params: int) -> float:
        return self.amplitude**2 / 2

    def period(self, n_params: int) -> int | None:
        return None

    def traits(self, n_params: int) -> SignalTraits:
        return SignalTraits(largest=1.0, independent=False, zero_sum=False, turn=1)

    def high_pass_gain(self, pole: float, tau_p: int, n_params: int) -> np.ndarray:
        r"""For each parameter, the gain of a white code times a factor for the past of the sinusoid.

        $$\frac{(1 + A)(1 - \cos\omega_i)}{1 - 2A\cos\omega_i + A^2}, \quad \omega_i = 2\pi f_i$$

        where A is `pole` to the power of `tau_p`, the share that the filter keeps over a hold.
        """
        corner = (1 - pole) / (2 * math.pi)
        if self.lowest_frequency / tau_p < corner:
            raise ValueError(
                f"Sinusoid: the lowest frequency, {self.lowest_frequency / tau_p:.3g} cycles per timestep, is below "
                f"the high-pass's corner at {corner:.3g}; raise tau_hp or lowest_frequency"
            )
        kept = pole**tau_p
        cosine = np.cos(2 * np.pi * self.frequencies(n_params))
        past = (1 + kept) * (1 - cosine) / (1 - 2 * kept * cosine + kept**2)
        return white_gain(pole, tau_p) * past

    def check(self, n_params: int, tau_p: int, window: int | None) -> None:
        if round(self.spacing(n_params) * 2**32) < 1:
            raise ValueError(f"Sinusoid: {n_params} parameters do not have distinct 32-bit frequencies in the band")
        least = math.ceil(tau_p / self.spacing(n_params))
        if window is not None and window < least:
            warnings.warn(
                f"Sinusoid: {n_params} frequencies are {self.spacing(n_params):.3g} cycles per perturbation apart and "
                f"overlap in windows of tau_theta = {window}; raise tau_theta to {least} or more",
                MgdWarning,
                stacklevel=4,
            )
