"""Times and energies as people say them."""

import math

import pytest

from mgd.timing import format_joules, format_seconds

TIMES = {
    0.0: "0 s",
    2.5e-14: "0.025 ps",
    1e-12: "1 ps",
    10e-12: "10 ps",
    200e-12: "200 ps",
    9.996e-10: "1 ns",
    1e-9: "1 ns",
    1.26e-8: "13 ns",
    1e-6: "1 µs",
    4e-3: "4 ms",
    0.2: "200 ms",
    0.9994: "999 ms",
    0.9999: "1 s",
    1.0: "1 s",
    9.96: "10 s",
    59.4: "59 s",
    59.6: "1 min",
    23.8 * 3600: "1 day",
    60.0: "1 min",
    100.0: "1.7 min",
    2e4: "5.6 h",
    86_400.0: "1 day",
    36 * 3600.0: "1.5 days",
    200 * 86_400.0: "200 days",
    365.25 * 86_400: "1 year",
    3.2e9: "101 years",
    3.2e11: "10,140 years",
    3.2e15: "1e+08 years",
}


@pytest.mark.parametrize(("seconds", "text"), TIMES.items())
def test_times(seconds, text):
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("joules", "text"),
    [
        (0.0, "0 J"),
        (5e-15, "5 fJ"),
        (2e-12, "2 pJ"),
        (1.5e-3, "1.5 mJ"),
        (0.9999, "1 J"),
        (46817.0, "47 kJ"),
        (3e11, "300 GJ"),
    ],
)
def test_energies(joules, text):
    assert format_joules(joules) == text


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
def test_what_is_no_amount(wrong):
    with pytest.raises(ValueError, match=f"^only a finite amount of 0 or more can be written in units, got {wrong}$"):
        format_seconds(wrong)
