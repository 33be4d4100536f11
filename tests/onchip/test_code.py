"""The codes: registers of maximal length, and masks without the products that would bias an estimate."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgd.onchip import Circuit, Spec
from mgd.onchip._code import CODES, LEAP, REGISTERS, Code

FACTORS = {16: (3, 5, 17, 257), 24: (3, 5, 7, 13, 17, 241), 32: (3, 5, 17, 257, 65537)}


def stepped(state: int, bits: int) -> int:
    """A register one stage later, as a shift register is."""
    new = sum(state >> (tap - 1) for tap in REGISTERS[bits]) & 1
    return (state << 1 | new) & (2**bits - 1)


def power(columns: list[int], exponent: int) -> list[int]:
    """A linear map, by its columns as words, many times over."""

    def applied(columns: list[int], word: int) -> int:
        out = 0
        for place, column in enumerate(columns):
            out ^= column * (word >> place & 1)
        return out

    result, square = [1 << place for place in range(len(columns))], columns
    while exponent:
        if exponent & 1:
            result = [applied(square, column) for column in result]
        square, exponent = [applied(square, column) for column in square], exponent >> 1
    return result


@pytest.mark.parametrize("bits", REGISTERS)
def test_registers_have_the_longest_period(bits):
    one = [1 << place for place in range(bits)]
    columns, period = [stepped(word, bits) for word in one], 2**bits - 1
    assert period == np.prod([f**k for f, k in zip(*np.unique(_factors(period), return_counts=True), strict=True)])
    assert power(columns, period) == one
    for factor in FACTORS[bits]:
        assert power(columns, period // factor) != one


def _factors(number: int) -> list[int]:
    factors, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
        divisor += 1
    assert set(factors) in [set(known) for known in FACTORS.values()]
    return factors


@pytest.mark.parametrize("bits", REGISTERS)
def test_a_leap_is_that_many_stages(bits):
    circuit = Circuit(Spec(parameters=3, register_bits=bits))
    state = due = 0xACE1
    for _ in range(50):
        for _ in range(LEAP):
            due = stepped(due, bits)
        state = int(circuit.after(jnp.uint32(state)))
        assert state == due


@pytest.mark.parametrize(("parameters", "bits"), [(9, 16), (256, 16), (4096, 24), (220, 32), (1025, 32), (65536, 32)])
def test_masks_differ_have_an_odd_number_of_taps_and_one_in_each_group(parameters, bits):
    code = Code("lfsr", parameters, bits)
    masks = code.masks
    assert len(set(masks.tolist())) == parameters
    assert (np.bitwise_count(masks) == len(code.group_bits)).all()
    assert len(code.group_bits) % 2 == 1
    assert int(masks.max()).bit_length() <= bits


@pytest.mark.parametrize("name", ["lfsr", "walsh"])
def test_no_product_of_three_signs_is_constant(name):
    masks = Code(name, 20).masks.tolist()
    assert all(a ^ b ^ c for a, b, c in itertools.combinations(masks, 3))


@pytest.mark.parametrize("name", CODES)
def test_over_a_period_signs_are_orthogonal(name):
    """Of the register a sixteenth is seen, where sums of products of two are those of independent signs."""
    spec = Spec(parameters=9, code=name, tau_x=32 if name == "walsh" else 1)
    circuit = Circuit(spec)
    count = {"lfsr": 4096, "walsh": spec.signs.period, "sequential": 9}[name]

    def one(code, _):
        return circuit.after(code), circuit.signs(code)

    start = jnp.uint32(12345 if name == "lfsr" else 0)
    last, signs = jax.lax.scan(one, start, None, length=count)
    products = np.asarray(signs.T @ signs)
    if name == "lfsr":
        assert np.abs(products[~np.eye(9, dtype=bool)]).max() < 5 * np.sqrt(count)
        assert np.abs(np.asarray(signs[1:].T @ signs[:-1])).max() < 5 * np.sqrt(count)  # nor one perturbation later
    else:
        assert np.array_equal(products, np.eye(9) * (count if name == "walsh" else 1))
        assert int(last) == int(start)
