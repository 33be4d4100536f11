"""`mgd calibrate` and runs that use what it wrote, against a virtual chip in a process of its own, over TCP."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mgd.calibration import Calibration
from mgd.runs import read_config, read_diagnostics

CHIP = """name = "small"
[chip]
inputs = [2]
outputs = 1
hidden = [2]
init = "uniform"
[imperfect]
cost-noise = 0.002
delay = 1
"""


class Bench:
    """A served chip, its chip file, and what calibrating it said and wrote."""

    def __init__(self, resource: str, folder: Path):
        self.instrument = f"[instrument]\nkind = 'scpi'\nresource = '{resource}'\nat_limit = 'saturate'\n"
        self.file = folder / "chip.toml"
        self.file.write_text(CHIP + self.instrument)
        command = [sys.executable, "-m", "mgd", "calibrate", str(self.file), "--task", "parity", "--budget", "9000"]
        self.said = subprocess.run([*command, "--batch=4"], capture_output=True, text=True, check=False)
        self.written = folder / "calibration-A7.toml"


@pytest.fixture(scope="module")
def bench(serve_process, tmp_path_factory):
    served = serve_process(CHIP + "[serve]\nserial = 'A7'\nseed = 3\n")
    return Bench(served.resource, tmp_path_factory.mktemp("bench"))


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    """Chips of these tests are in use in this test alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.long
def test_it_says_what_it_found_and_writes_it_beside_the_chip_file(bench):
    assert (bench.said.returncode, bench.said.stderr) == (0, "")
    found = Calibration.read(bench.written)
    assert (found.serial, found.model, found.task, found.batch, found.n_params) == (
        "A7",
        "virtual chip",
        "parity",
        4,
        9,
    )
    assert abs(found.cost_noise.value - 0.002) < 4.5 * found.cost_noise.error
    assert (found.delay.value, found.delay.error) == (1, 0)
    said = bench.said.stdout
    assert said.startswith(f"mgd virtual chip, serial A7, at {found.address}\n  9 parameters, parity, batch 4; ")
    assert f"noise     {found.cost_noise} of one measurement" in said
    assert "delay     1 ± 0 measurements" in said
    assert (found.measurements <= 9000, found.level) == (True, None)
    assert "levels    none seen" in said
    for name, value in found.settings().items():
        assert f"{name} {value}" in said
    for line in found.why:
        assert line in said
    *_, written, use, always = said.splitlines()
    assert written == f"written to {bench.written}"
    assert use == f"use it: mgd train parity --chip {bench.file} --calibration {bench.written}"
    assert always == f'or always: calibration = "calibration-A7.toml" in [instrument] of {bench.file}'


@pytest.mark.long
def test_a_run_takes_its_settings_and_says_which_it_used(bench, mgd_cli):
    named = bench.file.with_name("named.toml")
    named.write_text(CHIP + bench.instrument + "calibration = 'calibration-A7.toml'\n")
    said = mgd_cli("train", "parity", "--chip", named, "--steps=600", "--tau-theta=60", "--out=run")
    assert said.code == 0, said.err
    found, config = Calibration.read(bench.written), read_config(Path("run"))
    assert config.tau_theta == 60  # given, so it goes before the calibration's
    assert (config.optimizer, config.schedule) == ("adam", "cosine")
    for name in ("amplitude", "tau_p", "tau_x", "learning_rate", "batch"):
        assert getattr(config, name) == {**found.settings(), "batch": found.batch}[name]
    used = {"id": found.id, "file": str(bench.written)}
    assert json.loads(Path("run/instrument.json").read_text())[0]["calibration"] == used
    summary = json.loads(Path("run/summary.json").read_text())
    assert summary["calibration"] == used
    last = read_diagnostics(Path("run"))[-1]
    assert last["noise_is_bound"] == 0
    assert last["measurements"] == summary["counts"]["cost_measurements"]
    assert abs(last["noise_of_modulation"] - 2**0.5 * 0.002) < 0.0003
    assert f"SNR {last['snr']:.2g}, predicted angle {last['predicted_angle']:.0f}°" in said.out
    # The option goes before the file, and as few steps are resumed as are left: none.
    said = mgd_cli("train", "parity", "--chip", bench.file, "--calibration", bench.written, "--steps=60", "--out=two")
    assert said.code == 0, said.err
    assert json.loads(Path("two/instrument.json").read_text())[0]["calibration"] == used
    assert read_config(Path("two")).tau_theta == found.tau_theta


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
@pytest.mark.long
def test_another_optimizer_has_another_learning_rate(bench, mgd_cli, optimizer):
    """Plain descent that of the calibration for it; others the task's, for none was measured for them."""
    said = mgd_cli(
        *("train", "parity", "--chip", bench.file, "--calibration", bench.written),
        *(f"--optimizer={optimizer}", "--steps=20", "--out=run"),
    )
    assert said.code == 0, said.err
    found, config = Calibration.read(bench.written), read_config(Path("run"))
    assert (config.optimizer, config.schedule) == (optimizer, "constant")
    assert (config.learning_rate == found.descent_rate) == (optimizer == "sgd")
    assert config.learning_rate != found.learning_rate


