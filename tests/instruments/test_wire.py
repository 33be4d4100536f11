"""Numbers and messages on a wire: whatever is sent is what arrives, and whatever arrives is read or refused."""

import contextlib
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mgd.instruments._virtual._messages import Messages, Refused, values
from mgd.instruments._wire import Framing, WireError, block, numbers, split_reply, text

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**120), max_value=2.0**120)
READINGS = arrays(np.float32, st.integers(1, 20), elements=FINITE)
# What text in fixed point can hold: not every digit of a number far below the largest.
PARAMETERS = arrays(np.float32, st.integers(1, 20), elements=st.floats(-10, 10, width=32))
ORDERS = st.sampled_from("<>")
# Commands: words, and blocks that hold bytes with a meaning elsewhere.
WORDS = st.binary(min_size=1, max_size=12).filter(lambda word: not set(word) & set(b'#;\n" \t\r'))
BLOCKS = st.lists(st.sampled_from([b";", b"\n", b"#", b'"', b"\x00"]), max_size=30).map(
    lambda parts: b"D #%d%d%s" % (len(str(len(parts))), len(parts), b"".join(parts))
)


@given(READINGS, ORDERS)
def test_a_block_arrives_to_the_bit(sent, order):
    reply = split_reply(block(sent, order) + b"\n", Framing(f"{order}f4"))
    assert reply is not None
    assert len(reply) == 1
    assert numbers(reply[0]).tobytes() == sent.tobytes()


@given(READINGS, ORDERS)
def test_a_reply_that_is_not_all_there_is_waited_for(sent, order):
    whole = block(sent, order) + b';0,"No error"\n'
    for end in range(len(whole)):
        assert split_reply(whole[:end], Framing(f"{order}f4")) is None, end
    assert split_reply(whole, Framing(f"{order}f4")) is not None


@given(PARAMETERS)
def test_text_arrives_with_all_that_counts(sent):
    line = text(sent, 10.0)
    assert b"e" not in line
    # Nine digits tell float32 apart; in fixed point the eleventh after the point is the last.
    np.testing.assert_allclose(numbers(line), sent, rtol=6e-8, atol=6e-12)
    np.testing.assert_allclose(values(line), sent, rtol=6e-8, atol=6e-12)


@given(READINGS)
def test_a_command_takes_blocks_as_they_are(sent):
    assert values(block(sent)).tobytes() == sent.tobytes()


@given(st.lists(st.one_of(WORDS, BLOCKS), min_size=1, max_size=5), st.lists(st.integers(0, 200), max_size=6))
def test_a_message_is_the_same_however_it_comes(commands, cuts):
    message = b";".join(commands) + b"\n"
    messages, ends = Messages(), sorted({0, len(message), *(cut for cut in cuts if cut < len(message))})
    for begin, end in pairwise(ends):
        assert messages.take() is None
        messages.feed(message[begin:end])
    assert messages.take() == commands
    assert messages.size == 0


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data):
    with contextlib.suppress(WireError):
        for item in split_reply(data) or ():
            numbers(item)
    with contextlib.suppress(Refused):
        assert np.isfinite(values(data)).all()
