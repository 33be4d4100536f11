"""Cases from the field: lines that are ramped, scaled or late, chips that start from something, code in files.

Each test is a line of a table of such cases, made small; what it asserts is what is right.
"""

import importlib
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import mgd.cli
from mgd.instruments import from_qcodes, opened
from mgd.results import describe, export
from mgd.runs import RunConfig, Table, read_chip_file, resume, start

LAB = '''
"""Nine voltages into tanh neurons, of which each measurement and each voltage is counted; and a module of PyTorch."""

import numpy as np

from mgd.instruments import Limits, from_callables

BENCHES = []


class Bench:
    def __init__(self, start=None, late=()):
        self.volts, self.x, self.readings, self.late = np.zeros(9), np.zeros((1, 2)), 0, late
        self.opened = 0
        BENCHES.append(self)

    def open(self):
        self.opened += 1

    def set(self, volts):
        self.volts = np.array(volts, float)

    def show(self, x, target):
        self.x = x

    def read(self):
        self.readings += 1
        if self.readings in self.late:
            raise VisaIOError("VI_ERROR_TMO (-1073807339): Timeout expired before operation completed.")
        w, v = self.volts[:6].reshape(2, 3), self.volts[6:]
        hidden = np.tanh((2 * self.x - 1) @ w[:, :2].T + w[:, 2])
        return (0.5 + 0.5 * np.tanh(hidden @ v[:2] + v[2]))[:, None]

    def safe(self):
        self.volts = np.zeros(9)


class VisaIOError(Exception):
    pass


def chip(start=None, late=()):
    bench = Bench(late=late)
    return from_callables(
        set_parameters=bench.set, present=bench.show, read_outputs=bench.read, safe_state=bench.safe, open=bench.open,
        limits=Limits.uniform(9, -5.0, 5.0, "V"), start=None if start is None else np.array(start),
    )


def module():
    import torch

    torch.manual_seed(1)
    made = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1))
    BENCHES.append(made)
    return made


def touch(path):
    open(path, "w").close()
    return chip()
'''
START = [0.5, -0.5, 0.25, 1.0, -1.0, 0.0, 2.0, -2.0, 0.125]
SETTINGS = {
    "task": "parity",
    "bits": 2,
    "batch": 4,
    "steps": 16,
    "learning_rate": 0.1,
    "amplitude": 0.05,
    "tau_theta": 4,
    "seed": 2,
    "replicas": 1,
}


@pytest.fixture
def lab(own_locks, tmp_path, monkeypatch) -> Iterator[str]:
    """A module of a lab, beside which chip files are."""
    name = f"lab_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(LAB)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
def train(lab, tmp_path) -> Callable[..., np.ndarray]:
    """Trains the chip of the lab, or several, in a run directory; θ."""

    def run(out: str, *tables: dict, **more) -> np.ndarray:
        every = tuple({"kind": "callables", "folder": str(tmp_path), "at_limit": "saturate"} | each for each in tables)
        config = RunConfig.of(SETTINGS | {"instrument": every[0] if len(every) == 1 else every} | more)
        start(config, tmp_path / out)
        return theta_of(tmp_path / out)

    return run


def theta_of(run: Path) -> np.ndarray:
    return load_file(run / "theta.safetensors")["theta"]


def benches(lab: str) -> list:
    return importlib.import_module(lab).BENCHES


# Ramping gates; a delegate with a scale.


def test_gates_that_are_ramped_reach_their_safe_state(monkeypatch):
    """Nine gates at 4 V, which take 12 s each at their rate and so 108 s one by one: they go together, by hundreds of
    stages that are no longer than their step and no sooner than their delay."""
    parameters = pytest.importorskip("qcodes.parameters", reason="QCoDeS is not installed")
    from qcodes.validators import Numbers

    now, sent = [0.0], {}
    base = importlib.import_module("qcodes.parameters.parameter_base")
    clock = type("Clock", (), {"perf_counter": lambda: now[0], "sleep": lambda s: now.__setitem__(0, now[0] + s)})
    monkeypatch.setattr(base, "time", clock)
    gates = [
        parameters.Parameter(
            f"g{k}",
            set_cmd=lambda volts, k=k: sent.setdefault(k, []).append((now[0], volts)),
            unit="V",
            vals=Numbers(-5, 5),
            step=0.01,
            inter_delay=0.03,
            initial_cache_value=4.0,
        )
        for k in range(9)
    ]
    with opened(from_qcodes(gates, lambda: 0.5, address="gates")):
        pass
    assert [gate.cache.get() for gate in gates] == [0.0] * 9
    assert now[0] == pytest.approx(12.03, abs=0.1)
    for moves in sent.values():
        volts = np.array([4.0, *(each for _, each in moves)])
        assert np.abs(np.diff(volts)).max() <= 0.01 * (1 + 1e-9)
        assert np.diff([at for at, _ in moves]).min() >= 0.03 * (1 - 1e-9)


