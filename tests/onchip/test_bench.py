"""The bench in Icarus, by itself and with cocotb: equal to the twin at every timestep."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mgd.onchip import Spec
from mgd.onchip._bench import CONTROL, Layout, write_bench

pytestmark = pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs Icarus: apt-get install iverilog")

NARROW = {"theta_bits": 4, "theta_fraction": 1, "amplitude": 4}
FORMS = {
    "merged": {"merged": True},
    "two lanes": {"lanes": 2, "two_sided": True, "delay": 1, "tau_theta": 4, "tau_x": 32, "code": "walsh"},
    "serial": {"lanes": 1, "code": "sequential", "array_perturbs": True, "tau_p": 2, "tau_x": 3, "tau_theta": 5},
    # Where costs, C̃ and parameters all come to their limits.
    "narrow": NARROW | {"cost_bits": 7, "modulation_bits": 4, "shift": 1, "two_sided": True},
    "late": {"delay": 2, "tau_theta": 8, "tau_p": 2, "tau_x": 8, "register_bits": 16},
}


def stimulus(spec: Spec, theta: np.ndarray, seed: int, n_steps: int) -> str:
    """A test bench that loads parameters, runs, and shows the registers after every timestep."""

    def put(**values: int) -> str:
        return "".join(
            f"    control[32*{CONTROL.index(name)} +: 32] = 32'd{value & 0xFFFFFFFF};\n"
            for name, value in values.items()
        )

    loads = "".join(f"{put(scan_theta=int(steps))}    @(negedge clk);\n" for steps in theta)
    times = put(tau_p=spec.tau_p - 1, tau_x=spec.tau_x - 1, tau_theta=spec.tau_theta - 1)
    return f"""
module stimulus;
  logic clk = 0, rst_n = 0, sample = 0;
  logic [{32 * len(CONTROL) - 1}:0] control = '0;
  wire  [31:0] step;
  wire  [{32 * Layout(spec).words - 1}:0] registers;
  logic [31:0] last = 0;
  int clocks = 0;
  mgd_bench dut (
    .clk_i(clk), .rst_ni(rst_n), .sample_i(sample), .control_i(control), .step_o(step), .registers_o(registers)
  );
  always #5 clk = ~clk;
  initial begin
    @(negedge clk);
    rst_n = 1;
{times}{put(learn=1, scan=1, scan_load=1)}{loads}{put(scan=0, scan_load=0, restart=1, seed=seed)}
    @(negedge clk);
{put(restart=0, run=1)}
    while (last < {n_steps} && clocks < {500 * n_steps}) begin
      @(negedge clk);
      clocks = clocks + 1;
      if (step != last) begin
        sample = 1;
        #1 $display("%h", registers);
        sample = 0;
      end
      last = step;
    end
    $finish;
  end
