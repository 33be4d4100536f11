"""Bounded proofs by Yosys: for any inputs, no assertion of a checker in formal/ is false within 25 clocks of reset."""

import shutil
from pathlib import Path

import pytest

from mgd.onchip._formal import FORMS, MODULES, holds
from mgd.onchip._top import rtl

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("yosys") is None, reason="needs Yosys: apt-get install yosys"),
]


@pytest.mark.parametrize(("checker", "settings"), FORMS, ids=str)
def test_a_module_keeps_what_it_promises(checker, settings):
    assert holds(checker, settings, rtl())


FAULTS = [
    ("front_end", " | (difference[WMod-2:0] == '0)", ""),
    ("front_end", "too_high ? Largest", "1'b0 ? Largest"),
    ("front_end", "if (take_i && !second_i)", "if (take_i)"),
    ("front_end", "restart_i || clear_i", "clear_i"),
    ("sequencer", "due_q <= x_ends | window_ends", "due_q <= x_ends"),
    ("sequencer", "(run_i | inside_q) & ~freeze_i", "run_i | inside_q"),
    ("sequencer", "row_q == WRow'(Depth - 1)", "row_q == WRow'(Depth - 2)"),
    ("sequencer", "in_time = late_q == WDelay'(Delay)", "in_time = 1'b1"),
    ("sequencer", "if (ack_i) begin\n          if (!learning_q)", "begin\n          if (!learning_q)"),
    ("axil", "default: refused = ~idle_q;", "default: refused = 1'b0;"),
    ("axil", "Control: refused = begins & ~first;", "Control: refused = 1'b0;"),
    ("axil", "if (s_axil_wstrb != 4'b1111) refused = 1'b1;", ""),
    ("axil", "idle_q <= ~run_q & ~busy_i;", "idle_q <= ~busy_i;"),
    ("axil", "Written: if (s_axil_bready) state_d", "Written: state_d"),
    ("axil", "if (s_axil_awvalid & s_axil_wvalid)", "if (s_axil_awvalid)"),
    ("axil", "WPlace'(Parameters - 1)", "WPlace'(Parameters)"),
    ("axil", "if (state_q == Read) data_q <= data;", "data_q <= data;"),
    ("crossing", "ask_q & done & ~stale_q & req_i", "ask_q & done & req_i"),
    ("crossing", "if (done) ask_q <= 1'b0", "if (done || !req_i) ask_q <= 1'b0"),
    ("crossing", "end else if (req_i && !done) begin", "end else if (req_i) begin"),
]


@pytest.mark.parametrize(("checker", "right", "wrong"), FAULTS)
def test_a_fault_is_found(checker, right, wrong, tmp_path):
    for module in MODULES[checker]:
        shutil.copy(rtl() / f"mgd_{module}.sv", tmp_path)
    path: Path = tmp_path / f"mgd_{checker}.sv"
    text = path.read_text()
    assert text.count(right) == 1
    path.write_text(text.replace(right, wrong))
    assert not holds(checker, {}, tmp_path)
