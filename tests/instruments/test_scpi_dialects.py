"""Instruments with ways of their own, byte by byte: numbers, replies, ends, echoes, and settings that contradict."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgd import HardwareError
from mgd.instruments import Limits, Scpi, load_instrument
from mgd.instruments._scpi._dialect import LineSettings, NumberSettings, ReplySettings
from mgd.instruments._scpi._formats import NumberFormat, Readings
from mgd.instruments._scpi._manners import Polite
from mgd.instruments._scpi._settings import ScpiSettings
from mgd.instruments._wire import Framing, WireError, split_reply

from .scripts import DECLARED, OK, floats

# Numbers in commands.

FORMATS = st.one_of(
    st.builds(NumberSettings, decimals=st.integers(0, 9)),
    st.builds(NumberSettings, significant=st.integers(1, 12), exponent=st.booleans()),
    st.builds(
        NumberSettings,
        codes=st.just((-(2**15), 2**16)),
        scale=st.sampled_from([0.001, -0.002, 1 / 4095]),
        offset=st.sampled_from([0.0, -5.0, 1.25]),
    ),
)
ENDS = st.floats(-30, 30, width=32)


@given(FORMATS, ENDS, ENDS, st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_what_is_written_is_within_the_limits_and_the_nearest_that_can_be(settings, one, other, parts):
    if one == other:
        return
    limits = Limits.uniform(len(parts), min(one, other), max(one, other))
    try:
        form = NumberFormat(settings, limits, None)
    except ValueError:  # too coarse, or beyond the codes: these have a test of their own
        return
    low, high = limits.low.astype(float), limits.high.astype(float)
    theta = np.clip(low + (high - low) * np.array(parts), low, high).astype(np.float32)
    line = form.data(theta)
    assert (b"E" in line) == settings.exponent
    found = settings.scale * np.array(line.split(b","), float) + settings.offset
    room = 4 * np.spacing(np.abs(floats(one, other)).max())
    assert (found >= low - room).all()
    assert (found <= high + room).all()
    sizes = np.maximum(np.abs(low), np.abs(high))
    steps = {
        "decimals": 10.0 ** -(settings.decimals or 0),
        "codes": abs(settings.scale),
        "significant": 10.0 ** (np.floor(np.log10(sizes)) + 1 - (settings.significant or 0)),
    }
    name = next(each for each in steps if getattr(settings, each) is not None)
    assert (np.abs(found - theta) <= steps[name] + room).all()
    np.testing.assert_allclose(form.sent(theta), found, atol=room, rtol=2e-7)
    assert len(line) < form.longest(len(parts))


WRITTEN = {
    "decimals": ({"decimals": 2}, None, "-1.00,0.12,5.00"),
    "significant": ({"significant": 3}, None, "-1.00,0.123,5.00"),
    "an exponent": ({"significant": 3, "exponent": True}, None, "-1.00E+00,1.23E-01,5.00E+00"),
    "codes": ({"codes": [0, 65535], "scale": 0.001, "offset": -10.0}, None, "9000,10123,15000"),
    "another unit": ({"scale": 0.001}, None, "-1000,123.400003,5000"),
    "codes in a block": ({"scale": 0.001}, ">i2", b"#16" + np.array([-1000, 123, 5000], ">i2").tobytes()),
    "in a block": ({"scale": 2.0}, "<f8", b"#224" + np.array([-0.5, np.float32(0.1234) / 2, 2.5], "<f8").tobytes()),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_numbers_are_written_as_is_said(name):
    settings, block, due = WRITTEN[name]
    form = NumberFormat(NumberSettings(**settings), Limits.uniform(3, -5.0, 5.0), block)
    assert form.data(floats(-1, 0.1234, 5)) == (due.encode() if isinstance(due, str) else due)


def test_a_perturbation_has_no_offset_and_codes_that_do_not_hold_it_are_told():
    form = NumberFormat(NumberSettings(codes=(-100, 100), scale=0.1, offset=1.0), Limits.uniform(1, -5.0, 5.0), None)
    assert form.data(floats(0.5, -0.25), difference=True) == b"5,-2"
    with pytest.raises(ValueError, match=r"do not hold a perturbation of 150 of them: lower the amplitude"):
        form.data(floats(15.0), difference=True)


# Numbers in replies.

NUMBERS = {
    "a header": ({"header": True}, b":OUT:VOLT +1.5,2", [1.5, 2]),
    "a header and units": ({"header": True, "units": {"V": 1.0, "mV": 1e-3}}, b"C1:OFST 1.5 V,-20mV", [1.5, -0.02]),
    "micro in Latin-1": ({"units": {"µA": 1.0}}, "1.5 µA".encode("latin-1"), [1.5]),
    "micro in UTF-8": ({"units": {"µA": 1.0}}, "1.5 µA".encode(), [1.5]),
    "a header of its own": ({"header": r"CH\d="}, b" CH1=1.5,2", [1.5, 2]),
    "a decimal comma": ({"decimal_comma": True, "separator": "\t"}, b"1,5\t-2,25E-1", [1.5, -0.225]),
    "semicolons": ({"separator": ";"}, b"1;2;3", [1, 2, 3]),
    "blanks": ({"separator": " "}, b" 1  2\t3", [1, 2, 3]),
    "words": ({"no_number": ["OVLD", "----"]}, b"1,OVLD, ---- ,nan,-INF", [1, np.nan, np.nan, np.nan, np.nan]),
    "numbers": ({"no_number": [-1.0, 9.9e37]}, b"-1.0000,-1.001,9.9e37,1e300", [np.nan, -1.001, np.nan, np.nan]),
    "no zero": ({"no_number": [0.0]}, b"0.000,1e-9", [np.nan, 1e-9]),
    "as written": ({"units": {"mV": 0.001}, "no_number": [-9999]}, b"-9999 mV,-9998 mV", [np.nan, -9.998]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_read_as_is_said(name):
    settings, reply, due = NUMBERS[name]
    np.testing.assert_array_equal(Readings(ReplySettings(**settings)).numbers(reply), floats(*due))


def test_a_perturbation_of_which_nothing_is_left_is_refused():
    form = NumberFormat(NumberSettings(decimals=1), Limits.uniform(2, -5.0, 5.0), None)
    assert form.data(floats(0.06, -0.02), difference=True) == b"0.1,0.0"
    with pytest.raises(ValueError, match=r"^a perturbation of 0\.02 is 0 in the numbers that the instrument takes"):
        form.data(floats(0.02, -0.02), difference=True)


def test_a_sign_in_whole_numbers_is_known_before_they_are_scaled():
    read = Readings(ReplySettings(no_number=(32767,)), read_scale=0.001)
    np.testing.assert_array_equal(read.numbers(floats(32.767, 1.5)), floats(np.nan, 1.5))


@pytest.mark.parametrize(
    ("settings", "reply", "said"),
    [
        ({"units": {"V": 1.0}}, b"1.5 mV", "a number with 'mV' after it, and replies.units has V"),
        ({"header": True}, b":VOLT one", "no number"),
        ({"no_number": ["OVLD"]}, b"OVL", "no number"),
        ({"no_number": ["OVLD"]}, b"1_0", "'_0' after it, and replies.units has none"),
        ({"decimal_comma": True, "separator": " "}, b"1,2,3", "'.3' after it"),
    ],
)
def test_what_is_no_number_is_told(settings, reply, said):
    with pytest.raises(WireError, match=re.escape(said)):
        Readings(ReplySettings(**settings)).numbers(reply)


# How replies are put together.

HALF = np.array([0.5, -2.0])
REPLIES = {
    "a carriage return": (Framing(end=b"\r"), b"1;2\r", [b"1", b"2"]),
    "a zero byte": (Framing(end=b"\0"), b"1;2\0", [b"1", b"2"]),
    "zero bytes after it": (Framing(), b"\0\x001;2\r\n\0\0 ", [b"1", b"2"]),
    "both ends": (Framing(end=b"\r"), b"1\r\n", [b"1"]),
    "float64": (Framing(">f8"), b"#216" + HALF.astype(">f8").tobytes() + b"\n", [HALF]),
    "int16": (Framing("<i2", 0.5), b"#14" + np.array([1, -4], "<i2").tobytes() + b"\n", [HALF]),
    "no end": (Framing(ended=False), b"#18" + HALF.astype("<f4").tobytes(), [HALF]),
    "an end all the same": (Framing(ended=False), b"#18" + HALF.astype("<f4").tobytes() + b"\n", [HALF]),
    "no length": (Framing(indefinite=True), b"#0" + HALF.astype("<f4").tobytes() + b"\n", [HALF]),
    "no length, CR LF": (Framing(indefinite=True), b"#0" + HALF.astype("<f4").tobytes() + b"\r\n", [HALF]),
    "text among them": (Framing(indefinite=True), b"MAKER;1\r\n", [b"MAKER"]),
    "a header": (Framing(headers=rb":\w+ "), b":CURVE #18" + HALF.astype("<f4").tobytes() + b"\n", [HALF]),
    "one item": (Framing(separator=b""), b"1;2\n", [b"1;2"]),
}


@pytest.mark.parametrize("name", REPLIES)
def test_replies_are_taken_apart_as_is_said(name):
    framing, reply, due = REPLIES[name]
    if name == "text among them":
        with pytest.raises(WireError, match="more than one reply"):
            split_reply(reply, framing, 1)
        return
    found = split_reply(reply, framing, 1)
    assert found is not None
    for item, expected in zip(found, due, strict=True):
        if isinstance(expected, bytes):
            assert item == expected
        else:
            np.testing.assert_array_equal(item, expected.astype(np.float32))
    ends = len(reply.rstrip(b"\0 \r\n")) if framing.ended else len(reply) - 1
    for cut in range(ends):
        assert split_reply(reply[:cut], framing, 1) is None or framing.indefinite


# A driver, and what goes over its line.


class Talk:
    """A line that answers by a table, and keeps what was sent."""

    def __init__(self, answers: dict[str, bytes]):
        self.answers, self.sent, self.coming = answers, [], b""

    def send(self, message: bytes) -> None:
        self.sent.append(message)
        self.coming += self.answers.get(message.decode("latin-1").strip("\r\n"), b"")

    def receive(self) -> bytes:
        if not self.coming:
            raise TimeoutError("timed out")
        found, self.coming = self.coming, b""
        return found

    def stale(self) -> bytes:
        found, self.coming = self.coming, b""
        return found

    def close(self) -> None:
        pass


BASE = DECLARED | {"binary": False, "timeout_seconds": 0.001, "retries": 0}
WORDS = {
    "reset": "",
    "format": "",
    "perturb": "",
    "input": "",
    "target": "",
    "readback": "",
    "set": "V {data}",
    "cost": "C?",
    "outputs": "",
    "safe": "OFF",
}
ANSWERS = {"*IDN?": b"Maker,Model 3,A7,1.0\n", "SYST:ERR?": OK + b"\n", "C?": b"0.5\n"}


def driver_of(answers: dict[str, bytes], commands: dict[str, str] | None = None, **settings) -> tuple[Scpi, Talk]:
    line = Talk(ANSWERS | answers)
    made = Scpi(ScpiSettings.of(BASE | {"commands": WORDS | (commands or {})} | settings), connect=lambda: line)
    return made, line


def test_messages_and_replies_end_as_is_said():
    answers = {each: reply.replace(b"\n", b"\r") for each, reply in ANSWERS.items()}
    driver, line = driver_of(
        answers | {"V 1,2;:C?;:SYST:ERR?": b"0.25;" + OK + b"\r"}, line={"write_end": "\r\n", "read_end": "\r"}
    )
    driver.open()
    driver.set_parameters(floats(1, 2))
    assert driver.measure_cost() == 0.25
    assert line.sent[-1] == b"V 1,2;:C?;:SYST:ERR?\r\n"


def test_what_is_read_back_is_compared_with_what_was_sent_and_in_our_unit():
    numbers = {"codes": [0, 1000], "scale": 0.01, "offset": -5.0}
    answers = {
        "V 510,494;:V?;:SYST:ERR?": b"510,494;" + OK + b"\n",
        "V?;:V 600,633;:V?;:C?;:SYST:ERR?": b"510,494;600,633;0.25;" + OK + b"\n",
        "V?;:V 600,400;:V?;:C?;:SYST:ERR?": b"600,633;600,401;0.25;" + OK + b"\n",
    }
    driver, _ = driver_of(answers, {"readback": "V?"}, numbers=numbers)
    driver.read_held()
    driver.open()
    driver.set_parameters(floats(1, 1.334))
    assert driver.measure_cost() == 0.25
    driver.set_parameters(floats(1, -1))
    with pytest.raises(HardwareError, match=r"V\? was answered with -0\.99\d* for parameter 1, set to -1 by V 600,400"):
        driver.measure_cost()


def test_a_message_is_no_longer_than_the_line_takes():
    commands = {"set": "CH{channel} {value}", "readback": "CH{channel}?", "input": "IN {data}"}
    settings = {"line": {"longest": 16}, "numbers": {"decimals": 2}, "input_numbers": {"decimals": 0}}
    answers = {"CH1?;:CH2?": b"0.10;-0.06\n", "SYST:ERR?": OK + b"\n"}
    driver, line = driver_of(answers, commands, **settings)
    driver.open()
    assert line.sent[-4:] == [b"CH1 0.10\n", b"CH2 -0.06\n", b"CH1?;:CH2?\n", b"SYST:ERR?\n"]
    driver.present(floats(*range(8)).reshape(2, 4), floats(0, 1).reshape(2, 1))
    with pytest.raises(ValueError, match=r"'IN 0,1,2,3,4,5,6,7' is 19 bytes long, and line\.longest is 16"):
        driver.measure_cost()


def test_a_list_of_channels_is_written():
    driver, line = driver_of(
        {"V 0.5,-1,(@3,7);:V? (@3,7);:C?;:SYST:ERR?": b"0.5,-1;0.25;" + OK + b"\n"},
        {"set": "V {data},(@{channels})", "readback": "V? (@{channels})"},
        channels=[3, 7],
    )
    line.answers |= {"V 0.099999994,-0.0649999976,(@3,7);:V? (@3,7);:SYST:ERR?": b"0.1,-0.065;" + OK + b"\n"}
    driver.open()
    driver.set_parameters(floats(0.5, -1))
    assert driver.measure_cost() == 0.25


def test_each_command_is_acknowledged_and_a_wrong_one_gives_up_the_line():
    answers = {"V 1,2": b"OK 7\n", "V 2,3": b"E05\n"}
    driver, line = driver_of(answers, {"error": ""}, line={"acknowledge": r"OK \d"})
    driver.open()
    driver.set_parameters(floats(1, 2))
    assert driver.measure_cost() == 0.5
    assert line.sent[-2:] == [b"V 1,2\n", b"C?\n"]
    driver.set_parameters(floats(2, 3))
    with pytest.raises(HardwareError, match=r"'OK \\\\d' was expected, and 'E05' came.*then open it again") as raised:
        driver.measure_cost()
    assert raised.value.passing
    driver.open()
    driver.set_parameters(floats(3, 4))
    with pytest.raises(HardwareError, match=r"no acknowledgement 'OK \\\\d' came in 0\.001 s"):
        driver.measure_cost()


@pytest.mark.parametrize("end", [b"\r", b"\r\n", b""])
def test_an_echo_is_taken_off_and_compared_whatever_it_ends_in(end):
    echoed = {each: each.encode() + end + reply for each, reply in ANSWERS.items()}
    echoed |= {"V 1,2": b"V 1,2" + end, "V 2,3": b"V 2,4" + end}
    driver, _ = driver_of(echoed, {"error": ""}, line={"echo": True}, compound=False)
    driver.open()
    driver.set_parameters(floats(1, 2))
    assert driver.measure_cost() == 0.5
    driver.set_parameters(floats(2, 3))
    with pytest.raises(HardwareError, match=r"the echo was 'V 2,4', which is not what was sent"):
        driver.measure_cost()


def test_a_prompt_is_waited_for():
    prompted = {each: reply + b"> " for each, reply in ANSWERS.items()}
    prompted |= {"V 1,2": b"\r\n> ", "V 2,3": b"bad command\r\n> ", "V 3,4": b"\r\n"}
    driver, line = driver_of(prompted, {"error": ""}, line={"prompt": "> "}, compound=False)
    line.coming = b"booted\r\n> "
    driver.open()
    for volts, said in (
        (2, "the prompt '> ' was expected, and 'bad command"),
        (3, "no prompt '> ' came in 0.001 s"),
    ):
        driver.set_parameters(floats(1, 2))
        assert driver.measure_cost() == 0.5
        driver.set_parameters(floats(volts, volts + 1))
        with pytest.raises(HardwareError, match=re.escape(said)) as raised:
            driver.measure_cost()
        assert raised.value.passing
        driver.open()


ERRORS = {
    "a number and a blank": ({}, b"0  No Error", b"-113  Undefined header", False),
    "a sign and a comma": ({}, b'+0,"No error"', b'-410,"Query INTERRUPTED"', True),
    "a text": (
        {"no_error": r"0\.0+e\+00\tQueue Is Empty.*"},
        b"0.00e+00\tQueue Is Empty\t0",
        b"-2.85e+02\tSyntax",
        False,
    ),
    "a status byte": ({"error_bits": 60}, b"64", b"+96", False),
    "a query that was cut": ({"error_bits": 60}, b"0", b"4", True),
    "a header": ({"header": True}, b':SYST:ERR 0,"No error"', b':SYST:ERR -113,"Undefined header"', False),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_told_in_many_forms(name):
    replies, none, wrong, passing = ERRORS[name]
    driver, line = driver_of({"SYST:ERR?": none + b"\n"}, replies=replies)
    driver.open()
    line.answers["V 1,2;:C?;:SYST:ERR?"] = b"0.25;" + none + b"\n"
    driver.set_parameters(floats(1, 2))
    assert driver.measure_cost() == 0.25
    line.answers["V 2,3;:C?;:SYST:ERR?"] = b"0.25;" + wrong + b"\n"
    driver.set_parameters(floats(2, 3))
    with pytest.raises(HardwareError, match="was refused: ") as raised:
        driver.measure_cost()
    assert raised.value.passing is passing


@pytest.mark.parametrize("late", [False, True])
def test_an_error_that_is_told_unasked_is_a_refusal(late):
    driver, line = driver_of({}, {"error": ""}, replies={"error_line": r"\*\*ERROR.*"})
    driver.open()
    told = b'**ERROR: -222,"Data out of range"\r\n'
    line.answers["V 1,2;:C?"] = told + b"0.25\n"
    if late:
        line.coming = told
    driver.set_parameters(floats(1, 2))
    with pytest.raises(HardwareError, match=r"was refused: \*\*ERROR: -222,\"Data out of range\"; check") as raised:
        driver.measure_cost()
    assert not raised.value.passing


WHO = {
    "one word": ("HP3458A", b"HP3458A", ("", "HP3458A", "")),
    "groups": (r"(?P<model>\S+) no\. (?P<serial>\d+)", b"DAC8 no. 17", ("", "DAC8", "17")),
    "as others": ("ACME.*", b"ACME,M 1,S2,3", ("ACME", "M 1", "S2")),
    "beyond ASCII": ("", "Zürich,µ1,S2,3".encode("latin-1"), ("Zürich", "µ1", "S2")),
}


@pytest.mark.parametrize("name", WHO)
def test_who_answers_is_known_by_a_pattern(name):
    pattern, reply, due = WHO[name]
    driver, line = driver_of({"ID?": reply + b"\n"}, {"identify": "ID?"}, replies={"identity": pattern})
    driver.open()
    identity = driver.identify()
    assert (identity.maker, identity.model, identity.serial) == due
    driver.make_sure()
    line.answers["ID?"] = b"0.5\n"
    with pytest.raises(HardwareError, match=r"'ID\?' was answered '0\.5'"):
        driver.make_sure()


def test_a_board_without_identity_is_asked_for_nothing():
    driver, line = driver_of({}, {"identify": "", "error": ""})
    driver.open()
    assert str(driver.identify()) == "without identity"
    driver.set_parameters(floats(1, 2))
    driver.finish()
    driver.make_sure()
    assert line.sent == [b"V 1,2\n"]


def test_outputs_and_costs_are_in_our_unit_and_perturbations_are_differences():
    settings = {"replies": {"scale": 0.5, "offset": 1.0}, "numbers": {"scale": 0.1, "offset": 2.0}}
    answers = {"P 5,-5;:C?;:SYST:ERR?": b"3;" + OK + b"\n", "O?": b"1,2\n", "B? 5,-5": b"1\n"}
    driver, _ = driver_of(answers, {"perturb": "P {data}", "outputs": "O?", "batch": "B? {data}"}, **settings)
    driver.open()
    driver.perturb(floats(0.5, -0.5))
    assert driver.measure_cost() == 2.5
    np.testing.assert_array_equal(driver.read_outputs(), floats(1.5, 2.0)[None])
    np.testing.assert_array_equal(driver.measure_batch(floats(0.5, -0.5)[None]), floats(1.5))


def test_a_block_without_length_may_have_an_end_within_it(monkeypatch):
    monkeypatch.setattr("mgd.instruments._scpi._dialogue._QUIET_SECONDS", 0.0)
    value = np.frombuffer(b"\x01\x0a\x0a\x3f", "<f4")
    driver, line = driver_of(
        {"C?": b"#0" + value.tobytes() + b"\n"}, blocks={"indefinite": True}, compound=False, settle_seconds=1e-9
    )
    driver.open()
    pieces = [b"#0" + b"\x01\x0a", b"\x0a\x3f", b"\n"]
    line.receive = lambda: pieces.pop(0)
    line.stale = lambda: b""
    assert driver.measure_cost() == value[0]


# The manners of a line.


def polite(line: Talk, **manners) -> Polite:
    return Polite(lambda: line, LineSettings(**manners), b"\n", 0.001)


def test_messages_are_apart(monkeypatch):
    import mgd.instruments._scpi._manners as module

    now, slept = [100.0], []
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        module.time, "sleep", lambda seconds: (slept.append(seconds), now.__setitem__(0, now[0] + seconds))
    )
    line = polite(Talk({"C?": b"1\n"}), spacing_seconds=0.5)
    line.send(b"C?\n")
    now[0] += 0.125
    assert line.receive() == b"1\n"
    now[0] += 0.25
    line.send(b"C?\n")
    assert slept == [0.0, 0.25]


def test_a_greeting_is_waited_for_and_dropped_with_what_is_around_it():
    talk = Talk({"C?": b"1\n"})
    talk.coming = b"\0\0boot 2.1\r\nDAC8 ready\r\n> \n"
    line = polite(talk, greeting="ready")
    assert line.stale() == b""
    talk.coming = b"boot 2.1\r\n"
    with pytest.raises(OSError, match=r"no greeting 'ready' came in 0\.001 s"):
        polite(talk, greeting="ready")


def test_what_a_board_says_while_it_restarts_is_dropped():
    talk = Talk({})
    talk.coming = b"rst:0x1 boot:0x13\r\nload\r\n"
    assert polite(talk, wait_seconds=1e-6).stale() == b""


# What is refused before anything is opened.

CHANNELS = {"set": "V{channel} {value}", "readback": "V{channel}?"}
REFUSED: dict[str, tuple[dict, str]] = {
    "no end": ({"line": {"read_end": ""}}, 'line.read_end = "" is for lines that end replies by themselves'),
    "no end of messages": ({"line": {"write_end": ""}}, 'line.write_end = "" is for lines that end messages'),
    "an end within numbers": ({"line": {"read_end": ","}}, "line.read_end: cannot be ',', which may be within"),
    "acknowledged together": (
        {"compound": True, "line": {"acknowledge": "OK"}},
        "line.acknowledge is for one command in a message: set compound = false",
    ),
    "no pattern": ({"line": {"greeting": "("}}, "line.greeting: is a regular expression, and '(' is none"),
    "an echo of blocks": ({"binary": True, "line": {"echo": True}}, "line.echo is of text, and binary = true"),
    "misspelt": ({"line": {"eccho": True}}, "unknown setting 'instrument.line.eccho': did you mean 'echo'?"),
    "too short a line": (
        {"line": {"longest": 16}, "numbers": {"decimals": 3}},
        "instrument.line.longest: commands.set can be of 17 bytes, and 16 is the most",
    ),
    "both digits": ({"numbers": {"decimals": 3, "significant": 3}}, "numbers: give one of decimals and significant"),
    "digits of blocks": (
        {"binary": True, "numbers": {"decimals": 3}},
        "numbers.decimals is for text, and binary = true",
    ),
    "codes in floats": (
        {"binary": True, "numbers": {"codes": [0, 9]}},
        'numbers.codes are whole numbers, and blocks.write = "float32"',
    ),
    "blocks and a value": ({"binary": True, "commands": WORDS | CHANNELS}, "commands.set has a {value}, which is text"),
    "blocks that are not written": ({"blocks": {"write": "int16"}}, 'blocks.write = "int16" is for binary = true'),
    "a scale of floats": ({"blocks": {"read_scale": 0.1}}, "blocks: read_scale is for whole numbers"),
    "no length and others": (
        {"blocks": {"indefinite": True}},
        "blocks.indefinite = true is for one command in a message",
    ),
    "too coarse": (
        {"numbers": {"decimals": 0}, "limits": {"low": 0.0, "high": 5.0, "unit": "V"}},
        "instrument.numbers.decimals: steps of 1 are too coarse for the limits of parameter 0, 0 … 5 V",
    ),
    "too coarse at the top": (
        {"numbers": {"significant": 1}, "limits": {"low": 0.0, "high": 5.0}},
        "numbers.significant: steps of 1",
    ),
    "codes too few": (
        {"numbers": {"codes": [0, 4095], "scale": 0.001}},
        "instrument.numbers.codes: 0 … 4095 do not hold the limits of parameter 0, -5 … 5 V, which are -5000 … 5000",
    ),
    "codes and blocks": (
        {"binary": True, "numbers": {"codes": [0, 70000]}, "blocks": {"write": "uint16"}},
        "numbers.codes: [0, 70000] are more than blocks of uint16 hold, 0 … 65535",
    ),
    "no negative perturbations": (
        {"numbers": {"codes": [0, 20000], "scale": 0.001, "offset": -5.0}, "commands": WORDS | {"perturb": "P {data}"}},
        "numbers.codes holds no negative numbers, which perturbations are",
    ),
    "a comma twice": ({"replies": {"decimal_comma": True}}, 'replies: decimal_comma = true, and separator = ","'),
    "a sentinel inside": (
        {"replies": {"no_number": ["OVLD", -1.0]}, "commands": WORDS | {"readback": "V?"}},
        "instrument.replies.no_number: -1 is within the limits of parameter 0, -5 … 5 V, so it can be a reading",
    ),
    "no unit": ({"replies": {"units": {"3": 1.0}}}, "replies: units: '3' is no unit"),
    "an error that is never asked": (
        {"replies": {"no_error": "OK"}, "commands": WORDS | {"error": ""}},
        'replies.no_error is for an answer to commands.error, which is ""',
    ),
    "two forms of errors": ({"replies": {"no_error": "OK", "error_bits": 4}}, "replies: give no_error for a text, or"),
    "an identity that is never asked": (
        {"replies": {"identity": "X"}, "commands": WORDS | {"identify": ""}},
        'replies.identity is for an answer to commands.identify, which is ""',
    ),
    "one sample at a time": ({"present": "each"}, "instrument: present is for an instrument in a table of its own"),
    "numbers of inputs": (
        {"input_numbers": {"decimals": 2}},
        "input_numbers is for an instrument that presents inputs",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_contradict_are_refused_by_name(name, tmp_path):
    settings, said = REFUSED[name]
    with pytest.raises(ValueError, match=re.escape(said)) as raised:
        load_instrument("scpi", BASE | {"commands": WORDS} | settings, tmp_path)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(("instrument", "unknown setting 'instrument"))


@pytest.mark.parametrize("name", ["too coarse", "a sentinel inside", "acknowledged together", "misspelt"])
def test_they_are_refused_in_a_table_of_several_too(name, tmp_path):
    settings, said = REFUSED[name]
    rest = {"resource": "TCPIP0::bench::5026::SOCKET", "commands": {"input": "INP {data}"}}
    tables = {"dac": BASE | {"commands": WORDS} | settings, "rest": rest}
    with pytest.raises(ValueError, match=re.escape(said.replace("instrument.", "instrument.dac."))):
        load_instrument("scpi", tables, tmp_path)


def test_a_serial_port_needs_pyserial(tmp_path, monkeypatch):
    import importlib.util

    pytest.importorskip("pyvisa", reason="PyVISA is not installed")
    find: Callable = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "serial" else find(name))
    with pytest.raises(
        ValueError, match=r'instrument\.resource: ASRL3::INSTR needs pySerial: pip install "mgd\[lab\]"'
    ):
        load_instrument("scpi", {"resource": "ASRL3::INSTR"}, tmp_path)
