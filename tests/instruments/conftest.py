"""What tests of instruments share: a chip of their own, scripted lines, and virtual chips on real sockets."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from mgd import HardwareError
from mgd.instruments import AbstractInstrument, Identity, Limits, Scpi, ServeSettings
from mgd.instruments._ngspice import ngspice
from mgd.instruments._scpi._settings import ScpiSettings
from mgd.instruments._virtual._server import Server
from mgd.instruments._wire import block
from mgd.runs import read_chip_file
from mgd.runs._served import make_speaker


class Chip(AbstractInstrument):
    """Its cost is the squared distance of θ + θ̃ from 1; its outputs are the inputs times their sum."""

    most_together = 8
    reads = "both"

    def __init__(self, *, own_line: bool = True, address: str = "chip 1"):
        self.address, self.own_line = address, own_line
        self.n_params, self.limits = 3, Limits.uniform(3, -2.0, 2.0, "V")
        self.asked: list[str] = []
        self.fails: dict[str, list[BaseException]] = {}
        self.replies: dict[str, object] = {}
        self.theta = self.wiggle = np.zeros(3, np.float32)
        self.x = np.zeros((1, 2), np.float32)

    def _asked(self, verb: str) -> None:
        self.asked.append(verb)
        if self.fails.get(verb):
            raise self.fails[verb].pop(0)

    def open(self) -> None:
        self._asked("open")

    def close(self) -> None:
        self.asked.append("close")

    def identify(self) -> Identity:
        self._asked("identify")
        return Identity("house", "toy", "S1", "2.0")

    def set_parameters(self, theta) -> None:
        self._asked("set_parameters")
        self.theta, self.wiggle = theta, np.zeros(3, np.float32)

    def perturb(self, perturbation) -> None:
        self._asked("perturb")
        self.wiggle = perturbation

    def present(self, x, target) -> None:
        self._asked("present")
        self.x = x

    def measure_cost(self) -> float:
        self._asked("measure_cost")
        return self.replies.get("measure_cost", float(((self.theta + self.wiggle - 1) ** 2).sum()))  # pyright: ignore

    def read_outputs(self) -> np.ndarray:
        self._asked("read_outputs")
        return self.replies.get("read_outputs", self.x * (self.theta + self.wiggle).sum())  # pyright: ignore

    def measure_batch(self, signals) -> np.ndarray:
        self._asked("measure_batch")
        base = self.theta if self.own_line else 0 * self.theta
        return self.replies.get("measure_batch", ((base + signals - 1) ** 2).sum(1))  # pyright: ignore

    def read_batch(self, signals) -> np.ndarray:
        self._asked("read_batch")
        base = self.theta if self.own_line else 0 * self.theta
        return (base + signals).sum(1)[:, None, None] * self.x

    def safe_state(self) -> None:
        self._asked("safe_state")
        self.theta = self.wiggle = np.zeros(3, np.float32)


@pytest.fixture(scope="session")
def needs_ngspice() -> None:
    """Skips where libngspice is not there."""
    try:
        ngspice()
    except HardwareError as error:
        pytest.skip(str(error))


@pytest.fixture
def make_chip() -> Callable[..., Chip]:
    return Chip


@pytest.fixture
def chip() -> Chip:
    return Chip()


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    """Chips of these tests are in use in this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


# Two inputs, two hidden neurons, one output: nine parameters.
CHIP = "name = 'small'\n[chip]\ninputs = [2]\noutputs = 1\nhidden = [2]\n"
NOISY = "[imperfect]\ncost-noise = 0.01\ndrift = 0.001\ndac-bits = 8\ndac-own-line = true\n"


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


NO_ERROR = b'0,"No error"'
WHO = (b"*IDN?", b"Maker,Model 3,A7,1.0\n")
# Two parameters within ±5: what is written at opening, and read back.
_PROBE = block(np.array([0.02, -0.013], np.float32) * np.float32(5))
PROBED = (b"PAR:DATA " + _PROBE + b";:PAR:DATA?;:SYST:ERR?", _PROBE + b";" + NO_ERROR + b"\n")
OPENING = ((b"*RST;*CLS", None), (b"FORM REAL", None), (b"SYST:ERR?", NO_ERROR + b"\n"), WHO)
DECLARED = {"resource": "TCPIP0::bench::5025::SOCKET", "n_params": 2, "limits": {"low": -5.0, "high": 5.0, "unit": "V"}}


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scpi]]:
    """A driver on a scripted line, opened; at the end nothing may be left of the script."""
    lines: list[Script] = []

    def make(*exchanges, opening=OPENING, probed=(PROBED,), opened: bool = True, **settings) -> Scpi:
        line = Script(*opening, *probed, *exchanges)
        lines.append(line)
        driver = Scpi(ScpiSettings.of(DECLARED | settings), connect=lambda: line)
        if opened:
            driver.open()
        return driver

    yield make
    for line in lines:
        assert not line.left, f"never sent: {line.left}"
        assert not line.unread, f"never read: {line.unread}"


@pytest.fixture(scope="module")
def served(serve_process):
    """A noisy virtual chip in a process of its own."""
    return serve_process(CHIP + NOISY + "[serve]\nseed = 3\nserial = 'A7'\n")


@contextmanager
def serving(text: str, folder: Path, **serve: Any) -> Iterator[str]:
    """Serves a chip from a thread of this process, which starts at once; gives the resource."""
    (folder / "chip.toml").write_text(text)
    settings = ServeSettings(**serve)
    with jax.numpy_dtype_promotion("standard"):
        speaker = make_speaker(read_chip_file(folder / "chip.toml"), settings)
    loop, server = asyncio.new_event_loop(), Server(speaker, settings)
    listening = loop.run_until_complete(server.listen("127.0.0.1", 0))
    port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"TCPIP0::127.0.0.1::{port}::SOCKET"
    finally:
        asyncio.run_coroutine_threadsafe(server.close(listening), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def serve_here(tmp_path) -> Callable:
    """Serves a chip in this process, with the faults that are given."""
    return lambda text=CHIP, **serve: serving(text, tmp_path, **serve)
