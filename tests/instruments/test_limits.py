"""What may be set, and how a value that may not is refused."""

import numpy as np
import pytest

import mgd
from mgd.instruments import Limits

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        ([1.0, 2.0], [3.0, 2.0], r"parameter 1 must be finite with low < high, got 2 … 2 V"),
        ([0.0], [-1.0], r"parameter 0 .* got 0 … -1 V"),
        ([0.0, -INF], [1.0, 1.0], r"parameter 1 .* got -inf … 1 V"),
        ([NAN], [1.0], r"parameter 0 .* got nan … 1 V"),
        ([0.0, 0.0], [1.0], r"a low and a high value for each parameter, got \(2,\) and \(1,\)"),
        ([], [], r"a low and a high value for each parameter, got \(0,\)"),
    ],
)
@pytest.mark.usefixtures("as_users_call")
def test_limits_that_are_none_are_refused(low, high, words):
    with pytest.raises(ValueError, match=words):
        Limits(np.array(low), np.array(high), "V")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2.5, "parameter 1 would be set to 2.5 V, outside its limits of 0 … 2 V: nothing was sent; "),
        (-1e-6, "parameter 1 would be set to -1e-06 V, outside"),
        (np.nan, "parameter 1 would be set to nan V, outside"),
        (-np.inf, "parameter 1 would be set to -inf V, outside"),
    ],
)
def test_a_value_outside_is_refused(value, said):
    limits = Limits(np.array([-1.0, 0.0]), np.array([1.0, 2.0]), "V")
    with pytest.raises(mgd.LimitError) as error:
        limits.check(np.array([0.5, value], np.float32), "parameter")
    assert str(error.value).startswith(said)
    assert 'at_limit = "saturate"' in str(error.value)


def test_the_ends_themselves_are_allowed():
    limits = Limits.uniform(2, -0.1, 0.1)
    limits.check(np.stack([limits.low, limits.high]), "parameter")


def test_of_many_rows_the_first_value_outside_is_named():
    rows = np.zeros((3, 2), np.float32)
    rows[1, 1], rows[2, 0] = 7, 8
    with pytest.raises(ValueError, match=r"in a batch, parameter 1 would be set to 7, outside its limits of -1 … 1:"):
        Limits.uniform(2, -1.0, 1.0).check(rows, "in a batch, parameter")


SHORT = (1, 3, 0.7, 1.1, 4.9, 9.99, 0.123456789)
DECIMALS = [
    *(float(f"{sign * digits}e{power}") for sign in (-1, 1) for digits in SHORT for power in range(-9, 10)),
    *np.round(np.random.default_rng(0).uniform(-10, 10, 2000), 3).tolist(),
    *np.round(np.random.default_rng(1).uniform(-1, 1, 2000), 6).tolist(),
]


@pytest.mark.parametrize("up", [True, False])
def test_no_value_within_decimal_limits_is_outside_them_as_it_is_sent(up):
    """As float32, and as text with nine digits that is read with all of a float64; and no float32 is nearer to them."""
    given = np.array(DECIMALS)
    width = np.abs(given) + 1.0
    sent = Limits(given, given + width).low if up else Limits(given - width, given).high
    assert sent.dtype == np.float32
    read = np.array([float(f"{value:.9g}") for value in sent.tolist()])
    outside = np.nextafter(sent, np.float32(-np.inf if up else np.inf)).astype(float)
    ends = (sent.astype(float), read, outside) if up else (-sent.astype(float), -read, -outside)
    given = given if up else -given
    assert (ends[0] >= given).all()
    assert (ends[1] >= given).all()
    assert (ends[2] < given).all()


def test_limits_that_float32_holds_stay_as_they_are():
    once = Limits(np.array([-0.3, 0.1]), np.array([0.3, 1e38]))
    again = Limits(once.low, once.high)
    assert again.low.tolist() == once.low.tolist()
    assert again.high.tolist() == once.high.tolist()


def test_the_middle_is_within_and_does_not_overflow():
    limits = Limits(np.array([-0.3, 1e38, 0.1]), np.array([0.3, 3e38, np.nextafter(np.float32(0.1), 1)]))
    assert limits.middle[0] == 0
    assert limits.middle[1] == np.float32(2e38)
    assert (limits.middle >= limits.low).all()
    assert (limits.middle <= limits.high).all()
