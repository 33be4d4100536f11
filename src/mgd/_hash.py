"""The random bits of every run: a documented hash of (seed, counter, column).

Perturbations and the order of samples are defined here and not by a library's generator, so that every
engine, a recording and a circuit can regenerate bit n of parameter i without storing any.

With 32-bit words that wrap, `mix` the finaliser below, and a seed of two words (s₀, s₁):

    a = mix(mix(s₀ ^ low) ^ high)              the row of a counter (high, low)
    b = mix(mix(s₁ + low) + high)
    word j = mix(mix(a + 0x9e3779b9·j) ^ b)      column j of that row

The 64 bits of a row keep rows apart; sign i of a row is bit i mod 32 of word i div 32. A key that a chip draws noise
from is such a row: number n drawn from it is its word n, its n-th part in a split the row of its words 2n and 2n + 1.

The constants: `mix` is the bijection "lowbias32" (C. Wellons, public domain, found by search for the least
bias between input and output bits); 0x9e3779b9 is 2³²/golden ratio; the two others are digits of π.
"""

import functools
import math
import zlib
from collections.abc import Hashable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.random import define_prng_impl
from jaxtyping import Array, Float, Int, PRNGKeyArray, UInt, UInt32

from ._counter import Counter


def mix(word: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """A bijection of 32-bit words in which every input bit reaches every output bit."""
    word = word ^ (word >> 16)
    word = word * jnp.uint32(0x7FEB352D)
    word = word ^ (word >> 15)
    word = word * jnp.uint32(0x846CA68B)
    return word ^ (word >> 16)


class Row(eqx.Module):
    """An endless row of random words: that of one counter under one seed."""

    a: UInt32[Array, ""]
    b: UInt32[Array, ""]

    @staticmethod
    def of(seed: UInt32[Array, " 2"], counter: Counter) -> "Row":
        a = mix(mix(seed[0] ^ counter.low) ^ counter.high)
        b = mix(mix(seed[1] + counter.low) + counter.high)
        return Row(a, b)

    def words(self, columns: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
        """The words at these columns."""
        return mix(mix(self.a + jnp.uint32(0x9E3779B9) * columns) ^ self.b)

    def signs(self, n: int) -> Float[Array, " {n}"]:
        """The first n signs, ±1, from ⌈n/32⌉ words."""
        words = self.words(jnp.arange(-(-n // 32), dtype=jnp.uint32))
        bits = (words[:, None] >> jnp.arange(32, dtype=jnp.uint32)[None]).reshape(-1)[:n]
        return sign_of(bits)

    def signs_from(self, start: Int[Array, ""], n: int) -> Float[Array, " {n}"]:
        """The n signs from sign number `start` on, below 2³¹: the same as in `signs`."""
        first = (start // 32).astype(jnp.uint32)
        words = self.words(first + jnp.arange(-(-n // 32) + 1, dtype=jnp.uint32))
        bits = (words[:, None] >> jnp.arange(32, dtype=jnp.uint32)[None]).reshape(-1)
        return sign_of(lax.dynamic_slice(bits, (start % 32,), (n,)))

    def key(self, number: int | Int[Array, ""]) -> PRNGKeyArray:
        """A JAX key made of two words: what a chip draws its noise from. It costs nothing if unused."""
        first = 2 * jnp.asarray(number, jnp.uint32)
        return jax.random.wrap_key_data(self.words(jnp.stack([first, first + 1])), impl=_of_hash())


@functools.cache
def _of_hash() -> Hashable:
    """This hash as a generator of JAX's: a key is a row, and everything that is drawn from it are words of that row.

    It takes a third of the operations of JAX's own, which were most of the time of a small chip with noise.
    """

    def row(key: UInt32[Array, " 2"]) -> Row:
        return Row(key[0], key[1])

    def seed(number: Int[Array, ""]) -> UInt32[Array, " 2"]:
        return fold_in(jnp.zeros(2, jnp.uint32), number)

    def fold_in(key: UInt32[Array, " 2"], number: Any) -> UInt32[Array, " 2"]:
        folded = Row.of(key, Counter(jnp.uint32(0), jnp.asarray(number).astype(jnp.uint32)))
        return jnp.stack([folded.a, folded.b])

    def split(key: UInt32[Array, " 2"], shape: tuple[int, ...]) -> UInt32[Array, "*shape 2"]:
        columns = jnp.arange(2 * math.prod(shape), dtype=jnp.uint32)
        return row(key).words(columns).reshape(*shape, 2)

    def random_bits(key: UInt32[Array, " 2"], width: int, shape: tuple[int, ...]) -> UInt[Array, "*shape"]:
        n = math.prod(shape)
        if width == 64:
            high, low = row(key).words(jnp.arange(2 * n, dtype=jnp.uint32)).reshape(2, *shape).astype(jnp.uint64)
            return (high << 32) | low
        return row(key).words(jnp.arange(n, dtype=jnp.uint32)).reshape(shape).astype(f"uint{width}")

    return define_prng_impl(
        key_shape=(2,), seed=seed, split=split, random_bits=random_bits, fold_in=fold_in, name="mgd_hash", tag="mgd"
    )


def sign_of(bits: UInt32[Array, "*shape"]) -> Float[Array, "*shape"]:
    """+1 for words with lowest bit 0, −1 for lowest bit 1: the bit becomes the float's own sign bit."""
    return lax.bitcast_convert_type((bits << 31) | jnp.uint32(0x3F800000), jnp.float32)


def seed_of(key: PRNGKeyArray, stream: str) -> UInt32[Array, " 2"]:
    """The seed of a named stream under a run's key."""
    return jax.random.bits(jax.random.fold_in(key, zlib.crc32(stream.encode())), (2,), jnp.uint32)