def test_an_amplitude_below_the_noise_is_warned_of_in_the_run_and_its_summary(bench, mgd_cli):
    assert mgd_cli("chip", "check", bench.file).code == 0  # its costs come late, and the first is of nothing
    said = mgd_cli(
        *("train", "parity", "--chip", bench.file, "--calibration", bench.written),
        *("--steps=600", "--amplitude=1e-4", "--learning-rate=1e-5", "--out=run"),
    )
    assert said.code == 0
    lines = [line for line in said.err.splitlines() if "under the noise" in line]
    (warned,) = [text for text in json.loads(Path("run/summary.json").read_text())["warnings"] if "noise" in text]
    assert lines == [f"mgd: warning: {warned}"]


def changed(bench, **changes) -> str:
    """The text of a calibration with other contents, as mgd would have written it."""
    contents = tomllib.loads(bench.written.read_text()) | changes
    contents.pop("id")
    path = bench.written.with_name("other.toml")
    Calibration(**contents).write(path)
    return path.read_text()


def test_what_is_no_calibration_of_this_chip_is_refused_before_anything_is_written(bench, mgd_cli, tmp_path):
    wrong = {
        "other": (
            changed(bench, serial="B1"),
            r"belongs to the chip with serial 'B1', and 'A7' answers .*mgd calibrate",
        ),
        "fewer": (changed(bench, n_params=8), r"is for 8 parameters, and the chip has 9: calibrate it again"),
        "scaled": (changed(bench, scale=[2.0] * 9), r"was made with other scales of the groups of parameters: calib"),
        "touched": (bench.written.read_text().replace("tau_p = ", "tau_p = 1"), "was changed since it was written"),
        "none": ("name = 'chip'\n", "is not a calibration: "),
        "no-toml": ("][", "is not TOML"),
    }
    for name, (text, message) in wrong.items():
        file = tmp_path / f"{name}.toml"
        file.write_text(text)
        said = mgd_cli("train", "parity", "--chip", bench.file, "--calibration", file, "--out=run")
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
        assert str(file) in said.err
        assert re.search(message, said.err), said.err
    said = mgd_cli("train", "parity", "--chip", bench.file, "--calibration", tmp_path / "gone.toml", "--out=run")
    assert (said.code, said.err) == (2, f"mgd: cannot read {tmp_path / 'gone.toml'}: No such file or directory\n")
    assert not Path("run").exists()
    assert not Path("runs").exists()


def test_a_calibration_is_of_a_chip_on_a_bench(bench, mgd_cli):
    for more in ((), ("--chip", bench.file, "--simulate")):
        said = mgd_cli("train", "parity", *more, "--calibration", bench.written)
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert "is for a real chip, and this run has none: give --chip" in said.err


