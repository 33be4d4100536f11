"""The two-word counter against Python's integers."""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgd._counter import Counter

VALUES = [
    0,
    1,
    9,
    44_000,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**32 + 1,
    10**10,
    10**10 + 7,
    2**48 + 12345,
    2**63 - 1,
    2**63 + 5,
    2**64 - 1,
]
DIVISORS = [1, 2, 3, 7, 10, 4096, 44_000, 65_537, 2**20 + 1, 2**30 + 1, 2**31 - 1, 2**31]
FACTORS = [0, 1, 2, 3, 1000, 65_535, 65_536, 65_537, 2**31 - 1, 2**32 - 1]
AMOUNTS = [0, 1, 2**16, 2**31, 2**32 - 1]
WORDS = 2**64
# Always as many, so that each operation is compiled once.
ANY = st.lists(st.integers(0, WORDS - 1), min_size=8, max_size=8)


def words_of(values: list[int]) -> Counter:
    """One batched counter of many values."""
    return Counter(
        jnp.array([v >> 32 for v in values], jnp.uint32), jnp.array([v & 0xFFFFFFFF for v in values], jnp.uint32)
    )


def integers(counter: Counter) -> list[int]:
    return [(int(h) << 32) | int(low) for h, low in zip(counter.high, counter.low, strict=True)]


@pytest.mark.parametrize("value", VALUES)
def test_a_counter_holds_its_integer(value):
    assert int(Counter.of(value)) == value


@pytest.mark.parametrize("divisor", DIVISORS)
def test_divmod_is_exact(divisor):
    quotient, remainder = jax.jit(jax.vmap(lambda c: c.divmod(divisor)))(words_of(VALUES))
    assert integers(quotient) == [v // divisor for v in VALUES]
    assert remainder.tolist() == [v % divisor for v in VALUES]


@pytest.mark.parametrize("divisor", [1, 10, 2**31])
def test_quotient_and_remainder_are_the_halves_of_divmod(divisor):
    value = 10**10 + 7
    assert int(Counter.of(value).quotient(divisor)) == value // divisor
    assert int(Counter.of(value).remainder(divisor)) == value % divisor


@pytest.mark.parametrize("factor", FACTORS)
def test_times_is_exact_modulo_two_words(factor):
    product = jax.jit(jax.vmap(lambda c: c.times(factor)))(words_of(VALUES))
    assert integers(product) == [v * factor % WORDS for v in VALUES]


@pytest.mark.parametrize("amount", AMOUNTS)
def test_plus_carries(amount):
    total = jax.jit(jax.vmap(lambda c: c.plus(amount)))(words_of(VALUES))
    assert integers(total) == [(v + amount) % WORDS for v in VALUES]


@given(ANY, st.integers(1, 2**31), st.integers(0, 2**32 - 1))
def test_any_counter_is_an_integer_modulo_two_words(values, divisor, other):
    counters = words_of(values)
    quotient, remainder = jax.vmap(lambda c: c.divmod(divisor))(counters)
    assert integers(quotient) == [v // divisor for v in values]
    assert remainder.tolist() == [v % divisor for v in values]
    assert integers(jax.vmap(lambda c: c.times(other))(counters)) == [v * other % WORDS for v in values]
    assert integers(jax.vmap(lambda c: c.plus(other))(counters)) == [(v + other) % WORDS for v in values]
    assert [int(Counter.of(v)) for v in values] == values


def test_plus_takes_traced_words():
    total = jax.jit(lambda c, a: c.plus(a))(Counter.of(2**32 - 1), jnp.uint32(2**32 - 1))
    assert int(total) == 2**33 - 2
    total = jax.jit(lambda c, a: c.plus(a))(Counter.of(2**32 - 1), jnp.int32(2**31 - 1))
    assert int(total) == 2**32 + 2**31 - 2


@pytest.mark.parametrize("value", [-1, 2**64])
def test_integers_that_do_not_fit_are_refused(value):
    with pytest.raises(ValueError, match=rf"^a counter holds 0 … 2\*\*64 − 1, got {value}$"):
        Counter.of(value)


@pytest.mark.parametrize("divisor", [0, -3, 2**31 + 1])
def test_divisors_out_of_range_are_refused(divisor):
    with pytest.raises(ValueError, match=rf"^a counter is divided by 1 … 2\*\*31, got {divisor}$"):
        Counter.of(5).divmod(divisor)
