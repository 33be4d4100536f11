"""A lab's own functions as an instrument."""

import time

import numpy as np
import pytest

from mgd import HardwareError
from mgd.instruments import Identity, Limits, from_callables, opened

LIMITS = Limits(np.array([0.0, -1.0]), np.array([1.0, 3.0]), "V")


def _volts(**more):
    volts = np.zeros(2, np.float32)
    chip = from_callables(
        set_parameters=lambda theta: np.copyto(volts, theta), limits=LIMITS, **({"measure_cost": volts.sum} | more)
    )
    return volts, chip


def test_its_functions_are_its_verbs():
    calls = []
    chip = from_callables(
        set_parameters=lambda theta: calls.append(("set_parameters", theta.tolist())),
        measure_cost=lambda: 0.25,
        read_outputs=lambda: np.ones((1, 1), np.float32),
        present=lambda x, target: calls.append(("present", x.shape, target.shape)),
        perturb=lambda perturbation: calls.append(("perturb", perturbation.tolist())),
        measure_batch=lambda signals: signals.sum(1),
        identify=lambda: Identity("house", "toy", "7"),
        open=lambda: calls.append("open"),
        close=lambda: calls.append("close"),
        safe_state=lambda: calls.append("safe_state"),
        limits=LIMITS,
        address="rack 3",
    )
    assert (chip.address, chip.n_params, chip.reads, chip.own_line) == ("rack 3", 2, "both", True)
    with opened(chip, serial="7") as guarded:
        guarded.present(np.zeros((1, 4), np.float32), np.zeros((1, 1), np.float32))
        guarded.set_parameters(np.array([0.5, 1.0]))
        guarded.perturb(np.array([0.25, -0.25]))
        assert guarded.measure_cost() == 0.25
        assert guarded.read_outputs().tolist() == [[1.0]]
        assert guarded.measure_batch(np.array([[0.25, 0.5]])).tolist() == [0.75]
    assert calls == [
        "open",
        ("present", (1, 4), (1, 1)),
        ("set_parameters", [0.5, 1.0]),
        ("perturb", [0.25, -0.25]),
        "safe_state",
        "close",
    ]


def test_batches_may_be_of_outputs():
    verbs = {"set_parameters": lambda theta: None, "read_outputs": lambda: np.zeros((1, 1)), "limits": LIMITS}
    chip = from_callables(**verbs, read_batch=lambda signals: signals.sum(1)[:, None, None])
    assert (chip.reads_together, chip.most_together) == ("outputs", 1_000_000)
    with opened(chip) as guarded:
        guarded.present(np.zeros((1, 4), np.float32), np.zeros((1, 1), np.float32))
        assert guarded.read_batch(np.array([[0.25, 0.5], [0.0, 0.5]])).tolist() == [[[0.75]], [[0.5]]]
    assert from_callables(**verbs, measure_batch=lambda signals: signals.sum(1)).reads_together == "cost"


def test_without_a_safe_state_of_its_own_it_is_left_in_the_middle():
    volts, chip = _volts()
    with opened(chip) as guarded:
        guarded.set_parameters(np.array([1.0, 3.0]))
    assert volts.tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ("functions", "reads"),
    [
        ({"measure_cost": lambda: 0.0}, "cost"),
        ({"read_outputs": lambda: 0.0}, "outputs"),
    ],
)
def test_it_says_what_it_can(functions, reads):
    chip = from_callables(set_parameters=lambda theta: None, limits=LIMITS, **functions)
    assert (chip.reads, chip.own_line, chip.most_together) == (reads, False, 0)


def test_what_it_has_not_been_given_it_cannot_do():
    chip = from_callables(set_parameters=lambda theta: None, measure_cost=lambda: 0.0, limits=LIMITS)
    for ask in (chip.read_outputs, lambda: chip.perturb(np.zeros(2)), lambda: chip.measure_batch(np.zeros((1, 2)))):
        with pytest.raises(HardwareError, match="has no"):
            ask()


def test_with_nothing_to_measure_it_is_refused():
    with pytest.raises(ValueError, match="needs measure_cost or read_outputs, got neither"):
        from_callables(set_parameters=lambda theta: None, limits=LIMITS)


def test_who_is_there_may_be_a_serial_number_or_nothing():
    assert _volts(identify=lambda: 1234)[1].identify() == Identity("", "", "1234")
    assert _volts(address="rack 3")[1].identify() == Identity("", "", "rack 3")
    assert _volts()[1].identify() == Identity("", "", "callables")


def test_two_without_an_address_are_not_taken_for_one_chip():
    with opened(_volts()[1]), opened(_volts()[1]):
        pass


def test_it_waits_for_what_is_left_of_the_settling():
    chip = _volts(settle_seconds=0.05)[1]
    chip.set_parameters(np.zeros(2, np.float32))
    set_at = time.monotonic()
    chip.measure_cost()
    assert time.monotonic() - set_at >= 0.049
    asked_at = time.monotonic()
    chip.measure_cost()
    assert time.monotonic() - asked_at < 0.049
