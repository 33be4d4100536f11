"""Shift-register codes against a register clocked bit by bit, and the theory of maximal-length sequences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgd._counter import Counter
from mgd.perturbations import LFSR
from mgd.perturbations._lfsr import TAPS

SEED = jnp.array([1, 2], jnp.uint32)


def code(lfsr: LFSR, n: int, n_params: int, *, start: int = 0) -> np.ndarray:
    """θ̃ at n successive perturbation numbers [n, p]."""

    @eqx.filter_jit
    def make(start):
        one = lambda i: lfsr(start.plus(i), seed=SEED, n_params=n_params)
        return jax.vmap(one)(jnp.arange(n, dtype=jnp.uint32))

    return np.asarray(make(Counter.of(start)), np.float64)


def clocked(state: int, width: int, clocks: int) -> list[int]:
    """The bits a Fibonacci register shifts in; bit t−1 of the state is the one shifted in t clocks ago."""
    history = [state >> (t - 1) & 1 for t in range(width, 0, -1)]
    for _ in range(clocks):
        history.append(sum(history[-t] for t in TAPS[width]) % 2)
    return history[width:]


def prime_factors(n: int) -> set[int]:
    found, p = set(), 2
    while p * p <= n:
        while n % p == 0:
            found.add(p)
            n //= p
        p += 1
    return found | ({n} if n > 1 else set())


def times(a: list[int], b: list[int]) -> list[int]:
    """The product of matrices over GF(2) whose rows are words."""
    out = []
    for row in a:
        total = 0
        for k, other in enumerate(b):
            if row >> k & 1:
                total ^= other
        out.append(total)
    return out


def power(matrix: list[int], exponent: int) -> list[int]:
    result = [1 << k for k in range(len(matrix))]
    while exponent:
        if exponent & 1:
            result = times(result, matrix)
        matrix = times(matrix, matrix)
        exponent >>= 1
    return result


@pytest.mark.parametrize("width", range(3, 32))
def test_every_set_of_taps_gives_the_longest_sequence(width):
    taps = TAPS[width]
    assert max(taps) == width
    matrix = [sum(1 << (t - 1) for t in taps)] + [1 << k for k in range(width - 1)]
    one = [1 << k for k in range(width)]
    length = 2**width - 1
    assert power(matrix, length) == one
    assert all(power(matrix, length // q) != one for q in prime_factors(length))


def test_there_are_taps_for_every_width_promised():
    assert sorted(TAPS) == list(range(3, 32))


@pytest.mark.parametrize(("width", "n_params"), [(3, 1), (4, 7), (8, 31), (12, 100), (16, 33), (23, 9), (31, 50)])
def test_bits_are_those_of_a_clocked_register(width, n_params):
    lfsr, n = LFSR(1.0, width), 40
    state = int(lfsr.register(Counter.of(0), seed=SEED, n_params=n_params))
    assert 0 < state < 2**width
    bits = np.array(clocked(state, width, n * n_params)).reshape(n, n_params)
    assert np.array_equal(code(lfsr, n, n_params), 1.0 - 2.0 * bits)


@pytest.mark.parametrize(("width", "n_params"), [(5, 9), (12, 100)])
def test_far_on_the_register_has_gone_round(width, n_params):
    length, index = 2**width - 1, 10**10
    lfsr = LFSR(1.0, width)
    state = int(lfsr.register(Counter.of(0), seed=SEED, n_params=n_params))
    start = index * n_params % length
    bits = clocked(state, width, start + n_params)[start:]
    assert np.array_equal(code(lfsr, 1, n_params, start=index)[0], 1.0 - 2.0 * np.array(bits))


def test_many_parameters_share_one_register():
    lfsr, n_params = LFSR(1.0), 5000
    state = int(lfsr.register(Counter.of(0), seed=SEED, n_params=n_params))
    bits = np.array(clocked(state, 31, 2 * n_params)).reshape(2, n_params)
    assert np.array_equal(code(lfsr, 2, n_params), 1.0 - 2.0 * bits)


@pytest.mark.parametrize(("width", "n_params"), [(3, 5), (4, 7), (5, 9), (7, 100), (9, 20)])
def test_over_a_full_period_codes_are_balanced_and_nearly_orthogonal(width, n_params):
    length = 2**width - 1
    assert np.gcd(n_params, length) == 1
    lfsr = LFSR(1.0, width)
    assert lfsr.period(n_params) == length
    s = code(lfsr, 2 * length, n_params)
    assert np.array_equal(s[:length], s[length:])
    # One more 1 than 0 in a period, and a sum of two shifts is a third shift: both are −1.
    assert np.array_equal(s[:length].sum(0), -np.ones(n_params))
    assert np.array_equal(s[:length].T @ s[:length], (length + 1) * np.eye(n_params) - 1)


def test_the_register_never_starts_empty_and_starts_everywhere():
    seeds = jax.random.bits(jax.random.key(0), (2000, 2), jnp.uint32)
    start = jax.jit(jax.vmap(lambda s: LFSR(1.0, 3).register(Counter.of(0), seed=s, n_params=2)))(seeds)
    found = np.bincount(np.asarray(start), minlength=8)
    assert found[0] == 0
    # Binomial with p = 1/7.
    assert (np.abs(found[1:] - 2000 / 7) < 5 * np.sqrt(2000 * 6 / 49)).all()


@pytest.mark.parametrize("width", [2, 32, 0, -1])
def test_widths_without_taps_are_refused(width):
    with pytest.raises(ValueError, match=f"^a shift register must have 3 to 31 stages, got width = {width}$"):
        LFSR(1.0, width)


def test_more_parameters_than_bits_are_refused():
    LFSR(1.0, 3).check(6, 1, 1)
    with pytest.raises(ValueError, match=r"^LFSR of width 3 has 7 bits, not enough for 7 parameters: use a wider"):
        LFSR(1.0, 3).check(7, 1, 1)
