"""Test benches of a generated top module: a host on its bus, an array that it trains, and what the twin has learnt."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..chips import AbstractChip, MeanSquaredError, Traits
from ..datasets import Samples
from ..engines import Data, Measured, Progress
from ._circuit import Circuit
from ._network import FixedPointNetwork
from ._spec import Spec
from ._top import coded

_SAMPLES, _WINDOWS, _FEWEST = 5, 3, 200
# Clocks that an array of the user's may take to answer.
_PATIENCE = 1000


class Stand(AbstractChip):
    """An array for tests, whose cost depends on every bit of its parameters: the sum of their sizes, cut from above."""

    spec: Spec = eqx.field(static=True)
    n_params: int = eqx.field(static=True)

    def __init__(self, spec: Spec):
        self.spec, self.n_params = spec, spec.parameters

    @property
    def groups(self) -> Mapping[str, slice]:
        return {}

    @property
    def traits(self) -> Traits:
        return Traits(coarse=("fixed point",))

    def init(self, *, key):
        return jax.random.uniform(key, (self.n_params,), minval=-1.0, maxval=1.0)

    def fabricate(self, *, key):
        return None

    def measure(self, theta, perturbation, x, target, *, device=None, key):
        steps = jnp.round((theta + perturbation) * 2.0**self.spec.theta_fraction).astype(jnp.int32)
        cost = jnp.sum(jnp.abs(steps)) & jnp.int32(2**self.spec.cost_bits - 1)
        return cost.astype(jnp.float32) * 2.0**-self.spec.cost_fraction, device

    def respond(self, theta, x, *, device=None, key):
        return jnp.zeros((x.shape[0], 1))

    def cost(self, outputs, target):
        return MeanSquaredError()(outputs, target)

    def write(self, theta, delta, *, device=None, key):
        return theta + delta


def samples_of_bench(spec: Spec) -> Samples:
    """Samples at random, always the same; of an array that has none, one that means nothing."""
    if not spec.layers:
        return Samples(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(size=(_SAMPLES, n)).astype(np.float32) for n in (spec.layers[0], spec.layers[-1]))
    return Samples(x, y)


class Stop(NamedTuple):
    """Where the twin is after so many timesteps: its parameters in steps."""

    timesteps: int
    theta: list[int]


class Trajectory(NamedTuple):
    """Where the twin begins, in steps and with the state of the code of its signs, and where it is at each stop."""

    start: list[int]
    seed: int
    stops: tuple[Stop, ...]


def trajectory(spec: Spec) -> Trajectory:
    """What a circuit learns of the samples of its bench: at two stops, of which the first may be within a window."""
    chip = FixedPointNetwork(spec) if spec.layers else Stand(spec)
    engine = Measured(chip, Circuit(spec))
    progress = engine.init(1, key=jax.random.key(0))
    data = Data.of(samples_of_bench(spec), "values", "sequential")

    def steps_of(progress: Progress) -> list[int]:
        return np.round(np.asarray(progress.state.theta[0]) * 2.0**spec.theta_fraction).astype(int).tolist()

    start, seed, stops = steps_of(progress), int(progress.state.optimizer.code[0]), []
    part = max(_FEWEST, _WINDOWS * spec.tau_theta) // 2
    for number in (1, 2):
        progress = engine.advance(data, progress, part)
        stops.append(Stop(number * part, steps_of(progress)))
    return Trajectory(start, seed, tuple(stops))


def measurements(spec: Spec, steps: int) -> int:
    """The costs that the circuit asks for in so many timesteps."""
    if spec.two_sided:
        return 2 * steps
    return steps + sum(step % spec.tau_x == 0 or step % spec.tau_theta == 0 for step in range(steps))


def due(spec: Spec, twin: Trajectory) -> str:
    """What a bench needs to know of a circuit, and what is due at each stop, in JSON."""
    of_spec = ("parameters", "lanes", "theta_bits", "cost_bits", "amplitude", "array_perturbs")
    table = {name: getattr(spec, name) for name in (*of_spec, "tau_p", "tau_x", "tau_theta")}
    samples = []
    if spec.layers:
        shown, bits = samples_of_bench(spec), spec.activation_bits
        words = zip(coded(spec, shown.x), coded(spec, shown.y), strict=True)
        samples = [[_whole(x, bits), _whole(target, bits)] for x, target in words]
    stops = [stop._asdict() | {"costs": measurements(spec, stop.timesteps)} for stop in twin.stops]
    return json.dumps(table | {"samples": samples, "start": twin.start, "seed": twin.seed, "stops": stops}) + "\n"


def learnt(spec: Spec, twin: Trajectory, costs: Sequence[int]) -> list[int]:
    """What the circuit learns where the twin began, of costs that were measured elsewhere: its parameters, in steps."""
    circuit = Circuit(spec)
    state = circuit.init(jnp.asarray(twin.start, jnp.float32) * 2.0**-spec.theta_fraction, key=jax.random.key(0))
    code = jnp.uint32(twin.seed)
    registers = replace(state.optimizer, code=code, late=None if state.optimizer.late is None else code)
    state = replace(state, optimizer=registers)

    def tell(state: Any, cost: jax.Array) -> tuple[Any, None]:
        return circuit.tell(state, cost)[0], None

    state, _ = jax.lax.scan(tell, state, jnp.asarray(costs, jnp.float32) * 2.0**-spec.cost_fraction)
    return np.round(np.asarray(state.theta) * 2.0**spec.theta_fraction).astype(int).tolist()


_COMPARED = """      if (word !== Last[32*k +: 32]) begin
        $display("FAIL: parameter %0d is %0d, and the twin's %0d", k, $signed(word), $signed(Last[32*k +: 32]));
        $finish;
      end
