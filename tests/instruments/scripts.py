"""A line with a script, and what an instrument that speaks SCPI says and is told when it is opened."""

import numpy as np

from mgd.instruments._wire import block

OK = b'0,"No error"'
WHO = (b"*IDN?", b"Maker,Model 3,A7,1.0\n")
OPENING = ((b"*RST;*CLS", None), (b"FORM REAL", None), (b"SYST:ERR?", OK + b"\n"), WHO)
DECLARED = {"resource": "TCPIP0::bench::5025::SOCKET", "n_params": 2, "limits": {"low": -5.0, "high": 5.0, "unit": "V"}}
# What is written at opening, of two parameters within ±5, and read back: near zero, of both signs.
NEAR_ZERO = np.array([0.02, -0.013], np.float32) * np.float32(5)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def data(*values: float) -> bytes:
    return block(floats(*values))


PROBED = (b"PAR:DATA " + data(*NEAR_ZERO) + b";:PAR:DATA?;:SYST:ERR?", data(*NEAR_ZERO) + b";" + OK + b"\n")


class Script:
    """A line on which only the expected messages go, each with its reply.

    Args:
        exchanges: what is sent, and what is answered: None for nothing, a list for what comes piece by piece. When
            more is waited for than there is, that is a time-out.
    """

    def __init__(self, *exchanges: tuple[bytes, bytes | list[bytes] | None]):
        self.left, self.unread = list(exchanges), []
        self.unasked = b""
        self.closed = False

    def send(self, message: bytes) -> None:
        assert not self.unread, f"{message!r} was sent before {self.unread!r} was read"
        assert self.left, f"{message!r} was not expected"
        expected, reply = self.left.pop(0)
        assert message == expected + b"\n"
        self.unread = [reply] if isinstance(reply, bytes) else list(reply or [])

    def receive(self) -> bytes:
        if not self.unread:
            raise TimeoutError("timed out")
        return self.unread.pop(0)

    def stale(self) -> bytes:
        return self.unasked

    def close(self) -> None:
        self.closed = True
