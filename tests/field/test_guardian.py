"""A trainer that is killed, and the process that then makes its chip safe: real processes, on a bench with a laser."""

import io
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mgd.instruments import Limits, from_callables, opened
from mgd.runs import read_chip_file

from .three import CHIP, Bench

WATCHED = CHIP.replace("[instrument]\n", "[instrument]\nguardian = true\n")
OFF = ["generator OUTP OFF", "dac OUTP:ALL OFF"]
# A trainer without JAX, which starts in a moment: it measures until it is ended.
TRAINER = """
import os, numpy as np
from pathlib import Path
from mgd.instruments import opened
from mgd.runs import read_chip_file
instrument = read_chip_file(Path({chip!r})).load_instrument()
with opened(instrument, guardian=True) as chip:
    chip.note_in(".")
    chip.present(np.zeros((1, 2), np.float32), np.zeros((1, 1), np.float32))
    chip.set_parameters(np.full(chip.n_params, 1.5, np.float32))
    while {more}:
        chip.read_outputs()
"""
SECONDS = 60.0


@pytest.fixture
def trainer() -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a program in a session of its own."""
    started: list[subprocess.Popen] = []

    def start(*command: str, env: dict[str, str] | None = None) -> subprocess.Popen:
        pipe, whole = subprocess.PIPE, [sys.executable, *command]
        started.append(subprocess.Popen(whole, stderr=pipe, text=True, start_new_session=True, env=env))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


def write(bench: Bench, text: str = WATCHED) -> Path:
    Path("chip.toml").write_text(text.format(**bench.resources))
    return Path("chip.toml")


def readings(bench: Bench, n: int, asked: str = "READ?") -> threading.Event:
    """Set when so many readings were taken."""
    event, taken = threading.Event(), []

    def before(name: str, command: str) -> None:
        taken.extend([command] * (command == asked))
        if len(taken) >= n:
            event.set()

    bench.before = before
    return event


def guardian_of(process: subprocess.Popen) -> int:
    """A descriptor that can be read when the trainer's guardian has ended."""
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return os.pidfd_open(int(child))


def ended(descriptor: int) -> bool:
    found = select.select([descriptor], [], [], SECONDS)[0]
    os.close(descriptor)
    return bool(found)


def notes(folder: str = ".") -> list[str]:
    path = Path(folder) / "guardian.log"
    return [line.partition("): ")[2] for line in path.read_text().splitlines()] if path.exists() else []


def begun(
    bench: Bench, trainer: Callable, chip: Path, more: str = "not os.path.exists('stop')"
) -> tuple[subprocess.Popen, int]:
    """A trainer that measures, and its guardian."""
    measured = readings(bench, 3)
    process = trainer("-c", TRAINER.format(chip=str(chip), more=more))
    assert measured.wait(SECONDS)
    return process, guardian_of(process)


def test_a_trainer_that_is_killed_leaves_no_laser_on(bench, trainer):
    process, guardian = begun(bench, trainer, write(bench))
    assert bench.v.tolist() == [1.5] * 9
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # which may be sent to all processes
        signal.pidfd_send_signal(guardian, number)
    process.kill()
    assert ended(guardian)
    assert bench.done == ["generator OUTP ON", *OFF]  # and the laser was not switched on once more
    assert (bench.v == 0).all()
    assert bench.worst == 1.5
    address = ", ".join(f"{name} ({resource})" for name, resource in bench.resources.items())
    how = f"the trainer (process {process.pid}) ended without leaving {address} in its safe state, which I do now"
    assert notes() == [how, f"{address} is in its safe state"]


@pytest.mark.quick("SIGTERM")
@pytest.mark.parametrize("way", ["its end", "SIGTERM"])
def test_a_trainer_that_leaves_properly_has_a_guardian_that_does_nothing(bench, trainer, way):
    process, guardian = begun(bench, trainer, write(bench))
    if way == "SIGTERM":
        process.send_signal(signal.SIGTERM)
    else:
        Path("stop").touch()
    assert (process.wait(SECONDS) == 0) is (way == "its end")
    assert ended(guardian)
    assert bench.done == ["generator OUTP ON", *OFF]
    assert notes() == []


@pytest.mark.long
def test_what_the_trainer_could_not_make_safe_the_guardian_tries_once_more(bench, trainer):
    process, guardian = begun(bench, trainer, write(bench))
    bench.kill("dac")
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS)
    assert process.stderr
    assert "check dac (TCPIP" in process.stderr.read()
    assert bench.v.tolist() == [1.5] * 9
    bench.start("dac")
    assert ended(guardian)
    assert (bench.v == 0).all()
    assert notes()[0].startswith(f"the trainer (process {process.pid}) could not leave dac (")