"""
_SAID = """      $display("THETA %0d", $signed(word));
"""


def bench_of_top(spec: Spec, twin: Trajectory, *, own_array: bool = False) -> str:
    """The bench in SystemVerilog, as text. It prints PASS, or the first parameter that is not the twin's.

    Args:
        spec: the circuit.
        twin: what it is to learn.
        own_array: whether a module `mgd_array` is trained. The twin does not know it, so each cost that it answers is
            printed, and then each parameter.
    """
    p, bits = spec.parameters, spec.theta_bits
    last, start = twin.stops[-1], _packed(twin.start, 32)
    nets, array = _samples(spec) if spec.layers else _own_array(spec) if own_array else _stand(spec)
    compared, clocks = (_SAID, 4 * p + 20 + _PATIENCE) if own_array else (_COMPARED, 4 * p + 20)
    return f"""// A host on the bus loads parameters, lets the circuit learn for {last.timesteps} timesteps, and reads
// them again. What is due was computed by the circuit's twin.
`timescale 1ns/1ps
module mgd_top_bench;

  localparam int Parameters = {p};
  localparam logic [{32 * p - 1}:0] Start = {start};
  localparam logic [{32 * p - 1}:0] Last = {_packed(last.theta, 32)};
  localparam int Measurements = {measurements(spec, last.timesteps)};

  logic        clk = 1'b0, rst_n = 1'b0;
  logic [4:0]  awaddr = '0, araddr = '0;
  logic        awvalid = 1'b0, awready, wvalid = 1'b0, wready, bvalid, arvalid = 1'b0, arready, rvalid;
  logic [31:0] wdata = '0, rdata, word;
  logic [1:0]  bresp, rresp;
  logic        next_sample, hold = 1'b0;
  integer      taken = 0, k;
{nets}
  always #5 clk = ~clk;

  mgd_top dut (
    .clk_i(clk), .rst_ni(rst_n),
    .s_axil_awaddr(awaddr), .s_axil_awprot(3'b0), .s_axil_awvalid(awvalid), .s_axil_awready(awready),
    .s_axil_wdata(wdata), .s_axil_wstrb(4'b1111), .s_axil_wvalid(wvalid), .s_axil_wready(wready),
    .s_axil_bresp(bresp), .s_axil_bvalid(bvalid), .s_axil_bready(1'b1),
    .s_axil_araddr(araddr), .s_axil_arprot(3'b0), .s_axil_arvalid(arvalid), .s_axil_arready(arready),
    .s_axil_rdata(rdata), .s_axil_rresp(rresp), .s_axil_rvalid(rvalid), .s_axil_rready(1'b1),
    .next_sample_o(next_sample), .hold_i(hold),
{array}
  // The circuit is held after the last measurement that is due, which changes no bit.
  always @(negedge clk) if (rst_n && taken == Measurements) hold = 1'b1;

  // The bench moves at falling edges, the circuit at rising ones.
  task write(input [4:0] address, input [31:0] data);
    begin
      awaddr = address; wdata = data; awvalid = 1'b1; wvalid = 1'b1;
      @(negedge clk);
      while (!(awready && wready)) @(negedge clk);
      @(negedge clk);
      awvalid = 1'b0; wvalid = 1'b0;
      while (!bvalid) @(negedge clk);
      if (bresp != 2'b00) begin
        $display("FAIL: the write of %h to %h was refused", data, address);
        $finish;
      end
      @(negedge clk);
    end
  endtask

  task read(input [4:0] address);
    begin
      araddr = address; arvalid = 1'b1;
      @(negedge clk);
      while (!arready) @(negedge clk);
      @(negedge clk);
      arvalid = 1'b0;
      while (!rvalid) @(negedge clk);
      word = rdata;
      @(negedge clk);
    end
  endtask

  task idle;
    begin
      read(5'h04);
      while (!word[3]) read(5'h04);
    end
  endtask

  initial begin
    repeat (4) @(negedge clk);
    rst_n = 1'b1;
    @(negedge clk);
    idle;
    write(5'h10, 32'd{twin.seed});
    write(5'h14, 32'd{spec.tau_p - 1});
    write(5'h18, 32'd{spec.tau_x - 1});
    write(5'h1c, 32'd{spec.tau_theta - 1});
    for (k = 0; k < Parameters; k = k + 1) write(5'h0c, Start[32*k +: 32]);
    write(5'h00, 32'd10);  // restart, learn
    write(5'h00, 32'd3);   // run, learn
    while (!hold) @(negedge clk);
    read(5'h08);
    while (word != 32'd{last.timesteps}) read(5'h08);
    write(5'h00, 32'd2);
    idle;
    for (k = 0; k < Parameters; k = k + 1) begin
      read(5'h0c);
{compared}    end
    $display("PASS: {last.timesteps} timesteps, {p} parameters of {bits} bits equal to the twin's");
    $finish;
  end

  initial begin
    #{10 * (4 * measurements(spec, last.timesteps) * clocks + 200 * p + 10_000)};
    $display("FAIL: the circuit did not come to its end");
    $finish;
  end

endmodule
"""


def _samples(spec: Spec) -> tuple[str, str]:
    """What is shown to a network in the top module."""
    samples, bits = samples_of_bench(spec), spec.activation_bits
    inputs, outputs = spec.layers[0], spec.layers[-1]
    x, y = _packed(coded(spec, samples.x).ravel(), bits), _packed(coded(spec, samples.y).ravel(), bits)
    nets = f"""  localparam logic [{_SAMPLES * inputs * bits - 1}:0] Inputs = {x};
  localparam logic [{_SAMPLES * outputs * bits - 1}:0] Targets = {y};
  integer      sample = 0;
  logic        valid;
  logic [{outputs * bits - 1}:0] y;
  logic [{spec.cost_bits - 1}:0] cost;

  always @(posedge clk) begin
    if (next_sample) sample <= (sample == {_SAMPLES - 1}) ? 0 : sample + 1;
    if (valid) taken <= taken + 1;
  end
"""
    array = f"""    .x_i(Inputs[{inputs * bits}*sample +: {inputs * bits}]),
    .target_i(Targets[{outputs * bits}*sample +: {outputs * bits}]),
    .valid_o(valid), .y_o(y), .cost_o(cost)
  );
"""
    return nets, array


def _stand(spec: Spec) -> tuple[str, str]:
    """The array of `Stand`, as a model in the bench, which takes a clock or more to answer."""
    lanes, drive, depth, bits = spec.lanes, spec.theta_bits + 1, spec.depth, spec.theta_bits
    row_bits = max(1, (depth - 1).bit_length())
    value = f"value = $signed(drive[{drive}*lane +: {drive}]);"
    if spec.array_perturbs:
        value = (
            f"value = $signed(drive[{drive}*lane +: {bits}]);\n"
            f"        if (perturb[lane]) value = sign[lane] ? value - {spec.amplitude} : value + {spec.amplitude};"
        )
    nets = f"""  logic        req, ack = 1'b0;
  logic [{spec.cost_bits - 1}:0] cost = '0;
  logic [{row_bits - 1}:0] row = '0;
  logic [{lanes * drive - 1}:0] drive;
  logic [{lanes - 1}:0] perturb, sign;
  integer      sum, value, r, lane;

  // An array whose cost is the sum of the sizes of its parameters, cut from above.
  always @(negedge clk) if (req) begin
    sum = 0;
    for (r = 0; r < {depth}; r = r + 1) begin
      row = r;
      @(negedge clk);
      @(negedge clk);
      for (lane = 0; lane < {lanes}; lane = lane + 1) if (r * {lanes} + lane < Parameters) begin
        {value}
        sum = sum + ((value < 0) ? -value : value);
      end
    end
    cost = sum;
    ack = 1'b1;
    @(negedge clk);
    ack = 1'b0;
    taken = taken + 1;
  end
"""
    array = """    .req_o(req), .ack_i(ack), .cost_i(cost), .row_i(row),
    .drive_o(drive), .perturb_o(perturb), .sign_o(sign)
  );
"""
    return nets, array


def _own_array(spec: Spec) -> tuple[str, str]:
    """The user's array, whose costs are printed as the circuit takes them."""
    lanes, row_bits = spec.lanes, max(1, (spec.depth - 1).bit_length())
    nets = f"""  logic        req, ack;
  logic [{spec.cost_bits - 1}:0] cost;
  logic [{row_bits - 1}:0] row;
  logic [{lanes * (spec.theta_bits + 1) - 1}:0] drive;
  logic [{lanes - 1}:0] perturb, sign;

  mgd_array array (
    .clk_i(clk), .rst_ni(rst_n), .next_sample_i(next_sample), .req_i(req), .ack_o(ack), .cost_o(cost), .row_o(row),
    .drive_i(drive), .perturb_i(perturb), .sign_i(sign)
  );

  always @(posedge clk) if (rst_n && req && ack) begin
    $display("COST %0d", cost);
    taken <= taken + 1;
  end
"""
    array = """    .req_o(req), .ack_i(ack), .cost_i(cost), .row_i(row),
    .drive_o(drive), .perturb_o(perturb), .sign_o(sign)
  );
"""
    return nets, array


def _packed(values: Sequence[int] | np.ndarray, bits: int) -> str:
    """A literal of all these numbers, from the lowest bits on."""
    return f"{bits * len(values)}'h{_whole(values, bits):x}"


def _whole(values: Sequence[int] | np.ndarray, bits: int) -> int:
    """These numbers as one, from the lowest bits on."""
    return sum((int(value) & (2**bits - 1)) << (bits * place) for place, value in enumerate(values))
