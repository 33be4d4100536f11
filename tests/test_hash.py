"""The hash against its own formula in Python's integers, and as a source of random bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgd._counter import Counter
from mgd._hash import Row, mix, seed_of, sign_of

ALL = 0xFFFFFFFF
WORD = st.integers(0, ALL)


def python_mix(word: int) -> int:
    word ^= word >> 16
    word = word * 0x7FEB352D & ALL
    word ^= word >> 15
    word = word * 0x846CA68B & ALL
    return word ^ (word >> 16)


def python_word(s0: int, s1: int, counter: int, column: int) -> int:
    high, low = counter >> 32, counter & ALL
    a = python_mix(python_mix(s0 ^ low) ^ high)
    b = python_mix((python_mix((s1 + low) & ALL) + high) & ALL)
    return python_mix(python_mix((a + 0x9E3779B9 * column) & ALL) ^ b)


def signs(seed: jnp.ndarray, rows: int, n: int) -> np.ndarray:
    """Signs [rows, n] of the first counters of a seed."""
    one = lambda i: Row.of(seed, Counter(jnp.uint32(0), i)).signs(n)
    return np.asarray(jax.jit(jax.vmap(one))(jnp.arange(rows, dtype=jnp.uint32)), np.float64)


@given(WORD, WORD, st.integers(0, 2**64 - 1), WORD)
def test_words_are_those_of_the_documented_formula(s0, s1, counter, column):
    row = Row.of(jnp.array([s0, s1], jnp.uint32), Counter.of(counter))
    assert int(row.words(jnp.uint32(column))) == python_word(s0, s1, counter, column)


def test_words_are_pinned():
    words = Row.of(jnp.array([1, 2], jnp.uint32), Counter.of(3)).words(jnp.arange(4, dtype=jnp.uint32))
    assert words.tolist() == [0xAC6F8CDF, 0x4152FEBD, 0x821DF0D2, 0x87FC1E5D]


def test_mix_is_a_bijection_of_a_dense_range():
    assert len(np.unique(np.asarray(mix(jnp.arange(2**20, dtype=jnp.uint32))))) == 2**20


def test_sign_i_is_bit_i_mod_32_of_word_i_div_32():
    row = Row.of(jnp.array([5, 6], jnp.uint32), Counter.of(7))
    bits = [python_word(5, 6, 7, i // 32) >> (i % 32) & 1 for i in range(70)]
    assert row.signs(70).tolist() == [1.0 - 2.0 * bit for bit in bits]


@pytest.mark.parametrize("n", [1, 32, 45])
def test_signs_from_anywhere_are_a_part_of_all(n):
    row = Row.of(jnp.array([5, 6], jnp.uint32), Counter.of(7))
    every = np.asarray(row.signs(200 + n))
    found = jax.jit(jax.vmap(lambda start: row.signs_from(start, n)))(jnp.arange(200))
    np.testing.assert_array_equal(found, np.lib.stride_tricks.sliding_window_view(every, n)[:200])


def test_sign_of_looks_at_the_lowest_bit_only():
    words = jnp.array([0, 1, 2, 3, ALL - 1, ALL], jnp.uint32)
    assert sign_of(words).tolist() == [1.0, -1.0, 1.0, -1.0, 1.0, -1.0]


@pytest.mark.parametrize("seed", [(0, 0), (1, 2), (2, 1)])
def test_signs_are_balanced_and_uncorrelated(seed):
    rows, n = 4096, 64
    s = signs(jnp.array(seed, jnp.uint32), rows, n)
    # The sum of N fair signs has standard deviation √N; the largest of n² of them stays below 6.
    assert abs(s.sum()) < 5 * np.sqrt(s.size)
    assert np.abs(s.sum(0)).max() < 6 * np.sqrt(rows)
    assert np.abs(s.sum(1)).max() < 6 * np.sqrt(n)
    columns = s.T @ s - rows * np.eye(n)
    assert np.abs(columns).max() < 6 * np.sqrt(rows)
    lagged = s[1:].T @ s[:-1]
    assert np.abs(lagged).max() < 6 * np.sqrt(rows)
    # And they are not more even than chance: the sum of n(n−1)/2 squares of unit normals, 5 deviations down.
    squares = (columns[np.triu_indices(n, 1)] ** 2 / rows).sum()
    pairs = n * (n - 1) / 2
    assert abs(squares - pairs) < 5 * np.sqrt(2 * pairs)


@pytest.mark.parametrize("other", [(1, 3), (2, 2), (2, 1), (1 + 2**31, 2)])
def test_neighbouring_seeds_give_unrelated_signs(other):
    one, two = (signs(jnp.array(s, jnp.uint32), 1024, 32) for s in ((1, 2), other))
    assert abs((one * two).sum()) < 5 * np.sqrt(one.size)


def test_rows_2_to_the_32_apart_differ():
    seed = jnp.array([1, 2], jnp.uint32)
    near, far = (Row.of(seed, Counter.of(i)).signs(4096) for i in (5, 5 + 2**32))
    assert abs(float(jnp.sum(near * far))) < 5 * 64


def test_keys_of_a_row_are_made_of_its_words():
    row = Row.of(jnp.array([1, 2], jnp.uint32), Counter.of(3))
    words = [jax.random.key_data(row.key(c)).tolist() for c in (0, 1)]
    assert words == [[python_word(1, 2, 3, 2 * c), python_word(1, 2, 3, 2 * c + 1)] for c in (0, 1)]


def test_streams_are_kept_apart_by_name_and_key():
    seeds = [seed_of(jax.random.key(k), name).tolist() for k in (0, 1) for name in ("samples", "perturbation", "write")]
    assert len({tuple(s) for s in seeds}) == 6
    assert seeds[0] == seed_of(jax.random.key(0), "samples").tolist()
