"""In the simulator's process: a host on the bus, a stream of samples, and a network that answers when it likes."""

import os
from pathlib import Path
from random import Random
from typing import Any

import cocotb  # pyright: ignore[reportMissingImports]
import jax
import jax.numpy as jnp
import numpy as np
from cocotb.clock import Clock  # pyright: ignore[reportMissingImports]
from cocotb.triggers import ClockCycles, Event, FallingEdge  # pyright: ignore[reportMissingImports]
from cocotbext.axi import (  # pyright: ignore[reportMissingImports]
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSource,
)

from mgd.onchip import FixedPointNetwork, Spec

CONTROL, STATUS, STEP, THETA, SEED, TAU_P, TAU_X, TAU_THETA = range(0, 32, 4)
RUN, LEARN, FREEZE, RESTART = 1, 2, 4, 8
IDLE, FIRST = 8, 16
SLOWEST = 100


class Host:
    """The master of the bus, which stalls at random, and knows which answers are errors."""

    def __init__(self, dut, random: Random):
        bus = AxiLiteBus.from_prefix(dut, "s_axil")
        self.master = AxiLiteMaster(bus, dut.clk_i, dut.rst_ni, reset_active_level=False)
        write, read = self.master.write_if, self.master.read_if
        for channel in (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel):
            channel.set_pause_generator(iter(lambda: random.random() < 0.4, None))

    async def write(self, address: int, value: int, *, refused: bool = False, size: int = 4) -> None:
        answer: Any = await self.master.write(address, (int(value) & 0xFFFFFFFF).to_bytes(4, "little")[:size])
        assert answer.resp == (AxiResp.SLVERR if refused else AxiResp.OKAY), f"write {value:#x} to {address:#x}"

    async def read(self, address: int, *, refused: bool = False) -> int:
        answer: Any = await self.master.read(address, 4)
        assert answer.resp == (AxiResp.SLVERR if refused else AxiResp.OKAY), f"read {address:#x}"
        return int.from_bytes(answer.data, "little", signed=address == THETA)

    async def idle(self) -> int:
        while not (status := await self.read(STATUS)) & IDLE:
            pass
        return status


async def network(dut, clock, spec: Spec, random: Random, answers: Event) -> None:
    """Measures what is asked for, and answers after 0 to 100 clocks, if it may; meanwhile its outputs are anything."""
    chip, key = FixedPointNetwork(spec), jax.random.key(0)
    bits, inputs, count = spec.activation_bits, spec.layers[0], spec.layers[0] + spec.layers[-1]

    @jax.jit
    def measured(drive, sample):
        coded = (sample[None] + 0.5) * 2.0**-bits
        theta = drive * 2.0**-spec.theta_fraction
        cost, _ = chip.measure(theta, 0 * theta, coded[:, :inputs], coded[:, inputs:], key=key)
        return cost * 2.0**spec.cost_fraction

    def driven(row: int) -> list[int]:
        """What the lanes drive; in the last row not every lane has a parameter."""
        width, present = spec.theta_bits + 1, min(spec.lanes, spec.parameters - row * spec.lanes)
        return [dut.drive_o.value[width * (lane + 1) - 1 : width * lane].to_signed() for lane in range(present)]

    async def cost_after(clocks: int) -> int | None:
        """The cost, unless the request ends before."""
        drive = []
        for row in range(spec.depth):
            if spec.depth > 1:
                dut.row_i.value = row
                await FallingEdge(clock)
            drive += driven(row)
        while clocks > 0 or not answers.is_set():
            clocks -= 1
            await FallingEdge(clock)
            if dut.req_o.value != 1:
                return None
        sample = [(dut.sample_o.value.to_unsigned() >> (bits * place)) % 2**bits for place in range(count)]
        return int(measured(jnp.array(drive, jnp.float32), jnp.array(sample)))

    slow = [0, SLOWEST]
    while True:
        await FallingEdge(clock)
        if dut.req_o.value == 1:
            dut.ack_i.value = 0
            clocks = slow.pop(0) if slow else random.choice([0, 1, 2, 5, random.randint(0, SLOWEST)])
            cost = await cost_after(clocks)
            if cost is not None and dut.req_o.value == 1:
                dut.cost_i.value, dut.ack_i.value = cost, 1
                continue
        # No answer counts without a request.
        dut.cost_i.value = random.randrange(2**spec.cost_bits)
        dut.ack_i.value = 0 if dut.req_o.value == 1 else random.randrange(2)


async def count_dropped(dut, dropped: list[int]) -> None:
    while True:
        await FallingEdge(dut.clk_i)
        dropped[0] += dut.dropped_o.value == 1


