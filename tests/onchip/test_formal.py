"""Bounded proofs by Yosys: for any inputs, no assertion of a checker in formal/ is false within 25 clocks of reset."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mgd.onchip._top import rtl

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("yosys") is None, reason="needs Yosys: apt-get install yosys"),
]

CHECKERS = Path(__file__).parent / "formal"
DEPTH = 25
# Steps of time in which each of two clocks may rise or fall: twenty rises of each at most.
STEPS_OF_TWO_CLOCKS = 40
MODULES = {
    "front_end": ("front_end", "saturate"),
    "sequencer": ("sequencer",),
    "axil": ("axil",),
    "crossing": ("crossing", "synchroniser"),
}


def holds(checker: str, settings: dict[str, int], fault: tuple[str, str] | None, folder: Path) -> bool:
    """Whether no assertion can be made false. What is not an answer, such as a syntax error, is an error."""
    sources = [CHECKERS / f"check_{checker}.sv"]
    for place, module in enumerate(MODULES[checker]):
        text = (rtl() / f"mgd_{module}.sv").read_text()
        if fault is not None and place == 0:
            right, wrong = fault
            assert text.count(right) == 1
            text = text.replace(right, wrong)
        sources.append(folder / f"mgd_{module}.sv")
        sources[-1].write_text(text)
    top, two_clocks = f"check_{checker}", checker == "crossing"
    values = "".join(f"chparam -set {name} {value} {top}; " for name, value in settings.items())
    script = f"read_verilog -formal -sv -defer {' '.join(map(str, sources))}; {values}prep -top {top} -flatten; "
    script += f"{'clk2fflogic' if two_clocks else 'async2sync'}; opt -fast; dffunmap; opt_clean; "
    steps = STEPS_OF_TWO_CLOCKS if two_clocks else DEPTH
    script += f"sat -prove-asserts -set-assumes -tempinduct -tempinduct-baseonly -maxsteps {steps} {top}"
    done = subprocess.run(["yosys", "-p", script], capture_output=True, text=True, check=True)
    proved = f"proved base case for {steps} steps: SUCCESS!" in done.stdout
    assert proved != ("SAT temporal induction proof finished - model found for base case: FAIL!" in done.stdout)
    return proved


@pytest.mark.parametrize(
    ("checker", "settings"),
    [
        ("front_end", {}),
        ("front_end", {"TwoSided": 1, "WCost": 6}),
        ("sequencer", {}),
        ("sequencer", {"TwoSided": 1, "Depth": 1, "WRow": 1, "Delay": 0}),
        ("axil", {}),
        ("crossing", {}),
    ],
    ids=str,
)
def test_a_module_keeps_what_it_promises(checker, settings, tmp_path):
    assert holds(checker, settings, None, tmp_path)


FAULTS = [
    ("front_end", "WDiff'(Least)", "WDiff'(Largest)"),
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
    assert not holds(checker, {}, (right, wrong), tmp_path)
