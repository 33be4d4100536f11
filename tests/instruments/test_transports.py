"""The bare socket, between two ends in this process."""

import socket
import threading
import time

import pytest

from mgd.instruments._scpi._transports import Socket


@pytest.fixture
def both_ends():
    """Our end, and that of the instrument."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = Socket(*listening.getsockname(), timeout_seconds=5.0)
        theirs, _ = listening.accept()
        with theirs:
            yield ours, theirs
            ours.close()


def test_a_reply_is_waited_for_asleep_where_replies_are_late(both_ends):
    ours, theirs = both_ends
    theirs.sendall(b"0\n")
    assert ours.receive() == b"0\n"
    asleep, awake = [], []
    for number in range(8):
        threading.Timer(0.05, theirs.sendall, (f"{number}\n".encode(),)).start()
        wall, used = time.perf_counter(), time.thread_time()
        assert ours.receive() == f"{number}\n".encode()
        asleep.append(time.perf_counter() - wall)
        awake.append(time.thread_time() - used)
    assert sum(awake) < 0.1 * sum(asleep)


def test_a_line_that_was_closed_is_told_with_nothing_taken_for_a_reply(both_ends):
    ours, theirs = both_ends
    theirs.close()
    with pytest.raises(ConnectionResetError, match="the other side closed the connection"):
        ours.receive()


def test_what_came_unasked_is_there_without_waiting(both_ends):
    ours, theirs = both_ends
    assert ours.stale() == b""
    theirs.sendall(b"late\n")
    while not (found := ours.stale()):
        time.sleep(0.001)
    assert found == b"late\n"
