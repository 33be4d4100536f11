"""Exact 64-bit counters from two 32-bit words: JAX integers are 32 bits, and runs are longer than that."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt32

LARGEST_DIVISOR = 2**31
_HALF = 0xFFFF


class Counter(eqx.Module):
    """A non-negative integer below 2⁶⁴, as its high and low word.

    It counts timesteps, perturbations and presentations inside compiled code. Arithmetic wraps at 2⁶⁴.

    >>> quotient, remainder = Counter.of(10_000_000_007).divmod(10)
    >>> int(quotient), int(remainder)
    (1000000000, 7)
    """

    high: UInt32[Array, "*shape"]
    low: UInt32[Array, "*shape"]

    @staticmethod
    def of(value: int) -> "Counter":
        """The counter of a Python integer.

        Raises:
            ValueError: if the integer is negative or needs more than 64 bits.
        """
        if not 0 <= value < 2**64:
            raise ValueError(f"a counter holds 0 … 2**64 − 1, got {value}")
        return Counter(*(jnp.asarray(np.uint32(word)) for word in (value >> 32, value & 0xFFFFFFFF)))

    def __int__(self) -> int:
        return (int(self.high) << 32) | int(self.low)

    def plus(self, amount: int | UInt32[Array, ""] | Int[Array, ""]) -> "Counter":
        """This counter and a non-negative number below 2³² more."""
        low = self.low + jnp.asarray(amount, jnp.uint32)
        return Counter(self.high + (low < self.low).astype(jnp.uint32), low)

    def times(self, factor: int) -> "Counter":
        """This counter times a fixed number below 2³²."""
        if factor == 1:
            return self
        carry, low = _multiply_words(self.low, factor)
        return Counter(self.high * jnp.uint32(factor) + carry, low)

    def divmod(self, divisor: int) -> tuple["Counter", UInt32[Array, ""]]:
        """Quotient and remainder by a fixed divisor.

        Powers of two are shifts. Otherwise it is long division, in digits short enough that a remainder
        followed by one digit still fits a word.

        Raises:
            ValueError: if the divisor is not in 1 … 2³¹.
        """
        if not 1 <= divisor <= LARGEST_DIVISOR:
            raise ValueError(f"a counter is divided by 1 … 2**31, got {divisor}")
        if divisor == 1:
            return self, jnp.uint32(0)
        if divisor & (divisor - 1) == 0:
            shift = divisor.bit_length() - 1
            low = (self.low >> shift) | (self.high << (32 - shift))
            return Counter(self.high >> shift, low), self.low & jnp.uint32(divisor - 1)
        by = jnp.uint32(divisor)
        quotient, remainder = jnp.uint32(0), self.high % by
        left = 32
        while left:
            width = min(left, 32 - (divisor - 1).bit_length())
            left -= width
            digit = (self.low >> left) & jnp.uint32((1 << width) - 1)
            remainder = (remainder << width) | digit
            quotient = (quotient << width) | (remainder // by)
            remainder = remainder % by
        return Counter(self.high // by, quotient), remainder

    def quotient(self, divisor: int) -> "Counter":
        return self.divmod(divisor)[0]

    def remainder(self, divisor: int) -> UInt32[Array, ""]:
        return self.divmod(divisor)[1]


def _multiply_words(a: UInt32[Array, ""], b: int) -> tuple[UInt32[Array, ""], UInt32[Array, ""]]:
    """High and low word of a 32 × 32-bit product, from 16-bit halves."""
    a_high, a_low = a >> 16, a & _HALF
    b_high, b_low = jnp.uint32(b >> 16), jnp.uint32(b & _HALF)
    middle = a_high * b_low + ((a_low * b_low) >> 16)
    other = a_low * b_high + (middle & _HALF)
    return a_high * b_high + (middle >> 16) + (other >> 16), a * jnp.uint32(b)
