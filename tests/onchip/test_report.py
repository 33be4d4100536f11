"""What a circuit takes: cells in each technology, the clock, and what backpropagation would need beside it."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from mgd import MgdError
from mgd.onchip import Spec, area, clock, traffic

needs_yosys = pytest.mark.skipif(
    shutil.which("yosys") is None and importlib.util.find_spec("pyosys") is None,
    reason="needs Yosys: apt-get install yosys",
)
MERGED = Spec(parameters=9, merged=True, shift=6, modulation_bits=6)
LIBERTY = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")


@needs_yosys
@pytest.mark.long
@pytest.mark.enough("ice40")
@pytest.mark.parametrize("name", ["generic", "ice40", "ecp5", "osu018"])
def test_cells_are_counted_by_module(name):
    if name == "osu018" and not LIBERTY.exists():
        pytest.skip("needs the library of OSU018: apt-get install qflow-tech-osu018")
    found = area(MERGED, name)
    parts = {part.module: part for part in found.parts}
    assert found.tool.startswith("Yosys ")
    assert (parts["mgd_synapse"].instances, parts["mgd_core"].instances) == (9, 1)
    # Of a merged synapse, every bit of θ and of what it keeps; other registers are counted once.
    assert parts["mgd_synapse"].cells["flip-flops"] == 9 * MERGED.state_bits
    assert found.total["flip-flops"] <= sum(part.cells["flip-flops"] for part in found.parts)
    kind = {"generic": "gates", "osu018": "µm²"}.get(name, "LUT4")
    assert 0 < found.total[kind] < sum(part.cells[kind] for part in found.parts)
    if name == "osu018":  # a NAND2 there has 24 µm²
        assert found.total["as NAND2"] == round(found.total["µm²"] / 24)


@needs_yosys
@pytest.mark.skipif(shutil.which("nextpnr-ice40") is None, reason="needs nextpnr: apt-get install nextpnr-ice40")
@pytest.mark.slow
def test_a_serial_core_of_a_thousand_parameters_has_60_megahertz():
    found = clock(Spec(parameters=1000, lanes=1, merged=True, shift=6, modulation_bits=6))
    assert (found.device, found.tool[:13]) == ("HX8K", "nextpnr-ice40")
    assert found.megahertz >= 60


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MgdError, match="nextpnr-ice40, which is not installed: sudo apt-get install nextpnr-ice40"):
        clock(MERGED)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MgdError, match="yosys, which is not installed: sudo apt-get install yosys"):
        area(MERGED)
    with pytest.raises(ValueError, match="unknown technology 'ice4': did you mean 'ice40'"):
        area(MERGED, "ice4")


@pytest.mark.skipif(LIBERTY.exists(), reason="the library of OSU018 is installed")
def test_a_library_that_is_not_installed_is_named():
    with pytest.raises(MgdError, match="its library, which is not installed: sudo apt-get install qflow-tech-osu018"):
        area(MERGED, "osu018")


def test_what_backpropagation_would_need():
    circuit, backpropagation = traffic(Spec(layers=(2, 2, 1), merged=True))
    # 2-2-1: 6 weights and 3 biases of 8 bits, 4 numbers of 6 bits that enter a layer, 3 neurons, 3 bits that are kept.
    forward = 9 * 8 + (4 + 3) * 6
    assert circuit.moved_bits == 2 * forward + 2 * 9 * 3 + 2 * 9 * 8
    assert circuit.stored_bits == 9 * 3 + 32 + 8 + 8
    assert circuit.products == 12
    assert backpropagation.products == 6 + 6 + 2 + 6
    assert backpropagation.stored_bits == 5 * 6 + 2 * 2 * 14 + 9 * 3
    assert backpropagation.moved_bits == forward + 2 * 8 + 2 * 3 * 14 + 4 * 6 + 2 * 9 * 3 + 2 * 9 * 8
    with pytest.raises(ValueError, match="give the layers"):
        traffic(Spec(parameters=9))
