"""The driver's side of the wire, byte by byte: what it sends, what it takes for an answer, and what not."""

import re
import time

import numpy as np
import pytest

from mgd import HardwareError
from mgd.instruments import load_instrument
from mgd.instruments._wire import block, text

from .scripts import NEAR_ZERO, OK, OPENING, WHO, data, floats


def set_to(
    *values: float,
    before: bytes = b"",
    found: tuple = (),
    cost: bytes = b"0.125",
    held: tuple = tuple(NEAR_ZERO),
    answered: tuple = (),
) -> tuple[bytes, bytes]:
    """What was held is read; then parameters are set and read back, a cost is measured, and there is no error."""
    first = b"PAR:DATA?;:" if held else b""
    return (
        first + before + b"PAR:DATA " + data(*values) + b";:PAR:DATA?;:MEAS:COST?;:SYST:ERR?",
        (data(*(answered or held)) + b";" if held else b"")
        + data(*(found or values))
        + b";"
        + cost
        + b";"
        + OK
        + b"\n",
    )


def test_what_is_not_declared_is_asked_at_opening(scripted):
    near_zero = block(np.array([0.02, -0.013], np.float32) * np.array([1, 2], np.float32))
    driver = scripted(
        (b"PAR:COUN?", b"2\n"),
        (b"PAR:LIM?", data(-1, 1, -2, 2) + b"\n"),
        (b"PAR:DATA " + near_zero + b";:PAR:DATA?;:SYST:ERR?", near_zero + b";" + OK + b"\n"),
        probed=(),
        n_params=None,
        limits={"unit": "mA"},
    )
    assert (driver.n_params, driver.limits.unit) == (2, "mA")
    assert (driver.limits.low.tolist(), driver.limits.high.tolist()) == ([-1, -2], [1, 2])


def test_limits_are_rounded_inwards_whoever_says_them(scripted):
    asked = scripted((b"PAR:LIM?", b"-0.3,0.3\n"), probed=(), verify=False, limits={"unit": "mA"})
    declared = scripted(probed=(), verify=False, limits={"low": -0.3, "high": 0.3})
    for limits in (asked.limits, declared.limits):
        assert (limits.low.astype(float) >= -0.3).all()
        assert (limits.high.astype(float) <= 0.3).all()
        assert limits.high.tolist() == pytest.approx([0.3, 0.3], rel=1e-7)


def test_limits_told_again_in_other_digits_are_the_same(scripted):
    told = floats(-1.1, 1.1)
    again = (b"PAR:LIM?", b"-1.1,1.1\n")  # the message with the format was lost
    driver = scripted((b"PAR:LIM?", block(told) + b"\n"), *OPENING, again, probed=(), verify=False, limits={})
    driver.open()
    assert (driver.limits.low.tolist(), driver.limits.high.tolist()) == ([told[0]] * 2, [told[1]] * 2)


CHANNELS = {"set": "CH{channel} {value}", "readback": "CH{channel}?", "perturb": "", "format": ""}
FIRST, SECOND = text(NEAR_ZERO).split(b",")
NO_FORMAT = tuple(each for each in OPENING if each[0] != b"FORM REAL")
# As where a message has one command.
APART = ((b"*RST", None), (b"*CLS", None), *OPENING[1:])


def test_a_command_for_each_channel_goes_in_one_message(scripted):
    driver = scripted(
        (b"CHA 1;:CHB -2;:CHA?;:CHB?;:MEAS:COST?;:SYST:ERR?", b"1;-2;0.125;" + OK + b"\n"),
        (b"*IDN?;:CHA?;:CHB?", b"Maker,Model 3,A7,1.0;1;-2\n"),
        opening=NO_FORMAT,
        probed=(
            (
                b"CHA " + FIRST + b";:CHB " + SECOND + b";:CHA?;:CHB?;:SYST:ERR?",
                FIRST + b";" + SECOND + b";" + OK + b"\n",
            ),
        ),
        channels=["A", "B"],
        binary=False,
        commands=CHANNELS,
    )
    driver.set_parameters(floats(1, -2))
    assert driver.measure_cost() == 0.125
    driver.make_sure()


