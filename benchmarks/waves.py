"""Timing diagrams of a training circuit, drawn from a simulation of its RTL in Icarus.

`python benchmarks/waves.py` generates a core of two parameters for an array outside, lets its bench run in Icarus, and
draws three figures in docs/figures: onchip-measurement.png, measurements of a cost that takes three clocks;
onchip-window.png, the end of a window; and onchip-stop.png, a stop. It needs iverilog.
"""

import re
import subprocess
import tempfile
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt

from mgd.onchip import Spec, generate

IMAGES = Path(__file__).parents[1] / "docs" / "figures"
SPEC = Spec(parameters=2, tau_x=2, tau_theta=4)
CORE = "mgd_top_bench.dut.u_core.u_core."
# What is drawn, by its name in the diagrams; numbers with a sign are signed.
SIGNALS = {
    "clk_i": (CORE + "clk_i", False),
    "run_i": (CORE + "run_i", False),
    "hold_i": ("mgd_top_bench.hold", False),
    "req_o": (CORE + "req_o", False),
    "ack_i": (CORE + "ack_i", False),
    "cost_i": (CORE + "cost_i", False),
    "drive_o[0]": (CORE + "drive_o", True),
    "sum of C̃": (CORE + "sum", True),
    "next_sample_o": (CORE + "next_sample_o", False),
    "θ[0]": (CORE + "thetas", True),
    "busy_o": (CORE + "busy_o", False),
    "step_o": (CORE + "step_o", False),
}
# Bits of one parameter in a vector of several.
FIRST = {"drive_o[0]": SPEC.theta_bits + 1, "θ[0]": SPEC.theta_bits}
PERIOD = 10_000  # picoseconds


def recorded(folder: Path) -> dict[str, list[tuple[int, str]]]:
    """The changes of every signal in a run of the bench, by its whole name: times in picoseconds, and bits."""
    generate(SPEC, folder)
    (folder / "dump.sv").write_text(
        'module dump; initial begin $dumpfile("waves.vcd"); $dumpvars(0, mgd_top_bench); end endmodule\n'
    )
    sources = ["dump.sv", "mgd_top_bench.sv", "mgd_top.sv", *sorted((folder / "rtl").glob("*.sv"))]
    command = ["iverilog", "-g2012", "-s", "mgd_top_bench", "-s", "dump", "-o", "waves.vvp", *map(str, sources)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    said = subprocess.run(["vvp", "-n", "waves.vvp"], cwd=folder, check=True, capture_output=True, text=True).stdout
    assert "PASS" in said, said
    return parsed((folder / "waves.vcd").read_text())


def parsed(vcd: str) -> dict[str, list[tuple[int, str]]]:
    """The changes of a dump."""
    names: dict[str, list[str]] = {}
    scopes: list[str] = []
    head, changes = vcd.split("$enddefinitions $end", 1)
    for scope, variable, code, name in re.findall(
        r"\$(scope \w+ \S+|upscope|var (\w+) \d+ (\S+) (\S+)[^$]*) ?\$end", head
    ):
        if scope.startswith("scope"):
            scopes.append(scope.split()[-1])
        elif scope == "upscope":
            scopes.pop()
        elif variable != "parameter":
            names.setdefault(code, []).append(".".join([*scopes, name]))
    found: dict[str, list[tuple[int, str]]] = {name: [] for of in names.values() for name in of}
    time = 0
    for line in changes.split("\n"):
        if line.startswith("#"):
            time = int(line[1:])
        elif line and line[0] in "01xzb":
            bits, code = line[1:].split() if line[0] == "b" else (line[0], line[1:])
            for name in names.get(code, ()):
                found[name].append((time, bits))
    return found


def value(changes: list[tuple[int, str]], time: int) -> str:
    """The bits at a time."""
    return next((bits for when, bits in reversed(changes) if when <= time), "x")


def shown(name: str, bits: str) -> str:
    """The bits as a number; of a vector of several, the first."""
    if set(bits) - {"0", "1"}:
        return "x"
    width = FIRST.get(name)
    if width is not None:
        bits = bits.rjust(64, "0")[-width:]
    number = int(bits, 2)
    signed = SIGNALS[name][1]
    width = width or SPEC.sum_bits
    return str(number - 2**width if signed and len(bits) >= width and bits[-width] == "1" else number)


def draw(waves: dict[str, list[tuple[int, str]]], begin: int, clocks: int, names: tuple[str, ...], file: Path) -> None:
    """A diagram of so many clocks from a time on."""
    end = begin + clocks * PERIOD
    figure, axes = plt.subplots(figsize=(0.62 * clocks + 1.6, 0.42 * len(names) + 0.5), layout="constrained")
    for row, name in enumerate(names):
        low, changes = -row, waves[SIGNALS[name][0]]
        times = [begin, *(when for when, _ in changes if begin < when < end), end]
        known = [shown(name, value(changes, when)) for when in times[:-1]]
        steps = [k for k in range(len(known)) if k == 0 or known[k] != known[k - 1]]
        edges = [*(times[k] for k in steps), end]
        is_bit = max(len(bits) for _, bits in changes) == 1
        for k, (left, right) in enumerate(pairwise(edges)):
            text = known[steps[k]]
            if is_bit:
                height = low + 0.6 * (text == "1")
                axes.plot([left, right], [height, height], color="black", linewidth=1)
                if k:
                    axes.plot([left, left], [low, low + 0.6], color="black", linewidth=1)
            else:
                axes.fill_between([left, right], low, low + 0.6, facecolor="#e8eef7", edgecolor="black", linewidth=0.8)
                if right - left >= PERIOD:
                    axes.text((left + right) / 2, low + 0.3, text, ha="center", va="center", fontsize=7)
    for clock in range(clocks + 1):
        axes.axvline(begin + clock * PERIOD, color="0.85", linewidth=0.6, zorder=0)
    axes.set_yticks([0.3 - row for row in range(len(names))], names, fontsize=8)
    axes.set_xticks([])
    axes.set_xlim(begin, end)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    figure.savefig(file, dpi=130, facecolor="white")
    plt.close(figure)
    print(file)


def rises(waves: dict[str, list[tuple[int, str]]], name: str) -> list[int]:
    """When a bit rises."""
    return [time for time, bits in waves[SIGNALS[name][0]] if bits == "1"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        waves = recorded(Path(folder) / "core")
    run = rises(waves, "run_i")[0]
    first = next(time for time in rises(waves, "req_o") if time > run)
    names = ("clk_i", "req_o", "drive_o[0]", "ack_i", "cost_i", "sum of C̃", "next_sample_o", "busy_o", "step_o")
    draw(waves, first - 2 * PERIOD, 18, names, IMAGES / "onchip-measurement.png")
    moves = [time for time, bits in waves[SIGNALS["step_o"][0]] if bits != "x" and int(bits, 2) == 2 * SPEC.tau_theta]
    names = ("clk_i", "req_o", "drive_o[0]", "ack_i", "cost_i", "sum of C̃", "next_sample_o", "θ[0]", "step_o")
    draw(waves, moves[0] - 10 * PERIOD, 18, names, IMAGES / "onchip-window.png")
    stop = rises(waves, "hold_i")[0]
    names = ("clk_i", "hold_i", "req_o", "ack_i", "next_sample_o", "busy_o", "step_o")
    draw(waves, stop - (stop - first) % PERIOD - 11 * PERIOD, 18, names, IMAGES / "onchip-stop.png")


if __name__ == "__main__":
    main()
