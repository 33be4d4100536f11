"""Elementary functions of vectors of lanes, to about one unit in the last place of float32."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numpy.polynomial import chebyshev

from ._lanes import any_of, bits_of, float_of, floats, nearest, polynomial, root, select, size_of, to_float, to_word

_LOG2_E = math.log2(math.e)
# ln 2 in two parts, the first with so few bits that its product with an exponent is exact.
_LN2_HIGH = 0.693359375
_LN2_LOW = math.log(2) - _LN2_HIGH


def inlined(function: Callable) -> Callable:
    """Compiles a function into each of its callers. It counts no references: it makes no arrays, and would count
    them at every call."""
    jit: Any = njit
    return jit(forceinline=True, error_model="numpy", _nrt=False)(inspect.unwrap(function))


def _fitted(f: Callable, low: float, high: float, degree: int) -> Callable:
    """The polynomial of that degree through f at Chebyshev's points of low … high: almost the best there is."""
    middle, half = (low + high) / 2, (high - low) / 2
    series = chebyshev.Chebyshev(chebyshev.chebinterpolate(lambda t: f(middle + half * t), degree), domain=[low, high])
    return polynomial(*series.convert(kind=np.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1]).coef)


_HALF_LN2 = math.log(2) / 2
# exp on ± ln 2 / 2: error 2e-8 relative.
_exp = _fitted(np.exp, -_HALF_LN2, _HALF_LN2, 6)
# (eˣ − 1)/x on ± ½.
_less_one_near = _fitted(lambda x: np.expm1(x) / x, -0.5, 0.5, 7)
# ln(1 + f)/f, for 1 + f from √½ to √2: error 4e-8. A division, as artanh would need, takes longer.
_log1p = _fitted(lambda f: np.log1p(f) / f, math.sqrt(0.5) - 1, math.sqrt(2) - 1, 9)
# sin(2πt)/t in t², for t from −¼ to ¼.
_sine = _fitted(lambda q: np.sin(2 * np.pi * np.sqrt(q)) / np.sqrt(q), 1e-12, 1 / 16, 5)
# M. Giles, "Approximating the erfinv function", GPU Computing Gems 2 (2011), table 5, lowest power first.
_central = polynomial(
    1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-06, -3.5233877e-06,
    3.43273939e-07, 2.81022636e-08,
)  # fmt: skip
_tail = polynomial(
    2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322,
    0.000100950558, -0.000200214257,
)  # fmt: skip


@inlined
def exp(x):
    """eˣ, for x from −87 to 88; beyond them the value there."""
    x = select(x < -87.0, -87.0, select(x >= 88.0, 88.0, x))
    n = nearest(x * _LOG2_E)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    return _exp(r) * float_of((to_word(n) + 127) << 23)


@inlined
def less_one(x):
    """eˣ − 1, for x up to 88, to the last digits of small values."""
    near = x * _less_one_near(x)
    return select(size_of(x) < 0.5, near, exp(x) - 1.0)


@inlined
def log(x):
    """ln x, for normal x above 0."""
    bits = bits_of(x)
    # √½ as the lower edge of the mantissa: the exponent counts from there.
    shifted = bits - 0x3F3504F3
    exponent = to_float((shifted >> 23) ^ 0x100) - 256.0  # a signed number of 9 bits
    f = float_of((shifted & 0x007FFFFF) + 0x3F3504F3) - 1.0
    return exponent * _LN2_HIGH + (f * _log1p(f) + exponent * _LN2_LOW)


@inlined
def logistic(x):
    """1/(1 + e⁻ˣ)."""
    return 1.0 / (1.0 + exp(0.0 - x))


@inlined
def tanh(x):
    """The hyperbolic tangent; near zero by its own size, so that small values keep their digits."""
    size = size_of(x)
    small = exp(-2.0 * size)
    large = (1.0 - small) / (1.0 + small)
    q = x * x
    near = x * _tanh_near(q)
    return select(size < 0.5, near, float_of(bits_of(large) | (bits_of(x) & 0x80000000)))


_tanh_near = _fitted(lambda q: np.tanh(np.sqrt(q)) / np.sqrt(q), 1e-12, 0.25, 5)


@inlined
def sine_of_turns(t):
    """sin(2πt), for t from −½ to ½."""
    half_turns = nearest(2.0 * t)
    sine = t - 0.5 * half_turns
    sine = sine * _sine(sine * sine)
    return select(size_of(half_turns) >= 0.5, 0.0 - sine, sine)


@inlined
def erf_inv(x):
    """The inverse error function, for |x| < 1."""
    w = 0.0 - log((1.0 - x) * (1.0 + x))
    factor = _central(w - 2.5)
    if any_of(w >= 5.0):  # of one uniform number in 300
        factor = select(w < 5.0, factor, _tail(root(w) - 3.0))
    return x * factor


@inlined
def relu(x):
    return select(x < 0.0, floats(0.0), x)