def test_a_command_for_each_channel_goes_in_a_message_of_its_own(scripted):
    near_zero = ((b"CH1 " + FIRST, None), (b"CH2 " + SECOND, None), (b"CH1?", FIRST + b"\n"), (b"CH2?", SECOND + b"\n"))
    driver = scripted(
        *((b"CH1 1", None), (b"CH2 -2", None), (b"CH1?", b"1\n"), (b"CH2?", b"2\n"), (b"SYST:ERR?", OK + b"\n")),
        opening=tuple(each for each in APART if each[0] != b"FORM REAL"),
        probed=(*near_zero, (b"SYST:ERR?", OK + b"\n")),
        compound=False,
        retries=0,
        binary=False,
        commands=CHANNELS,
    )
    with pytest.raises(
        HardwareError, match=r"CH\{channel\}\? was answered with 2 for parameter 1, set to -2 by CH2 -2:"
    ):
        driver.set_parameters(floats(1, -2))


def test_identity(scripted):
    driver = scripted((b"*IDN?", b"Maker, Model 3,A7,1.0,b\r\n"))
    assert str(driver.identify()) == "Maker,Model 3,A7,1.0,b"


def test_a_measurement_with_its_perturbation_is_one_message(scripted):
    driver = scripted(
        set_to(1.0, -1.0),
        (b"PERT:DATA " + data(0.25, -0.25) + b";:MEAS:COST?;:SYST:ERR?", b"0.125;" + OK + b"\n"),
        (b"MEAS:COST?", b"0.25\n"),
        set_to(2.0, 0.0, before=b"PERT:DATA " + data(0, 0) + b";:", cost=b"+1.5E-1", held=(1, -1)),
    )
    driver.set_parameters(floats(9, 9))  # never sent, like the perturbation below
    driver.set_parameters(floats(1, -1))
    assert driver.measure_cost() == 0.125
    driver.perturb(floats(9, 9))  # never sent: another comes before anything is asked
    driver.perturb(floats(0.25, -0.25))
    assert driver.measure_cost() == 0.125
    assert driver.measure_cost() == 0.25
    driver.set_parameters(floats(2, 0))  # the perturbation is taken off first
    assert driver.measure_cost() == pytest.approx(0.15)


def test_the_host_works_between_a_question_and_its_answer_once(scripted):
    driver, found = scripted((b"MEAS:COST?", b"0.5\n"), (b"MEAS:COST?", b"0.25\n")), []
    driver.while_waiting(lambda: found.append(list(driver._dialogue.line.unread)))
    assert (driver.measure_cost(), driver.measure_cost(), found) == (0.5, 0.25, [[b"0.5\n"]])


