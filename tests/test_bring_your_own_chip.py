"""The pages on your bench and on your chip, followed to the letter: chip files load, and two terminals do as is said.

Their Python is run with that of all other pages.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import mgd
from mgd.runs import RunConfig, chip_settings, read_chip_file, start

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "bring-your-own-chip.md").read_text(encoding="utf-8")
SIMULATED = (ROOT / "docs" / "your-chip.md").read_text(encoding="utf-8")


def blocks(language: str, page: str = PAGE) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def test_its_chip_file_is_an_instrument(tmp_path):
    text, *_ = blocks("toml")
    (tmp_path / "chip.toml").write_text(text, encoding="utf-8")
    file = read_chip_file(tmp_path / "chip.toml")
    instrument = file.load_instrument()
    assert (instrument.n_params, instrument.reads, instrument.own_line) == (16, "outputs", False)
    assert (instrument.limits.high.tolist(), instrument.limits.unit) == ([4.5] * 16, "V")
    assert instrument.settle_seconds == 0.002


def test_its_groups_are_those_of_a_chip_file(tmp_path):
    (groups,) = (block for block in blocks("toml") if "[instrument.groups." in block)
    instrument = """[instrument]
kind = "scpi"
resource = "TCPIP0::192.0.2.7::5025::SOCKET"
commands = { perturb = "", batch = "", cost = "", outputs = "READ?" }
"""
    (tmp_path / "chip.toml").write_text(instrument + groups, encoding="utf-8")
    chip = read_chip_file(tmp_path / "chip.toml").load_instrument()
    assert (chip.n_params, chip.limits.ends(0), chip.limits.ends(8)) == (9, "-5 … 5 V", "0 … 20 mA")
    assert (chip.limits.change(0, 0.05), chip.limits.change(8, 0.05)) == ("0.05 V", "0.1 mA")
    assert (chip.limits.said(8, 0.0), chip.settle_seconds) == ("10 mA", 0.002)
    assert chip.ramp_seconds == pytest.approx(20 / 50)
    assert chip.leave_seconds == pytest.approx(120.4)


def test_the_chip_that_stands_in_for_a_twins_is_one(tmp_path):
    (text,) = blocks("toml", (ROOT / "docs" / "twin-to-chip.md").read_text(encoding="utf-8"))
    (tmp_path / "varied.toml").write_text(text, encoding="utf-8")
    file = read_chip_file(tmp_path / "varied.toml")
    assert (file.inputs, file.outputs) == ((49,), 4)
    assert file.serve is not None
    assert (file.serve["seed"], file.serve["limits"]) == (1, (-20.0, 20.0))
    assert file.load_instrument().reads


@pytest.mark.long
def test_a_chip_of_ones_own_is_trained(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (code,) = (block for block in blocks("python", SIMULATED) if "class Coherent" in block)
    (tmp_path / "my_chip.py").write_text(code, encoding="utf-8")
    (tmp_path / "my_chip.toml").write_text(blocks("toml", SIMULATED)[0], encoding="utf-8")
    chip = chip_settings([read_chip_file(tmp_path / "my_chip.toml")], simulate=False)
    with jax.numpy_dtype_promotion("standard"):
        folder = start(RunConfig.of({"task": "parity", "steps": 40} | chip), tmp_path / "run")
        assert mgd.load_run(folder).predict([[0, 1]]).shape == (1, 1)


@pytest.mark.long
def test_two_terminals(serve_process, cache_env, tmp_path, monkeypatch):
    first, second, *_ = blocks("bash")
    assert shlex.split(first) == ["mgd", "chip", "serve", "examples/virtual-chip.toml"]
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples", "examples")
    # Another port than the page's, which may be in use.
    served = serve_process((ROOT / "examples/virtual-chip.toml").read_text())
    file = Path("examples/virtual-chip.toml")
    file.write_text(file.read_text().replace("TCPIP0::127.0.0.1::5025::SOCKET", served.resource))
    env = cache_env | {"XDG_STATE_HOME": str(tmp_path / "state")}
    said = []
    for line in second.splitlines():
        words = shlex.split(line, comments=True)
        assert words[0] == "mgd"
        command = [sys.executable, "-m", "mgd", *words[1:]]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)
        assert (done.returncode, done.stderr) == (0, ""), line
        said.append(done.stdout)
    check, train, show, replay = said
    assert check.startswith("virtual 8-bit chip: mgd,virtual chip,1,")
    accuracy = re.match(r"nist7x7: test accuracy (\d+\.\d)%", train)
    assert accuracy
    assert float(accuracy[1]) > 35  # of 25 by guessing: it is a short run
    assert "finished" in show
    assert replay.endswith("replayed to the same parameters, to the bit\n")
    assert os.path.getsize("runs/nist.recording") > 4 * 25_600


@pytest.mark.parametrize("word", ["AbstractInstrument", "from_callables", "from_qcodes", "from_ophyd", "from_epics"])
def test_what_it_names_is_there(word):
    import mgd.instruments

    assert word in PAGE
    assert hasattr(mgd.instruments, word)
