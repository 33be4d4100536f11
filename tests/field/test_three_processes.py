"""A bench of three processes trains XOR from a chip file alone, whatever becomes of instruments and terminal."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mgd import RunError
from mgd.runs import read_summary
from mgd.runs._directory import only_writer

from . import part, three
from .commands import command, theta

WATCHED = three.HEAD.replace("20.0", "60.0") + "guardian = true\n" + three.DAC + three.GENERATOR
# A meter that cannot say what it refused.
WATCHED += three.METER.replace('{meter}"\n', '{meter}"\ncompound = false\n').replace("outputs", 'error = ""\noutputs')
TRAIN = ("--batch=4", "--tau-theta=8", "--amplitude=0.05", "--optimizer=adam", "--learning-rate=0.1", "--seed=0")
TESTS = Path(__file__).parents[1]
# The terminal that a trainer has to itself.
WINDOW = "import pty, sys; pty.spawn([sys.executable, '-m', 'mgd', *sys.argv[1:]])"


class Bench:
    """Three processes, and the plant that they share.

    Attributes:
        plant: as `part` says.
    """

    def __init__(self, folder: Path):
        np.zeros(part.SIZE).tofile(folder / "plant")
        self.plant = np.memmap(folder / "plant", np.float64, "r+", shape=(part.SIZE,))
        self._path, self._processes, self.ports = str(folder / "plant"), {}, dict.fromkeys(three.WHO, 0)
        for name in three.WHO:
            self.start(name)

    def start(self, name: str) -> None:
        words = [sys.executable, "-m", "field.part", name, str(self.ports[name]), self._path]
        process = self._processes[name] = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=TESTS)
        self.ports[name] = int(process.stdout.readline())

    def restart(self, name: str) -> None:
        """Kills it, and starts it again: at its port, and without what it was set to."""
        self.kill(name)
        self.start(name)

    def kill(self, name: str) -> None:
        process = self._processes.pop(name)
        process.kill()
        process.communicate()

    @property
    def resources(self) -> dict[str, str]:
        """Where each can be reached."""
        return {name: f"TCPIP0::127.0.0.1::{port}::SOCKET" for name, port in self.ports.items()}

    def is_safe(self) -> bool:
        return not self.plant[: part.LASER - 2].any() and not self.plant[part.LASER]

    def read(self, more: int, process: subprocess.Popen) -> None:
        """Returns when so many more readings were taken."""
        due = self.plant[part.READINGS] + more
        wait_until(lambda: self.plant[part.READINGS] >= due or process.poll() is not None)
        assert process.poll() is None


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 240
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def bench(own_folder) -> Iterator[Bench]:
    made = Bench(own_folder)
    try:
        Path("chip.toml").write_text(WATCHED.format(**made.resources))
        yield made
    finally:
        for name in three.WHO:
            made.kill(name)


@pytest.fixture
def start(cache_env, tmp_path) -> Callable[..., subprocess.Popen]:
    """Starts a command in a terminal of its own, or without one."""

    def begin(*words: str, window: bool = False) -> subprocess.Popen:
        pipe, how = subprocess.PIPE, ("-c", WINDOW) if window else ("-m", "mgd")
        environment = cache_env | {"XDG_STATE_HOME": str(tmp_path / "state")}
        return subprocess.Popen(
            [sys.executable, *how, *words], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment
        )

    return begin


def left_alone(run: Path) -> None:
    """Returns when nobody writes to a run any more."""

    def is_free() -> bool:
        with contextlib.suppress(RunError), only_writer(run):
            return True
        return False

    wait_until(is_free)


@pytest.mark.enough("a few steps")
@pytest.mark.long
@pytest.mark.parametrize(("steps", "apart"), [(48, 60), (800, 400)], ids=["a few steps", "until it is learnt"])
def test_xor_is_learnt_whatever_happens_on_the_bench(bench, start, steps, apart):
    train = ("train", "parity", "--chip", "chip.toml", *TRAIN, f"--steps={steps}")
    assert command(*train, "--out=quiet") == 0
    assert bench.is_safe()
    window = start(*train, "--out=run", window=True)
    bench.read(apart // 4, window)
    for name in three.WHO if steps > 100 else ("dac",):
        bench.read(apart // 4, window)
        bench.restart(name)
    bench.read(apart // 4, window)
    for fault in (part.SLIP, part.BROWN_OUT):
        bench.plant[fault] = 1
        wait_until(lambda fault=fault: not bench.plant[fault])
        bench.read(apart // 8, window)
    window.kill()  # the terminal is closed
    window.communicate()
    wait_until(bench.is_safe)
    left_alone(Path("run"))
    if steps > 100:
        resumed = start("resume", "run")
        bench.read(apart, resumed)
        assert not bench.is_safe()
        resumed.send_signal(signal.SIGKILL)
        resumed.communicate()
        wait_until(bench.is_safe)  # by the guardian
    assert command("resume", "run") == 0
    assert bench.is_safe()
    assert 0 < bench.plant[part.WORST] <= 5
    np.testing.assert_array_equal(theta("run"), theta("quiet"))
    summary = read_summary(Path("run"))
    assert summary is not None
    assert steps < 100 or summary["accuracy"] == 1.0