def test_work_that_fails_gives_up_the_line_whose_answer_is_to_come(scripted):
    driver = scripted()
    line = driver._dialogue.line
    line.left = [(b"MEAS:COST?", None)]
    driver.while_waiting(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        driver.measure_cost()
    assert line.closed


def test_inputs_targets_outputs_and_batches(scripted):
    presented = b"INP:SHAP 2,3;:INP:DATA " + data(*range(6)) + b";:TARG:DATA " + data(1, 0)
    driver = scripted(
        (presented + b";:MEAS:OUTP?;:SYST:ERR?", [data(0.1, 0.9)[:5], data(0.1, 0.9)[5:] + b";0,", b'"No error"\n']),
        (b"MEAS:BATC? " + data(1, 2, 3, 4, 5, 6), data(0.1, 0.2, 0.3) + b"\n"),
        (b"SYST:SAFE;:SYST:ERR?", OK + b"\n"),
    )
    driver.present(floats(*range(6)).reshape(2, 3), floats(1, 0).reshape(2, 1))
    np.testing.assert_array_equal(driver.read_outputs(), floats(0.1, 0.9).reshape(2, 1))
    np.testing.assert_array_equal(driver.measure_batch(floats(*range(1, 7)).reshape(3, 2)), floats(0.1, 0.2, 0.3))
    driver.perturb(floats(1, 1))  # goes with what was held back: safe comes alone
    driver.safe_state()


def test_as_text(scripted):
    opening = (OPENING[0], (b"FORM ASC", None), *OPENING[2:])
    near_zero = text(NEAR_ZERO)
    probed = (b"PAR:DATA " + near_zero + b";:PAR:DATA?;:SYST:ERR?", near_zero + b";" + OK + b"\n")
    driver = scripted(
        (
            b"PAR:DATA?;:PAR:DATA 0.100000001,-2;:PERT:DATA 0.5,0.5;:PAR:DATA?;:MEAS:COST?;:SYST:ERR?",
            near_zero + b";0.100000001,-2.0;3;" + OK + b"\n",
        ),
        binary=False,
        opening=opening,
        probed=(probed,),
    )
    driver.set_parameters(floats(0.1, -2))
    driver.perturb(floats(0.5, 0.5))
    assert driver.measure_cost() == 3.0


def test_one_command_a_message_and_the_labs_own_words(scripted):
    commands = {
        "reset": "",
        "format": "",
        "set": "VOLT (@1:2),{data}",
        "readback": "",
        "perturb": "",
        "input": "",
        "target": "",
        "cost": "FETC?",
        "outputs": "",
    }
    driver = scripted(
        (b"VOLT (@1:2),1,2", None),
        (b"FETC?", b"0.5\n"),
        (b"SYST:ERR?", b"+0,None\n"),
        opening=OPENING[2:],
        probed=(),
        commands=commands,
        compound=False,
        binary=False,
    )
    assert (driver.reads, driver.own_line, driver.most_together) == ("cost", False, 0)
    driver.present(floats(1).reshape(1, 1), floats(1).reshape(1, 1))
    driver.set_parameters(floats(1, 2))
    assert driver.measure_cost() == 0.5
    for verb in (driver.read_outputs, lambda: driver.measure_batch(floats(1, 2).reshape(1, 2))):
        with pytest.raises(HardwareError, match="a Scpi has no"):
            verb()


def test_a_chip_that_settles_is_set_at_once_and_waited_for(scripted, monkeypatch):
    driver = scripted(
        (b"PERT:DATA " + data(1, 1), None), (b"MEAS:COST?;:SYST:ERR?", b"1;" + OK + b"\n"), settle_seconds=2.0
    )
    now, slept = [time.monotonic() + 100.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", slept.append)
    driver.perturb(floats(1, 1))
    now[0] += 0.5
    assert driver.measure_cost() == 1.0
    assert slept == [pytest.approx(1.5)]


BROKEN = {
    "nothing": ([], "no complete reply in 5 s"),
    "cut short": ([b"0.1"], "no complete reply in 5 s"),
    "broken bytes": ([b"\x91\xa025\n"], "no number"),
    "empty": ([b"\n"], "no number"),
    "text": ([b"busy\n"], "no number"),
    "two numbers": ([b"0.5,0.5\n"], "2 numbers, expected 1"),
    "two replies": ([b"0.5\n0.5\n"], "more than one reply"),
    "two items": ([b"0.5;0.5\n"], "2 replies, expected 1"),
    "a block too long": ([data(1, 2) + b"\n"], "2 numbers, expected 1"),
    "a block cut short": ([data(1)[:-1] + b"\n"], "no complete reply"),
    "a block without its newline": ([data(1) + b"x\n"], "something other than a newline"),
    "a block of no float32": ([b"#13abc\n"], "a block of 3 bytes"),
    "a block without a length": ([b"#0abc\n"], "a block without a length"),
    "a block of letters": ([b"#2xxabc\n"], "a block without a length"),
}


@pytest.mark.parametrize(("replies", "what"), BROKEN.values(), ids=BROKEN)
def test_a_broken_reply_gives_up_the_line(replies, what, scripted):
    driver = scripted((b"MEAS:COST?", replies))
    line = driver._dialogue.line
    with pytest.raises(HardwareError) as raised:
        driver.measure_cost()
    assert raised.value.passing
    assert "\n" not in str(raised.value)
    for part in ("TCPIP0::bench::5025::SOCKET", "'MEAS:COST?' was answered", what, "open it again"):
        assert part in str(raised.value)
    assert line.closed
    with pytest.raises(HardwareError, match="not connected: open it before 'MEAS:COST"):
        driver.measure_cost()


def test_a_read_back_of_the_wrong_length(scripted):
    query, _ = set_to(1, 2)
    driver = scripted((query, data(*NEAR_ZERO) + b";" + data(1) + b";0.125;" + OK + b"\n"))
    driver.set_parameters(floats(1, 2))
    with pytest.raises(HardwareError, match="1 numbers, expected 2"):
        driver.measure_cost()


def test_outputs_that_do_not_fit_the_batch(scripted):
    pair = data(1, 2)
    message = b"INP:SHAP 2,1;:INP:DATA " + pair + b";:TARG:DATA " + pair + b";:MEAS:OUTP?;:SYST:ERR?"
    driver = scripted((message, data(1, 2, 3) + b";" + OK + b"\n"))
    driver.present(floats(1, 2).reshape(2, 1), floats(1, 2).reshape(2, 1))
    with pytest.raises(HardwareError, match="3 outputs for a batch of 2") as raised:
        driver.read_outputs()
    assert raised.value.passing


def test_what_comes_unasked_is_not_taken_for_a_reply(scripted):
    driver = scripted()
    driver._dialogue.line.unasked = b"0.25\n"
    with pytest.raises(HardwareError, match=r"'0\.25': this came before the query was sent"):
        driver.measure_cost()


@pytest.mark.parametrize(
    "no_number", [b"9.91E37", b"+9.90000000E+37", b"-9.9E37", b"9.8999996E37", b"nan", b"-inf", b"1E30", data(-9.9e37)]
)
def test_what_is_no_reading_is_asked_again_and_then_cannot_be_made(no_number, scripted):
    driver = scripted(*[(b"MEAS:COST?", no_number + b"\n")] * 2, (b"MEAS:COST?", b"2\n"), retries=2)
    assert driver.measure_cost() == 2.0
    driver = scripted(*[(b"MEAS:COST?", no_number + b"\n")] * 2, retries=1)
    with pytest.raises(HardwareError, match=r"MEAS:COST\?' was answered with .*: check the readout") as raised:
        driver.measure_cost()
    assert raised.value.skip
    assert not raised.value.passing
    assert driver._dialogue.line is not None  # the line is in step


def test_in_a_batch_what_is_no_reading_is_nan_alone(scripted):
    query, reply = b"MEAS:BATC? " + data(1, 2, 3, 4), data(0.5, 9.9e37) + b"\n"
    driver = scripted((query, reply), (query, reply), retries=1)
    np.testing.assert_array_equal(driver.measure_batch(floats(1, 2, 3, 4).reshape(2, 2)), floats(0.5, np.nan))


def test_a_block_in_the_other_byte_order_is_told_and_can_be_said(scripted):
    swapped = block(floats(0.5, 0.25), ">")
    driver = scripted((b"MEAS:OUTP?", swapped + b"\n"))
    with pytest.raises(
        HardwareError, match=r'which is not a valid reading, and 0\.5 in the other byte order: set byte_order = "big"'
    ):
        driver.read_outputs()
    near_zero = block(NEAR_ZERO, ">")
    probed = (b"PAR:DATA " + near_zero + b";:PAR:DATA?;:SYST:ERR?", near_zero + b";" + OK + b"\n")
    driver = scripted((b"MEAS:OUTP?", swapped + b"\n"), probed=(probed,), byte_order="big")
    np.testing.assert_array_equal(driver.read_outputs(), floats(0.5, 0.25)[None])


def test_a_reply_without_end_is_given_up_at_a_few_megabytes(scripted):
    sent = 0

    def endless():
        nonlocal sent
        sent += 1 << 18
        return b"1" * (1 << 18)

    driver = scripted((b"MEAS:COST?", None))
    driver._dialogue.line.receive = endless
    with pytest.raises(HardwareError, match="bytes without an end") as raised:
        driver.measure_cost()
    assert sent < 4e6
    assert len(str(raised.value)) < 300


def test_sure_is_what_answers_as_before(scripted):
    asked, held = b"*IDN?;:PAR:DATA?", data(1, 2)
    driver = scripted(set_to(1.0, 2.0), (asked, WHO[1][:-1] + b";" + held + b"\n"))
    driver.set_parameters(floats(1, 2))
    driver.measure_cost()
    driver.make_sure()
    for answer, said in (
        (b"0.125\n", "1 replies, expected 2"),
        (b"0.125;" + held + b"\n", "'Maker,Model 3,A7,1.0' was expected"),
        (WHO[1][:-1] + b";0.125\n", "1 numbers, expected 2"),
        (WHO[1][:-1] + b";" + data(0, 0) + b"\n", "it says 0 for parameter 0, and said 1 before; the chip was reset"),
        (WHO[1][:-1] + b";1,2\n", "in another format than before; the chip was reset"),
    ):
        driver = scripted(set_to(1.0, 2.0), (asked, answer))
        driver.set_parameters(floats(1, 2))
        driver.measure_cost()
        with pytest.raises(HardwareError, match=said) as raised:
            driver.make_sure()
        assert raised.value.passing


def test_of_a_chip_that_takes_one_command_a_message_each_is_asked_by_itself(scripted):
    driver = scripted(WHO, (b"*IDN?", b"0.125\n"), opening=APART, probed=(), verify=False, compound=False)
    driver.make_sure()
    with pytest.raises(HardwareError, match=r"'Maker,Model 3,A7,1\.0' was expected"):
        driver.make_sure()


def test_who_is_there_may_be_asked_in_the_message_of_what_is_set(scripted):
    told = b"PAR:DATA?;:PAR:DATA " + data(1, 2) + b";:PAR:DATA?;*IDN?;:SYST:ERR?"
    answer = data(*NEAR_ZERO) + b";" + data(1, 2) + b";Maker,Model 3,A7,1.0;" + OK + b"\n"
    driver = scripted((told, answer))
    driver.set_parameters(floats(1, 2))
    assert driver.identify().serial == "A7"


def test_a_chip_that_was_reset_is_found_when_it_is_next_set(scripted):
    driver = scripted(set_to(1.0, 2.0), set_to(3.0, 4.0, held=(1, 2), answered=(0, 0)))
    driver.set_parameters(floats(1, 2))
    driver.measure_cost()
    driver.set_parameters(floats(3, 4))
    with pytest.raises(
        HardwareError, match="it says 0 for parameter 0, and said 1 before; the chip was reset"
    ) as raised:
        driver.measure_cost()
    assert raised.value.passing


def test_parameters_that_read_back_wrong_are_set_again(scripted):
    (query, _), (_, wrong) = set_to(1, 2), set_to(1, 2, found=(1, 2.5), cost=b"9")
    driver = scripted((query, wrong), set_to(1, 2, held=()), retries=1)
    driver.set_parameters(floats(1, 2))
    assert driver.measure_cost() == 0.125
    driver = scripted((query, wrong), retries=0)
    driver.set_parameters(floats(1, 2))
    with pytest.raises(HardwareError, match=r"PAR:DATA\? was answered with 2.5 for parameter 1, set to 2 by PAR:DATA"):
        driver.measure_cost()
    driver = scripted((query, wrong), verify_within=0.5)
    driver.set_parameters(floats(1, 2))
    assert driver.measure_cost() == 9


def test_a_chip_that_settles_or_takes_one_command_a_message_is_read_back_at_once(scripted):
    written, query = b"PAR:DATA " + data(1, 2), b";:PAR:DATA?;:SYST:ERR?"
    held = b"PAR:DATA?;:", data(*NEAR_ZERO) + b";"
    driver = scripted((held[0] + written + query, held[1] + data(1, 2) + b";" + OK + b"\n"), settle_seconds=0.001)
    driver.set_parameters(floats(1, 2))
    found = ((b"PAR:DATA?", data(1, 2.5) + b"\n"), (b"SYST:ERR?", OK + b"\n"))
    probed = (
        (b"PAR:DATA " + block(NEAR_ZERO), None),
        (b"PAR:DATA?", block(NEAR_ZERO) + b"\n"),
        (b"SYST:ERR?", OK + b"\n"),
    )
    asked = (b"PAR:DATA?", data(*NEAR_ZERO) + b"\n")
    driver = scripted(asked, (written, None), *found, opening=APART, probed=probed, compound=False, retries=0)
    with pytest.raises(HardwareError, match=r"answered with 2\.5 for parameter 1, set to 2"):
        driver.set_parameters(floats(1, 2))


@pytest.mark.parametrize(("code", "passing"), [(-222, False), (-113, False), (7, False), (-410, True), (-500, True)])
def test_a_refused_write_is_told_with_the_chips_own_words(code, passing, scripted):
    refusal = f'{code},"Data out of range;parameter 1"'.encode()
    message = b"PERT:DATA " + data(9, 9) + b";:MEAS:COST?;:SYST:ERR?"
    driver = scripted((message, b"0.5;" + refusal + b"\n"))
    driver.perturb(floats(9, 9))
    with pytest.raises(HardwareError) as raised:
        driver.measure_cost()
    assert raised.value.passing is passing
    assert f"'PERT:DATA #18…;:MEAS:COST?;:SYST:ERR?' was refused: {refusal.decode()}" in str(raised.value)


def test_a_query_that_is_refused_answers_with_the_error_alone(scripted):
    driver = scripted(
        (b"PERT:DATA " + data(1, 1) + b";:MEAS:COST?;:SYST:ERR?", b'-221,"Settings conflict;no inputs"\n')
    )
    driver.perturb(floats(1, 1))
    with pytest.raises(HardwareError, match="was refused: -221,"):
        driver.measure_cost()


OPENINGS = {
    "no parameters": ([(b"PAR:COUN?", b"0\n")], "is not a number of parameters: give n_params"),
    "parts of parameters": ([(b"PAR:COUN?", b"1.5\n")], "is not a number of parameters"),
    "limits inverted": (
        [(b"PAR:COUN?", b"2\n"), (b"PAR:LIM?", b"1,-1\n")],
        "are not limits (limits of parameter 0 must be finite with low < high, got 1 … -1",
    ),
    "limits missing": ([(b"PAR:COUN?", b"2\n"), (b"PAR:LIM?", b"1\n")], "are 1 numbers, expected low and high"),
    "limits too many": ([(b"PAR:COUN?", b"2\n"), (b"PAR:LIM?", b"-1,1,1\n")], "are 3 numbers"),
    "no answer": ([(b"PAR:COUN?", None)], "no complete reply in 5 s"),
}


@pytest.mark.parametrize(("exchanges", "what"), OPENINGS.values(), ids=OPENINGS)
def test_a_chip_that_cannot_be_opened(exchanges, what, scripted):
    driver = scripted(*exchanges, probed=(), opened=False, n_params=None, limits={}, retries=0)
    with pytest.raises(HardwareError) as raised:
        driver.open()
    assert what in str(raised.value)
    assert raised.value.passing  # it may be the answer to an earlier question
    assert driver._dialogue.line is None


def test_errors_from_before_are_taken_out_and_a_queue_that_never_ends_is_told(scripted):
    stale = (b"SYST:ERR?", b'-113,"Undefined header"\n')
    scripted(opening=(*OPENING[:2], stale, stale, *OPENING[2:]))
    driver = scripted(opening=(*OPENING[:2], *[stale] * 100), probed=(), opened=False, retries=0)
    with pytest.raises(HardwareError, match="still has errors after 100"):
        driver.open()


def test_opening_is_tried_again_with_longer_waits(scripted, monkeypatch):
    slept, line = [], scripted(opened=False)._dialogue._connect
    tries = [OSError("refused"), OSError("refused"), None]

    def connect():
        error = tries.pop(0)
        if error:
            raise error
        return line()

    monkeypatch.setattr(time, "sleep", slept.append)
    driver = scripted(opened=False, opening=(), probed=(), retries=2)
    driver._dialogue._connect = connect
    driver.open()
    assert slept == [0.05, 0.1]
    tries[:] = [OSError("refused")] * 3
    with pytest.raises(HardwareError, match="cannot be opened: refused; check that it is switched on") as raised:
        driver.open()
    assert raised.value.passing


LIMITS = {"low": -1.0, "high": 1.0}
WRONG = {
    "unknown": ({"resorce": "x"}, "unknown setting 'instrument.resorce': did you mean 'resource'?"),
    "missing": ({"resource": None}, "instrument.resource: input should be a valid string, got None"),
    "time-out": ({"timeout_seconds": 0.0}, "instrument.timeout_seconds: input should be greater than 0, got 0.0"),
    "a word for a number": ({"retries": "3"}, "instrument.retries: input should be a valid integer, got '3'"),
    "unknown command": ({"commands": {"mesure": "X"}}, "unknown setting 'instrument.commands.mesure'"),
    "placeholder": (
        {"commands": {"cost": "X {dta}?"}},
        "instrument.commands.cost: this command cannot have {dta}, only",
    ),
    "no data": ({"commands": {"set": "VOLT"}}, "instrument.commands.set: this command needs {data} once, got 'VOLT'"),
    "no set": ({"commands": {"set": ""}}, "instrument.commands.set: a chip cannot be used without it"),
    "brace": ({"commands": {"cost": "X}"}}, "write {{ for a brace"),
    "two lines": ({"commands": {"cost": "A\nB"}}, "a command is one line of ASCII"),
    "nothing to measure": ({"commands": {"cost": "", "outputs": ""}}, "there is no command to measure with"),
    "own line": ({"own_line": True, "commands": {"perturb": ""}}, "own_line = true needs commands.perturb"),
    "no count": ({"commands": {"count": ""}}, "give n_params, or the command that asks for it"),
    "no limits": ({"commands": {"limits": ""}}, "give limits (low and high), or the command"),
    "half of limits": ({"limits": {"low": -1.0}}, "instrument.limits: give both low and high, got -1.0 and None"),
    "inverted limits": (
        {"limits": {"low": 1.0, "high": -1.0}},
        "instrument.limits: limits of parameter 0 must be finite with low < high, got 1 … -1",
    ),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_one_line(changes, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        load_instrument("scpi", {"resource": "TCPIP0::bench::5025::SOCKET"} | changes, tmp_path)
    assert "\n" not in str(raised.value)


def test_without_pyvisa_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'GPIB0::3::INSTR needs PyVISA: pip install "mgd\[lab\]"'):
        load_instrument("scpi", {"resource": "GPIB0::3::INSTR"}, tmp_path)
    assert load_instrument("scpi", {"resource": "TCPIP0::bench::5025::SOCKET"}, tmp_path).reads == "both"


def test_inputs_are_read_back_with_the_measurement_and_before_they_are_overwritten(scripted):
    held = {"commands": {"input_readback": "INP:DATA?", "perturb": "", "target": ""}}
    show = b"INP:SHAP 1,2;:INP:DATA " + data(0.5, 1.0)
    driver = scripted(
        (show + b";:INP:DATA?;:MEAS:COST?;:SYST:ERR?", data(0.5, 1.0) + b";0.25;" + OK + b"\n"),
        (b"*IDN?;:PAR:DATA?;:INP:DATA?", b"Maker,Model 3,A7,1.0;" + data(*NEAR_ZERO) + b";" + data(0.5, 1.0) + b"\n"),
        (
            b"INP:DATA?;:INP:SHAP 1,2;:INP:DATA " + data(0.0, 1.0) + b";:INP:DATA?;:MEAS:COST?;:SYST:ERR?",
            data(0.0, 0.0) + b";" + data(0.0, 1.0) + b";0.5;" + OK + b"\n",
        ),
        **held,
    )
    x, target = np.array([[0.5, 1.0]], np.float32), np.zeros((1, 1), np.float32)
    driver.present(x, target)
    assert driver.measure_cost() == 0.25
    driver.make_sure()
    driver.present(np.array([[0.0, 1.0]], np.float32), target)
    with pytest.raises(
        HardwareError, match=r"it says 0 for input 0, and said 0\.5 before; the chip was reset"
    ) as raised:
        driver.measure_cost()
    assert raised.value.passing


COUNTED = {"commands": {"counter": "MEAS:COUN?"}, "verify": False}


def test_a_measurement_that_is_not_the_next_one_is_not_believed(scripted):
    driver = scripted(
        (b"MEAS:COUN?", b"7\n"),
        (b"MEAS:COST?;:MEAS:COUN?", b"0.25;8\n"),
        (b"MEAS:COST?;:MEAS:COUN?", b"0.25;8\n"),
        probed=(),
        **COUNTED,
    )
    assert driver.measure_cost() == 0.25
    with pytest.raises(HardwareError, match="measurement 9 is due: the reply belongs to another query") as raised:
        driver.measure_cost()
    assert raised.value.passing


def test_a_number_of_a_measurement_that_is_none_is_not_believed(scripted):
    driver = scripted(
        *((b"MEAS:COUN?", b"0\n"), (b"MEAS:COST?;:MEAS:COUN?", b'0.25;"1 V"\n')),
        probed=(),
        **COUNTED,
    )
    with pytest.raises(HardwareError, match="expected a whole number"):
        driver.measure_cost()


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ({"input_readback": "INP:DATA?", "input": ""}, "commands.input_readback reads what commands.input presents"),
        (
            {"input_readback": "INP{channel}?"},
            r"commands.input_readback has a \{channel\}, and commands.input has none",
        ),
    ],
)
def test_a_read_back_of_inputs_without_inputs_is_refused(scripted, commands, said):
    with pytest.raises(ValueError, match=said):
        scripted(opened=False, opening=(), probed=(), commands=commands)
