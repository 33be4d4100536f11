"""A circuit in several ngspice at once: against the same in this process, and when a process dies."""

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mgd import HardwareError, LimitError
from mgd.instruments import AbstractInstrument, Guarded, opened
from mgd.instruments._circuits import Circuits
from mgd.instruments._process import Process

from .circuits import DIVIDER

pytestmark = pytest.mark.usefixtures("needs_ngspice")

# A node that is to be 1 where it is at most v(t), and 0 above: below t = 1 there is no such voltage.
TRAP = "trap\nv1 in 0 0\nr1 in out 1k\nr2 out 0 1k\nvt t 0 2\nb1 u 0 v = v(u) > v(t) ? 0 : 1\nr3 u 0 1k\n"
X = np.array([[1.0], [-2.0]], np.float32)
TARGET = np.zeros((2, 1), np.float32)


@pytest.fixture
def circuit(circuit) -> Callable[..., AbstractInstrument]:
    """A circuit of this text, in two processes if nothing else is said."""
    return functools.partial(circuit, limits={"low": 0.1, "high": 1e9, "unit": "ohm"}, processes=2)


def running(of: AbstractInstrument) -> list[int]:
    assert isinstance(of, Circuits)
    return [process._process.pid for process in of._processes]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_a_batch_is_what_each_by_itself_is_in_its_place(circuit, processes):
    ohms = np.array([10.0, 200.0, 1e3, 3e3, 5e4], np.float32)
    with opened(circuit(processes=processes)) as chip:
        chip.present(X, TARGET)
        for n in (5, 2, 1):
            due = X * (ohms[:n, None, None] / (ohms[:n, None, None] + 1e3))
            assert chip.read_batch(ohms[:n, None]) == pytest.approx(due, rel=1e-5)
        chip.set_parameters(np.array([3e3]))
        assert chip.read_outputs() == pytest.approx(X * 0.75, rel=1e-5)


def test_what_does_not_converge_is_nan_in_a_batch_and_the_others_are_not(circuit):
    settings = {"parameters": ["vt"], "limits": {"low": 0.0, "high": 2.0}, "retries": 0}
    with opened(circuit(TRAP, **settings)) as chip:
        chip.present(X, TARGET)
        found = chip.read_batch(np.array([[1.5], [0.5], [1.2], [0.1]]))
        assert np.isnan(found).all((1, 2)).tolist() == [False, True, False, True]
        assert found[[0, 2]] == pytest.approx(np.stack([X / 2, X / 2]), rel=1e-5)


def test_a_batch_is_checked_before_anything_is_sent(circuit):
    with opened(circuit()) as chip:
        chip.present(X, TARGET)
        with pytest.raises(LimitError, match="in a batch, parameter 0 would be set to -5"):
            chip.read_batch(np.array([[1e3], [-5.0]]))
        with pytest.raises(ValueError, match="takes 1 to 10000 rows of 1, got shape"):
            chip.read_batch(np.zeros((0, 1)))


def test_a_wrong_netlist_is_named_and_leaves_no_process(circuit):
    for more, message in (
        ("d1 out 0 nomodel\n", "could not find a valid modelname"),
        (".modle dm d\n", "unimplemented"),
    ):
        chip = circuit(DIVIDER + more)
        with pytest.raises(HardwareError, match=message), chip:
            pass
        assert running(chip) == []
    with pytest.raises(HardwareError, match="is not open: open it, or use it in a `with`"):
        circuit().read_outputs()


def test_circuits_side_by_side_are_in_one_program(circuit):
    with circuit() as one, circuit(processes=1) as other:
        for chip in (one, other):
            chip.present(X, TARGET)
        signals = np.array([[1e3], [3e3]], np.float32)
        assert one.read_batch(signals) == pytest.approx(other.read_batch(signals))


def test_a_process_that_dies_fails_in_a_way_that_passes_when_it_is_opened_anew(circuit):
    with circuit() as chip:
        chip.present(X, TARGET)
        for verb in (lambda: chip.read_batch(np.array([[1e3], [3e3]], np.float32)), chip.identify):
            os.kill(running(chip)[0], signal.SIGKILL)
            with pytest.raises(HardwareError, match=r"circuit0.cir.*: its process \d+ ended with code -9") as raised:
                verb()
            assert raised.value.passing
            assert running(chip) == []  # none is left that would answer another question
            chip.open()
            chip.present(X, TARGET)
            assert chip.read_batch(np.array([[3e3]], np.float32)) == pytest.approx((X * 0.75)[None], rel=1e-5)


def test_who_is_interrupted_while_it_waits_is_not_answered_later(circuit):
    with circuit() as chip:
        chip.present(X, TARGET)

        def interrupt() -> None:
            raise KeyboardInterrupt

        chip.while_waiting(interrupt)
        with pytest.raises(KeyboardInterrupt):
            chip.read_batch(np.array([[1e3], [3e3]], np.float32))
        with pytest.raises(HardwareError, match="is not open"):
            chip.read_outputs()


def test_none_is_left_of_processes_that_could_not_all_be_started(circuit, monkeypatch):
    started: list[Process] = []

    def start(of):
        if len(started) == 2:
            raise OSError("too many open files")
        started.append(Process(of))
        return started[-1]

    monkeypatch.setattr("mgd.instruments._circuits.Process", start)
    chip = circuit(processes=4)
    with pytest.raises(OSError, match="too many open files"):
        chip.open()
    assert running(chip) == []
    assert [process._process.poll() for process in started] == [-signal.SIGKILL] * 2


