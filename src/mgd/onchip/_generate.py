"""A folder with a training circuit that is ready for use: top module, register map, benches, build files, settings."""

from pathlib import Path

import tomli_w

from ._folder import check_new, write_new
from ._proof import bench_of_top, due, trajectory
from ._registers import header, markdown, module
from ._spec import Spec
from ._tiny_tapeout import tiny_tapeout as made_for_pins
from ._top import core_parameters, instance, modules, network, not_used, template, weights


def generate(spec: Spec, folder: str | Path, *, tiny_tapeout: bool = False) -> list[Path]:
    """Writes a training circuit into a new folder, and returns its files.

    Args:
        spec: the circuit. With layers, the network is in the top module and takes samples; without, the ports of the
            top module are for your own array, which measures a cost for the parameters that it is given.
        folder: it must be empty, or not there.
        tiny_tapeout: whether a project of Tiny Tapeout is written too, in which a network of one output learns a truth
            table with no host.

    Raises:
        ValueError: if the folder has files, or the circuit does not fit the pins or tiles of Tiny Tapeout.
        RunError: if the folder cannot be written.
        MgdError: if Yosys is not installed, which counts the cells for the tiles.
    """
    check_new(folder)  # before the work that it takes
    project = made_for_pins(spec) if tiny_tapeout else {}
    twin = trajectory(spec)
    contents = {
        "mgd_top.sv": top(spec),
        "mgd_top_bench.sv": bench_of_top(spec, twin),
        "test/test_mgd_top.py": template("test_mgd_top.py"),
        "test/due.json": due(spec, twin),
        "registers.md": markdown(spec),
        "mgd_registers.h": header(spec),
        "mgd_registers.py": module(spec),
        "spec.toml": tomli_w.dumps(spec.table),
        "Makefile": _MAKEFILE,
        "mgd_top.core": _core(),
    }
    contents |= {f"rtl/{source.name}": source.read_text(encoding="utf-8") for source in modules()}
    contents |= {f"tiny-tapeout/{name}": text for name, text in project.items()}
    return write_new(folder, contents)


_BUS = """  input  logic        clk_i,
  input  logic        rst_ni,
  // the host's bus
  input  logic [4:0]  s_axil_awaddr,
  input  logic [2:0]  s_axil_awprot,
  input  logic        s_axil_awvalid,
  output logic        s_axil_awready,
  input  logic [31:0] s_axil_wdata,
  input  logic [3:0]  s_axil_wstrb,
  input  logic        s_axil_wvalid,
  output logic        s_axil_wready,
  output logic [1:0]  s_axil_bresp,
  output logic        s_axil_bvalid,
  input  logic        s_axil_bready,
  input  logic [4:0]  s_axil_araddr,
  input  logic [2:0]  s_axil_arprot,
  input  logic        s_axil_arvalid,
  output logic        s_axil_arready,
  output logic [31:0] s_axil_rdata,
  output logic [1:0]  s_axil_rresp,
  output logic        s_axil_rvalid,
  input  logic        s_axil_rready,
  // samples: the next one is due one clock after next_sample_o; hold_i stops before the next measurement
  output logic        next_sample_o,
  input  logic        hold_i,
"""


def top(spec: Spec) -> str:
    """The top module, as text."""
    drive, row_bits = spec.lanes * (spec.theta_bits + 1), max(1, (spec.depth - 1).bit_length())
    names = [line.split()[-1].rstrip(",") for line in _BUS.splitlines() if "logic" in line]
    ports = {name: name for name in names}
    array = {
        "req_o": ("output", 1),
        "ack_i": ("input", 1),
        "cost_i": ("input", spec.cost_bits),
        "row_i": ("input", row_bits),
        "drive_o": ("output", drive),
        "perturb_o": ("output", spec.lanes),
        "sign_o": ("output", spec.lanes),
    }
    if not spec.layers:
        listed = ",\n".join(f"  {kind:6} logic {_range(bits)} {name}" for name, (kind, bits) in array.items())
        return _module(
            f"{_BUS}  // the array\n{listed}", instance_of_core(spec, ports | {name: name for name in array})
        )
    bits, inputs, outputs = spec.activation_bits, spec.layers[0], spec.layers[-1]
    shown = f"""{_BUS}  // a sample, and what the network makes of it, there while valid_o is high
  input  logic {_range(inputs * bits)} x_i,
  input  logic {_range(outputs * bits)} target_i,
  output logic        valid_o,
  output logic {_range(outputs * bits)} y_o,
  output logic {_range(spec.cost_bits)} cost_o"""
    inner = {name: name.rsplit("_", 1)[0] for name in array} | {"ack_i": "valid_o", "cost_i": "cost_o"}
    nets = "".join(
        f"  logic {_range(array[name][1])} {inner[name]};\n" for name in array if name[:3] not in ("ack", "cos")
    )
    body = instance_of_core(spec, ports | inner) + weights(spec) + network(spec, {})
    nets += "  logic unused;\n"
    body += f"\n  assign unused = ^{{{', '.join(not_used(spec))}}};\n"
    return _module(shown, f"{nets}  logic {_range(drive)} weights;\n\n{body}")


def instance_of_core(spec: Spec, ports: dict[str, str]) -> str:
    """The core with its bus, as text."""
    return instance("mgd_core_axil", core_parameters(spec), ports, "u_core")


def _range(bits: int) -> str:
    return f"[{bits - 1}:0]"


def _module(ports: str, body: str) -> str:
    return f"// Made by mgd onchip generate from spec.toml.\nmodule mgd_top (\n{ports}\n);\n\n{body}\nendmodule\n"


_MAKEFILE = """SOURCES = mgd_top.sv $(sort $(wildcard rtl/*.sv))

all: lint sim

lint:
\tverilator --lint-only -Wall --top-module mgd_top $(SOURCES)

sim: mgd_top_bench.vvp
\tvvp -n mgd_top_bench.vvp

mgd_top_bench.vvp: mgd_top_bench.sv $(SOURCES)
\tiverilog -g2012 -s mgd_top_bench -o $@ $^

cocotb:
\tpython3 -m pytest -q test

area:
\tyosys -q -p "read_verilog -sv $(SOURCES); synth_ice40 -top mgd_top; tee -o area.txt stat"
\tcat area.txt

clean:
\trm -rf mgd_top_bench.vvp area.txt test/sim_build

.PHONY: all lint sim cocotb area clean
"""


def _core() -> str:
    sources = "".join(f"      - rtl/{path.name}\n" for path in modules())
    return f"""CAPI=2:
name: mgd:onchip:mgd_top:1.0.0
description: Training circuit of multiplexed gradient descent
filesets:
  rtl:
    files:
{sources}      - mgd_top.sv
    file_type: systemVerilogSource
  bench:
    files:
      - mgd_top_bench.sv
    file_type: systemVerilogSource
targets:
  default:
    filesets: [rtl]
    toplevel: mgd_top
  lint:
    filesets: [rtl]
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
    toplevel: mgd_top
  sim:
    filesets: [rtl, bench]
    flow: sim
    flow_options:
      tool: icarus
      iverilog_options: [-g2012]
    toplevel: mgd_top_bench
"""