def test_a_gate_in_millivolts_of_a_source_in_volts_has_its_limits_and_safe_state():
    parameters = pytest.importorskip("qcodes.parameters", reason="QCoDeS is not installed")
    from qcodes.validators import Numbers

    def source(low: float, high: float, unit: str):
        return parameters.Parameter(
            "dac", set_cmd=lambda x: None, unit=unit, vals=Numbers(low, high), initial_cache_value=0.0
        )

    in_mv = parameters.DelegateParameter("gate_mV", source=source(-1, 1, "V"), unit="mV", scale=1e-3)
    limits = from_qcodes([in_mv], lambda: 0.5).limits
    assert (limits.low.tolist(), limits.high.tolist(), limits.unit) == ([-1000], [1000], "mV")
    in_v = parameters.DelegateParameter("gate_V", source=source(-800, 400, "mV"), unit="V", scale=1e3)
    chip = from_qcodes([in_v], lambda: 0.5)
    assert (chip.limits.low[0], chip.limits.high[0]) == (pytest.approx(-0.8), pytest.approx(0.4))
    words = r"set to 5 V, outside its limits of -0\.8 … 0\.4 V"
    with opened(chip) as guarded, pytest.raises(mgd.LimitError, match=words):
        guarded.set_parameters(np.array([5.0]))
    assert in_v.source.cache.get() == pytest.approx(-200)


# A lab's own functions, one time-out.


@pytest.mark.long
def test_one_time_out_of_a_labs_own_functions_is_asked_again(lab, train):
    table = {"build": f"{lab}:chip"}
    whole = train("whole", table)
    late = train("late", table | {"arguments": {"late": [20]}})
    np.testing.assert_array_equal(late, whole)
    assert benches(lab)[1].opened == 2


# Several instruments; options of PyVISA; code from files.


def test_a_chip_file_of_several_instruments_is_refused_in_one_line(tmp_path, capsys):
    text = '[instrument]\nkind = "scpi"\nresource = "TCPIP0::127.0.0.1::9::SOCKET"\nn_params = 9\n'
    text += (
        '[instrument.commands]\nset = "CH{k}:VOLT {data}"\n[instrument.reader]\nresource = "TCPIP0::h::10::SOCKET"\n'
    )
    (tmp_path / "two.toml").write_text(text)
    assert command("chip", "check", tmp_path / "two.toml") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "instrument.resource belongs to one instrument, and instrument.reader is the table of another: give" in said


VISA = {
    "misspelt, of a socket": (
        "TCPIP0::127.0.0.1::{port}::SOCKET",
        "visa = {chunk_sise = 4}",
        "did you mean 'chunk_size'",
    ),
    "the end of a reply": (
        "TCPIP0::127.0.0.1::{port}::SOCKET",
        'visa = {read_termination = ""}',
        "visa.read_termination: give line.read_end instead",
    ),
    "misspelt": ("TCPIP0::127.0.0.1::inst0::INSTR", "visa = {chunk_sise = 4}", "did you mean 'chunk_size'"),
    "of another kind": ("TCPIP0::127.0.0.1::inst0::INSTR", "visa = {baud_rate = 4}", "has no option 'baud_rate'"),
    "a wrong value": ("ASRL/dev/ttyUSB9::INSTR", 'visa = {parity = "even"}', "cannot be 'even': 0 is none, 1 is odd"),
    "a wrong type": ("ASRL/dev/ttyUSB9::INSTR", 'visa = {baud_rate = "fast"}', "baud_rate cannot be 'fast'"),
    "the driver's own": ("ASRL/dev/ttyUSB9::INSTR", "visa = {timeout = 3}", "give timeout_seconds"),
    "a method": ("ASRL/dev/ttyUSB9::INSTR", "visa = {write = 3}", "has no option 'write'"),
}