def test_a_file_that_is_included_is_of_the_circuit_as_it_was(circuit, tmp_path):
    (tmp_path / "parts.inc").write_text(".include inner.inc\n")
    (tmp_path / "inner.inc").write_text("r1 in out 1k\n")
    with circuit("divider\nv1 in 0 0\n.include parts.inc\nr2 out 0 1k\n") as chip:
        before = chip.identify()
        chip.present(X, TARGET)
        (tmp_path / "inner.inc").write_text("r1 in out 3k\n")
        os.kill(running(chip)[0], signal.SIGKILL)
        with pytest.raises(HardwareError, match="ended with code -9"):
            chip.read_batch(np.array([[1e3], [3e3]], np.float32))
        chip.open()
        assert chip.identify() == before
        chip.present(X, TARGET)
        assert chip.read_batch(np.array([[1e3]], np.float32)) == pytest.approx(X[None] / 2, rel=1e-6)
    with circuit("divider\nv1 in 0 0\n.include parts.inc\nr2 out 0 1k\n") as chip:
        assert chip.identify().serial != before.serial  # so a run refuses it


def test_what_is_drawn_at_random_is_the_same_in_every_process_and_at_every_load(circuit):
    text = "divider\n.param drawn=agauss(1k,300,1)\nv1 in 0 0\nr1 in out {drawn}\nr2 out 0 1k\n"
    signals, found = np.full((2, 1), 1e3, np.float32), []
    for processes in (2, 1, None):
        with circuit(text, processes=processes) as chip:
            chip.present(X, TARGET)
            found += list(chip.read_batch(signals))
    assert np.ptp(found, axis=0).max() == 0
    assert abs(found[0][0, 0] - 0.5) > 1e-3
    with circuit(text.replace("300", "301")) as other:
        other.present(X, TARGET)
        assert abs(other.read_batch(signals)[0, 0, 0] - found[0][0, 0]) > 1e-3  # another circuit is drawn again


HOLD = """
import os, pathlib, sys, time
import numpy as np
from mgd.instruments import load_instrument
settings = dict(netlist="circuit0.cir", parameters=["r2"], inputs=["v1"], outputs=["v(out)"], processes=2)
with load_instrument("spice", settings | {"limits": {"low": 1.0, "high": 9.0}}, pathlib.Path(sys.argv[1])) as chip:
    chip.present(np.zeros((1000, 1), np.float32), np.zeros((1000, 1), np.float32))
    print(*[process._process.pid for process in chip._processes], flush=True)
    chip.read_batch(np.ones((2, 1), np.float32))
    print("reads", flush=True)
    while True:
        chip.read_batch(np.ones((100, 1), np.float32))
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="no /proc: which processes run is not told here")
def test_processes_end_with_a_program_that_is_killed(circuit, tmp_path):
    circuit()
    command = [sys.executable, "-c", HOLD, tmp_path]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    pids = [int(pid) for pid in holder.stdout.readline().split()]
    assert len(pids) == 2
    assert holder.stdout.readline() == "reads\n"
    holder.kill()
    _, said = holder.communicate()  # until the processes are gone too: they have the same stderr
    assert said == ""
    patience = time.monotonic() + 10
    while any(_runs(pid) for pid in pids) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not any(_runs(pid) for pid in pids)


def _runs(pid: int) -> bool:
    """A process that has ended and nobody has asked for is still listed, as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


SETTINGS = {"steps": 64, "amplitude": 0.05, "learning_rate": 0.02, "weight_decay": 0.0, "batch": 4, "tau_theta": 8}


def trained(folder: Path, processes: int | None, **more) -> dict:
    """The summary of a training of the diode circuit, and its parameters."""
    from safetensors.numpy import load_file

    from mgd.runs import RunConfig, read_chip_file, read_summary, resolve, start

    read = read_chip_file(Path(__file__).parents[2] / "examples" / "diode-xor.toml")
    instrument = (read.instrument or {}) | ({"processes": processes} if processes else {})
    config = RunConfig.of({"task": "parity", "tau_x": 8, "instrument": instrument} | SETTINGS | more)
    run = start(resolve(config), folder)
    (theta,) = load_file(run / "theta.safetensors").values()
    return (read_summary(run) or {}) | {"theta": theta}


@pytest.mark.long
def test_a_training_is_the_same_as_in_this_process(tmp_path):
    alone, spread = trained(tmp_path / "one", None), trained(tmp_path / "two", 2)
    assert alone["counts"] == spread["counts"]
    # To the tolerance of the circuit's solver, which starts each point from the one before.
    np.testing.assert_allclose(spread["theta"], alone["theta"], rtol=1e-3, atol=1e-3)


@pytest.mark.long
def test_a_training_outlives_its_processes(tmp_path, monkeypatch):
    unbroken = trained(tmp_path / "unbroken", 2)
    asked = []
    read_batch = Circuits.read_batch

    def dying(chip: Circuits, signals):
        asked.append(len(signals))
        if len(asked) in (3, 4, 7):
            os.kill(running(chip)[len(asked) % 2], signal.SIGKILL)
        return read_batch(chip, signals)

    monkeypatch.setattr(Circuits, "read_batch", dying)
    broken = trained(tmp_path / "broken", 2)
    assert broken["recoveries"] == 3
    assert len(asked) == 8 + 3
    np.testing.assert_allclose(broken["theta"], unbroken["theta"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_of_a_batch_a_measurement_whose_outputs_are_not_all_there_is_none(circuit, broken, tmp_path):
    class Half(Circuits):
        def read_batch(self, signals):
            found = super().read_batch(signals)
            found[0, 0] = broken
            return found

    chip = circuit()
    assert isinstance(chip, Circuits)
    with Guarded(Half(chip.settings, tmp_path)) as guarded:
        guarded.present(X, TARGET)
        found = guarded.read_batch(np.array([[1e3], [3e3]]))
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()
