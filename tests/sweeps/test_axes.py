"""What is varied, as people write it; and which combinations are points."""

import re

import numpy as np
import pytest

from mgd.sweeps._axes import Axis, axes_of, given_in
from mgd.sweeps._design import Design


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("dac-bits", "3..6", (3, 4, 5, 6)),
        ("cost-noise", "1e-4..1e-2:3:log", (1e-4, 1e-3, 1e-2)),
        ("cost-noise", "0..0.2:3", (0.0, 0.1, 0.2)),
        ("cost-noise", "0,0.5", (0, 0.5)),
        ("tau-theta", "1..1000:4:log", (1, 10, 100, 1000)),
        ("tau_theta", "1,2,4", (1, 2, 4)),
        ("steps", "1e3,2000", (1000, 2000)),
        ("hidden", "4,8,16x8", ((4,), (8,), (16, 8))),
        ("perturbation", "rademacher,walsh", ("rademacher", "walsh")),
        ("bitwise", "true,false", (True, False)),
        ("dac-bits", np.arange(3, 5), (3, 4)),
        ("learning_rate", [0.1, 1], (0.1, 1)),
        ("chip.width", "1,2", (1, 2)),
        ("dac-bits", "1..4:9", (1, 2, 3, 4)),  # whole numbers, each once
    ],
)
def test_values_are_read(name, text, values):
    (axis,) = axes_of({name: text})
    found = list(Design().points_of([axis], 0))
    assert [*found[0]] == [axis.name]
    assert tuple(one[axis.name] for one in found) == values
    assert [type(one[axis.name]) for one in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        ({"dca-bits": "3..4"}, "vary: unknown setting 'dca-bits': did you mean 'dac-bits'?"),
        ({"tau-teta": "3..4"}, "vary: unknown setting 'tau-teta': did you mean 'tau-theta'?"),
        ({"replicas": "1,2"}, "vary: replicas cannot be varied: it is the same for all points of a sweep"),
        ({"dac-bits": "4..3"}, "vary: dac-bits=4..3: the first end must be below the second"),
        ({"dac-bits": "1.5..3"}, "vary: dac-bits=1.5..3: a range of dac-bits goes from one whole number to another"),
        ({"cost-noise": "0..1:3:log"}, "vary: cost-noise=0..1:3:log: with :log both ends must be above 0"),
        ({"cost-noise": "0..1:1"}, "vary: cost-noise=0..1:1: a range has from 2 to 1,000,000 values, got 1"),
        ({"dac-bits": "3..4:20000000"}, "a range has from 2 to 1,000,000 values, got 20,000,000"),
        ({"dac-bits": [1], "dac_bits": [2]}, "vary: dac-bits is given twice"),
        ({"cost-noise": "0..x"}, "vary: cost-noise: an end of a range must be a number, got 'x'"),
        ({"cost-noise": "0..1:a"}, "vary: cost-noise=0..1:a: give LOW..HIGH, LOW..HIGH:N or LOW..HIGH:N:log"),
        ({"cost-noise": "1,,2"}, "vary: cost-noise: a value is missing between two commas"),
        ({"cost-noise": "1,1.0"}, "vary: cost-noise has 1.0 twice"),
        ({"hidden": "2x,4"}, "vary: hidden: give sizes of layers such as 4 or 16x8, got '2x'"),
        ({"hidden": "1e3"}, "vary: hidden: give sizes of layers such as 4 or 16x8, got '1e3'"),
        ({"cost-noise": [float("nan")]}, "vary: cost-noise must be finite numbers, got nan"),
        ({"cost-noise": []}, "vary: cost-noise has no values"),
        ({"cost-noise": 3}, "vary: cost-noise needs a list of values or a range such as 1..5, got 3"),
        ({"tau-x": [1], "tau_x": [2]}, "vary: tau_x is given twice"),
        ({}, "a sweep varies something: give vary, such as dac-bits=3..10"),
    ],
)
def test_what_cannot_be_varied_is_one_line(vary, said):
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        axes_of(vary)
    assert "\n" not in str(error.value)


def test_an_interval_needs_a_number_of_values_or_a_design():
    (axis,) = axes_of({"cost-noise": "0..0.5"})
    with pytest.raises(ValueError, match=r"cost-noise: how many values\? Give LOW\.\.HIGH:N"):
        list(Design().points_of([axis], 0))


@pytest.mark.parametrize("text", ["dac-bits", "=3", "dac-bits="])
def test_a_word_without_a_value_is_one_line(text):
    with pytest.raises(ValueError, match="vary: give NAME=VALUES, such as"):
        given_in([text])


def test_a_name_given_twice_is_one_line():
    with pytest.raises(ValueError, match="vary: dac-bits is given twice"):
        given_in(["dac-bits=3", "dac-bits=4"])


@pytest.mark.parametrize("kind", ["sobol", "random"])
def test_a_longer_design_begins_with_a_shorter_one(kind):
    axes = axes_of({"cost-noise": "1e-4..1e-1:log", "dac-bits": "3..6", "optimizer": "sgd,adam"})
    few, many = (list(Design(kind, n).points_of(axes, 7)) for n in (5, 64))
    assert many[:5] == few
    noises, bits, rules = (np.array([one[axis.name] for one in many]) for axis in axes)
    assert noises.min() >= 1e-4
    assert noises.max() <= 1e-1
    assert set(bits) == {3, 4, 5, 6}
    assert set(rules) == {"sgd", "adam"}
    assert list(Design(kind, 5).points_of(axes, 8)) != few


def test_a_sobol_design_is_even_where_random_draws_are_not():
    axes = [Axis("cost-noise", ends=(0.0, 1.0)), Axis("drift", ends=(0.0, 1.0))]
    points = [one["cost-noise"] for one in Design("sobol", 64).points_of(axes, 0)]
    assert np.histogram(points, 16, (0, 1))[0].tolist() == [4] * 16


@pytest.mark.parametrize("text", ["sobol", "sobol:0", "latin:4", "sobol:x", 3])
def test_a_design_that_is_none_is_one_line(text):
    with pytest.raises(
        ValueError, match=re.escape("design must be grid, sobol:N or random:N with N points, at most 1,000,000, got")
    ):
        Design.of(text)


def test_a_grid_that_nobody_means_is_refused_at_once():
    axes = axes_of({"seed": "0..99999", "tau-x": "1..1000"})
    with pytest.raises(ValueError, match="the grid has 100,000,000 points"):
        next(Design().points_of(axes, 0))


def test_a_range_that_nobody_means_is_refused_at_once():
    (axis,) = axes_of({"seed": "0..99999999"})
    with pytest.raises(ValueError, match="seed has 100,000,000 values"):
        next(Design().points_of([axis], 0))
