"""What training costs beside the chip's own time, against a bare round trip on the same socket, in one run.

`python benchmarks/instrument.py` serves `examples/virtual-chip.toml` in a process of its own and prints a markdown
table. *Ours* is all of a measurement that is not waiting in the socket: ask, tell, driver, guard, journal of costs and
diagnostics, as in `mgd train --chip`, also what is done while the chip works. *A bare loop* sends the messages of the
round once more, and does nothing but wait for each reply. Medians over rounds, in turn. The last rows are of a line in
this process that answers at once, in processor time: what ours takes with all that it needs in the processor's caches,
without anything to check by, with canaries (read-back, error queue, identity), and with a counter of measurements.
"""

import os

os.environ.setdefault("JAX_CPU_ENABLE_ASYNC_DISPATCH", "false")  # as the commands do

import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

import mgd
from mgd.engines import Data, Instrumented, Options
from mgd.instruments import Guarded, Scpi
from mgd.instruments._scpi._settings import ScpiSettings
from mgd.instruments._scpi._transports import Socket
from mgd.instruments._wire import block_end
from mgd.runs._journal import Journal
from mgd.runs._monitor import Monitor

CHIP = Path(__file__).parents[1] / "examples" / "virtual-chip.toml"
ROUNDS, ROUND_TRIPS = 5, 500
UNCHECKED = {"verify": False, "commands": {"error": ""}}
COUNTED = {"verify": False, "commands": {"error": "", "counter": "MEAS:COUN?"}}
# Name, τ_x = τ_θ, measurements together, timesteps of a round, whether the served chip is measured, settings.
CASES = (
    ("one by one, τ_θ = 1", 1, 0, 1000, True, {}),
    ("a hold in one, τ_θ = 1", 1, 1000, 1000, True, {}),
    ("one by one, τ_θ = 1,000", 1000, 0, 2000, True, {}),
    ("batches of 1,000", 1000, 1000, 20_000, True, {}),
    ("at once, τ_θ = 1, unchecked", 1, 0, 1000, False, UNCHECKED),
    ("at once, τ_θ = 1, canaries", 1, 0, 1000, False, {}),
    ("at once, τ_θ = 1, counter", 1, 0, 1000, False, COUNTED),
    ("at once, τ_θ = 1,000, unchecked", 1000, 0, 2000, False, UNCHECKED),
    ("at once, τ_θ = 1,000, canaries", 1000, 0, 2000, False, {}),
    ("at once, τ_θ = 1,000, counter", 1000, 0, 2000, False, COUNTED),
)


class AtOnce:
    """A chip of this process: what was set reads back, every cost is ½, and there never is an error."""

    def __init__(self):
        self._message, self._held, self._measurements = b"", b"", 0

    def send(self, message: bytes) -> None:
        self._message = message

    def receive(self) -> bytes:
        message, replies = self._message, []
        if message.startswith(b"*IDN?"):
            replies.append(b"mgd,at once,1,1")
        before, found, _ = message.partition(b"PAR:DATA #")
        if b"PAR:DATA?" in before:
            replies.append(self._held)
        if found:
            span = block_end(message, len(before) + len(found) - 1)
            assert span is not None
            self._held, message = message[len(before) + len(found) - 1 : span[1]], message[span[1] :]
            replies += [self._held] if b"PAR:DATA?" in message else []
        for query, reply in ((b"PAR:COUN?", b"220"), (b"PAR:LIM?", b"-4,4"), (b"COST?", b"0.5")):
            replies += [reply] if query in message else []
        self._measurements += b"COST?" in message
        if b"MEAS:COUN?" in message:
            replies.append(b"%d" % self._measurements)
        if b"ERR?" in message:
            replies.append(b'0,"No error"')
        return b";".join(replies) + b"\n"

    def stale(self) -> bytes:
        return b""

    def close(self) -> None:
        pass


class TimedLine:
    """A line that counts the seconds in it, and keeps what was sent."""

    def __init__(self, inner: Socket | AtOnce, clock: Callable[[], float]):
        self.inner, self.clock, self.seconds, self.sent = inner, clock, 0.0, []

    def send(self, message: bytes) -> None:
        self.sent.append(message)
        started = self.clock()
        self.inner.send(message)
        self.seconds += self.clock() - started

    def receive(self) -> bytes:
        started = self.clock()
        found = self.inner.receive()
        self.seconds += self.clock() - started
        return found

    def stale(self) -> bytes:
        return self.inner.stale()

    def close(self) -> None:
        self.inner.close()


