"""Keyed permutations: bijective, and as even as a random one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgd._counter import Counter
from mgd._hash import Row
from mgd._permutation import factors, permute

SEED = jnp.array([11, 12], jnp.uint32)


def orders(n: int, many: int, seed: jnp.ndarray = SEED) -> np.ndarray:
    """Permutations [many, n] keyed by successive rows."""
    one = lambda k: permute(jnp.arange(n, dtype=jnp.uint32), Row.of(seed, Counter(jnp.uint32(0), k)), n)
    return np.asarray(jax.jit(jax.vmap(one))(jnp.arange(many, dtype=jnp.uint32)))


def chi_square_limit(freedom: int) -> float:
    """Five standard deviations above the mean of a χ² of that many degrees of freedom (Wilson–Hilferty)."""
    return freedom * (1 - 2 / (9 * freedom) + 5 * np.sqrt(2 / (9 * freedom))) ** 3


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 9, 16, 100, 1000, 44_000])
def test_a_permutation_is_a_bijection(n):
    for order in orders(n, 4):
        assert np.array_equal(np.sort(order), np.arange(n))


WORD = st.integers(0, 2**32 - 1)


@settings(max_examples=15)  # each size is compiled
@given(st.one_of(st.integers(1, 4096), st.integers(2, 2**31)), st.tuples(WORD, WORD), st.integers(0, 2**64 - 1))
def test_any_size_seed_and_counter_make_a_bijection(n, seed, counter):
    """Of a small set all elements, of a large one some of the whole range."""
    row = Row.of(jnp.array(seed, jnp.uint32), Counter.of(counter))
    chosen = np.arange(4096) % n if n <= 4096 else np.linspace(0, n - 1, 4096).astype(np.int64)
    sent = np.asarray(permute(jnp.asarray(chosen, jnp.uint32), row, n), np.int64)
    assert len(set(sent.tolist())) == min(n, 4096)
    assert (sent < n).all()


@given(st.integers(2, 2**31))
def test_few_are_sent_through_the_network_again(n):
    a, b = factors(n)
    assert n <= a * b < n + a
    assert max(a, b) <= 2**16


def test_one_element_is_permuted_as_all_are():
    row = Row.of(SEED, Counter.of(3))
    whole = permute(jnp.arange(1000, dtype=jnp.uint32), row, 1000)
    alone = jax.jit(lambda i: permute(i, row, 1000))
    assert [int(alone(jnp.uint32(i))) for i in (0, 17, 999)] == whole[jnp.array([0, 17, 999])].tolist()


def test_the_largest_set_stays_inside():
    n = 2**31
    index = jnp.array([0, 1, 2**30, n - 1], jnp.uint32)
    out = np.asarray(permute(index, Row.of(SEED, Counter.of(0)), n), np.int64)
    assert len(set(out.tolist())) == 4
    assert (out < n).all()


@pytest.mark.parametrize(("n", "factorial"), [(3, 6), (4, 24)])
def test_every_order_appears(n, factorial):
    assert len({tuple(order) for order in orders(n, 2000).tolist()}) == factorial


@pytest.mark.parametrize("n", [2, 3, 4, 5, 9, 16, 100])
def test_every_element_comes_to_every_place_equally_often(n):
    many = 20_000
    drawn = orders(n, many)
    observed = np.stack([np.bincount(drawn[:, place], minlength=n) for place in range(n)])
    expected = many / n
    for place in range(n):
        statistic = ((observed[place] - expected) ** 2 / expected).sum()
        assert statistic < chi_square_limit(n - 1), place


def test_orders_under_different_rows_are_unrelated():
    n = 1000
    drawn = orders(n, 50)
    # Fixed points between two random permutations are Poisson of mean 1.
    same = sum(int((drawn[a] == drawn[b]).sum()) for a in range(50) for b in range(a))
    pairs = 50 * 49 / 2
    assert abs(same - pairs) < 5 * np.sqrt(pairs)
