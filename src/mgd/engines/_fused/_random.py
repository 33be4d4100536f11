"""The random streams of a run for vectors of lanes: the same bits as `mgd._hash`, `mgd._permutation` and JAX's keys."""

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
def permute(index, row_a, row_b, n, a, b):
    """Where permutations of 0 … n − 1 send one number; (a, b) as `mgd._permutation` splits n."""
    moved = _feistel(words(index // b), words(index % b), row_a, row_b, a, b)
    while a * b > n and any_of(moved >= n):
        left = quotient(moved, b)
        again = _feistel(left, moved - left * b, row_a, row_b, a, b)
        moved = select(moved >= n, again, moved)
    rotation = word(row_a, row_b, 0xFFFFFFFF)
    rotation = rotation - quotient(rotation, n) * n
    return _add(moved, rotation, n)


@inlined
def _rotate(x, by):
    return (x << by) | (x >> (32 - by))


@inlined
def _four_rounds(x, y, r0, r1, r2, r3):
    x = x + y
    y = _rotate(y, r0) ^ x
    x = x + y
    y = _rotate(y, r1) ^ x
    x = x + y
    y = _rotate(y, r2) ^ x
    x = x + y
    y = _rotate(y, r3) ^ x
    return x, y


@inlined
def threefry(k0, k1, count):
    """Threefry-2x32 of 20 rounds (Salmon et al., SC11): JAX's generator, of the counter (0, count)."""
    k2 = k0 ^ k1 ^ 0x1BD11BDA
    x, y = k0, k1 + count
    x, y = _four_rounds(x, y, 13, 15, 26, 6)
    x, y = _four_rounds(x + k1, y + (k2 + 1), 17, 29, 16, 24)
    x, y = _four_rounds(x + k2, y + (k0 + 2), 13, 15, 26, 6)
    x, y = _four_rounds(x + k0, y + (k1 + 3), 17, 29, 16, 24)
    x, y = _four_rounds(x + k1, y + (k2 + 4), 13, 15, 26, 6)
    return x + k2, y + (k0 + 5)


@inlined
def uniform_bits(k0, k1, number):
    """Element `number` of a JAX key's 32-bit words, as a float from 0 to 1."""
    x, y = threefry(k0, k1, number)
    return float_of(((x ^ y) >> 9) | 0x3F800000) - 1.0


@inlined
def normal(k0, k1, number):
    """Element `number` of `jax.random.normal` of a key."""
    u = uniform_bits(k0, k1, number) * _LENGTH + _LOWEST
    return _SQRT2 * erf_inv(select(u < _LOWEST, _LOWEST, u))
