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
        ([0.0, 0.0], [1.0], r"a low and a high for each parameter, got \(2,\) and \(1,\)"),
        ([], [], r"a low and a high for each parameter, got \(0,\)"),
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