def bare_round_trip(port: int) -> float:
    """Seconds from `*OPC?` to its reply."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        taken = []
        for _ in range(ROUND_TRIPS):
            started = time.perf_counter()
            line.sendall(b"*OPC?\n")
            line.recv(64)
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def bare_loop(port: int, messages: list[bytes]) -> float:
    """Seconds to send these one by one and have the reply to each."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(b"FORM REAL\n")
        replies, started = [], time.perf_counter()
        for message in messages:
            line.sendall(message)
            replies.append(line.recv(1 << 18))
            while not replies[-1].endswith(b"\n"):
                replies[-1] += line.recv(1 << 18)
        seconds = time.perf_counter() - started
        assert replies[0].endswith(b'0,"No error"\n'), replies[0]
        return seconds


class Case:
    """A run that goes on, and what its measurements take: of the chip at a port, or of one that answers at once."""

    def __init__(self, port: int | None, tau: int, together: int, folder: Path, settings: dict[str, Any]):
        self.port, self.clock = port, time.perf_counter if port else time.process_time
        resource = f"TCPIP0::127.0.0.1::{port or 5025}::SOCKET"
        driver = Scpi(ScpiSettings.of({"resource": resource} | settings), connect=self._connect)
        driver.most_together = together
        self.guarded = Guarded(driver)
        self.guarded.open()
        times = mgd.TimeConstants(tau_p=1, tau_x=tau, tau_theta=tau)
        self.algorithm = mgd.discrete(optimizer=optax.sgd(1e-3), time_constants=times)
        self.journal = Journal()
        folder.mkdir()
        self.journal.open(folder, "00" * 32)
        self.journal.begin(0)
        monitor = Monitor(driver.n_params, self.algorithm)
        options = Options(saturate=True, keep=self.journal.keep, watch=monitor.watch)
        start = np.zeros(driver.n_params, np.float32)
        cost = mgd.chips.MeanSquaredError()
        self.engine = Instrumented(self.guarded, self.algorithm, start, cost=cost, batch=64, options=options)
        self.data = Data.of(mgd.datasets.nist7x7().train)
        self.progress = self.engine.init(1, key=jax.random.key(0))
        self.step = 0

    def _connect(self) -> TimedLine:
        self.line = TimedLine(Socket("127.0.0.1", self.port, 20.0) if self.port else AtOnce(), self.clock)
        return self.line

    def run(self, steps: int) -> tuple[float, float, float, float]:
        """Seconds of a measurement: in all, in the socket, ours, and more than in a bare loop."""
        before = self.algorithm.counts(self.step).cost_measurements
        self.line.sent.clear()
        self.line.seconds, started = 0.0, self.clock()
        self.progress = self.engine.advance(self.data, self.progress, steps)
        total = self.clock() - started
        self.step += steps
        n = self.algorithm.counts(self.step).cost_measurements - before
        bare = bare_loop(self.port, self.line.sent) if self.port else self.line.seconds
        return total / n, self.line.seconds / n, (total - self.line.seconds) / n, (total - bare) / n


def _port_of(server: subprocess.Popen) -> int:
    assert server.stdout is not None
    found = re.search(r"TCPIP0::\S+::SOCKET", server.stdout.readline())
    assert found
    return int(found[0].split("::")[2])


def main() -> None:
    """Serves, trains in turn, prints."""
    command = (sys.executable, "-m", "mgd", "chip", "serve", str(CHIP), "--port", "0")
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])
    # A chip for each: what another sets on it would be taken for a reset.
    servers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for *_, is_served, _ in CASES if is_served]
    os.sched_setaffinity(0, cores[1:] or cores)
    try:
        ports = [_port_of(server) for server in servers]
        port, left = ports[0], iter(ports)
        with tempfile.TemporaryDirectory() as folder:
            cases = []
            for number, (_, tau, together, steps, is_served, settings) in enumerate(CASES):
                place = Path(folder) / str(number)
                cases.append(Case(next(left) if is_served else None, tau, together, place, settings))
                cases[-1].run(steps)  # compiles
            bare, taken = [], [[] for _ in CASES]
            for _ in range(ROUNDS):
                bare.append(bare_round_trip(port))
                for rows, case, (_, _, _, steps, _, _) in zip(taken, cases, CASES, strict=True):
                    rows.append(case.run(steps))
    finally:
        for server in servers:
            server.terminate()
            server.communicate()
    trip = statistics.median(bare)
    print(f"bare round trip (*OPC?): {1e6 * trip:.1f} µs\n")
    print("| 49-4-4, 64 images a measurement | measurement | in the socket | ours | ours / bare round trip ", end="")
    print("| more than a bare loop | that / bare round trip |\n|---|---|---|---|---|---|---|")
    for (name, *_), rows in zip(CASES, taken, strict=True):
        total, wire, ours, more = (f"{1e6 * statistics.median(column):.1f} µs" for column in zip(*rows, strict=True))
        of_trip, more_of_trip = (
            f"{statistics.median(row[k] / one for row, one in zip(rows, bare, strict=True)):.3f}" for k in (2, 3)
        )
        print(f"| {name} | {total} | {wire} | {ours} | {of_trip} | {more} | {more_of_trip} |")


if __name__ == "__main__":
    main()
