"""In the simulator's process: the bench, beside what is due at every timestep."""

import os
from pathlib import Path

import cocotb  # pyright: ignore[reportMissingImports]
import numpy as np
from cocotb.clock import Clock  # pyright: ignore[reportMissingImports]
from cocotb.triggers import FallingEdge, Timer  # pyright: ignore[reportMissingImports]

from mgd.onchip import Spec
from mgd.onchip._bench import CONTROL, Layout


@cocotb.test()
async def equal_at_every_timestep(dut):
    folder = Path(os.environ["DUE"])
    spec = eval((folder / "spec.txt").read_text(), {"Spec": Spec})
    due, layout, control = np.load(folder / "due.npz"), Layout(spec), dict.fromkeys(CONTROL, 0)

    def put(**values: int) -> None:
        control.update(values)
        dut.control_i.value = sum((value & 0xFFFFFFFF) << (32 * place) for place, value in enumerate(control.values()))

    put(learn=1, **dict(zip(("tau_p", "tau_x", "tau_theta"), due["times"].tolist(), strict=True)))
    dut.rst_ni.value = dut.sample_i.value = 0
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    for steps in due["start"].tolist():
        put(scan=1, scan_load=1, scan_theta=steps)
        await FallingEdge(dut.clk_i)
    put(scan=0, scan_load=0, restart=1, seed=int(due["seed"]))
    await FallingEdge(dut.clk_i)
    put(restart=0, run=1)
    for place, step in enumerate(due["step"].tolist()):
        while dut.step_o.value.to_unsigned() != step:
            await FallingEdge(dut.clk_i)
        dut.sample_i.value = 1
        await Timer(1, "ns")
        dut.sample_i.value = 0
        words = np.frombuffer(dut.registers_o.value.to_bytes(byteorder="little"), np.int32)
        for name, value in layout.named(words).items():
            if name in due:
                assert np.array_equal(value, due[name][place]), f"{name} at timestep {step}"
