"""A bench around a circuit with its network and samples: its control and all its registers, in words of 32 bits."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from ._spec import Spec
from ._top import instance, trainer_parameters

# The words of `control_i`, in their order.
CONTROL = (
    *("run", "learn", "freeze", "restart", "seed", "tau_p", "tau_x", "tau_theta"),
    *("scan", "scan_load", "scan_theta", "observe"),
)
_SINGLE = ("step", "busy", "sticky", "code", "late", "baseline", "sum", "p", "x", "theta_count", "second", "due", "valid")
_SIGNED = {"sum", "theta"}


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
        single = {name: words[place] for place, name in enumerate(_SINGLE)}
        return single | {"theta": words[begin : begin + p], "kept": kept, "scan_theta": words[begin + 2 * p]}


def bench(spec: Spec, samples: int, file: str) -> str:
    """The bench, as text. It reads the registers where they are, so that nothing is added to the circuit.

    Args:
        spec: a circuit with layers.
        samples: how many there are.
        file: their memory's.
    """
    widths = {"seed": spec.signs.state_bits, "scan_theta": spec.theta_bits}
    widths |= dict.fromkeys(("tau_p", "tau_x", "tau_theta"), spec.counter_bits)
    ports = {"clk_i": "clk_i", "rst_ni": "rst_ni"}
    ports |= {
        f"{name}_i": f"control_i[32*{place} +: {widths.get(name, 1)}]"
        for place, name in enumerate(CONTROL)
        if name != "observe"
    }
    ports |= {name: name.removesuffix("_o") for name in ("busy_o", "step_o", "sticky_o", "scan_theta_o", "valid_o")}
    ports |= {"y_o": "", "cost_o": ""}
    layout = Layout(spec)
    within = {
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
    lines = []
    for place, name in enumerate(_SINGLE):
        of = f"u_trainer.{within[name]}" if name in within else name
        value = f"32'($signed({of}))" if name in _SIGNED else f"32'({of})"
        lines.append(f"  assign registers[32*{place} +: 32] = {value};\n")
    begin = len(_SINGLE)
    for number in range(spec.parameters):
        theta, kept = _parameter(spec, number)
        signed = kept if spec.merged else f"$signed({kept})"
        lines.append(f"  assign registers[32*{begin + number} +: 32] = 32'($signed({theta}));\n")
        lines.append(f"  assign registers[32*{begin + spec.parameters + number} +: 32] = 32'({signed});\n")
    lines.append(f"  assign registers[32*{layout.words - 1} +: 32] = 32'(scan_theta);\n")
    return (
        "module mgd_bench (\n"
        "  input  logic clk_i,\n"
        "  input  logic rst_ni,\n"
        f"  input  logic [{32 * len(CONTROL) - 1}:0] control_i,\n"
        "  output logic [31:0] step_o,\n"
        f"  output logic [{32 * layout.words - 1}:0] registers_o\n"
        ");\n\n"
        "  logic        busy, valid;\n"
        "  logic [31:0] step;\n"
        "  logic [2:0]  sticky;\n"
        f"  logic signed [{spec.theta_bits - 1}:0] scan_theta;\n"
        f"  logic [{32 * layout.words - 1}:0] registers;\n\n"
        + instance("mgd_trainer", trainer_parameters(spec, samples, file), ports, "u_trainer")
        + "\n"
        + "".join(lines)
        + "  assign step_o = step;\n"
        + f"  assign registers_o = control_i[{32 * CONTROL.index('observe')}] ? registers : '0;\n\nendmodule\n"
    )


def _parameter(spec: Spec, number: int) -> tuple[str, str]:
    """Where θ and what is kept of a parameter are."""
    if spec.depth == 1:
        synapse = f"u_trainer.u_core.gen_synapses.gen_synapse[{number}].u_synapse"
        return f"{synapse}.theta_q", f"{synapse}.kept_q"
    row, lane = divmod(number, spec.lanes)
    word = f"u_trainer.u_core.gen_lanes.gen_lane[{lane}].u_lane.memory_q[{row}]"
    return f"{word}[{spec.kept_bits} +: {spec.theta_bits}]", f"{word}[0 +: {spec.kept_bits}]"
