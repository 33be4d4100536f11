"""The training circuit: what it learns without a host, and its area.

`python benchmarks/onchip.py xor` prints a markdown table: of 64 chips (replicas 0 to 63 of key 0), how many have solved
XOR after 40,000 timesteps, by the widths of a circuit whose samples come in turn. It is simulated by the twin, whose
registers are those of the RTL to the bit. The last row is the same algorithm in float32, with independent signs.

`python benchmarks/onchip.py nist7x7` prints the accuracy on NIST7x7 of the circuit and of the algorithm in float32, and
`… widths` that of many widths, with a figure; both are in `onchip_widths.py`. `… speed` prints rates of simulation
(`onchip_speed.py`).

`python benchmarks/onchip.py letters` lets the RTL of a 49-4-4 network learn NIST7x7 in Verilator, with core, network
and samples on the chip and no host, and prints its accuracy, and whether its parameters are the twin's.

`python benchmarks/onchip.py area` prints the cells of modules and cores in three technologies, as counted by the Yosys
that is installed, which it names. `python benchmarks/onchip.py clock` prints the clocks of cores that nextpnr finds.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import mgd
from mgd.onchip import Circuit, FixedPointNetwork, Spec, Verilated, clock
from mgd.onchip._technology import by_kind, synthesised
from mgd.onchip._top import core_parameters, instance
from onchip_speed import speed
from onchip_widths import OF_LETTERS, nist7x7, widths

CHIPS, STEPS = 64, 40_000
LETTERS, STEPS_OF_LETTERS = 4, 1_000_000
SIGNS = 220
RECOMMENDED = Spec(layers=(2, 2, 1), merged=True)
# What is changed of the recommended circuit, in each row. With the fraction of θ goes the shift, so that the learning
# rate stays.
VARIED = (
    {},
    {"theta_bits": 6, "theta_fraction": 2, "amplitude": 1, "shift": 5},
    {"theta_bits": 7, "theta_fraction": 3, "amplitude": 2, "shift": 4},
    {"theta_bits": 10, "theta_fraction": 6, "amplitude": 16, "shift": 1},
    {"theta_bits": 7},
    {"modulation_bits": 7},
    {"modulation_bits": 6},
    {"activation_bits": 5},
    {"activation_bits": 8},
    {"cost_bits": 6, "cost_fraction": 6, "modulation_bits": 6, "shift": 1},
    {"cost_bits": 6, "cost_fraction": 6, "modulation_bits": 6, "activation_bits": 5, "shift": 1},
    {"shift": 2},
    {"shift": 4},
    {"two_sided": True, "shift": 4},
    {"code": "sequential"},
)


def solved(chip: mgd.chips.AbstractChip, algorithm: mgd.algorithm.AbstractAlgorithm) -> int:
    """How many chips have solved XOR at the end."""
    task = dataclasses.replace(mgd.datasets.parity(bits=2), order="sequential")
    run = {"n_steps": STEPS, "n_replicas": CHIPS, "key": jax.random.key(0), "progress": False}
    return int(mgd.train(chip, task, algorithm, engine="measured", **run).solved.sum())


def xor() -> None:
    """The table of chips that solve XOR."""
    print(f"| changed | solved of {CHIPS} in {STEPS:,} timesteps |\n|---|---|")
    for changed in VARIED:
        spec = dataclasses.replace(RECOMMENDED, **changed)
        said = ", ".join(f"{name} = {value}" for name, value in changed.items()) or "nothing: the recommended widths"
        print(f"| {said} | {solved(FixedPointNetwork(spec), Circuit(spec))} |", flush=True)
    count = solved(mgd.chips.mlp((2, 2, 1)), Circuit(RECOMMENDED).reference)
    print(f"| float32, at the same learning rate | {count} |")


def letters() -> None:
    """The table of chips that learn NIST7x7 in RTL."""
    spec, task = dataclasses.replace(OF_LETTERS, shift=8), mgd.datasets.nist7x7()
    task = dataclasses.replace(task, order="sequential")  # samples in turn, as on the chip
    chip, data = FixedPointNetwork(spec), mgd.engines.Data.of(task.train, task.kind, task.order)
    engine = mgd.engines.Measured(chip, Circuit(spec))
    progress = engine.init(LETTERS, key=jax.random.key(0))
    codes, starts = np.asarray(progress.state.optimizer.code), steps_of(spec, progress.state.theta)
    twins = steps_of(spec, engine.advance(data, progress, STEPS_OF_LETTERS).state.theta)
    circuit = Verilated(spec, task.train.x, task.train.y)
    right = np.argmax(task.test.y, axis=1)
    print(f"| chip | after {STEPS_OF_LETTERS:,} timesteps | clocks | parameters |\n|---|---|---|---|")
    for number in range(LETTERS):
        circuit.start(starts[number], int(codes[number]))
        clocks = circuit.run(STEPS_OF_LETTERS, most_clocks=10**10)
        learnt = circuit.scanned()
        outputs = chip.respond(
            jnp.float32(learnt * 2.0**-spec.theta_fraction), jnp.asarray(task.test.x), key=jax.random.key(0)
        )
        accuracy = np.mean(np.argmax(outputs, axis=1) == right)
        same = "the twin's" if np.array_equal(learnt, twins[number]) else "not the twin's"
        print(f"| {number} | {100 * accuracy:.1f} % | {clocks:,} | {same} |", flush=True)


def steps_of(spec: Spec, theta: jax.Array) -> np.ndarray:
    """Parameters as the registers have them."""
    return np.round(np.asarray(theta) * 2.0**spec.theta_fraction).astype(np.int32)


def part(spec: Spec, module: str, names: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """A module that takes some of the core's parameters."""
    known = core_parameters(spec)
    return module, {name: known[name] for name in names}


