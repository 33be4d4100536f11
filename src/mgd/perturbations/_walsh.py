"""Walsh–Hadamard codes."""

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, UInt32

from .._counter import Counter
from .._float32 import in_float32
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
    out the constant row, κ a seeded permutation of columns, drawn again each period (so that successive values
    are uncorrelated and a filter in time finds no structure), and f_i = ±1 flips row i each period. Over one
    full period codes are exactly orthogonal, so G is the gradient to first order; no row of the N × P code is
    ever stored.

    Some rows are the product of two others (ρ(i) = ρ(j) ⊕ ρ(k)). Measured from one side, G_i then contains some of the
    curvature along j and k. This error is of the first order in Δθ, and its sign changes at random with the period:

    $$G_i - \frac{\partial C}{\partial\theta_i} = \Delta\theta \sum_{\{j, k\}:\, \rho(j) \oplus \rho(k) = \rho(i)}
      f_i f_j f_k \frac{\partial^2 C}{\partial\theta_j\, \partial\theta_k} + O(\Delta\theta^2)$$

    With `shared_bit` all rows have one bit in common, and no row is the product of two others, so the error of first
    order is zero in every period. N is then the least power of two ≥ 2P: twice as long, unless P is a power of two.
    Such a period has every perturbation with both signs, so its bias is that of the two-sided baseline.

    Args:
        amplitude: Δθ, in the parameter's unit.
        shared_bit: whether all rows share a bit.

    Raises:
        ValueError: if the amplitude is not a finite number above 0.

    >>> from mgd._counter import Counter
    >>> seed = jnp.array([1, 2], jnp.uint32)
    >>> code = jnp.stack([Walsh(amplitude=1.0)(Counter.of(m), seed=seed, n_params=3) for m in range(4)])
    >>> (code.T @ code).tolist()
    [[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]]
    """

    amplitude: float = eqx.field(metadata=NUMBER, default=1e-2)
    shared_bit: bool = eqx.field(static=True, default=False)

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
        # Row 0 is constant, unless a bit is set in all.
        shared = self.shared(n_params)
        first = 0 if shared else 1
        index = jnp.arange(first, first + n_params, dtype=jnp.uint32)
        return _scramble(index, Row.of(~seed, Counter.of(0)), self.period(n_params) - shared) | shared

    def shared(self, n_params: int) -> int:
        """The bit that all rows share, as a number; 0 if there is none."""
        return self.period(n_params) // 2 if self.shared_bit else 0

    def mean_square(self, n_params: int) -> float:
        return self.amplitude**2

    def period(self, n_params: int) -> int:
        return 2 << (n_params - 1).bit_length() if self.shared_bit else 1 << n_params.bit_length()

    def traits(self, n_params: int) -> SignalTraits:
        return SignalTraits(largest=1.0, independent=False, zero_sum=True, turn=1)

    def high_pass_gain(self, pole: float, tau_p: int, n_params: int) -> float:
        r"""The gain of a white code, corrected for the balance of the rows.

        Codes j < N perturbations apart correlate as $-(1 - j/N)/(N - 1)$: a balanced row in random order, and
        independent signs beyond its period.
        """
        n, forgotten = self.period(n_params), pole**tau_p
        rest = forgotten * (1 - forgotten ** (n - 1)) / (1 - forgotten)
        return white_gain(pole, tau_p) * (1 + 1 / n - rest / (n * (n - 1)))

    def check(self, n_params: int, tau_p: int, window: int | None) -> None:
        most = 2**30 if self.shared_bit else _LARGEST - 1
        if n_params > most:
            raise ValueError(f"Walsh codes have 32-bit rows, for at most {most} parameters, got {n_params}")


@in_float32
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