endmodule
"""


def shown(spec: Spec, sources: list[Path], start: tuple[np.ndarray, int], n_steps: int, folder: Path) -> list[str]:
    """The registers after each timestep, in hexadecimal, as Icarus has them; fewer, if the circuit hangs."""
    (folder / "stimulus.sv").write_text(stimulus(spec, *start, n_steps))
    command = ["iverilog", "-g2012", "-s", "stimulus", "-o", "circuit", folder / "stimulus.sv", *sources]
    subprocess.run([str(part) for part in command], cwd=folder, check=True, capture_output=True)
    text = subprocess.run(["vvp", "-n", "circuit"], cwd=folder, check=True, capture_output=True, text=True).stdout
    return [line for line in text.splitlines() if len(line) == 8 * Layout(spec).words]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.quick("merged")
def test_icarus_is_equal_at_every_timestep(form, twin, different, tmp_path):
    spec, steps = Spec(layers=(2, 2, 1), **FORMS[form]), list(range(1, 101))
    one = twin(spec)
    sources = write_bench(spec, one.task.train.x, one.task.train.y, tmp_path)
    lines = shown(spec, sources, one.starts()[0], len(steps), tmp_path)
    assert len(lines) == len(steps)
    for step, line, due in zip(steps, lines, one.after(steps)[0], strict=True):
        # An unknown bit would be an x, which is no hexadecimal digit.
        words = np.frombuffer(bytes.fromhex(line)[::-1], np.int32)
        assert different(Layout(spec).named(words), due) == {}, step


# Small faults, each in a form of the circuit that has what it harms.
FAULTS = [
    ("update", "use_sum & ~sign_i", "use_sum & sign_i", "merged"),
    ("update", "1'b0}}, minus}", "1'b0}}, 1'b0}", "merged"),
    ("update", "WKept'(word[Shift-1:0])", "WKept'(0)", "late"),
    ("update", "(WMove'(theta_i) <<< Shift)", "(WMove'(theta_i) <<< (Shift - 1))", "late"),
    ("saturate", "limited_o ? ", "1'b0 ? ", "narrow"),
    ("front_end", "too_low ? Least", "1'b0 ? Least", "narrow"),
    ("front_end", "too_high ? Largest", "1'b0 ? Largest", "narrow"),
    ("front_end", "restart_i || clear_i", "restart_i", "late"),
    ("front_end", "? baseline - cost : cost - baseline", "? cost - baseline : cost - baseline", "two lanes"),
    ("sequencer", "due_q <= x_ends | window_ends", "due_q <= x_ends", "serial"),
    ("sequencer", "sum_ends = p_ends | window_ends", "sum_ends = p_ends", "serial"),
    ("sequencer", "in_time = late_q == WDelay'(Delay)", "in_time = 1'b1", "late"),
    ("sequencer", "minus_o = (TwoSided != 0) & second_q", "minus_o = 1'b0", "two lanes"),
    ("sequencer", "row_q == WRow'(Depth - 1)", "row_q == WRow'(Depth - 2)", "serial"),
    ("sequencer", "take_o = req_o & ack_i", "take_o = req_o", "merged"),
    ("code", "t < Leap", "t < Leap - 1", "late"),
    ("code", "WCode'(Parameters - 1)", "WCode'(Parameters)", "serial"),
    ("sign", "index[Lowest +: Bits]", "index[Lowest + 1 +: Bits]", "merged"),
    ("sign", "{index_i, 1'b1}", "{index_i, 1'b0}", "two lanes"),
    ("drive", "{(WUpper - 1) {sign_i}}", "{(WUpper - 1) {1'b0}}", "merged"),
    ("core", "sweep ? late : code", "sweep ? code : code", "late"),
    ("core", "apply & (|limit)", "1'b0", "narrow"),
    ("lane", "memory_q[read_row_i]", "memory_q[write_row_i]", "serial"),
    ("layer", "<<< WAct", "<<< (WAct - 1)", "merged"),
    ("logistic", "? ~above", "? above", "merged"),
    ("mlp", "WStage'(NLayers + 1)", "WStage'(NLayers)", "merged"),
    ("mlp_serial", "first2_q ? product_q", "1'b0 ? product_q", "serial"),
    ("squares", "(cut > Most) ? '1", "1'b0 ? '1", "narrow"),
    ("samples", "WAddress'(Samples - 1)", "WAddress'(Samples - 2)", "merged"),
]


@pytest.mark.long
@pytest.mark.parametrize(("module", "right", "wrong", "form"), FAULTS)
def test_a_fault_is_seen_within_a_hundred_timesteps(module, right, wrong, form, twin, different, tmp_path):
    spec, steps = Spec(layers=(2, 2, 1), **FORMS[form]), list(range(1, 101))
    one = twin(spec)
    sources = write_bench(spec, one.task.train.x, one.task.train.y, tmp_path)
    place = next(k for k, path in enumerate(sources) if path.stem == f"mgd_{module}")
    text = sources[place].read_text()
    assert text.count(right) == 1
    sources[place] = tmp_path / f"mgd_{module}.sv"
    sources[place].write_text(text.replace(right, wrong))
    lines = shown(spec, sources, one.starts()[0], len(steps), tmp_path)
    due = one.after(steps)[0]
    whole = [line for line in lines if "x" not in line]
    found = [Layout(spec).named(np.frombuffer(bytes.fromhex(line)[::-1], np.int32)) for line in whole]
    assert len(found) < len(due) or any(different(*pair) for pair in zip(found, due, strict=True))


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("cocotb") is None, reason='needs cocotb: pip install "cocotb>=2.1"')
@pytest.mark.parametrize("form", ["merged", "late"])
def test_cocotb_is_equal_at_every_timestep(form, twin, tmp_path, monkeypatch):
    """What is due at each of 2,000 timesteps goes to the simulator's process, whose verdict comes back."""
    from cocotb_tools.check_results import get_results  # pyright: ignore[reportMissingImports]
    from cocotb_tools.runner import get_runner  # pyright: ignore[reportMissingImports]

    spec, steps = Spec(layers=(2, 2, 1), **FORMS[form]), list(range(1, 2001))
    one = twin(spec)
    sources = write_bench(spec, one.task.train.x, one.task.train.y, tmp_path)
    due, (start, seed) = one.after(steps)[0], one.starts()[0]
    times = {"tau_p": spec.tau_p - 1, "tau_x": spec.tau_x - 1, "tau_theta": spec.tau_theta - 1}
    arrays = {"start": start, "seed": np.uint32(seed), "times": np.array(list(times.values()))}
    arrays |= {name: np.array([row[name] for row in due]) for name in due[0]}
    np.savez(tmp_path / "due.npz", **arrays)  # pyright: ignore[reportArgumentType]
    (tmp_path / "spec.txt").write_text(repr(spec))
    runner = get_runner("icarus")
    runner.build(sources=sources, hdl_toplevel="mgd_bench", build_dir=tmp_path / "build", timescale=("1ns", "1ps"))
    monkeypatch.syspath_prepend(Path(__file__).parent)  # the runner hands its path on
    results = runner.test(
        hdl_toplevel="mgd_bench",
        test_module="bench_in_cocotb",
        build_dir=tmp_path / "build",
        test_dir=tmp_path,
        extra_env={"DUE": str(tmp_path)},
    )
    assert get_results(results) == (1, 0)
