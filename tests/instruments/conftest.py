"""What tests of instruments share: a chip of their own, scripted lines, and virtual chips on real sockets."""

import asyncio
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from mgd import HardwareError
from mgd.instruments import AbstractInstrument, Identity, Limits, Scpi, ServeSettings, load_instrument
from mgd.instruments._ngspice import ngspice
from mgd.instruments._scpi._settings import ScpiSettings
from mgd.instruments._virtual._server import Server
from mgd.runs import read_chip_file
from mgd.runs._served import make_speaker

from .circuits import DIVIDER, SETTINGS
from .scripts import DECLARED, OPENING, PROBED, Script


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


@pytest.fixture
def circuit(tmp_path) -> Callable[..., AbstractInstrument]:
    """A circuit of this text; settings are those of the divider where others are not given."""
    numbers = itertools.count()

    def make(text: str = DIVIDER, **settings) -> AbstractInstrument:
        path = tmp_path / f"circuit{next(numbers)}.cir"
        path.write_text(text)
        limits = {"low": -1e9, "high": 1e9, "unit": "ohm"}
        return load_instrument("spice", {"netlist": path.name} | SETTINGS | {"limits": limits} | settings, tmp_path)

    return make


@pytest.fixture
def write_module(tmp_path, monkeypatch) -> Iterator[Callable[[str], str]]:
    """Writes a module of a lab beside the chip files, as no other test has it; gives its name."""
    name = f"lab_of_{tmp_path.name.replace('-', '_')}"
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield write
    sys.modules.pop(name, None)


# Two inputs, two hidden neurons, one output: nine parameters.
CHIP = "name = 'small'\n[chip]\ninputs = [2]\noutputs = 1\nhidden = [2]\n"
NOISY = "[imperfect]\ncost-noise = 0.01\ndrift = 0.001\ndac-bits = 8\ndac-own-line = true\n"


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