@pytest.mark.long
def test_another_task_is_warned_of(bench, mgd_cli, tmp_path):
    (tmp_path / "nist.toml").write_text(changed(bench, task="nist7x7"))
    said = mgd_cli(
        *("train", "parity", "--chip", bench.file, "--calibration", tmp_path / "nist.toml"),
        *("--steps=20", "--out=run"),
    )
    assert said.code == 0
    assert "was made with nist7x7, and this run learns parity" in said.err.splitlines()[0]


def test_resume_wants_the_calibration_the_run_began_with(bench, mgd_cli, tmp_path):
    file = tmp_path / "calibration.toml"
    shutil.copy(bench.written, file)
    said = mgd_cli("train", "parity", "--chip", bench.file, "--calibration", file, "--steps=40", "--out=run")
    assert said.code == 0
    Path("run/summary.json").unlink()
    file.write_text(changed(bench, date="2001-01-01T00:00:00+00:00"))
    said = mgd_cli("resume", "run")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "run was begun with the calibration" in said.err
    file.unlink()
    said = mgd_cli("resume", "run")
    assert (said.code, said.err) == (2, f"mgd: cannot read {file}: No such file or directory\n")
    shutil.copy(bench.written, file)
    assert mgd_cli("resume", "run").code == 0
    assert read_diagnostics(Path("run"))[-1]["step"] == 40


@pytest.mark.long
def test_simulated_it_needs_no_chip(bench, mgd_cli):
    # Its shape, 2-2-1, says the task.
    said = mgd_cli("calibrate", bench.file, "--simulate", "--budget=9000", "--out=found.toml")
    assert said.code == 0, said.err
    found = Calibration.read(Path("found.toml"))
    assert (found.model, found.serial, found.delay.value) == ("simulated", "0-0", 1)
    assert said.out.splitlines()[-1] == "written to found.toml"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--task=pairity",), 2, "parity"),
        (("--task=nist7x7",), 2, r"chip\.toml: chip.inputs is \[2\], and nist7x7 has \[49\]"),
        (
            ("--task=parity", "--budget=100"),
            2,
            "a calibration of 9 parameters needs at least 3641 measurements, got 100",
        ),
        (("--task=parity", "--batch=0"), 2, "batch: .*got 0"),
        (("--task=parity", "--out=no/where.toml"), 2, "the folder no for the calibration does not exist"),
    ],
)
def test_bad_input_is_one_line(arguments, code, message, bench, mgd_cli):
    said = mgd_cli("calibrate", bench.file, *arguments)
    assert (said.code, said.out, said.err.count("\n")) == (code, "", 1), said
    assert re.search(message, said.err), said.err


def test_without_a_task_the_file_must_tell_it_by_its_shape(mgd_cli, tmp_path):
    (tmp_path / "chip.toml").write_text("[chip]\ninputs = [3]\noutputs = 2\nhidden = [2]\n")
    said = mgd_cli("calibrate", tmp_path / "chip.toml")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "chip.toml: no known task has [3] inputs and 2 outputs of [chip]: give --task, one of parity" in said.err


def test_a_chip_that_is_not_there_is_exit_code_4(mgd_cli, tmp_path):
    (tmp_path / "chip.toml").write_text(
        CHIP + "[instrument]\nkind = 'scpi'\nresource = 'TCPIP0::127.0.0.1::9::SOCKET'\nretries = 0\n"
    )
    said = mgd_cli("calibrate", tmp_path / "chip.toml", "--task=parity")
    assert (said.code, said.out, said.err.count("\n")) == (4, "", 1)
    assert "TCPIP0::127.0.0.1::9::SOCKET: cannot be opened" in said.err
    (tmp_path / "chip.toml").write_text(CHIP)
    said = mgd_cli("calibrate", tmp_path / "chip.toml", "--task=parity")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "there is no [instrument] table" in said.err
    assert list(tmp_path.glob("calibration*")) == []
