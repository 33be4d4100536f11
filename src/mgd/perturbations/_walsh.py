"""Walsh–Hadamard codes."""

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, UInt32

from .._counter import Counter
from .._hash import Row, sign_of
from .._numbers import NUMBER
from .._permutation import permute
from ..theory import white_gain
from ._base import AbstractPerturbation, SignalTraits, require_amplitude

_LARGEST = 2**31 - 1


class Walsh(AbstractPerturbation):
    r"""Deterministic orthogonal ± codes: rows of a Hadamard matrix of order N, the least power of two ≥ P + 1.

    $$\tilde\theta_i(m) = \Delta\theta\, f_i(\lfloor m/N \rfloor)\, (-1)^{|\rho(i) \wedge \kappa(m \bmod N)|}$$

    where Δθ is `amplitude`, |·| counts the set bits of a word, ρ is a seeded permutation of rows that leaves
    out the constant row, κ a seeded permutation of columns, drawn anew each period (so that successive values
    are uncorrelated and a filter in time finds no structure), and f_i = ±1 flips row i each period. Over one
    full period codes are exactly orthogonal, so G is the gradient to first order; no row of the N × P code is
    ever stored.

    Args:
        amplitude: Δθ, in the parameter's unit.

    Raises:
        ValueError: if the amplitude is not a finite number above 0.

    >>> from mgd._counter import Counter
    >>> seed = jnp.array([1, 2], jnp.uint32)
    >>> code = jnp.stack([Walsh(amplitude=1.0)(Counter.of(m), seed=seed, n_params=3) for m in range(4)])
    >>> (code.T @ code).tolist()
    [[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]]
    """

    amplitude: float = eqx.field(metadata=NUMBER, default=1e-2)

    def __check_init__(self):
        require_amplitude(self.amplitude)

    def __call__(self, index: Counter, *, seed: UInt32[Array, " 2"], n_params: int) -> Float[Array, " p"]:
        order = self.period(n_params)
        period, column = index.divmod(order)
        rows, row_of_period = self._rows(seed, n_params), Row.of(seed, period)
        parity = lax.population_count(rows & permute(column, row_of_period, order))
        return self.amplitude * sign_of(parity) * row_of_period.signs(n_params)

    def spectrum(
        self, weights: Float[Array, " p"], period: Counter, *, seed: UInt32[Array, " 2"]
    ) -> Float[Array, " order"]:
        """Σ_i w_i s_i for every perturbation s (in units of the amplitude) of a period, by one fast transform."""
        n_params = weights.size
        order = self.period(n_params)
        rows, row_of_period = self._rows(seed, n_params), Row.of(seed, period)
        signed = jnp.zeros(order).at[rows].set(weights * row_of_period.signs(n_params))
        return _transform(signed)[permute(jnp.arange(order, dtype=jnp.uint32), row_of_period, order)]

    def combine(
        self, weights: Float[Array, " order"], period: Counter, *, seed: UInt32[Array, " 2"], n_params: int
    ) -> Float[Array, " p"]:
        """Σ_m w_m s(m) over the perturbations m of a period: the transpose of `spectrum`."""
        order = self.period(n_params)
        rows, row_of_period = self._rows(seed, n_params), Row.of(seed, period)
        columns = permute(jnp.arange(order, dtype=jnp.uint32), row_of_period, order)
        return row_of_period.signs(n_params) * _transform(jnp.zeros(order).at[columns].set(weights))[rows]

    def _rows(self, seed: UInt32[Array, " 2"], n_params: int) -> UInt32[Array, " p"]:
        """The row of the Hadamard matrix that each parameter has."""
        order = self.period(n_params)
        return _scramble(jnp.arange(1, n_params + 1, dtype=jnp.uint32), Row.of(~seed, Counter.of(0)), order)

    def mean_square(self, n_params: int) -> float:
        return self.amplitude**2

    def period(self, n_params: int) -> int:
        return 1 << n_params.bit_length()

    def traits(self, n_params: int) -> SignalTraits:
        return SignalTraits(largest=1.0, independent=False, zero_sum=True, turn=1)

    def high_pass_gain(self, pole: float, tau_p: int, n_params: int) -> float:
        r"""That of a white code, but for what balance takes away.

        Codes j < N perturbations apart correlate as $-(1 - j/N)/(N - 1)$: a balanced row in random order, and
        independent signs beyond its period.
        """
        n, forgotten = self.period(n_params), pole**tau_p
        rest = forgotten * (1 - forgotten ** (n - 1)) / (1 - forgotten)
        return white_gain(pole, tau_p) * (1 + 1 / n - rest / (n * (n - 1)))

    def check(self, n_params: int, tau_p: int, window: int | None) -> None:
        if n_params >= _LARGEST:
            raise ValueError(f"Walsh codes have 32-bit rows: at most {_LARGEST - 1} parameters, got {n_params}")


def _transform(values: Float[Array, " order"]) -> Float[Array, " order"]:
    """The Hadamard matrix times a vector, as two products with matrices of about √order."""
    bits = values.size.bit_length() - 1
    high, low = (_hadamard(n) for n in (bits // 2, bits - bits // 2))
    return (high @ values.reshape(high.shape[0], low.shape[0]) @ low).reshape(-1)


def _hadamard(bits: int) -> Float[Array, "order order"]:
    """(−1)^{|i ∧ j|}, i and j below 2^bits."""
    index = jnp.arange(1 << bits, dtype=jnp.uint32)
    return sign_of(lax.population_count(index[:, None] & index[None]))


def _scramble(index: UInt32[Array, "*shape"], row: Row, order: int) -> UInt32[Array, "*shape"]:
    """A keyed bijection of 0 … order−1 (a power of two) that sends 0 to 0.

    Odd multiples and right-shifted exclusive-ors are bijections modulo a power of two, and keep 0.
    """
    inside = jnp.uint32(order - 1)
    shift = max(1, (order.bit_length() - 1) // 2)
    for column in range(3):
        odd = row.words(jnp.uint32(0xFFFFFFF0 + column)) | 1
        index = (index * odd) & inside
        index = index ^ (index >> shift)
    return index
