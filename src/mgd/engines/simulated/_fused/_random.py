"""The random streams of a run in lanes: the same bits as `mgd._hash`, `mgd._permutation` and the keys of chips."""

from ._lanes import any_of, float_of, load, quotient, select, words
from ._math import erf_inv, inlined

_GOLDEN = 0x9E3779B9
_SQRT2 = 2.0**0.5
# JAX draws normal values from uniform ones of an open interval, whose lower end is the float32 after −1; its length
# rounds to 2.
_LOWEST, _LENGTH = -(1 - 2.0**-24), 2.0


@inlined
def mix(w):
    w = (w ^ (w >> 16)) * 0x7FEB352D
    w = (w ^ (w >> 15)) * 0x846CA68B
    return w ^ (w >> 16)


@inlined
def row_of(seed_0, seed_1, counter):
    """The two words of a counter's row, under the two words of seeds."""
    low, high = counter & 0xFFFFFFFF, counter >> 32
    return mix(mix(seed_0 ^ low) ^ high), mix(mix(seed_1 + low) + high)


@inlined
def row_under(seed, counter):
    """The same, under seeds of shape (2, LANES)."""
    return row_of(load(seed, 0), load(seed, 1), counter)


@inlined
def word(a, b, column):
    """The word at a column of a row."""
    return mix(mix(a + ((column * _GOLDEN) & 0xFFFFFFFF)) ^ b)


@inlined
def _below(w, n):
    return ((w >> 16) * n) >> 16


@inlined
def _add(x, y, n):
    total = x + y
    return select(total >= n, total - n, total)


@inlined
def _feistel(left, right, row_a, row_b, a, b):
    left = _add(left, _below(mix(row_a + (right * 4) * _GOLDEN), a), a)
    right = _add(right, _below(mix(row_b + (left * 4) * _GOLDEN), b), b)
    left = _add(left, _below(mix(row_a + (right * 4 + 2) * _GOLDEN), a), a)
    right = _add(right, _below(mix(row_b + (left * 4 + 2) * _GOLDEN), b), b)
    return left * b + right


@inlined
def rotation(row_a, row_b, n):
    """By how much permutations of 0 … n − 1 turn their results."""
    turn = word(row_a, row_b, 0xFFFFFFFF)
    return turn - quotient(turn, n) * n


@inlined
def permute(index, row_a, row_b, turn, n, a, b):
    """Where permutations of 0 … n − 1 send one number; `turn` by `rotation`, (a, b) by `mgd._permutation.factors`."""
    moved = _feistel(words(index // b), words(index % b), row_a, row_b, a, b)
    while a * b > n and any_of(moved >= n):
        left = quotient(moved, b)
        again = _feistel(left, moved - left * b, row_a, row_b, a, b)
        moved = select(moved >= n, again, moved)
    return _add(moved, turn, n)


@inlined
def part(k0, k1, number):
    """Part `number` of a key in a split: a key."""
    return word(k0, k1, 2 * number), word(k0, k1, 2 * number + 1)


@inlined
def uniform(k0, k1, number):
    """Number `number` that is drawn from a key, from 0 to 1."""
    return float_of((word(k0, k1, number) >> 9) | 0x3F800000) - 1.0


@inlined
def normal(k0, k1, number):
    """The same of `jax.random.normal`."""
    u = uniform(k0, k1, number) * _LENGTH + _LOWEST
    return _SQRT2 * erf_inv(select(u < _LOWEST, _LOWEST, u))
