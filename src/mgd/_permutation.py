"""Keyed permutations computed in place: no index arrays, any element on its own."""

import math

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, UInt32

from ._hash import Row, mix

_ROUNDS = 4
_SPREAD = 0x9E3779B9
_ROTATION = 0xFFFFFFFF  # a column that no round uses


def permute(index: UInt32[Array, "*shape"], row: Row, n: int) -> UInt32[Array, "*shape"]:
    """Where a permutation of 0 … n−1, keyed by a row of the hash, sends each index.

    A generalised Feistel network on pairs (l, r) of Z_a × Z_b with a·b ≥ n: each round adds to one half a
    hash of the other, which can be undone, so the whole is a bijection. A result past n is sent through
    again (cycle walking); a·b < n + a, so that is rare.

    Args:
        index: elements of 0 … n−1.
        row: what keys the permutation.
        n: size of the set, 1 … 2³¹.

    >>> from mgd._counter import Counter
    >>> row = Row.of(jnp.array([1, 2], jnp.uint32), Counter.of(0))
    >>> sorted(permute(jnp.arange(5, dtype=jnp.uint32), row, 5).tolist())
    [0, 1, 2, 3, 4]

    References:
        Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002.
    """
    if n == 1:
        return jnp.zeros_like(index)
    a, b = factors(n)
    moved = _feistel(index, row, a, b)
    size = jnp.uint32(n)
    if a * b > n:
        moved = lax.while_loop(
            lambda i: jnp.any(i >= size), lambda i: jnp.where(i >= size, _feistel(i, row, a, b), i), moved
        )
    # A keyed rotation: whatever the network leaves uneven, every place is equally likely for every element.
    rotation = row.words(jnp.uint32(_ROTATION)) % size
    return _add(moved, jnp.broadcast_to(rotation, moved.shape), n)


def factors(n: int) -> tuple[int, int]:
    """(a, b), about equal, of the pairs that the network works on: a·b is n or little more."""
    a = 1 << (n.bit_length() // 2) if n & (n - 1) == 0 else math.isqrt(n - 1) + 1
    return a, -(-n // a)


def _feistel(index: UInt32[Array, "*shape"], row: Row, a: int, b: int) -> UInt32[Array, "*shape"]:
    left, right = index // jnp.uint32(b), index % jnp.uint32(b)
    for r in range(0, _ROUNDS, 2):
        left = _add(left, _below(mix(row.a + jnp.uint32(_SPREAD) * (right * _ROUNDS + r)), a), a)
        right = _add(right, _below(mix(row.b + jnp.uint32(_SPREAD) * (left * _ROUNDS + r)), b), b)
    return left * jnp.uint32(b) + right


def _below(word: UInt32[Array, "*shape"], n: int) -> UInt32[Array, "*shape"]:
    """A word scaled to 0 … n−1, n ≤ 2¹⁶ (the round function of a Feistel network may be any function)."""
    return ((word >> 16) * jnp.uint32(n)) >> 16


def _add(x: UInt32[Array, "*shape"], y: UInt32[Array, "*shape"], n: int) -> UInt32[Array, "*shape"]:
    total = x + y
    return jnp.where(total >= jnp.uint32(n), total - jnp.uint32(n), total)
