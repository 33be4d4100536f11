"""The modules as tools take them: each is lint-clean as a top of its own."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import mgd.onchip

RTL = Path(mgd.onchip.__file__).parent / "rtl"
MODULES = sorted(path.stem for path in RTL.glob("*.sv"))


def needs(tool: str, package: str):
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"needs {tool}: apt-get install {package}")


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs("verilator", "verilator")
@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_clean_as_its_own_top(module):
    text = (RTL / f"{module}.sv").read_text()
    assert re.findall(r"^module (\w+)", text, re.MULTILINE) == [module]
    assert "lint_off" not in text
    assert run("verilator", "--lint-only", "-Wall", "--top-module", module, *sorted(RTL.glob("*.sv"))) == ""


@needs("verilator", "verilator")
@pytest.mark.parametrize(
    "settings",
    [
        {"Lanes": 1, "Merged": 1, "WKept": 6, "Shift": 6, "TwoSided": 1, "Delay": 3},
        {"Lanes": 2, "Code": 1, "WCode": 5, "ArrayPerturbs": 1},
        {"Code": 2, "WCode": 4, "WTheta": 16, "WKept": 30, "WSum": 20, "WMod": 12, "WCost": 4, "AmplitudeBits": 0},
        {"Parameters": 1, "Lanes": 1},
    ],
)
def test_the_core_is_clean_in_other_forms(settings):
    options = [f"-G{name}={value}" for name, value in settings.items()]
    files = sorted(RTL.glob("*.sv"))
    assert run("verilator", "--lint-only", "-Wall", "--top-module", "mgd_core", *options, *files) == ""


@needs("yosys", "yosys")
@pytest.mark.parametrize("lanes", [9, 1])
def test_yosys_takes_all_of_it(lanes, tmp_path):
    (tmp_path / "samples.mem").write_text("0\n1\n2\n3\n")
    files = " ".join(str(path) for path in sorted(RTL.glob("*.sv")))
    script = f"read_verilog -sv -defer {files}; chparam -set Lanes {lanes} mgd_trainer; "
    script += "hierarchy -check -top mgd_trainer; proc; check -assert"
    done = subprocess.run(["yosys", "-q", "-p", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
