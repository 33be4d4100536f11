"""A project of Tiny Tapeout: a chip with 24 pins that learns a truth table with no host, and its test bench."""

import json
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from .._errors import MgdError
from ..datasets import Samples
from ..engines import Data, Measured
from ._circuit import Circuit
from ._network import FixedPointNetwork
from ._spec import Spec
from ._top import core_parameters, instance, modules, network, not_used, rtl, template, weights
from ._yosys import counted

_TOP = "tt_um_mgd"
# Micrometres of a project's area by the number of its tiles, in the 130 nm of SkyWater.
_TILES = {
    "1x1": 161.00 * 111.52,
    "1x2": 161.00 * 225.76,
    "2x2": 334.88 * 225.76,
    "3x2": 508.76 * 225.76,
    "4x2": 682.64 * 225.76,
    "6x2": 1030.40 * 225.76,
    "8x2": 1378.16 * 225.76,
}
# The share of an area that cells may fill, so that wires find their way: what the flow aims at.
_FILLED = 0.6
# Of a NAND2, a NOR2 and an inverter, and of a flip-flop with reset, in the library sky130_fd_sc_hd.
_GATE, _FLIP_FLOP = 3.7536, 25.024
# To such gates, without the search for fewer of them, which takes minutes for large circuits.
_MAP = 'abc -g cmos2 -script "+strash;dc2;map"'
# The bench's chip learns parity, as one of so many twins did first.
_TWINS, _MOST_STEPS, _PART, _MORE = 16, 40_000, 500, 8


def tiny_tapeout(spec: Spec) -> dict[str, str]:
    """The files of the project, as text, by their names.

    Args:
        spec: a circuit with a network of up to three inputs and one output.

    Raises:
        ValueError: if the circuit does not fit pins or tiles.
        MgdError: if its twin does not learn, or Yosys, which counts its cells, is not installed.
    """
    _check(spec)
    files = (*modules(), rtl() / "mgd_pins.sv")
    sources, top = {path.name: path.read_text(encoding="utf-8") for path in files}, f"{_TOP}.sv"
    tiles, inputs = _tiles({top: project(spec, seed=1), **sources}), spec.layers[0]
    begun = _learnt(spec)
    sources[top] = project(spec, begun["seed"])
    said = {
        "TOP": _TOP,
        "TILES": tiles,
        "LAYERS": "-".join(map(str, spec.layers)),
        "PARAMETERS": str(spec.parameters),
        "INPUTS": str(inputs),
        "THETA_BITS": str(spec.theta_bits),
        # More than the network takes to answer all words.
        "CLOCKS": str(2**inputs * (8 * spec.parameters + 100)),
        "LISTED": "\n".join(f'    - "{name}"' for name in sources),
        "SOURCES": " ".join(sources),
    }
    contents = {f"src/{name}": text for name, text in sources.items()}
    contents |= {"test/requirements.txt": "cocotb>=2.1\npytest\n", "test/due.json": json.dumps(begun) + "\n"}
    for name in ("info.yaml", "docs/info.md", "test/Makefile", "test/tb.v", "test/test.py"):
        text = template(f"tiny_tapeout/{name}")
        for word, value in said.items():
            text = text.replace(f"@{word}@", value)
        contents[name] = text
    return contents


def _check(spec: Spec) -> None:
    if not spec.layers or spec.layers[0] > 3 or spec.layers[-1] != 1:
        raise ValueError(
            "the pins of Tiny Tapeout have room for a truth table of up to three inputs and one output: give such "
            f"layers, for instance [2, 2, 1], got {list(spec.layers)}"
        )
    if spec.theta_bits > 8:
        raise ValueError(f"parameters are shown on 8 pins: give theta_bits = 8 or less, got {spec.theta_bits}")


