"""The project of Tiny Tapeout: it passes its own test bench, as RTL and as gates, and a changed one does not."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mgd import MgdError
from mgd.onchip import Spec, generate

pytestmark = [
    pytest.mark.skipif(
        shutil.which("yosys") is None or shutil.which("iverilog") is None,
        reason="needs Yosys and Icarus: apt-get install yosys iverilog",
    ),
    pytest.mark.skipif(importlib.util.find_spec("cocotb") is None, reason='needs cocotb: pip install "cocotb>=2.1"'),
]
SPECS = {
    "parallel": {"layers": (2, 2, 1), "merged": True},
    "serial": {"layers": (2, 2, 1), "merged": True, "lanes": 1},
    "two sides, windows": {
        "layers": (2, 3, 1), "theta_bits": 7, "theta_fraction": 3, "amplitude": 2, "shift": 4, "tau_x": 2,
        "tau_theta": 4, "lanes": 2, "two_sided": True,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Callable[[str], Path]:
    """A project, which is generated when it is first needed."""
    folders: dict[str, Path] = {}

    def made(name: str) -> Path:
        if name not in folders:
            folder = tmp_path_factory.mktemp("generated") / "made"
            generate(Spec(**SPECS[name]), folder, tiny_tapeout=True)
            folders[name] = folder / "tiny-tapeout"
        return folders[name]

    return made


def verdict(folder: Path, *options: str) -> str:
    """What the project's own Makefile says of its test."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # A make around this one hands on its own options.
    around = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    command = ["make", "-B", *options]
    done = subprocess.run(command, cwd=folder / "test", env=around | {"PATH": path}, capture_output=True, text=True)
    (last,) = re.findall(r"TESTS=1 PASS=\d FAIL=\d", done.stdout) or [done.stdout + done.stderr]
    assert (done.returncode == 0) == (last == "TESTS=1 PASS=1 FAIL=0"), done.stdout
    return last


@pytest.mark.long
@pytest.mark.enough("parallel")
@pytest.mark.parametrize("name", SPECS)
def test_it_learns_parity_with_no_host_as_its_twin(name, project):
    assert verdict(project(name)) == "TESTS=1 PASS=1 FAIL=0"


@pytest.mark.parametrize(
    ("module", "right", "wrong"),
    [
        ("mgd_pins", "row_q + Inputs'(1)", "row_q - Inputs'(1)"),
        ("mgd_pins", "next & ~next_q & ~run_o", "next & ~run_o"),
        ("mgd_pins", "y_i[WAct-1];", "y_i[WAct-2];"),
        ("mgd_sign", "^", "~^"),
    ],
)
@pytest.mark.long
@pytest.mark.enough("mgd_sign-^-~^")
def test_its_bench_finds_a_fault(module, right, wrong, project, tmp_path):
    folder = shutil.copytree(project("parallel"), tmp_path / "project")
    source = folder / "src" / f"{module}.sv"
    text = source.read_text()
    assert right in text
    source.write_text(text.replace(right, wrong, 1))
    assert verdict(folder) == "TESTS=1 PASS=0 FAIL=1"


@pytest.mark.slow
def test_what_yosys_makes_of_it_learns_the_same(project, tmp_path):
    folder = shutil.copytree(project("parallel"), tmp_path / "project")
    script = "read_verilog -sv ../src/*.sv; synth -flatten -top tt_um_mgd; write_verilog -noattr gates.v"
    subprocess.run(["yosys", "-q", "-p", script], cwd=folder / "test", capture_output=True, check=True)
    (folder / "src" / "gates.v").write_text((folder / "test" / "gates.v").read_text())
    assert verdict(folder, "PROJECT_SOURCES=gates.v") == "TESTS=1 PASS=1 FAIL=0"


@pytest.mark.long
def test_its_description_names_its_files_and_tiles(project):
    text = (project("parallel") / "info.yaml").read_text()
    named = re.findall(r'^    - "(.*)"$', text, re.MULTILINE)
    assert sorted(named) == sorted(path.name for path in (project("parallel") / "src").iterdir())
    assert re.search(r'^  tiles: "[1-8]x[12]"$', text, re.MULTILINE)
    written = [path for part in ("docs", "test") for path in (project("parallel") / part).iterdir() if path.is_file()]
    assert len(written) >= 6
    assert not re.findall(r"@[A-Z_]+@", "".join(path.read_text() for path in written) + text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": (4, 4, 1)}, r"a truth table of up to three inputs and one output: .* \[2, 2, 1\], got \[4, 4, 1\]"),
        ({"layers": (2, 2, 2)}, r"got \[2, 2, 2\]"),
        ({"parameters": 9}, r"got \[\]"),
        ({"layers": (2, 2, 1), "theta_bits": 9}, "on 8 pins: give theta_bits = 8 or less, got 9"),
    ],
)
def test_what_has_no_room_on_its_pins_is_refused(settings, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        generate(Spec(**settings), tmp_path / "made", tiny_tapeout=True)
    assert not (tmp_path / "made").exists()


@pytest.mark.slow
def test_what_has_no_room_on_its_tiles_is_refused_with_the_numbers(tmp_path):
    message = r"takes \d+,\d+ cells as NAND2, and the 8x2 tiles of Tiny Tapeout's largest project have room for 49,733:"
    with pytest.raises(ValueError, match=message):
        generate(Spec(layers=(3, 12, 1), merged=True), tmp_path / "made", tiny_tapeout=True)


@pytest.mark.slow
def test_what_does_not_learn_is_refused(tmp_path):
    with pytest.raises(MgdError, match="none of 16 twins learns the parity of 2 bits in 40,000 timesteps"):
        generate(Spec(layers=(2, 2, 1), merged=True, shift=12), tmp_path / "made", tiny_tapeout=True)