@pytest.mark.parametrize("name", VISA)
def test_options_that_would_be_ignored_are_refused_before_anything_is_opened(tmp_path, capsys, name):
    pytest.importorskip("pyvisa", reason="PyVISA is not installed")
    resource, option, words = VISA[name]
    with socket.create_server(("127.0.0.1", 0)) as there:
        there.setblocking(False)
        resource = resource.format(port=there.getsockname()[1])
        text = f'[instrument]\nkind = "scpi"\nresource = "{resource}"\nn_params = 9\n{option}\n'
        (tmp_path / "chip.toml").write_text(text)
        assert command("chip", "check", tmp_path / "chip.toml") == 2
        with pytest.raises(BlockingIOError):
            there.accept()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said


def command(*arguments: object) -> object:
    with pytest.raises(SystemExit) as ended:
        mgd.cli.main([str(each) for each in arguments])
    return ended.value.code


@pytest.mark.long
def test_code_that_anothers_run_names_is_not_run(lab, train, tmp_path, capsys):
    """It is, once someone has said that it is to be; and one's own run goes on without a word."""
    whole = train("whole", {"build": f"{lab}:chip"})
    for name, reference in (("mine", f"{lab}:chip"), ("theirs", f"{lab}:touch")):
        unfinished(tmp_path / "whole", tmp_path / name)
        config = tmp_path / name / "config.toml"
        arguments = f'build = "{reference}"\narguments = {{path = "{tmp_path / "touched"}"}}'
        lines = f'build = "{lab}:chip"' if name == "mine" else arguments
        config.write_text(config.read_text().replace(f'build = "{lab}:chip"', lines))
    np.testing.assert_array_equal(theta_of(resume(tmp_path / "mine")), whole)
    assert command("resume", tmp_path / "theirs") == 2
    assert f"names code that was not run here before: '{lab}:touch', from {tmp_path}: if you" in capsys.readouterr().err
    assert not (tmp_path / "touched").exists()
    assert command("resume", tmp_path / "theirs", "--run-code") == 0
    assert (tmp_path / "touched").exists()


def unfinished(run: Path, copy: Path) -> None:
    """A copy of a finished run as it was at its beginning."""
    import shutil

    shutil.copytree(run, copy)
    for each in ("summary.json", "theta.safetensors", "curve.png", "SHA256SUMS"):
        (copy / each).unlink()
    shutil.rmtree(copy / "metrics.zarr")
    for each in [*copy.glob("checkpoint*"), *copy.glob("costs*")]:
        each.unlink()


# The recorder's and PyTorch's start; leaving the chip with what it learnt.


@pytest.mark.parametrize("start", [None, START])
@pytest.mark.quick("None")
def test_recording_does_not_change_the_training(lab, train, tmp_path, start):
    table = {"build": f"{lab}:chip", "arguments": {} if start is None else {"start": start}}
    plain = train("plain", table)
    recorded = train("recorded", table, record=str(tmp_path / "recording"))
    np.testing.assert_array_equal(recorded, plain)
    again = mgd.runs.replay(tmp_path / "recorded")
    assert again.same
    if start is not None:
        assert np.abs(plain[0] - start).max() < 0.5