def project(spec: Spec, seed: int) -> str:
    """The top module, as text."""
    bits, drive = spec.activation_bits, spec.lanes * (spec.theta_bits + 1)
    row_bits = max(1, (spec.depth - 1).bit_length())
    held = {f"{name}_i": f"{spec.counter_bits}'d{getattr(spec, name) - 1}" for name in ("tau_p", "tau_x", "tau_theta")}
    core = {"clk_i": "clk", "rst_ni": "rst_n", "restart_i": "restart", "seed_i": f"{spec.signs.state_bits}'d{seed}"}
    core |= {"run_i": "run", "learn_i": "learn", "freeze_i": "1'b0", **held, "busy_o": "busy", "step_o": "step"}
    core |= {"sticky_o": "sticky", "sticky_clear_i": "3'b0", "scan_i": "scan", "scan_load_i": "scan_load"}
    core |= {"scan_theta_i": "to_core", "scan_theta_o": "from_core", "next_sample_o": "next_sample"}
    core |= {"req_o": "req", "ack_i": "valid", "cost_i": "cost", "row_i": "row"}
    core |= {"drive_o": "drive", "perturb_o": "perturb", "sign_o": "sign"}
    pins = {"clk_i": "clk", "rst_ni": "rst_n", "table_i": "ui_in", "control_i": "uio_in[4:0]", "shown_o": "uo_out"}
    pins |= {"correct_o": "correct", "run_o": "run", "learn_o": "learn", "restart_o": "restart", "scan_o": "scan"}
    pins |= {"scan_load_o": "scan_load", "scan_theta_o": "to_core", "scan_theta_i": "from_core"}
    pins |= {"next_sample_i": "next_sample", "x_o": "x", "target_o": "target", "valid_i": "valid", "y_i": "y"}
    of_pins = {"Inputs": str(spec.layers[0]), "WAct": str(bits), "WTheta": str(spec.theta_bits)}
    others = {"clk_i": "clk", "rst_ni": "rst_n", "x_i": "x", "target_i": "target"}
    others |= {"ack_o": "valid", "cost_o": "cost", "y_o": "y"}
    return f"""// Made by mgd onchip generate from spec.toml.
module {_TOP} (
  input  logic [7:0] ui_in,
  output logic [7:0] uo_out,
  input  logic [7:0] uio_in,
  output logic [7:0] uio_out,
  output logic [7:0] uio_oe,
  input  logic       ena,
  input  logic       clk,
  input  logic       rst_n
);

  logic run, learn, restart, scan, scan_load, busy, next_sample, req, valid, correct, unused;
  logic signed [{spec.theta_bits - 1}:0] to_core, from_core;
  logic [31:0] step;
  logic [2:0] sticky;
  logic [{row_bits - 1}:0] row;
  logic [{drive - 1}:0] drive, weights;
  logic [{spec.lanes - 1}:0] perturb, sign;
  logic [{spec.layers[0] * bits - 1}:0] x;
  logic [{bits - 1}:0] target, y;
  logic [{spec.cost_bits - 1}:0] cost;

{instance("mgd_pins", of_pins, pins, "u_pins")}
{instance("mgd_core", core_parameters(spec), core, "u_core")}{weights(spec)}{network(spec, others)}
  assign uio_out = {{correct, step[0], busy, 5'b0}};
  assign uio_oe = 8'b1110_0000;
  assign unused = ^{{ena, uio_in[7:5], step[31:1], sticky, {", ".join(not_used(spec))}}};

endmodule
"""


def _tiles(sources: dict[str, str]) -> str:
    """The smallest number of tiles that has room for the cells."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in sources]
        for path in paths:
            path.write_text(sources[path.name], encoding="utf-8")
        script = [f"read_verilog -sv {' '.join(map(str, paths))}", f"synth -flatten -noabc -top {_TOP}"]
        script += ["dfflegalize -cell $_DFF_P_ x -cell $_DFF_PN0_ x -cell $_DFF_PN1_ x", _MAP]
        kinds = counted(script)[1][_TOP]
    area = sum(number * (_FLIP_FLOP if "DFF" in kind else _GATE) for kind, number in kinds.items())
    for tiles, whole in _TILES.items():
        if area <= _FILLED * whole:
            return tiles
    largest, whole = list(_TILES.items())[-1]
    most = int(_FILLED * whole / _GATE)
    raise ValueError(
        f"the circuit takes {round(area / _GATE):,} cells as NAND2, and the {largest} tiles of Tiny Tapeout's largest "
        f"project have room for {most:,}: give fewer neurons, narrower widths, or lanes = 1"
    )


def _learnt(spec: Spec) -> dict:
    """A start, in steps, from which the twin learns parity, and its parameters at the timesteps about its success.

    Raises:
        MgdError: if none of some twins learns it.
    """
    chip, inputs = FixedPointNetwork(spec), spec.layers[0]
    words = np.arange(2**inputs)
    x = ((words[:, None] >> np.arange(inputs)) & 1).astype(np.float32)
    table = x.sum(1) % 2
    data, engine = Data.of(Samples(x, table[:, None]), "values", "sequential"), Measured(chip, Circuit(spec))

    @jax.jit
    @jax.vmap
    def correct(theta):
        answers = chip.respond(theta, jnp.asarray(x), key=jax.random.key(0))[:, 0]
        return jnp.all((answers > 0.5) == (table == 1))

    def steps_of(progress) -> np.ndarray:
        return np.round(np.asarray(progress.state.theta) * 2.0**spec.theta_fraction).astype(int)

    progress = engine.init(_TWINS, key=jax.random.key(0))
    start, seeds = steps_of(progress), np.asarray(progress.state.optimizer.code)
    for step in range(_PART, _MOST_STEPS + 1, _PART):
        progress = engine.advance(data, progress, _PART - _MORE if step > _PART else _PART)
        solved, learnt = np.asarray(correct(progress.state.theta)), {step: steps_of(progress)}
        for more in range(step + 1, step + _MORE + 1):
            progress = engine.advance(data, progress, 1)
            solved = solved & np.asarray(correct(progress.state.theta))
            learnt[more] = steps_of(progress)
        if solved.any():
            one = int(np.argmax(solved))
            return {
                "start": start[one].tolist(),
                "seed": int(seeds[one]),
                "table": int(sum(1 << int(word) for word in words if table[word])),
                "timesteps": step,
                "learnt": {number: theta[one].tolist() for number, theta in learnt.items()},
            }
    raise MgdError(
        f"none of {_TWINS} twins learns the parity of {inputs} bits in {_MOST_STEPS:,} timesteps: start from the "
        "settings of examples/onchip.toml"
    )