@pytest.mark.long
def test_one_instrument_that_is_gone_does_not_keep_the_laser_on(bench, trainer):
    chip = write(bench, WATCHED.replace("[instrument]\n", "[instrument]\nleave_seconds = 1.0\n"))
    process, guardian = begun(bench, trainer, chip)
    bench.kill("dac")
    process.kill()
    assert ended(guardian)
    assert bench.done == ["generator OUTP ON", "generator OUTP OFF"]
    assert len(notes()) == 2
    assert f"may hold its last parameters: check dac ({bench.resources['dac']}) (dac: " in notes()[1]


def test_a_trainer_that_takes_the_chip_first_has_it(bench, trainer):
    process, guardian = begun(bench, trainer, write(bench))
    signal.pidfd_send_signal(guardian, signal.SIGSTOP)
    process.kill()
    process.wait(SECONDS)
    with opened(read_chip_file(Path("chip.toml")).load_instrument()) as chip:
        chip.set_parameters(np.full(9, 0.5, np.float32))
        signal.pidfd_send_signal(guardian, signal.SIGCONT)
        assert ended(guardian)
        chip.make_sure()
        assert bench.v.tolist() == [0.5] * 9
    assert notes()[1].startswith("nothing was done: TCPIP")
    assert f"is in use by process {os.getpid()}: " in notes()[1]


@pytest.mark.long
def test_one_that_comes_while_the_chip_is_made_safe_waits(bench, trainer, monkeypatch):
    process, guardian = begun(bench, trainer, write(bench))
    off, go_on = threading.Event(), threading.Event()

    def before(name: str, command: str) -> None:
        if command == "OUTP OFF" and not go_on.is_set():
            off.set()
            assert go_on.wait(SECONDS)

    bench.before = before
    process.kill()
    assert off.wait(SECONDS)

    class Told(io.StringIO):
        def write(self, text: str) -> int:
            if "is being put in its safe state by process" in text:
                go_on.set()
            return super().write(text)

    monkeypatch.setattr("sys.stderr", Told())
    with opened(read_chip_file(Path("chip.toml")).load_instrument()):
        assert bench.done[-1] == "generator OUTP ON"
        assert bench.done[:3] == ["generator OUTP ON", *OFF]
    assert ended(guardian)


@pytest.mark.long
def test_a_training_that_is_killed_is_told_in_its_run_directory(bench, trainer, cache_env):
    measured = readings(bench, 40)
    words = ("--tau-theta=8", "--tau-x=8", "--batch=2", "--amplitude=0.05", "--learning-rate=0.2", "--steps=100000")
    process = trainer("-m", "mgd", "train", "parity", "--chip", str(write(bench)), *words, "--out=run", env=cache_env)
    assert measured.wait(2 * SECONDS)
    guardian = guardian_of(process)
    process.kill()
    assert ended(guardian)
    assert bench.done[-2:] == OFF
    assert (bench.v == 0).all()
    assert notes("run")[-1].endswith("is in its safe state")


LAB = """
from pathlib import Path
from mgd.instruments import Limits, from_callables

def chip(name):
    def write(word):
        with Path(name).open("a") as file:
            file.write(word)
    return from_callables(
        set_parameters=lambda theta: write("set "), read_outputs=lambda: [[0.0]], safe_state=lambda: write("safe "),
        open=lambda: write("open "), close=lambda: write("close "), limits=Limits.uniform(9, -5.0, 5.0), address="rack",
    )
"""


def test_a_chip_of_a_labs_own_functions_is_made_again_by_its_build(own_folder, trainer):
    Path("lab_guarded.py").write_text(LAB)
    Path("chip.toml").write_text(
        '[instrument]\nkind = "callables"\nbuild = "lab_guarded:chip"\narguments = { name = "done" }\n'
    )
    os.mkfifo("ready")
    process = trainer("-c", TRAINER.format(chip="chip.toml", more="open('ready', 'w').close() is None"))
    with open("ready"):  # it was set, and will be measured for ever
        guardian = guardian_of(process)
    process.kill()
    assert ended(guardian)
    assert Path("done").read_text() == "open set open safe close "


def test_what_another_process_could_not_make_again_is_refused_before_anything_is_opened(tmp_path):
    def opening() -> None:
        pytest.fail("it was opened")

    limits = Limits.uniform(1, -1.0, 1.0)
    chip = from_callables(set_parameters=print, measure_cost=float, open=opening, limits=limits, address="rack")
    words = "guardian = true is not for rack: another process can open only a chip that was made from settings: make it"
    with pytest.raises(ValueError, match=words), opened(chip, guardian=True):
        pass
    Path(tmp_path / "chip.toml").write_text('[instrument]\nkind = "torch"\nmodule = "mine:net"\nguardian = true\n')
    with pytest.raises(ValueError, match='the kind "torch": the trainer computes such a chip'):
        read_chip_file(tmp_path / "chip.toml").load_instrument()
