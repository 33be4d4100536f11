"""The registers on the bus and the stream of samples, in Icarus: what is learnt with them is what the twin learns."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mgd.onchip import FixedPointNetwork, Spec
from mgd.onchip._top import core_parameters, instance, memory_of, rtl

pytestmark = [
    pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs Icarus: apt-get install iverilog"),
    pytest.mark.skipif(
        importlib.util.find_spec("cocotb") is None or importlib.util.find_spec("cocotbext") is None,
        reason='needs cocotb and its buses: pip install "cocotb>=2.1" cocotbext-axi',
    ),
]

STEPS = 250
FORMS = {
    "parallel": {"tau_p": 2, "tau_x": 3, "tau_theta": 8},
    "another clock": {"tau_p": 3, "tau_x": 2, "tau_theta": 6},
    # Where costs, C̃ and parameters all come to their limits.
    "serial": {
        "lanes": 2, "two_sided": True, "merged": True, "tau_x": 2, "theta_bits": 4, "theta_fraction": 1, "amplitude": 4,
        "cost_bits": 7, "modulation_bits": 4, "shift": 1,
    },
}  # fmt: skip


# Nanoseconds of the network's clock, where it has one of its own; the core's has 10.
NETWORK_CLOCK = {"another clock": 13.7}


def top(spec: Spec, crosses: bool) -> str:
    """A core with its bus, a stream of samples in beats of eight bits, and perhaps a crossing to another clock."""
    sample = (spec.layers[0] + spec.layers[-1]) * spec.activation_bits
    widths = {
        "awaddr": 5, "awprot": 3, "awvalid": 1, "wdata": 32, "wstrb": 4, "wvalid": 1, "bready": 1,
        "araddr": 5, "arprot": 3, "arvalid": 1, "rready": 1,
    }  # fmt: skip
    inputs = {"clk_i": 1, "rst_ni": 1, "net_clk_i": 1} | {f"s_axil_{name}": width for name, width in widths.items()}
    widths = {"awready": 1, "wready": 1, "bresp": 2, "bvalid": 1, "arready": 1, "rdata": 32, "rresp": 2, "rvalid": 1}
    outputs = {f"s_axil_{name}": width for name, width in widths.items()}
    network = {"ack_i": 1, "cost_i": spec.cost_bits, "row_i": max(1, (spec.depth - 1).bit_length())}
    asked = {"req_o": 1, "drive_o": spec.lanes * (spec.theta_bits + 1), "perturb_o": spec.lanes, "sign_o": spec.lanes}
    stream = {"s_axis_tdata": 8, "s_axis_tlast": 1, "s_axis_tvalid": 1}
    held = {"s_axis_tready": 1, "dropped_o": 1, "sample_o": sample}
    ports = [f"  input  logic [{width - 1}:0] {name}" for name, width in (inputs | network | stream).items()]
    ports += [f"  output logic [{width - 1}:0] {name}" for name, width in (outputs | asked | held).items()]
    core = {name: name for name in [*inputs, *outputs, *network, *asked] if name != "net_clk_i"}
    core |= {"next_sample_o": "next", "hold_i": "hold"}
    parts = []
    if crosses:
        core |= {"req_o": "req", "ack_i": "ack", "cost_i": "cost"}
        here = {"clk_i": "clk_i", "rst_ni": "rst_ni", "req_i": "req", "ack_o": "ack", "cost_o": "cost"}
        there = {"net_clk_i": "net_clk_i", "net_rst_ni": "rst_ni"}
        there |= {"net_req_o": "req_o", "net_ack_i": "ack_i", "net_cost_i": "cost_i"}
        parts.append(instance("mgd_crossing", {"WCost": str(spec.cost_bits)}, here | there, "u_crossing"))
    parts.append(instance("mgd_core_axil", core_parameters(spec), core, "u_core"))
    samples = {name: name for name in ["clk_i", "rst_ni", *stream, *held]} | {"next_i": "next", "hold_o": "hold"}
    parts.append(instance("mgd_axis_samples", {"WSample": str(sample), "WData": "8"}, samples, "u_samples"))
    wires = f"  logic next, hold, req, ack;\n  logic [{spec.cost_bits - 1}:0] cost;\n"
    return "module top (\n" + ",\n".join(ports) + "\n);\n\n" + "\n".join([wires, *parts]) + "\nendmodule\n"


def verdict(
    spec: Spec, network_clock: float | None, twin, folder: Path, monkeypatch, gates: bool = False
) -> tuple[int, int]:
    """How many tests there were in the simulator's process, and how many have failed."""
    from cocotb_tools.check_results import get_results  # pyright: ignore[reportMissingImports]
    from cocotb_tools.runner import get_runner  # pyright: ignore[reportMissingImports]

    one = twin(spec)
    (start, seed), train, network = one.starts()[0], one.task.train, FixedPointNetwork(spec)
    rows = one.after(range(1, STEPS))[0]
    coded = np.asarray(network.coded(train.x)).reshape(len(train.x), -1), np.asarray(network.coded(train.y))
    np.savez(
        folder / "due.npz",
        start=start,
        seed=np.uint32(seed),
        words=[int(word, 16) for word in memory_of(spec, *coded).split()],
        theta=np.array([start, *(row["theta"] for row in rows)]),
        sticky=np.array([0, *(row["sticky"] for row in rows)]),
        tau_p=spec.tau_p,
        tau_x=spec.tau_x,
        tau_theta=spec.tau_theta,
        network_clock=network_clock or 0,
    )
    if spec.theta_bits == 4:
        assert rows[20]["sticky"] == 6, "the case does not reach its limits"
    (folder / "spec.txt").write_text(repr(spec))
    (folder / "top.sv").write_text(top(spec, network_clock is not None))
    sources = [folder / "top.sv", *sorted(rtl().glob("*.sv"))]
    if gates:
        script = f"read_verilog -sv -defer {' '.join(map(str, sources))}; synth -top top; write_verilog -noattr gates.v"
        subprocess.run(["yosys", "-q", "-p", script], cwd=folder, check=True, capture_output=True)
        sources = [folder / "gates.v"]
    runner = get_runner("icarus")
    runner.build(sources=sources, hdl_toplevel="top", build_dir=folder / "build", timescale=("1ns", "1ps"))
    monkeypatch.syspath_prepend(Path(__file__).parent)  # the runner hands its path on
    results = runner.test(
        hdl_toplevel="top",
        test_module="bench_axi_in_cocotb",
        build_dir=folder / "build",
        test_dir=folder,
        extra_env={"DUE": str(folder)},
    )
    return get_results(results)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.enough("serial")
@pytest.mark.long
def test_a_core_learns_over_its_bus(form, twin, tmp_path, monkeypatch):
    spec = Spec(layers=(2, 2, 1), **FORMS[form])
    assert verdict(spec, NETWORK_CLOCK.get(form), twin, tmp_path, monkeypatch) == (1, 0)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("yosys") is None, reason="needs Yosys: apt-get install yosys")
def test_what_yosys_makes_of_it_learns_the_same(twin, tmp_path, monkeypatch):
    spec = Spec(layers=(2, 2, 1), **FORMS["serial"])
    assert verdict(spec, None, twin, tmp_path, monkeypatch, gates=True) == (1, 0)