def signs_of(spec: Spec) -> str:
    """A module with the signs of all parameters alone, as text."""
    code = {name: core_parameters(spec)[name] for name in ("Code", "WCode", "Groups", "GroupBits")}
    body = ""
    for n in range(spec.parameters):
        ports = {"state_i": "state_i", "index_i": f"16'd{n}", "sign_o": f"sign_o[{n}]", "active_o": ""}
        body += instance("mgd_sign", code, ports, f"u_sign_{n}")
    listed = f"input logic [{code['WCode']}-1:0] state_i, output logic [{spec.parameters - 1}:0] sign_o"
    return f"module signs ({listed});\n{body}endmodule\n"


def area() -> None:
    """The table of areas."""
    widths = {"theta_bits": 12, "theta_fraction": 8, "shift": 8, "accumulator_bits": 16, "may_overflow": True}
    full = Spec(parameters=9, tau_theta=32, **widths)
    merged = Spec(parameters=9, merged=True, shift=6, modulation_bits=6)
    synapse, drive = ("Merged", "WTheta", "WKept", "Shift", "WSum"), ("WTheta", "AmplitudeBits")
    rows = {
        "synapse, full: θ 12 bits, accumulator 16": part(full, "mgd_synapse", synapse),
        "its ±Δ, if the array does not add it": part(full, "mgd_drive", drive),
        "synapse, merged: θ 8 bits, remainder 6": part(merged, "mgd_synapse", synapse),
        "its ±Δ, if the array does not add it ": part(merged, "mgd_drive", drive),
    }
    for count in (9, 64):
        of = dataclasses.replace(merged, parameters=count, lanes=count)
        rows[f"core, merged, a synapse for each of {count}"] = "mgd_core", core_parameters(of)
    for count in (9, 220, 1000):
        of = dataclasses.replace(merged, parameters=count, lanes=1)
        rows[f"core, merged, one lane for {count}"] = "mgd_core", core_parameters(of)
    rows["registers on the bus: 9 parameters, seed 32 bits, τ 8"] = (
        "mgd_axil",
        {"Parameters": "9", "WCode": "32", "WTau": "8"},
    )
    rows["shift register of the signs, 32 stages"] = part(merged, "mgd_code", ("Code", "WCode", "Leap", "Taps"))
    rows[f"signs of {SIGNS}"] = "signs", {}
    head, tool = ("iCE40: LUT4", "flip-flops", "4-kbit memories", "ECP5: LUT4", "18-kbit memories", "OSU018: NAND2"), ""
    for name, (module, parameters) in rows.items():
        cells = {}
        for technology in ("ice40", "ecp5", "osu018"):
            if technology == "osu018" and "one lane" in name:  # memories would be flip-flops
                continue
            with tempfile.TemporaryDirectory() as work:
                file = Path(work) / "signs.sv"
                file.write_text(signs_of(dataclasses.replace(merged, parameters=SIGNS, lanes=SIGNS)))
                tool, found = synthesised(technology, module, parameters, sources=[file])
            (cells[technology],) = (by_kind(technology, of) for of in found.values())
        numbers = [cells["ice40"][kind] for kind in ("LUT4", "flip-flops", "4-kbit memories")]
        # Each of its carries is made of two look-up tables.
        numbers += [cells["ecp5"]["LUT4"] + 2 * cells["ecp5"]["carries"], cells["ecp5"]["18-kbit memories"]]
        nand2 = f"{cells['osu018']['as NAND2']:,}" if "osu018" in cells else "–"
        if name == next(iter(rows)):
            print(f"| {tool} | " + " | ".join(head) + " |\n|---" + "|---" * len(head) + "|")
        print(f"| {name.strip()} | " + " | ".join(f"{n:,}" for n in numbers) + f" | {nand2} |", flush=True)


def clocks() -> None:
    """The clock of serial cores, and of one with a synapse for each parameter."""
    merged = Spec(parameters=9, merged=True, shift=6, modulation_bits=6)
    print("| core, merged | iCE40 HX8K | ECP5-25 |\n|---|---|---|")
    for name, count, lanes in (
        ("one lane for 220", 220, 1),
        ("one lane for 1000", 1000, 1),
        ("a synapse for each of 9", 9, 9),
        ("a synapse for each of 64", 64, 64),
    ):
        of = dataclasses.replace(merged, parameters=count, lanes=lanes)
        found = [clock(of, technology) for technology in ("ice40", "ecp5")]
        print(f"| {name} | " + " | ".join(f"{one.megahertz:.0f} MHz" for one in found) + " |", flush=True)
    print("; ".join(one.tool for one in found))


if __name__ == "__main__":
    what = {
        "xor": xor,
        "nist7x7": nist7x7,
        "widths": widths,
        "speed": speed,
        "letters": letters,
        "area": area,
        "clock": clocks,
    }
    if sys.argv[1:] not in [[name] for name in what]:
        sys.exit(f"usage: python benchmarks/onchip.py {' | '.join(what)}")
    what[sys.argv[1]]()
