"""A bench around a circuit with its network and samples: its control and all its registers, in words of 32 bits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from ._spec import Spec
from ._top import coded, instance, memory_of, rtl, trainer_parameters

# The words of `control_i`, in their order.
CONTROL = (
    *("run", "learn", "freeze", "restart", "seed", "tau_p", "tau_x", "tau_theta"),
    *("scan", "scan_load", "scan_theta"),
)
_SINGLE = (
    "step",
    "busy",
    "sticky",
    "code",
    "late",
    "baseline",
    "sum",
    "p",
    "x",
    "theta_count",
    "second",
    "due",
    "valid",
)


@dataclass(frozen=True)
class Layout:
    """Where each register is among the words that the bench shows."""

    spec: Spec

    @property
    def words(self) -> int:
        return len(_SINGLE) + 2 * self.spec.parameters + 1

    def named(self, words: Int[np.ndarray, " words"]) -> dict[str, Int[np.ndarray, "..."]]:
        """The registers by name, from the words; θ and what is kept are vectors."""
        begin, p = len(_SINGLE), self.spec.parameters
        kept = words[begin + p : begin + 2 * p]
        single = {name: np.asarray(words[place]) for place, name in enumerate(_SINGLE)}
        return single | {"theta": words[begin : begin + p], "kept": kept, "scan_theta": np.asarray(words[-1])}


def write_bench(
    spec: Spec, x: Float[np.ndarray, "n *features"], target: Float[np.ndarray, "n outputs"], folder: Path
) -> list[Path]:
    """Writes the bench and the memory of its samples into a folder, and returns all files that a simulator needs.

    Args:
        spec: a circuit with layers.
        x: inputs of the samples, which come in turn.
        target: their targets.
        folder: it must stay as long as the bench is used, because the samples are read when a simulation begins.
    """
    (folder / "samples.mem").write_text(samples_of(spec, x, target))
    (folder / "mgd_bench.sv").write_text(bench(spec, len(x), str(folder / "samples.mem")))
    return [folder / "mgd_bench.sv", *sorted(rtl().glob("*.sv"))]


def samples_of(spec: Spec, x: Float[np.ndarray, "n *features"], target: Float[np.ndarray, "n outputs"]) -> str:
    """The memory of these samples, as text."""
    return memory_of(spec, coded(spec, x).reshape(len(x), -1), coded(spec, target))


# Where a register of its own is in the trainer.
_WITHIN = {
    "code": "u_core.code",
    "late": "u_core.late",
    "baseline": "u_core.baseline",
    "sum": "u_core.sum",
    "p": "u_core.u_sequencer.p_q",
    "x": "u_core.u_sequencer.x_q",
    "theta_count": "u_core.u_sequencer.theta_q",
    "second": "u_core.u_sequencer.second_q",
    "due": "u_core.u_sequencer.due_q",
}


def bench(spec: Spec, samples: int, file: str) -> str:
    """The bench, as text.

    It reads the registers where they are, so that nothing is added to the circuit, and copies them with a clock of
    their own, `sample_i`, so that they cost nothing while nobody looks.

    Args:
        spec: a circuit with layers.
        samples: how many there are.
        file: their memory's.
    """
    widths = {"seed": spec.signs.state_bits, "scan_theta": spec.theta_bits}
    widths |= dict.fromkeys(("tau_p", "tau_x", "tau_theta"), spec.counter_bits)
    ports = {"clk_i": "clk_i", "rst_ni": "rst_ni"}
    ports |= {f"{name}_i": f"control_i[32*{place} +: {widths.get(name, 1)}]" for place, name in enumerate(CONTROL)}
    ports |= {"busy_o": "busy", "step_o": "step_o", "sticky_o": "sticky", "scan_theta_o": "scan_theta"}
    ports |= {"valid_o": "valid", "y_o": "", "cost_o": ""}
    sources = {name: f"u_trainer.{_WITHIN[name]}" if name in _WITHIN else name for name in _SINGLE}
    sources |= {"step": "step_o"}
    words = [f"$signed({of})" if name == "sum" else of for name, of in sources.items()]
    numbers = range(spec.parameters)
    words += [f"$signed(word_{number}[{spec.kept_bits} +: {spec.theta_bits}])" for number in numbers]
    kept = [f"word_{number}[0 +: {spec.kept_bits}]" for number in numbers]
    words += kept if spec.merged else [f"$signed({one})" for one in kept]
    words += ["scan_theta"]
    copies = "".join(f"    word_{number} = {_word(spec, number)};\n" for number in numbers)
    shown = "".join(f"    registers_o[32*{place} +: 32] = 32'({word});\n" for place, word in enumerate(words))
    control, registers = f"[{32 * len(CONTROL) - 1}:0]", f"[{32 * len(words) - 1}:0]"
    declared = "".join(f"  logic [{spec.state_bits - 1}:0] word_{number};\n" for number in numbers)
    trainer = instance("mgd_trainer", trainer_parameters(spec, samples, file), ports, "u_trainer")
    return f"""module mgd_bench (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic sample_i,
  input  logic {control} control_i,
  output logic [31:0] step_o,
  output logic {registers} registers_o
);

  logic        busy, valid;
  logic [2:0]  sticky;
  logic signed [{spec.theta_bits - 1}:0] scan_theta;
{declared}
{trainer}
  always @(posedge sample_i) begin
{copies}{shown}  end

endmodule
"""


def _word(spec: Spec, number: int) -> str:
    """Where the registers of a parameter are: θ, and in the lower bits what is kept."""
    if spec.depth == 1:
        synapse = f"u_trainer.u_core.gen_synapses.gen_synapse[{number}].u_synapse"
        return f"{{{synapse}.theta_q, {synapse}.kept_q}}"
    row, lane = divmod(number, spec.lanes)
    return f"u_trainer.u_core.gen_lanes.gen_lane[{lane}].u_lane.memory_q[{row}]"
