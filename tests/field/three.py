"""A bench of three instruments that are one chip: a DAC with a command for each channel, a generator, a meter."""

import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import numpy as np

DAC = """[instrument.dac]
resource = "{dac}"
n_params = 9
compound = false
limits = {{ low = -5.0, high = 5.0, unit = "V" }}
[instrument.dac.commands]
set = "CH{{channel}}:VOLT {{value}}"
readback = "CH{{channel}}:VOLT?"
safe = "OUTP:ALL OFF"
"""
GENERATOR = """[instrument.generator]
resource = "{generator}"
present = "each"
[instrument.generator.commands]
input = "SOUR{{channel}}:VOLT:OFFS {{value}}"
on = "OUTP ON"
safe = "OUTP OFF"
"""
METER = """[instrument.meter]
resource = "{meter}"
[instrument.meter.commands]
outputs = "READ?"
"""
HEAD = """[chip]
inputs = [2]
outputs = 1
[instrument]
kind = "scpi"
give_up_seconds = 20.0
at_limit = "saturate"
"""
CHIP = HEAD + DAC + GENERATOR + METER
WHO = {"dac": b"ACME,DAC16,D7,2.1", "generator": b"Burns,AWG2,W1,1.1", "meter": b"ACME,DMM6,M3,0.9"}


def outputs(v: np.ndarray, x: np.ndarray) -> np.ndarray:
    """What nine voltages make of two inputs, or of a batch of them: two tanh neurons, and one that follows them."""
    w, u = v[:6].reshape(2, 3), v[6:]
    return 0.5 + 0.5 * np.tanh(np.tanh((2 * x - 1) @ w[:, :2].T + w[:, 2]) @ u[:2] + u[2])


class Bench:
    """Nine voltages into tanh neurons, and the instruments around them.

    Attributes:
        done: which outputs were switched, in order.
        resources: of each instrument.
        worst: the largest voltage there ever was.
        before: called with an instrument and a command that came to it.
    """

    def __init__(self):
        self.v, self.x, self.y, self.worst = np.zeros(9), np.zeros((1, 2)), np.zeros((1, 1)), 0.0
        self.done: list[str] = []
        self.resources: dict[str, str] = {}
        self.before: Callable[[str, str], None] = lambda name, command: None
        self._servers: dict[str, socketserver.ThreadingTCPServer] = {}
        self._lines: dict[str, list[socket.socket]] = {name: [] for name in WHO}
        self._lock = threading.RLock()

    def outputs(self) -> np.ndarray:
        return outputs(self.v, self.x)

    def answer(self, name: str, command: str) -> bytes | None:
        """What an instrument answers; None for nothing."""
        if command == "*IDN?":
            return WHO[name]
        if command == "SYST:ERR?":
            return b'+0,"No error"'
        if found := re.fullmatch(r"CH(\d):VOLT (\S+)", command):
            self.v[int(found[1]) - 1] = float(found[2])
            self.worst = max(self.worst, abs(float(found[2])))
        elif found := re.fullmatch(r"CH(\d):VOLT\?", command):
            return f"{self.v[int(found[1]) - 1]:.9g}".encode()
        elif found := re.fullmatch(r"SOUR(\d):VOLT:OFFS (\S+)", command):
            self.x = self.x[:1]
            self.x[0, int(found[1]) - 1] = float(found[2])
        elif found := re.fullmatch(r"(INP|TARG) (\S+)", command):
            values = np.array(found[2].split(","), float)
            if found[1] == "INP":
                self.x = values.reshape(-1, 2)
            else:
                self.y = values.reshape(-1, 1)
        elif command.startswith("OUTP"):
            self.done.append(f"{name} {command}")
            self.v = np.zeros(9) if name == "dac" else self.v
        elif command == "READ?":
            return ",".join(f"{value:+.8E}" for value in self.outputs()).encode()
        elif command == "COST?":
            return f"{np.mean((self.outputs() - self.y[:, 0]) ** 2):+.8E}".encode()
        else:
            raise AssertionError(f"{name} cannot know {command}")
        return None

    def start(self, name: str) -> None:
        """Listens, at the port that it had before if it had one."""
        bench = self

        class Line(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                bench._lines[name].append(self.connection)
                with suppress(OSError):
                    for line in self.rfile:
                        with bench._lock:
                            found = [bench.said(name, one.strip().lstrip(":")) for one in line.decode().split(";")]
                        if replies := [reply for reply in found if reply is not None]:
                            self.wfile.write(b";".join(replies) + b"\n")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = allow_reuse_address = True

        port = int(self.resources[name].split("::")[2]) if name in self.resources else 0
        self._servers[name] = server = Server(("127.0.0.1", port), Line)
        self.resources[name] = f"TCPIP0::127.0.0.1::{server.server_address[1]}::SOCKET"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def said(self, name: str, command: str) -> bytes | None:
        self.before(name, command)
        return self.answer(name, command)

    def kill(self, name: str) -> None:
        """Nothing listens any more, and every line is lost."""
        server = self._servers.pop(name)
        server.shutdown()
        server.socket.close()
        while self._lines[name]:
            with suppress(OSError):
                self._lines[name].pop().shutdown(socket.SHUT_RDWR)

    def kill_all(self) -> None:
        for name in list(self._servers):
            self.kill(name)


@contextmanager
def listening() -> Iterator[Bench]:
    made = Bench()
    try:
        for name in WHO:
            made.start(name)
        yield made
    finally:
        made.kill_all()
