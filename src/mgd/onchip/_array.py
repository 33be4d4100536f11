"""The network's RTL by itself, compiled, with its ports in words of 32 bits. Nothing here imports JAX."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt32

from .._errors import HardwareError
from .._input import nearest
from ._build import compiled
from ._spec import Spec
from ._top import coded, instance, network_parameters, rtl

_HARNESS = rtl().parent / "array.cpp"
# Clocks of one answer, beside those of its parameters and layers.
_SPARE_CLOCKS = 1000


# The ports of a network, and those only of one that asks for rows of parameters.
PORTS = ("clk_i", "rst_ni", "x_i", "target_i", "drive_i", "req_i", "ack_o", "cost_o", "y_o")
_OF_ROWS = ("row_o",)


@dataclass(frozen=True)
class Own:
    """A top module of a user's own, in place of the network of a circuit.

    Attributes:
        top: its name.
        sources: its files.
        ports: the names of its ports, by those of the network here (`PORTS`); those that are left out have these names.

    Raises:
        ValueError: if a file is missing, or there is no such port.
    """

    top: str
    sources: tuple[Path, ...]
    ports: Mapping[str, str]

    def __post_init__(self):
        known = (*PORTS, *_OF_ROWS)
        for name in self.ports:
            if name not in known:
                raise ValueError(f"unknown port {name!r}{nearest(name, known)} (a network has {', '.join(known)})")
        for path in self.sources:
            if not path.is_file():
                raise ValueError(f"there is no file {path}: give the sources of {self.top}")


class Array:
    """A Verilated network: costs and outputs for parameters in steps, in batches.

    Args:
        spec: a circuit with layers.
        own: a top module in place of the circuit's network.
        cache: the folder for compiled circuits; by default one of the user's.

    Raises:
        HardwareError: if Verilator or a compiler is missing, or refuses the circuit.
    """

    def __init__(self, spec: Spec, *, own: Own | None = None, cache: str | Path | None = None):
        self.spec = spec
        sources = () if own is None else own.sources
        folder = compiled("mgd_array", array(spec, own), _HARNESS, sources=sources, cache=cache)
        library = ctypes.CDLL(str(folder / "circuit.so"))
        library.mgd_array_new.restype = ctypes.c_void_p
        library.mgd_array_free.argtypes = [ctypes.c_void_p]
        library.mgd_array_answers.argtypes = [ctypes.c_void_p] * 4 + [ctypes.c_uint64] * 2 + [ctypes.c_void_p] * 2
        library.mgd_array_answers.argtypes += [ctypes.c_uint64]
        library.mgd_array_answers.restype = ctypes.c_bool
        self._library, self._array = library, library.mgd_array_new()
        self._most = 4 * spec.parameters + 8 * len(spec.layers) + _SPARE_CLOCKS
        self._cost_step = np.float32(2.0**-spec.cost_fraction)
        self.present(np.zeros((1, spec.layers[0])), np.zeros((1, spec.layers[-1])))

    def close(self) -> None:
        """Lets go of the network."""
        self._library.mgd_array_free(self._array)

    def present(self, x: Float[np.ndarray, "batch *features"], target: Float[np.ndarray, "batch outputs"]) -> None:
        """Puts samples in front of the network."""
        self._x = np.ascontiguousarray(coded(self.spec, x).reshape(len(x), -1), np.uint32)
        self._target = np.ascontiguousarray(coded(self.spec, target), np.uint32)

    def answers(
        self, steps: Int[np.ndarray, "k p"]
    ) -> tuple[Float[np.ndarray, "k batch"], UInt32[np.ndarray, "k batch outputs"]]:
        """The cost and the outputs, in steps of an activation, of each sample for each row of parameters.

        Raises:
            HardwareError: if the network does not acknowledge a request.
        """
        rows, n = np.ascontiguousarray(steps, np.int32), len(self._x)
        costs = np.empty((len(rows), n), np.uint32)
        found = np.empty((len(rows), n, self.spec.layers[-1]), np.uint32)
        given, taken = (rows, self._x, self._target), (costs, found)
        places = [[part.__array_interface__["data"][0] for part in parts] for parts in (given, taken)]
        if not self._library.mgd_array_answers(self._array, *places[0], len(rows), n, *places[1], self._most):
            raise HardwareError(f"the network did not acknowledge a request within {self._most} clocks")
        return costs.astype(np.float32) * self._cost_step, found

    def middle(self, found: UInt32[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """The middle of what each output stands for, as in `FixedPointNetwork`."""
        return (found.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-self.spec.activation_bits)


def array(spec: Spec, own: Own | None = None) -> str:
    """The top module, as text: every port in words of 32 bits, from the lowest on."""
    inputs, outputs, bits, drive = spec.layers[0], spec.layers[-1], spec.activation_bits, spec.theta_bits + 1
    rows = spec.depth * spec.lanes
    lines = [f"  assign x[{bits}*{k} +: {bits}] = x_i[32*{k} +: {bits}];" for k in range(inputs)]
    lines += [f"  assign target[{bits}*{k} +: {bits}] = target_i[32*{k} +: {bits}];" for k in range(outputs)]
    for k in range(rows):
        word = f"drive_i[32*{k} +: {drive}]" if k < spec.parameters else "'0"
        lines.append(f"  assign drive[{drive}*{k} +: {drive}] = {word};")
    lines += [f"  assign y_o[32*{k} +: 32] = 32'(y[{bits}*{k} +: {bits}]);" for k in range(outputs)]
    ports = {"clk_i": "clk_i", "rst_ni": "rst_ni", "x_i": "x", "target_i": "target", "drive_i": "drive"}
    ports |= {"req_i": "req_i", "ack_o": "ack_o", "cost_o": "cost", "y_o": "y"}
    module, memory = "mgd_mlp", ""
    if spec.depth > 1:
        module, row_bits, wide = "mgd_mlp_serial", (spec.depth - 1).bit_length(), spec.lanes * drive
        ports |= {"drive_i": "row_q", "row_o": "row"}
        memory = (
            f"  logic [{row_bits - 1}:0] row;\n  logic [{wide - 1}:0] row_q;\n"
            f"  always_ff @(posedge clk_i) row_q <= drive[{wide}*row +: {wide}];\n"
        )
    body = "\n".join(lines)
    if own is None:
        network = instance(module, network_parameters(spec), ports, "u_network")
    else:
        network = instance(own.top, {}, {own.ports.get(name, name): net for name, net in ports.items()}, "u_network")
    return f"""module mgd_array (
  input  logic clk_i,
  input  logic rst_ni,
  input  logic [{32 * inputs - 1}:0] x_i,
  input  logic [{32 * outputs - 1}:0] target_i,
  input  logic [{32 * spec.parameters - 1}:0] drive_i,
  input  logic req_i,
  output logic ack_o,
  output logic [31:0] cost_o,
  output logic [{32 * outputs - 1}:0] y_o
);

  logic [{bits * inputs - 1}:0] x;
  logic [{bits * outputs - 1}:0] target, y;
  logic [{drive * rows - 1}:0] drive;
  logic [{spec.cost_bits - 1}:0] cost;
{memory}
{body}
  assign cost_o = 32'(cost);

{network}
endmodule
"""
