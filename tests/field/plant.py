"""A bench as labs have it: nine voltages into tanh neurons, behind a socket, that behaves as a reported instrument."""

import re
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

CHIP = """name = "bench"
[chip]
inputs = [2]
outputs = 1
[instrument]
kind = "scpi"
resource = "{resource}"
n_params = 9
binary = false
timeout_seconds = 2.0
retries = 1
give_up_seconds = 4.0
at_limit = "saturate"
{settings}
[instrument.limits]
low = {low}
high = {high}
unit = "V"
[instrument.commands]
format = ""
count = ""
limits = ""
set = "VOLT {{data}}"
readback = "VOLT?"
perturb = ""
input = "INP {{data}}"
target = "TARG {{data}}"
cost = "{cost}"
outputs = "{outputs}"
safe = "SAFE"
"""


class Plant:
    """What the instrument has at its terminals.

    Attributes:
        worst: the largest voltage that it ever saw.
        readings: how many were taken.
    """

    def __init__(self, mode: str):
        self.mode, self.v, self.x, self.y = mode, np.zeros(9), np.zeros((1, 2)), np.zeros((1, 1))
        self.rng, self.worst, self.readings = np.random.default_rng(0), 0.0, 0

    def answer(self, command: str) -> bytes | None:
        """What a command is answered with; None for nothing."""
        word, _, data = command.partition(" ")
        if word == "*IDN?":
            return b"ACME,BENCH-9,A1,1.0"
        if word == "SYST:ERR?":
            return b'+0,"No error"'
        if word == "VOLT":
            self.set(np.array([*self.numbers(data), *np.zeros(9)][:9]))
        if word == "SAFE":
            self.v = np.zeros(9)
        if word == "INP":
            self.x = np.array(self.numbers(data)).reshape(-1, 2)
        if word == "TARG":
            self.y = np.array(self.numbers(data)).reshape(-1, 1)
        if word == "VOLT?":
            return self.text(self.v)
        if word == "OUT?":
            return self.reading(self.outputs())
        if word == "COST?":
            return self.reading(np.mean((self.outputs() - self.y[:, 0]) ** 2, keepdims=True))
        return None

    def set(self, v: np.ndarray) -> None:
        self.v, self.worst = v, max(self.worst, float(np.abs(v).max()))

    def numbers(self, text: str) -> list[float]:
        if self.mode == "no exponents":  # a microcontroller's parser: the exponent ends the number and begins the next
            return [float(each) for each in re.findall(r"-?\d+\.?\d*", re.sub("[eE]", " ", text))]
        if self.mode == "no sign":
            text = text.replace("-", "")
        return [float(each) for each in text.split(",")]

    def text(self, values: np.ndarray) -> bytes:
        return ",".join(f"{value:+.8E}" for value in values).encode()

    def reading(self, values: np.ndarray) -> bytes:
        """What the readout makes of it."""
        self.readings += 1
        if self.mode == "unplugged":
            values = np.full_like(values, 0.123)
        if self.mode == "loose" and self.readings > 200:  # what the meter shows without a detector
            values = 0.123 + self.rng.normal(0, 1e-3, len(values))
        if self.mode == "rail" and self.readings % 50 == 0:
            values = np.full_like(values, 10.0)
        if self.mode in ("over range", "under range") and self.readings % 50 == 0:
            values = np.full_like(values, 9.9e37 if self.mode == "over range" else -9.9e37)
        if self.mode == "always over range" and self.readings > 40:
            values = np.full_like(values, 9.9e37)
        if self.mode == "big-endian":
            content = np.asarray(values, ">f4").tobytes()
            return f"#{len(str(len(content)))}{len(content)}".encode() + content
        return self.text(values)

    def outputs(self) -> np.ndarray:
        w, u = self.v[:6].reshape(2, 3), self.v[6:]
        hidden = np.tanh((2 * self.x - 1) @ w[:, :2].T + w[:, 2])
        outputs = 0.5 + 0.5 * np.tanh(hidden @ u[:2] + u[2])
        return outputs + self.rng.normal(0, 1e-3, len(outputs))


@contextmanager
def served(mode: str) -> Iterator[tuple[Plant, str]]:
    """The plant, and the resource that it is reached at."""
    plant = Plant(mode)

    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                replies = [plant.answer(each.strip().lstrip(":")) for each in line.decode().split(";")]
                if found := [reply for reply in replies if reply is not None]:
                    self.wfile.write(b";".join(found) + b"\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = allow_reuse_address = True

    with Server(("127.0.0.1", 0), Line) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield plant, f"TCPIP0::127.0.0.1::{server.server_address[1]}::SOCKET"
        server.shutdown()


@contextmanager
def served_over_hislip() -> Iterator[str]:
    """The plant behind HiSLIP, whose replies end by END alone, without a newline; the resource it is reached at."""
    plant, head = Plant("clean"), struct.Struct("!2sBBIQ")
    # What is answered to each kind of message that opens, locks, clears or ends a connection.
    answers = {0: (1, 0, (0x0100 << 16) | 7, b""), 17: (18, 0, 0x7878, b""), 15: (16, 0, 0, struct.pack("!Q", 1 << 20))}
    answers |= {21: (22, 0, 0, b""), 19: (23, 0, 0, b""), 8: (9, 0, 0, b""), 24: (25, 0, 0, b""), 4: (5, 1, 0, b"")}
    answers |= {10: (11, 0, 0, b"")}

    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            def send(kind: int, code: int, number: int, content: bytes) -> None:
                self.wfile.write(head.pack(b"HS", kind, code, number, len(content)) + content)

            message = b""
            while len(opening := self.rfile.read(head.size)) == head.size:
                _, kind, _, number, length = head.unpack(opening)
                content = self.rfile.read(length)
                if kind in answers:
                    send(*answers[kind])
                if kind in (6, 7):  # a part of a message, or its end
                    message += content
                if kind == 7:
                    replies = [plant.answer(each.strip().lstrip(":")) for each in message.decode().strip().split(";")]
                    message = b""
                    if found := [reply for reply in replies if reply is not None]:
                        send(7, 0, number, b";".join(found))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = allow_reuse_address = True

    with Server(("127.0.0.1", 0), Line) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"TCPIP0::127.0.0.1::hislip0,{server.server_address[1]}::INSTR"
        server.shutdown()
