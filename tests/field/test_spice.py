"""Netlists that were changed in silence once, and those that ran commands, each with what `ngspice -b` makes of it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mgd import HardwareError
from mgd.instruments import load_instrument, opened
from mgd.instruments._ngspice import ngspice

SETTINGS = {"parameters": ["r1"], "inputs": ["vin"], "limits": {"low": 100.0, "high": 1e5, "unit": "ohm"}}
THETA, X = np.array([[50_050.0], [25_075.0], [75_025.0]], np.float32), np.array([[0.2], [1.0]], np.float32)


@pytest.fixture(autouse=True)
def _needs_ngspice() -> None:
    try:
        ngspice()
    except HardwareError as error:
        pytest.skip(str(error))
    if shutil.which("ngspice") is None:
        pytest.skip("the program ngspice is not there, only its library")


def measured(folder: Path, text: str, outputs: list[str], theta=THETA, x=X, **settings) -> np.ndarray:
    """Outputs by θ and sample of a circuit of this text."""
    (folder / "chip.cir").write_text(text)
    given = SETTINGS | {"netlist": "chip.cir", "outputs": outputs} | settings
    found = []
    with opened(load_instrument("spice", given, folder)) as chip:
        for row in theta:
            chip.set_parameters(row)
            chip.present(x, np.zeros((len(x), len(outputs)), np.float32))
            found.append(chip.read_outputs())
    return np.array(found)


def by_ngspice(folder: Path, text: str, expression: str) -> float:
    """What `ngspice -b` prints of this expression at the end of its run of this text."""
    (folder / "as.cir").write_text(text + f".control\nrun\nprint {expression}\n.endc\n.end\n")
    said = subprocess.run(
        ["ngspice", "-n", "-b", "as.cir"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    return float(re.findall(rf"^{re.escape(expression)} = (\S+)", said.stdout, re.MULTILINE)[-1])


HALF = "Vin in 0 DC 1\nR1 in out 1k\n"
LEFT_OUT = {
    "a dc sweep, by +": HALF + "R2 out 0 1k\n.dc vin 0 5\n+ 0.1\n",
    "a transient, by +, after a capacitor": HALF + "R2 out 0 1k\nC1 out 0 1n\n.tran 1n\n+ 1u\n",
    "a transient, by +, after a controlled source": HALF + "R2 out 0 1k\nE1 amp 0 out 0 2\n.tran 1u\n+ 2m\n",
}


@pytest.mark.parametrize("text", LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_card_that_is_left_out_is_left_out_with_what_continues_it(text, tmp_path):
    outputs = ["v(out)", "v(amp)"] if "amp" in text else ["v(out)"]
    found = measured(tmp_path, f"* continued\n{text}.end\n", outputs)
    due = X.T * 1e3 / (1e3 + THETA)
    assert found[..., 0] == pytest.approx(due, rel=1e-5)
    assert found[..., -1] == pytest.approx(due * len(outputs), rel=1e-5)


def test_measure_with_trig_on_lines_of_its_own(tmp_path):
    text = (
        "* a neuron with a delay that is measured\n.param SUPPLY=1.8\nVin in 0 DC 1\nVdd vdd 0 'SUPPLY'\n"
        ".subckt inv a y vdd gnd\nRa a y 1k\nRb y gnd 1k\n.ends\nR1 in n1 1k\nX1 n1 out vdd 0 inv\n.tran 1n 80n 0n\n"
        ".measure tran tpd\n+ TRIG v(in) VAL='SUPPLY/2' RISE=1\n+ TARG v(out) VAL='SUPPLY/2' FALL=1\n.end\n"
    )
    assert measured(tmp_path, text, ["v(out)"])[..., 0] == pytest.approx(X.T * 1e3 / (2e3 + THETA), rel=1e-5)


AMPLIFIER = "Vin in 0 1\nVdd dd 0 3\nR1 dd out 10k\nM1 out in 0 0 nx w=1u l=1u\n"
SQUARE_LAW = ".model nx nmos (kp=1m vto=0.5)\n"


def test_an_include_in_the_first_line_is_included(tmp_path):
    (tmp_path / "sec1.inc").write_text(SQUARE_LAW)
    found = measured(tmp_path, f".include sec1.inc\n{AMPLIFIER}.end\n", ["v(out)"], THETA[:1])
    text = ".include sec1.inc\n" + AMPLIFIER.replace("Vin in 0 1", "Vin in 0 DC {x}").replace("10k", "50050")
    for x, value in zip(X[:, 0], found[0, :, 0], strict=True):
        due = by_ngspice(tmp_path, text.replace("{x}", f"{x:.9g}") + ".op\n", "v(out)")
        assert value == pytest.approx(due, rel=1e-4)


@pytest.mark.parametrize(
    "card", ['.lib "{}/a b/sec.lib" tt', ".lib {}/a b/sec.lib tt", ".lib 'a b/sec.lib' TT ; typical"]
)
def test_a_path_with_a_space_is_found_from_another_folder_and_is_in_the_digest(card, tmp_path, monkeypatch):
    (tmp_path / "a b").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    serials = set()
    for threshold in (0.5, 0.6):
        library = f".lib tt\n{SQUARE_LAW}.endl\n".replace("0.5", str(threshold))
        (tmp_path / "a b/sec.lib").write_text(library)
        text = f"* amplifier\n{AMPLIFIER}{card.format(tmp_path)}\n.end\n"
        found = measured(
            tmp_path, text, ["v(out)"], np.array([[1e4]], np.float32), np.array([[threshold + 0.4]], np.float32)
        )
        assert found.item() == pytest.approx(3 - 1e4 * 0.5e-3 * 0.4**2, rel=1e-4)
        given = SETTINGS | {"netlist": "chip.cir", "outputs": ["v(out)"]}
        with load_instrument("spice", given, tmp_path) as chip:
            serials.add(chip.identify().serial)
    assert len(serials) == 2


MEMRISTORS = """* two memristors; a state node each, whose conductance is between two values
.param xa=0.2 xb=0.8
Vin in 0 DC 1
Vin2 in2 0 DC 0
Rin2 in2 out 100k
Xa in out memr x0={xa}
Xb out 0 memr x0={xb}
.subckt memr p m x0=0.5 gon=1m goff=0.1m k=1e3 vt=0.3
Bx 0 x I={k}*(V(p,m)-0.5*(abs(V(p,m)+{vt})-abs(V(p,m)-{vt})))*V(x)*(1-V(x))
Cx x 0 1 IC={x0}
Rx x 0 1e12
Bmem p m I=V(p,m)*({goff}+({gon}-{goff})*V(x))
.ends
"""
STATES = {
    "parameters": ["c.xa.cx[ic]", "c.xb.cx[ic]"],
    "inputs": ["vin", "vin2"],
    "limits": {"low": 0.1, "high": 0.9},
    "analysis": "tran",
    "stop_seconds": 1e-4,
    "step_seconds": 1e-6,
}
SCRIPT = ".control\ntran 1u 1m uic\nmeas tran vend find v(out) at=1m\n.endc\n.end\n"


@pytest.mark.parametrize("uic", ["script", "card", "setting"])
def test_initial_states_are_parameters_of_a_transient(uic, tmp_path):
    text = MEMRISTORS + {"script": SCRIPT, "card": ".tran 1u\n+ 1m UIC\n", "setting": ""}[uic]
    theta = np.array([[0.2, 0.8], [0.8, 0.2], [0.5, 0.3]], np.float32)
    settings = STATES | ({"uic": True} if uic == "setting" else {})
    found = measured(tmp_path, text, ["v(out)"], theta, np.array([[1.0, 0.5]], np.float32), **settings)
    for (xa, xb), value in zip(theta, found[:, 0, 0], strict=True):
        due = MEMRISTORS.replace("xa=0.2 xb=0.8", f"xa={xa:.9g} xb={xb:.9g}")
        due = due.replace("Vin in 0 DC 1", "Vin in 0 PWL(0 0 1u 1)").replace("in2 0 DC 0", "in2 0 PWL(0 0 1u 0.5)")
        due = by_ngspice(tmp_path, due + ".tran 1u 100u 0 1u uic\n", "v(out)[length(v(out))-1]")
        assert value == pytest.approx(due, rel=1e-4)
    assert np.ptp(found) > 0.1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"analysis": "op", "stop_seconds": None, "step_seconds": None},
            r"c.xa.cx\[ic\] sets initial states, .* \"tran\"",
        ),
        ({"uic": False}, r"'c.xa.cx\[ic\]' is an initial state, which a transient uses only with uic = true"),
    ],
)
def test_initial_states_that_could_do_nothing_are_refused_by_name(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        measured(tmp_path, MEMRISTORS + SCRIPT, ["v(out)"], **(STATES | settings))


def test_currents_of_transistors_and_diodes(tmp_path):
    text = (
        "* currents of devices\nVin in 0 DC 1\nVdd dd 0 3\nR1 dd d 1k\nM1 d in 0 0 nch w=1u l=1u\n"
        ".model nch nmos (kp=1m vto=0.5)\nD1 in k dio\n.model dio d\nR2 k 0 1k\nH1 h 0 Vdd 100\nB1 b 0 V=2*V(in)\n"
        "B2 0 b3 I=1m*V(in)\nR3 b3 0 1k\nR4 h 0 1k\nQ1 c in 0 npn\n.model npn npn\nR5 dd c 1k\nJ1 dd in 0 jn\n"
        ".model jn njf\n.options reltol=1e-6\n"
    )
    names = {"m1": "@m1[id]", "d1": "@d1[id]", "q1": "@q1[ic]", "j1": "@j1[id]", "b2": "@b2[i]", "r1": "@r1[i]"}
    found = measured(tmp_path, text, [f"i({name})" for name in names], np.array([[1e3]], np.float32), X[1:])[0, 0]
    for name, value in zip(names.values(), found, strict=True):
        due = by_ngspice(tmp_path, text + f".save all {' '.join(names.values())}\n.op\n", name)
        assert value == pytest.approx(due, rel=1e-4)
    assert found[0] == pytest.approx(0.5e-3 * 0.5**2, rel=1e-3)  # the square law: saturated, 0.5 V above threshold


CHIP = """[instrument]
kind = "spice"
netlist = "chip.cir"
parameters = ["r1"]
inputs = ["vin"]
outputs = ["v(out)"]
limits = { low = 100.0, high = 1e5 }
"""


def test_a_netlist_and_its_folder_run_no_commands_but_those_that_are_asked_for(tmp_path):
    """`mgd chip check` on a folder of another's."""
    home = tmp_path / "home"
    home.mkdir()
    ways = {
        "include": ".control\nshell touch {}\n.endc\n",
        "library": ".lib tt\nR2 out 0 1k\n.control\nshell touch {}\n.endc\n.endl\n",
        "comment": "*#shell touch {}\n",
        ".spiceinit": "shell touch {}\n",
        "home/.spiceinit": "shell touch {}\n",
        "wanted": "* what this kit needs\nset ngbehavior=hsa\nshell touch {}\n",
    }
    for name, text in ways.items():
        (tmp_path / name).write_text(text.format(tmp_path / f"{name.replace('/', '_')}.ran"))
    script = f".control\nshell touch {tmp_path / 'netlist.ran'}\n.endc\n"
    (tmp_path / "chip.cir").write_text(f"t\n{HALF}.include include\n.lib library tt\n.include comment\n{script}.end\n")
    command = [sys.executable, "-m", "mgd", "chip", "check", "chip.toml"]
    for asked, due in (("", []), ("processes = 1\n", []), ('spiceinit = "wanted"\n', ["wanted.ran"])):
        (tmp_path / "chip.toml").write_text(CHIP + asked)
        environment = os.environ | {"HOME": str(home)}
        said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said
        assert sorted(path.name for path in tmp_path.glob("*.ran")) == due
