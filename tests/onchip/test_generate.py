"""What is generated for users: it is clean, it learns the twin's bits, and its registers are those of the bus."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mgd import HardwareError, MgdError
from mgd.onchip import Spec, check, generate

RTL = Path(__file__).parents[2] / "src" / "mgd" / "onchip" / "rtl"
needs_simulators = pytest.mark.skipif(
    shutil.which("verilator") is None or shutil.which("iverilog") is None,
    reason="needs Verilator and Icarus: apt-get install verilator iverilog",
)
needs_cocotb = pytest.mark.skipif(
    importlib.util.find_spec("cocotb") is None or importlib.util.find_spec("cocotbext") is None,
    reason='needs cocotb and its buses: pip install "cocotb>=2.1" cocotbext-axi',
)
SPECS = {
    "network": {"layers": (2, 2, 1), "merged": True},
    "array": {"parameters": 9, "merged": True},
    "array, lanes, late": {
        "parameters": 10,
        "lanes": 4,
        "tau_p": 2,
        "tau_x": 4,
        "tau_theta": 8,
        "delay": 1,
        "array_perturbs": True,
    },
    "serial network, two sides": {"layers": (2, 3, 1), "lanes": 1, "two_sided": True, "tau_x": 3, "merged": True},
    "network that adds": {"layers": (2, 2, 1), "array_perturbs": True, "tau_theta": 4},
    "walsh": {"parameters": 3, "code": "walsh", "tau_x": 64, "tau_theta": 64},
}


@pytest.fixture(scope="module")
def once(tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a circuit, which is generated when it is first needed, and is not to be changed."""
    folders: dict[str, Path] = {}

    def made(name: str) -> Path:
        if name not in folders:
            folders[name] = tmp_path_factory.mktemp("generated") / "made"
            generate(Spec(**SPECS[name]), folders[name])
        return folders[name]

    return made


@pytest.fixture
def made(once, tmp_path) -> Callable[[str], Path]:
    """A copy of the folder of a circuit."""
    return lambda name: shutil.copytree(once(name), tmp_path / "made")


def changed(folder: Path, module: str, before: str, after: str) -> None:
    path = folder / "rtl" / f"{module}.sv"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def test_a_folder_has_the_files_that_are_named(tmp_path):
    spec = Spec(**SPECS["array"])
    files = generate(spec, tmp_path / "made")
    assert Spec.read(tmp_path / "made" / "spec.toml") == spec
    assert sorted(files) == sorted(path for path in (tmp_path / "made").rglob("*") if path.is_file())


@needs_simulators
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.quick("network", "array")) for name in SPECS])
def test_what_is_generated_is_clean_and_learns_the_twins_bits(name, once):
    spec = Spec(**SPECS[name])
    lint, twin = check(once(name))
    assert lint.startswith("lint: nothing to say (Verilator")
    assert re.match(rf"twin: \d+ timesteps, {spec.parameters} parameters of {spec.theta_bits} bits equal", twin)


@needs_simulators
@pytest.mark.parametrize(
    ("module", "before", "after", "message"),
    [
        ("mgd_sign", "endmodule", "  logic never;\nendmodule", "the linter refuses the circuit: %Warning-UNUSED"),
        ("mgd_sign", "^", "~^", "the RTL is not its twin: parameter"),
    ],
)
def test_a_changed_circuit_is_found(made, module, before, after, message):
    folder = made("array")
    changed(folder, module, before, after)
    with pytest.raises(MgdError, match=message):
        list(check(folder))


# Its cost is how far its parameters are from numbers of its own, which it knows some clocks after it was asked.
OWN_ARRAY = """
module mgd_array (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        next_sample_i,
  input  logic        req_i,
  output logic        ack_o,
  output logic [7:0]  cost_o,
  output logic [0:0]  row_o,
  input  logic [26:0] drive_i,
  input  logic [2:0]  perturb_i,
  input  logic [2:0]  sign_i
);
  logic [3:0] waited_q;
  logic signed [8:0] away [3];
  logic unused;
  always_comb begin
    away[0] = $signed(drive_i[8:0]) - 9'sd20;
    away[1] = $signed(drive_i[17:9]) + 9'sd7;
    away[2] = $signed(drive_i[26:18]) - 9'sd1;
  end
  assign cost_o = 8'((32'(away[0] * away[0]) + 32'(away[1] * away[1]) + 32'(away[2] * away[2])) >>> 4);
  assign ack_o  = req_i && waited_q == 4'd5;
  assign row_o  = '0;
  assign unused = ^{next_sample_i, perturb_i, sign_i};
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) waited_q <= '0;
    else if (!req_i || ack_o) waited_q <= '0;
    else waited_q <= waited_q + 4'd1;
  end
endmodule
"""