@cocotb.test()
async def learns_over_the_bus(dut):
    folder = Path(os.environ["DUE"])
    spec = eval((folder / "spec.txt").read_text(), {"Spec": Spec})
    due, random = np.load(folder / "due.npz"), Random(0)
    start, words, last = due["start"].tolist(), due["words"].tolist(), len(due["theta"]) - 1
    dut.rst_ni.value = dut.ack_i.value = dut.cost_i.value = dut.row_i.value = 0
    host = Host(dut, random)
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk_i, dut.rst_ni, reset_active_level=False)
    source.set_pause_generator(iter(lambda: random.random() < 0.5, None))
    cocotb.start_soon(Clock(dut.clk_i, 10, "ns").start())
    answers = Event()
    clock = dut.clk_i
    if due["network_clock"]:
        clock = dut.net_clk_i
        cocotb.start_soon(Clock(clock, float(due["network_clock"]), "ns").start())
    cocotb.start_soon(network(dut, clock, spec, random, answers))
    dropped, cut = [0], 0
    cocotb.start_soon(count_dropped(dut, dropped))

    def send(numbers) -> None:
        nonlocal cut
        for number in numbers:
            packet = words[number % len(words)].to_bytes(3, "little")
            if random.random() < 0.2:  # a packet of a wrong length, before the right one
                source.send_nowait(AxiStreamFrame(random.randbytes(random.choice([1, 2, 4, 5]))))
                cut += 1
            source.send_nowait(AxiStreamFrame(packet))

    async def set_up() -> None:
        for address, name in ((TAU_P, "tau_p"), (TAU_X, "tau_x"), (TAU_THETA, "tau_theta")):
            await host.write(address, due[name] - 1)
            assert await host.read(address) == due[name] - 1
        await host.write(SEED, int(due["seed"]))
        assert await host.read(SEED) == due["seed"]
        for steps in start:
            await host.write(THETA, steps)
        assert await thetas() == start
        await host.write(CONTROL, LEARN | RESTART)
        assert await host.read(CONTROL) == LEARN
        assert await host.idle() == IDLE | FIRST
        assert await host.read(STEP) == 0

    async def thetas() -> list[int]:
        return [await host.read(THETA) for _ in start]

    async def runs(clocks: int) -> None:
        """Runs for some clocks, stops, and is as the twin at that timestep."""
        await host.write(CONTROL, LEARN | RUN)
        await ClockCycles(dut.clk_i, clocks)
        await host.write(CONTROL, LEARN)
        status = await host.idle()
        step = await host.read(STEP)
        assert step <= last, "more timesteps than are due"
        assert await thetas() == due["theta"][step].tolist(), f"theta at timestep {step}"
        assert status == IDLE | FIRST | due["sticky"][step], f"sticky bits at timestep {step}"

    async def in_the_midst(step: int) -> None:
        """Until a cost is asked for and not there, after so many timesteps, or one more."""
        await host.write(CONTROL, LEARN | RUN)
        while dut.u_core.step.value.to_unsigned() < step:
            await FallingEdge(dut.clk_i)
        answers.clear()
        await ClockCycles(dut.clk_i, 10)  # an answer that is on its way arrives
        while dut.u_core.req_o.value != 1:
            await FallingEdge(dut.clk_i)

    answers.set()
    await ClockCycles(dut.clk_i, 3)
    dut.rst_ni.value = 1
    await set_up()
    # What the core cannot do now, it refuses, and goes on as if nothing had been.
    await host.write(STEP, 7, refused=True)
    await host.write(CONTROL, RUN, refused=True, size=1)
    await host.write(THETA, 0, refused=True, size=2)
    assert await host.read(THETA) == start[0]
    for value in (RUN, RESTART):
        await host.write(CONTROL, value, refused=True)
    assert not await host.read(STATUS) & FIRST
    assert [await host.read(THETA) for _ in start[1:]] == start[1:]
    await host.write(CONTROL, LEARN | RUN)
    send([0])
    for address in (THETA, SEED, TAU_P, TAU_X, TAU_THETA):
        await host.write(address, 1, refused=True)
    await host.read(THETA, refused=True)
    send(range(1, last))
    for _ in range(4):
        await runs(random.randint(0, 600))
    # Frozen in the midst of a timestep, it is busy, and does not move.
    await in_the_midst(1)
    await host.write(CONTROL, LEARN | RUN | FREEZE)
    answers.set()
    await ClockCycles(dut.clk_i, 2 * SLOWEST)
    step = await host.read(STEP)
    await ClockCycles(dut.clk_i, 2 * SLOWEST)
    assert await host.read(STEP) == step
    await runs(random.randint(0, 600))
    # A reset, in the midst of a window.
    await in_the_midst(int(due["tau_theta"]) + 1)
    dut.rst_ni.value = 0
    source.clear()
    await ClockCycles(dut.clk_i, 3)
    answers.set()
    dropped[0] = cut = 0
    dut.rst_ni.value = 1
    for address in (CONTROL, STEP, SEED, TAU_P, TAU_X, TAU_THETA):
        assert await host.read(address) == 0
    await set_up()
    send(range(len(words) + 1))  # and the first once more, which is then held
    await runs(random.randint(0, 50))
    await in_the_midst(len(words) * int(due["tau_x"]))
    assert source.idle()
    # A restart, in the midst of a window, from the sample that is held.
    await host.write(CONTROL, RESTART)
    await host.idle()
    answers.set()
    await set_up()
    send(range(1, last))
    for _ in range(4):
        await runs(random.randint(0, 600))
    # Each sticky bit is cleared by itself, and can come again.
    sticky = await host.idle() & 7
    for bit in (1, 2, 4):
        await host.write(STATUS, bit)
        sticky &= ~bit
        assert await host.idle() == IDLE | FIRST | sticky
    if due["sticky"][last]:
        await host.write(CONTROL, LEARN | RUN)
        while not await host.read(STATUS) & 7:
            pass
    assert 0 <= cut - dropped[0] < cut, "packets of a wrong length are dropped"
