"""Codes of a maximal-length shift register."""

import functools

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, UInt32

from .._counter import Counter
from .._hash import Row, sign_of
from .._numbers import NUMBER
from ..theory import white_gain
from ._base import AbstractPerturbation, SignalTraits, require_amplitude

# Feedback taps that give the longest sequence, 2^width − 1 (Xilinx application note XAPP 052, table 3;
# a test proves each one by the order of its transition matrix).
TAPS: dict[int, tuple[int, ...]] = {
    3: (3, 2), 4: (4, 3), 5: (5, 3), 6: (6, 5), 7: (7, 6), 8: (8, 6, 5, 4), 9: (9, 5), 10: (10, 7),
    11: (11, 9), 12: (12, 6, 4, 1), 13: (13, 4, 3, 1), 14: (14, 5, 3, 1), 15: (15, 14), 16: (16, 15, 13, 4),
    17: (17, 14), 18: (18, 11), 19: (19, 6, 2, 1), 20: (20, 17), 21: (21, 19), 22: (22, 21), 23: (23, 18),
    24: (24, 23, 22, 17), 25: (25, 22), 26: (26, 6, 2, 1), 27: (27, 5, 2, 1), 28: (28, 25), 29: (29, 27),
    30: (30, 6, 4, 1), 31: (31, 28),
}  # fmt: skip


class LFSR(AbstractPerturbation):
    r"""The bits of a linear-feedback shift register, with which a chip can generate ± codes.

    A register of `width` stages shifts in the exclusive-or of its taps, f_k = f_{k−t₁} ⊕ f_{k−t₂} ⊕ …, and
    feeds a chain of P flip-flops; it is clocked P times a perturbation, so each bit is used once:

    $$\tilde\theta_i(m) = \Delta\theta\, (-1)^{f_{mP + i}}$$

    where Δθ is `amplitude`. The register starts from a seeded state that is not zero. Over 2^width − 1
    perturbations (if that number and P have no common factor) the codes of any two parameters differ once more often
    than they agree. 2³¹ − 1 is prime, so the default width suits every P. Bit k is computed directly, by powers of
    the register's transition matrix, and equals the circuit's bit.

    Args:
        amplitude: Δθ, in the parameter's unit.
        width: stages of the register, 3 … 31.

    Raises:
        ValueError: if the amplitude is not above 0 or the width not in 3 … 31.

    >>> from mgd._counter import Counter
    >>> code = LFSR(amplitude=1.0, width=3)
    >>> seed = jnp.array([1, 2], jnp.uint32)
    >>> chips = jnp.stack([code(Counter.of(m), seed=seed, n_params=1) for m in range(7)])
    >>> float(chips.sum())
    -1.0

    References:
        Golomb, Shift Register Sequences (1967). McCaughan et al., APL Mach. Learn. 1, 026118 (2023).
    """

    amplitude: float = eqx.field(metadata=NUMBER, default=1e-2)
    width: int = 31

    def __check_init__(self):
        require_amplitude(self.amplitude)
        if self.width not in TAPS:
            raise ValueError(f"a shift register must have 3 to 31 stages, got width = {self.width}")

    def __call__(self, index: Counter, *, seed: UInt32[Array, " 2"], n_params: int) -> Float[Array, " p"]:
        state = self.register(index, seed=seed, n_params=n_params)
        return self.amplitude * sign_of(lax.population_count(_output_masks(self.width, n_params) & state))

    def register(self, index: Counter, *, seed: UInt32[Array, " 2"], n_params: int) -> UInt32[Array, ""]:
        """The register before perturbation `index`: bit t−1 is the bit shifted in t clocks ago."""
        length = 2**self.width - 1
        word = Row.of(seed, Counter.of(0)).words(jnp.uint32(0))
        state = word % jnp.uint32(length) + 1
        clocks = Counter(jnp.uint32(0), index.remainder(length)).times(n_params % length).remainder(length)
        stages = jnp.arange(self.width, dtype=jnp.uint32)
        for place, table in enumerate(_jump_tables(self.width)):
            matrix = jnp.asarray(table)[(clocks >> (8 * place)) & 0xFF]
            state = jnp.sum((lax.population_count(matrix & state) & 1) << stages, dtype=jnp.uint32)
        return state

    def circuit(self, n_params: int) -> tuple[UInt32[np.ndarray, " p"], UInt32[np.ndarray, " width"]]:
        """Masks of the register, whose parities are each parameter's bit, and its own bits a perturbation later."""
        masks = _output_masks(self.width, n_params)
        later = [masks[n_params - 1 - r] if r < n_params else 1 << (r - n_params) for r in range(self.width)]
        return masks, np.array(later, np.uint32)

    def mean_square(self, n_params: int) -> float:
        return self.amplitude**2

    def period(self, n_params: int) -> int:
        return 2**self.width - 1

    def traits(self, n_params: int) -> SignalTraits:
        # In a period −1 is met once more often than +1.
        return SignalTraits(largest=1.0, independent=False, zero_sum=True, turn=1)

    def high_pass_gain(self, pole: float, tau_p: int, n_params: int) -> float:
        return white_gain(pole, tau_p)

    def check(self, n_params: int, tau_p: int, window: int | None) -> None:
        if n_params >= 2**self.width - 1:
            raise ValueError(
                f"LFSR of width {self.width} has {2**self.width - 1} bits, not enough for {n_params} parameters: "
                "use a wider register"
            )


def _transition(width: int) -> np.ndarray:
    """Rows of the register's transition matrix over GF(2), each a word: new bit r = parity(row r & state)."""
    rows = np.zeros(width, np.uint64)
    rows[0] = sum(1 << (tap - 1) for tap in TAPS[width])
    rows[1:] = 1 << np.arange(width - 1, dtype=np.uint64)
    return rows


def _after(masks: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Functionals of the state one application of a matrix later, as functionals of the state now."""
    bits = (masks[:, None] >> np.arange(len(matrix), dtype=np.uint64)) & np.uint64(1)
    return np.bitwise_xor.reduce(np.where(bits == 1, matrix, np.uint64(0)), axis=1)


@functools.cache
def _jump_tables(width: int) -> tuple[np.ndarray, ...]:
    """Transition matrices of b·256^place clocks, [place][b, width], so that any number takes ≤ 4 products."""
    one = _transition(width)
    tables = []
    for _ in range(-(-width // 8)):
        powers = [1 << np.arange(width, dtype=np.uint64)]
        for _ in range(256):
            powers.append(_after(powers[-1], one))
        tables.append(np.stack(powers[:256]).astype(np.uint32))
        one = powers[256]
    return tuple(tables)


@functools.cache
def _output_masks(width: int, n: int) -> np.ndarray:
    """Mask i gives the bit shifted in at clock i from now, i < n; found by doubling."""
    masks = _transition(width)[:1]
    jump = _transition(width)
    while len(masks) < n:
        masks = np.concatenate([masks, _after(masks, jump)])
        jump = _after(jump, jump)
    return masks[:n].astype(np.uint32)