@needs_simulators
@pytest.mark.long
def test_an_array_of_ones_own_takes_the_place_of_the_model(tmp_path):
    folder = tmp_path / "made"
    generate(Spec(parameters=3, merged=True), folder)
    (folder / "array").mkdir()
    own = folder / "array" / "ring.sv"
    own.write_text(OWN_ARRAY)
    _, array, twin = check(folder)
    assert array == "array: ring.sv answered 400 times"
    assert twin.startswith("twin: 200 timesteps, 3 parameters of 8 bits equal to the twin's")
    changed(folder, "mgd_sign", "^", "~^")
    with pytest.raises(MgdError, match="the RTL is not its twin: parameter 0 is"):
        list(check(folder))
    for before, after, message in (
        ("waited_q == 4'd5", "waited_q == 4'd9 && rst_ni === 1'bz", "the circuit did not come to its end"),
        ("assign cost_o = ", "assign cost_o = 8'bx & ", "the cost of measurement 1 has bits that are not known"),
        ("module mgd_array", "module ring", "Icarus refuses the circuit: .* Unknown module type: mgd_array"),
    ):
        own.write_text(OWN_ARRAY.replace(before, after))
        with pytest.raises(MgdError, match=message):
            list(check(folder))
    (folder / "spec.toml").write_text("layers = [2, 2, 1]\nmerged = true\n")
    with pytest.raises(ValueError, match="has a network of its own: give parameters in place of layers"):
        list(check(folder))


def in_cocotb(folder: Path) -> str:
    """What pytest says of the bench in a folder, at its end."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test"]
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=alone, capture_output=True, text=True).stdout


@needs_simulators
@needs_cocotb
@pytest.mark.quick("network")
@pytest.mark.enough("network")
@pytest.mark.parametrize("name", SPECS)
def test_a_host_in_cocotb_finds_what_the_twin_learns(name, made):
    said = in_cocotb(made(name))
    assert said.splitlines()[-1].startswith("1 passed in "), said


@needs_simulators
@needs_cocotb
@pytest.mark.slow
def test_a_host_in_cocotb_finds_a_changed_circuit(made):
    folder = made("array")
    changed(folder, "mgd_sign", "^", "~^")
    said = in_cocotb(folder)
    assert "after 100 timesteps" in said
    assert "1 failed" in said


@needs_simulators
@pytest.mark.skipif(shutil.which("fusesoc") is None, reason="needs FuseSoC: pip install fusesoc")
@pytest.mark.long
def test_fusesoc_lints_and_simulates_it(once, tmp_path):
    for target, due in (("lint", "verilator"), ("sim", "PASS: 200 timesteps, 9 parameters of 8 bits equal")):
        command = ["fusesoc", "--cores-root", once("network"), "run", f"--target={target}", "mgd:onchip:mgd_top"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert due in done.stdout


def test_registers_are_those_of_the_bus(once):
    folder = once("array")
    names: dict[str, int] = {}
    exec((folder / "mgd_registers.py").read_text(), names)
    places = re.findall(r"localparam logic \[2:0\] (\w+) = 3'd(\d);", (RTL / "mgd_axil.sv").read_text())
    of_bus = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper(): 4 * int(place) for name, place in places[:8]}
    assert {name: names[f"MGD_{name}"] for name in of_bus} == of_bus
    assert len(of_bus) == 8
    for name, value in re.findall(r"#define (\w+) (\w+)", (folder / "mgd_registers.h").read_text()):
        assert names[name] == int(value, 0)
    page = (folder / "registers.md").read_text()
    assert "| 0x0c | `theta` | 8 | rw | a parameter, signed, in 1/16; then the next one's |" in page


def test_a_folder_that_is_used_is_not_written_to(tmp_path):
    (tmp_path / "mine.sv").write_text("")
    with pytest.raises(ValueError, match="is not empty: give a new folder"):
        generate(Spec(**SPECS["array"]), tmp_path)


def test_a_folder_that_was_not_generated_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no spec.toml: give a folder that mgd onchip generate has made"):
        list(check(tmp_path))


@pytest.mark.parametrize("tool", ["verilator", "iverilog"])
def test_a_missing_tool_is_named(once, monkeypatch, tool):
    folder = once("array")
    monkeypatch.setattr(shutil, "which", lambda name: None if name == tool else name)
    with pytest.raises(MgdError, match=f"needs {tool}, which is not installed: sudo apt-get install {tool}"):
        list(check(folder))


@needs_simulators
@pytest.mark.skipif(shutil.which("yosys") is None, reason="needs Yosys: apt-get install yosys")
@pytest.mark.slow
def test_proofs_find_what_no_run_of_the_bench_shows(made):
    folder = made("array")
    changed(folder, "mgd_front_end", "restart_i || clear_i", "(restart_i && clear_i) || clear_i")
    lines = check(folder, proofs=True)
    assert [next(lines).split(":")[0] for _ in range(2)] == ["lint", "twin"]
    with pytest.raises(MgdError, match="mgd_front_end does not keep what it promises: an assertion of check_front_end"):
        next(lines)


@pytest.mark.parametrize("version", ["4.038", "3.900"])
def test_an_old_verilator_is_refused(once, monkeypatch, tmp_path, version):
    program = tmp_path / "verilator"
    program.write_text(f"#!/bin/sh\necho 'Verilator {version} 2020-07-11'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    with pytest.raises(HardwareError, match=rf"Verilator {re.escape(version)} is too old: install 5\.000 or newer"):
        list(check(once("array")))
