"""An instrument in use: refused before anything is sent, safe however it is left, and one program's alone."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from mgd import HardwareError, LimitError, MgdWarning
from mgd.instruments import Recorder, opened

ZERO = np.zeros(3, np.float32)


def test_leaving_puts_the_chip_in_its_safe_state_and_closes_it(chip):
    with opened(chip) as guarded:
        guarded.set_parameters(np.ones(3))
        assert guarded.measure_cost() == 0.0
    assert chip.asked == ["open", "identify", "set_parameters", "measure_cost", "safe_state", "close"]
    assert chip.theta.tolist() == [0, 0, 0]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, HardwareError])
def test_so_does_whatever_ends_the_body(chip, error):
    with pytest.raises(error, match="why"), opened(chip):
        raise error("why")
    assert chip.asked[-2:] == ["safe_state", "close"]


@pytest.mark.parametrize("signals", [signal.SIGTERM, signal.SIGINT])
def test_so_do_signals_that_arrive_as_exceptions(chip, signals):
    def stop(number, frame):
        raise InterruptedError("stop")

    before = signal.signal(signals, stop)
    try:
        with pytest.raises(InterruptedError, match="stop"), opened(chip):
            os.kill(os.getpid(), signals)
    finally:
        signal.signal(signals, before)
    assert chip.asked[-2:] == ["safe_state", "close"]


@pytest.mark.parametrize("error", [HardwareError("the line is lost"), ConnectionResetError("reset")])
def test_a_line_that_is_lost_at_leaving_is_opened_once_more(chip, error):
    chip.fails["safe_state"] = [error]
    with opened(chip):
        pass
    assert chip.asked == ["open", "identify", "safe_state", "close", "open", "safe_state", "close"]


def test_a_chip_that_is_gone_at_leaving_does_not_hide_why_it_is_left(chip):
    chip.fails["safe_state"] = [OSError("gone"), OSError("gone")]
    told = pytest.warns(MgdWarning, match="chip 1 could not be put in its safe state, and may hold its last parameters")
    with told, pytest.raises(ZeroDivisionError), opened(chip):
        _ = 1 / 0
    assert chip.asked[-1] == "close"


def test_a_chip_that_does_not_open_is_not_left_in_use(chip, make_chip):
    chip.fails["open"] = [HardwareError("chip 1: no answer")]
    with pytest.raises(HardwareError, match="chip 1: no answer"), opened(chip):
        pytest.fail("it was opened")
    with opened(make_chip()) as guarded:
        assert guarded.identify().serial == "S1"


def test_another_piece_is_refused_with_both_serials(chip):
    with (
        pytest.raises(HardwareError, match=r"chip 1: serial 'S1' answers \(house,toy,S1,2.0\), instead of 'S2'"),
        opened(chip, serial="S2"),
    ):
        pytest.fail("it was opened")
    assert chip.asked[-1] == "close"


REFUSED = {
    "a parameter outside": (lambda c: c.set_parameters(ZERO + 3), LimitError, "parameter 0 would be set to 3 V"),
    "a parameter that is NaN": (lambda c: c.set_parameters(ZERO * np.nan), LimitError, "set to nan V"),
    "a perturbation that leaves them": (
        lambda c: (c.set_parameters(ZERO + 1.5), c.perturb(ZERO + 0.6)),
        LimitError,
        "with its perturbation, parameter 0 would be set to 2.1 V",
    ),
    "one in a batch": (
        lambda c: (c.set_parameters(ZERO + 1.5), c.measure_batch(np.array([[0, 0, 0], [0, 0, 0.6]]))),
        LimitError,
        "in a batch, parameter 2 would be set to 2.1 V",
    ),
    "too few parameters": (lambda c: c.set_parameters(ZERO[:2]), ValueError, r"has 3 parameters, got .* shape \(2,\)"),
    "a matrix of parameters": (lambda c: c.perturb(ZERO[None]), ValueError, r"3 parameters, got .* shape \(1, 3\)"),
    "too large a batch": (
        lambda c: c.measure_batch(np.zeros((9, 3))),
        ValueError,
        r"1 to 8 rows of 3, got .* \(9, 3\)",
    ),
    "an empty batch": (lambda c: c.measure_batch(np.zeros((0, 3))), ValueError, r"got shape \(0, 3\)"),
    "fewer targets than inputs": (
        lambda c: c.present(np.zeros((2, 2), np.float32), np.zeros((1, 2), np.float32)),
        ValueError,
        "as many targets as inputs, got 2 and 1",
    ),
}


@pytest.mark.usefixtures("as_users_call")
@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_before_anything_is_sent(chip, name):
    ask, error, words = REFUSED[name]
    with opened(chip) as guarded:
        with pytest.raises(error, match=words):
            ask(guarded)
        sent = [verb for verb in chip.asked if verb not in ("open", "identify")]
    assert sent in ([], ["set_parameters"])  # what came first, and was right
    assert np.abs(chip.theta + chip.wiggle).max() <= 2


def test_without_a_line_of_its_own_a_perturbed_parameter_is_checked_as_it_is(make_chip):
    chip = make_chip(own_line=False)
    with opened(chip) as guarded:
        guarded.set_parameters(ZERO + 1.5)
        assert guarded.measure_batch(ZERO[None] + 2).tolist() == [3.0]
        with pytest.raises(LimitError):
            guarded.measure_batch(ZERO[None] + 2.1)


REPLIES = {
    "a cost that is NaN": ("measure_cost", np.nan, "measure_cost gave nan"),
    "an infinite cost": ("measure_cost", -np.inf, "measure_cost gave -inf"),
    "two costs": ("measure_cost", np.zeros(2, np.float32), r"measure_cost gave shape \(2,\) where \(\) is due"),
    "an output that is NaN": ("read_outputs", np.array([[0, np.nan]], np.float32), "read_outputs gave nan"),
    "an output too few": ("read_outputs", np.zeros((1, 1), np.float32), r"shape \(1, 1\) where \(1, 2\) is due"),
    "SCPI's over range": ("measure_cost", 9.9e37, r"measure_cost gave 9\.9e\+37, which is not a valid reading"),
    "an output beyond all reason": (
        "read_outputs",
        np.array([[0, -4.7e35]], np.float32),
        r"read_outputs gave -4\.7e\+35",
    ),
    "a batch cut short": ("measure_batch", np.zeros(1, np.float32), r"shape \(1,\) where \(2,\) is due"),
}


@pytest.mark.parametrize("name", REPLIES)
def test_a_wrong_reply_is_an_error_that_may_pass(make_chip, name):
    verb, reply, words = REPLIES[name]
    chip = make_chip()
    chip.replies[verb] = reply
    with opened(chip) as guarded:
        guarded.present(np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32))
        with pytest.raises(HardwareError, match=words) as error:
            guarded.measure_batch(np.zeros((2, 3))) if verb == "measure_batch" else getattr(guarded, verb)()
    assert error.value.passing
    assert error.value.skip == ("shape" not in words)
    assert str(error.value).startswith("chip 1: ")


def test_in_a_batch_what_is_no_reading_is_nan_alone(make_chip):
    chip = make_chip()
    chip.replies["measure_batch"] = np.array([0.5, 9.9e37, -np.inf, np.nan], np.float32)
    with opened(chip) as guarded:
        costs = guarded.measure_batch(np.zeros((4, 3)))
    np.testing.assert_array_equal(costs, np.array([0.5, np.nan, np.nan, np.nan], np.float32))


def test_who_answered_at_the_opening_need_not_be_asked_again(chip):
    with opened(chip, serial="S1") as guarded:
        chip.fails["identify"] = [HardwareError("chip 1: no reply", passing=True)]
        assert guarded.known().serial == "S1"
        with pytest.raises(HardwareError, match="no reply"):
            guarded.identify()


@pytest.mark.parametrize(
    ("reply", "kind"), [({"cost": 1.0}, "dict"), ("12 V", "str"), ([[1.0], [1.0, 2.0]], "list"), (object(), "object")]
)
@pytest.mark.parametrize("verb", ["measure_cost", "read_outputs", "measure_batch"])
@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_reply_that_is_no_numbers_is_the_drivers_fault_and_does_not_pass(
    make_chip, tmp_path, verb, reply, kind, is_recorded
):
    chip = make_chip()
    chip.replies[verb] = reply
    with opened(Recorder(chip, tmp_path / "recording") if is_recorded else chip) as guarded:
        guarded.present(np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32))
        with pytest.raises(
            HardwareError, match=rf"chip 1: {verb} gave a {kind} where numbers of shape .* correct its driver"
        ):
            guarded.measure_batch(np.zeros((2, 3))) if verb == "measure_batch" else getattr(guarded, verb)()


def test_limits_for_another_number_of_parameters_are_refused_when_it_opens(chip):
    chip.n_params = 4
    with pytest.raises(HardwareError, match="chip 1 has 4 parameters and limits for 3"), opened(chip):
        pytest.fail("it was opened")
    assert chip.asked == ["open", "close"]


def test_the_same_address_twice_in_one_program_is_refused(chip, make_chip):
    with (
        opened(chip),
        pytest.raises(HardwareError, match="chip 1 is open already: give each instrument its own address"),
        opened(make_chip()),
    ):
        pytest.fail("it was opened")
    with opened(make_chip()), opened(make_chip(address="chip 2")), opened(make_chip(), alone=False):
        pass


HOLDER = """
import sys, numpy as np
from mgd.instruments import Limits, from_callables, opened
chip = from_callables(
    set_parameters=lambda t: None, measure_cost=lambda: 0.0, limits=Limits.uniform(1, -1.0, 1.0), address="chip 1"
)
with opened(chip):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_second_program_is_refused_until_the_first_ends_even_if_it_is_killed(chip):
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with (
            pytest.raises(HardwareError, match=f"chip 1 is in use by process {holder.pid}: .*stop that one first"),
            opened(chip),
        ):
            pytest.fail("it was opened")
        assert chip.asked == []
        holder.kill()
        holder.wait()
    with opened(chip):
        assert chip.asked == ["open", "identify"]
