"""Requests to a network with a clock of its own, in Icarus: each cost belongs to its request."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mgd.onchip._top import rtl

pytestmark = pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs Icarus: apt-get install iverilog")

# A core that asks at random, and at times gives up, and a network whose cost is that of the parameters that it sees.
# They change as soon as there is no request. Half clocks are in picoseconds.
BENCH = """
`timescale 1ps / 1ps
module bench;
  logic clk = 0, net_clk = 0, rst_n = 1, net_rst_n = 1;
  logic req = 0, ack, net_req, net_ack = 0, net_req_before = 0, net_ack_before = 0;
  logic [7:0] parameters = 0, cost, net_cost = 0;
  int asked = 0, answered = 0, given_up = 0, measured = 0, wrong = 0, left = 0, wait_clocks = 0;
  mgd_crossing #(.WCost(8)) dut (
    .clk_i(clk), .rst_ni(rst_n), .req_i(req), .ack_o(ack), .cost_o(cost), .net_clk_i(net_clk), .net_rst_ni(net_rst_n),
    .net_req_o(net_req), .net_ack_i(net_ack), .net_cost_i(net_cost)
  );
  always #HALF clk = ~clk;
  always #NET_HALF net_clk = ~net_clk;

  always @(posedge clk) if (rst_n) begin
    if (req) begin
      if (ack) begin
        answered = answered + 1;
        if (cost !== ~parameters) wrong = wrong + 1;
        req <= 0;
      end else if ($urandom % GIVES_UP == 0) begin
        given_up = given_up + 1;
        req <= 0;
      end
    end else begin
      if (ack !== 0) wrong = wrong + 1;
      parameters <= $urandom;
      if ($urandom % 4 != 0) begin
        req <= 1;
        asked = asked + 1;
      end
    end
  end

  // The outputs are anything without a request; a request ends by an answer, and never before.
  always @(posedge net_clk) if (net_rst_n) begin
    if (net_req_before && !net_ack_before && !net_req) wrong = wrong + 1;
    if (net_req && net_ack) measured = measured + 1;
    net_req_before = net_req;
    net_ack_before = net_ack;
  end
  always @(negedge net_clk) begin
    net_cost = $urandom;
    net_ack = 0;
    if (!net_req) begin
      left = ($urandom % 2 == 0) ? 0 : $urandom % 30;
      net_ack = $urandom;
    end else if (left == 0) begin
      net_ack = 1;
      net_cost = ~parameters;
    end else begin
      left = left - 1;
    end
  end

  initial begin
    #1 rst_n = 0;
    net_rst_n = 0;
    #20000 rst_n = 1;
    #17000 net_rst_n = 1;
    while (answered < 200 && wait_clocks < 200000) begin
      @(posedge clk);
      wait_clocks = wait_clocks + 1;
    end
    $display("%0d %0d %0d %0d", answered, given_up, measured - answered, wrong);
    $finish;
  end
endmodule
"""
# A flip-flop that sees a change in time or a clock late, as one may whose input changes with its clock.
LATE = ("stages_q[0], bit_i}", "stages_q[0], (^$random) ? bit_i : stages_q[0]}")


def counts(folder: Path, half: int, net_half: int, faults: dict[str, tuple[str, str]]) -> list[int]:
    """Costs that came, requests that were given up, costs that were dropped, and what was wrong."""
    numbers = {"GIVES_UP": 64 * max(1, net_half // half), "NET_HALF": net_half, "HALF": half}
    text = BENCH
    for name, number in numbers.items():
        text = text.replace(name, str(number))
    (folder / "bench.sv").write_text(text)
    sources = [folder / "bench.sv"]
    for module in ("crossing", "synchroniser"):
        text = (rtl() / f"mgd_{module}.sv").read_text()
        if module in faults:
            right, wrong = faults[module]
            assert text.count(right) == 1
            text = text.replace(right, wrong)
        sources.append(folder / f"mgd_{module}.sv")
        sources[-1].write_text(text)
    command = ["iverilog", "-g2012", "-s", "bench", "-o", "bench", *map(str, sources)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    text = subprocess.run(["vvp", "-n", "bench"], cwd=folder, check=True, capture_output=True, text=True).stdout
    return [int(number) for number in text.splitlines()[-1].split()]


@pytest.mark.parametrize("late", [False, True], ids=["in time", "late"])
@pytest.mark.parametrize("net_half", [5000, 3650, 1170, 15500, 97100])
def test_each_cost_belongs_to_its_request(net_half, late, tmp_path):
    answered, given_up, dropped, wrong = counts(tmp_path, 5000, net_half, {"synchroniser": LATE} if late else {})
    assert wrong == 0
    assert answered == 200
    assert given_up > 5
    assert 0 < dropped <= given_up + 1


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("ask_q & done & ~stale_q & req_i", "ask_q & done & req_i"),  # an answer for a request that was given up
        ("end else if (req_i && !done) begin", "end else if (req_i) begin"),  # the answer before is still there
        ("if (done) ask_q <= 1'b0", "if (done || !req_i) ask_q <= 1'b0"),  # the network's request ends too early
        ("else if (net_req_o && net_ack_i)", "else if (net_req_o)"),
        ("assign net_req_o = ask & ~done_q", "assign net_req_o = ask"),
        ("(stale_q | ~req_i)", "~req_i"),  # forgets that a request was given up
    ],
)
def test_a_fault_is_seen(right, wrong, tmp_path):
    seen = (counts(tmp_path, 5000, net_half, {"crossing": (right, wrong)}) for net_half in (3650, 15500, 97100))
    assert any(
        mistakes > 0 or answered < 200 or dropped > given_up + 1 for answered, given_up, dropped, mistakes in seen
    )