@pytest.mark.parametrize("way", ["a run", "recorded", "a fleet", "a calibration", "in Python", "described"])
@pytest.mark.quick("a calibration", "in Python")
def test_a_chip_starts_from_its_own_parameters_in_every_way_it_is_trained(lab, train, tmp_path, way):
    """Learning hardly changes them: they are those of the end."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    still = {"learning_rate": 1e-9}
    tables: list[dict] = [{"kind": "torch", "module": f"{lab}:module"}]
    if way == "a fleet":
        tables.append({"build": f"{lab}:chip"})
        still |= {"replicas": 2}
    if way == "recorded":
        still |= {"record": str(tmp_path / "recording")}
    if way == "described":  # a network in the chip file is where a chip starts that has nothing of its own
        tables[0] |= {"chip_network": True}
        still |= {"hidden": (2,)}
    if way == "in Python":
        theta = trained_in_python(lab)
    elif way == "a calibration":
        theta = calibrated_at(lab)
    else:
        theta = train("run", *tables, **still)
    module = importlib.import_module(lab).module()
    pretrained = np.concatenate([each.detach().numpy().ravel() for each in module.parameters()])
    np.testing.assert_allclose(theta[0], pretrained, atol=1e-6)
    if way in ("a run", "recorded"):
        from safetensors import safe_open

        with safe_open(tmp_path / "run/theta.safetensors", "numpy") as file:
            assert '"0.weight": [0, 4]' in file.metadata()["groups"]


def trained_in_python(lab: str) -> np.ndarray:
    import jax
    import optax

    from mgd.instruments import from_torch

    algorithm = mgd.discrete(optimizer=optax.sgd(1e-9))
    task = mgd.datasets.parity(bits=2)
    with opened(from_torch(importlib.import_module(lab).module())) as guarded:
        return np.asarray(mgd.train(guarded, task, algorithm, n_steps=2, batch=4, key=jax.random.key(0)).theta)


def calibrated_at(lab: str) -> np.ndarray:
    """Where a calibration measures first."""
    import jax

    from mgd.instruments import from_torch

    class Enough(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise Enough

    made = from_torch(importlib.import_module(lab).module())
    task, key = mgd.datasets.parity(bits=2), jax.random.key(0)
    with opened(made) as guarded, pytest.raises(Enough):
        mgd.calibration.calibrate(guarded, task, batch=4, key=key, on_progress=stop)
    return made.parameters()[None]


@pytest.mark.parametrize("after", ["safe", "keep"])
def test_a_chip_is_left_as_its_file_says(lab, train, after):
    theta = train("run", {"build": f"{lab}:chip", "after": after})
    left = benches(lab)[0].volts
    np.testing.assert_allclose(left, theta[0] if after == "keep" else np.zeros(9))
    assert theta.any()


LEFT = np.array([0.5, -0.5, 1.5, 0.0, -4.75, 1e-3, 2.0, -2.0, 0.125], np.float32)


def write_left(path: Path, values: np.ndarray = LEFT) -> Path:
    """A file of parameters, in the format of its name."""
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, theta=values[None], replicas=np.array([0]))
    elif path.suffix == ".safetensors":
        save_file({"theta": values[None]}, path)
    else:
        path.write_text("# of Tuesday\n" + "\n".join(map(str, values.ravel().tolist())) + "\n")
    return path


@pytest.mark.quick(".npy")
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".safetensors", "export.csv"])
def test_a_chip_is_left_with_the_parameters_of_a_file(lab, train, tmp_path, suffix):
    path, due = tmp_path / f"left{suffix}", LEFT
    if suffix == "export.csv":
        due = train("before", {"build": f"{lab}:chip"})[0]
        export(tmp_path / "before", path)
    else:
        write_left(path)
    train("run", {"build": f"{lab}:chip", "after": path.name})
    np.testing.assert_array_equal(benches(lab)[-1].volts, due)


REFUSED = {
    "too few": (lambda path: write_left(path, LEFT[:8]), "left.npy", "left.npy has 8 parameters, and callables"),
    "beyond": (
        lambda path: write_left(path, LEFT * 2),
        "left.csv",
        "after: parameter 4 in .*left.csv is -9.5.*: correct the file",
    ),
    "huge": (
        lambda path: write_left(path, np.full(9, 1e300)),
        "left.npy",
        "after: parameter 0 in .*: correct the file",
    ),
    "complex": (
        lambda path: np.save(path, LEFT * 1j),
        "left.npy",
        "left.npy has no .*: it has numbers of the type complex",
    ),
    "words": (lambda path: np.save(path, LEFT.astype(str)), "left.npy", "left.npy has no .*of the type <U"),
    "not a number": (
        lambda path: write_left(path, np.where(LEFT == 0, np.nan, LEFT)),
        "left.npz",
        "after: parameter 3 in .*left.npz is nan: give a file of finite numbers",
    ),
    "two chips": (lambda path: write_left(path, np.ones((2, 9))), "left.npy", "has parameters of 2 chips"),
    "nothing there": (lambda path: None, "left.npy", "after: cannot read .*left.npy: No such file"),
    "text": (lambda path: path.write_text("hello\n"), "left.csv", "left.csv has no parameters that can be read: "),
    "no array": (lambda path: path.write_text("hello\n"), "left.npy", "left.npy has no parameters that can be read: "),
    "a misspelt word": (lambda path: None, "kepe", "after: must be \"safe\", .*, got 'kepe': did you mean 'keep'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_does_not_fit_is_refused_before_any_chip_is_opened(lab, train, tmp_path, case):
    make, name, words = REFUSED[case]
    make(tmp_path / name)
    with pytest.raises(ValueError, match=words) as raised:
        train("run", {"build": f"{lab}:chip"}, {"build": f"{lab}:chip", "after": name}, replicas=2)
    assert "\n" not in str(raised.value)
    assert [bench.opened for bench in benches(lab)] in ([], [0, 0])


def test_a_name_of_before_is_still_read_but_not_both(lab):
    assert Table.of({"kind": "callables", "at_end": "keep"}).common.after == "keep"
    with pytest.raises(ValueError, match="after and at_end are the same setting: give after alone"):
        Table.of({"kind": "callables", "at_end": "keep", "after": "keep"})


@pytest.mark.long
def test_all_chips_of_a_fleet_are_left_with_what_each_learnt(lab, train):
    tables = [{"build": f"{lab}:chip", "after": "keep"}, {"build": f"{lab}:chip", "after": "keep"}]
    theta = train("run", *tables, fleet="own", replicas=2)
    assert not np.array_equal(theta[0], theta[1])
    np.testing.assert_allclose([bench.volts for bench in benches(lab)], theta)


def test_a_run_that_fails_leaves_its_chip_safe_though_it_is_to_keep(lab, train):
    late = list(range(30, 1000))
    table = {"build": f"{lab}:chip", "after": "keep", "give_up_seconds": 0.2, "arguments": {"late": late}}
    with pytest.raises(mgd.HardwareError, match=r"gave no valid answer for 0\.2 s"):
        train("run", table)
    assert not benches(lab)[0].volts.any()


def test_the_option_after_is_of_a_chip_on_a_bench(capsys):
    assert command("train", "parity", "--after", "keep", "--steps", "4") == 2
    assert "this run has none: leave --after out" in capsys.readouterr().err


@pytest.mark.parametrize("chips", [1, 2])
def test_the_option_after_goes_before_what_chip_files_say(chips):
    from mgd.runs import with_after

    tables = tuple({"kind": "scpi", "at_end": "safe", "resource": f"chip {k}"} for k in range(chips))
    config = RunConfig.of({"task": "parity", "instrument": tables[0] if chips == 1 else tables})
    assert with_after(config, None) is config
    kept = with_after(config, "keep")
    assert [table["after"] for table in kept.instruments] == ["keep"] * chips
    assert isinstance(kept.instrument, dict) is (chips == 1)


def test_the_functions_of_the_page_are_such_a_chip(own_locks, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    page = (Path(__file__).parents[2] / "docs" / "bring-your-own-chip.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(# my_lab\.py.*?)^```$", page, re.M | re.S)
    (table,) = (one for one in re.findall(r"^```toml\n(.*?)^```$", page, re.M | re.S) if "my_lab:chip" in one)
    (tmp_path / "my_lab.py").write_text(code)
    (tmp_path / "chip.toml").write_text(table)
    monkeypatch.delitem(sys.modules, "my_lab", raising=False)  # of another test
    made = read_chip_file(tmp_path / "chip.toml").load_instrument()
    assert [each.__name__ for each in getattr(made, "retry_on", ())] == ["TimeoutError", "VisaIOError", "Glitch"]
    with opened(made) as guarded:
        assert (guarded.address, guarded.limits.high.tolist()) == ("rack slot 3", [2.0] * 3)
        guarded.present(np.array([[0, 1]], np.float32), np.zeros((1, 1), np.float32))
        guarded.set_parameters(np.array([0.5, 0.25, 1.0]))
        assert guarded.read_outputs().tolist() == [[1.25]]
    sys.modules.pop("my_lab")


@pytest.mark.long
def test_what_is_missing_of_a_chips_run_is_said(lab, train, tmp_path):
    train("run", {"build": f"{lab}:chip"})
    diagnostics = tmp_path / "run" / "diagnostics.jsonl"
    lines = diagnostics.read_bytes().splitlines(keepends=True)
    diagnostics.write_bytes(b"".join(lines[:-1]))
    with pytest.warns(mgd.MgdWarning, match=r"diagnostics.jsonl ends at step \d+ of 16, so what came later is not"):
        describe(tmp_path / "run")
    train("other", {"build": f"{lab}:chip"}, seed=3)
    shutil.copy(tmp_path / "other" / "diagnostics.jsonl", diagnostics)
    with pytest.warns(mgd.MgdWarning) as said:
        assert describe(tmp_path / "run").diagnostics is None
    assert f"{len(lines)} lines are of another run, and ignored" in str(said[0].message)
    diagnostics.write_bytes(b"".join(lines))
    (tmp_path / "run" / "instrument.json").unlink()
    with pytest.warns(mgd.MgdWarning, match=r"instrument.json is missing, so what it said of the chip is not shown"):
        describe(tmp_path / "run")
