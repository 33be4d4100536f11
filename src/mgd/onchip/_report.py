"""What a circuit takes: cells by module, counted by Yosys; beside it, what backpropagation would store and move."""

import re
from dataclasses import dataclass
from itertools import pairwise

from ._spec import Spec
from ._technology import by_kind, synthesised, technology
from ._top import core_parameters


@dataclass(frozen=True)
class Part:
    """Cells of all instances of a module together, without the modules in it.

    Attributes:
        module: its name.
        instances: how many there are.
        cells: of each kind.
    """

    module: str
    instances: int
    cells: dict[str, int]


@dataclass(frozen=True)
class Area:
    """Cells of a core in a technology.

    Attributes:
        technology: what it is.
        tool: what counted them, with its version.
        parts: by module, each synthesised by itself.
        total: of the core as one piece, which is smaller, as its modules share logic.
    """

    technology: str
    tool: str
    parts: tuple[Part, ...]
    total: dict[str, int]


def area(spec: Spec, name: str = "ice40") -> Area:
    """The cells of `mgd_core` for a circuit.

    Args:
        spec: the circuit.
        name: of the technology: "generic", "ice40", "ecp5" or "osu018". Memories are flip-flops in the first and last.

    Raises:
        ValueError: if there is no such technology.
        MgdError: if Yosys, or the library of cells, is not installed, or Yosys refuses the circuit.
    """
    tool, whole = synthesised(name, "mgd_core", core_parameters(spec))
    _, apart = synthesised(name, "mgd_core", core_parameters(spec), flat=False)
    modules = {module: {cell: n for cell, n in cells.items() if cell not in apart} for module, cells in apart.items()}
    (total,) = (by_kind(name, cells) for cells in whole.values())
    joined: dict[str, tuple[int, dict[str, int]]] = {}
    for module, number in _instances(apart).items():
        # One part for each module, whatever its parameters.
        before, cells = joined.get(_plain(module), (0, {}))
        more = {cell: cells.get(cell, 0) + number * n for cell, n in modules[module].items()}
        joined[_plain(module)] = before + number, cells | more
    parts = [Part(module, number, by_kind(name, cells)) for module, (number, cells) in joined.items()]
    used = [part for part in parts if part.instances and any(part.cells.values())]
    return Area(technology(name).about, tool, tuple(sorted(used, key=_largest_first)), total)


def _largest_first(part: Part) -> int:
    return -part.cells.get("µm²", sum(part.cells.values()))


def _instances(apart: dict[str, dict[str, int]]) -> dict[str, int]:
    """How many there are of each module in the whole design."""
    found = dict.fromkeys(apart, 0)

    def count(module: str, number: int) -> None:
        found[module] += number
        for inner, times in apart[module].items():
            if inner in apart:
                count(inner, number * times)

    count(next(name for name in apart if _plain(name) == "mgd_core"), 1)
    return found


def _plain(module: str) -> str:
    """The name of a module whose parameters Yosys has written into it."""
    return next(part for part in re.split(r"[\\$]", module) if part.startswith("mgd_"))


@dataclass(frozen=True)
class Traffic:
    """What an engine of training stores beside the network, and what it moves and computes for one sample.

    Attributes:
        engine: its name.
        stored_bits: of state beside the weights and the network that infers.
        moved_bits: of parameters, activations and errors that are read or written for a sample.
        products: multiplications for a sample.
    """

    engine: str
    stored_bits: int
    moved_bits: int
    products: int


def traffic(spec: Spec) -> tuple[Traffic, Traffic]:
    """The circuit and an engine of backpropagation of the same widths, for a network of layers.

    docs/on-chip.md derives both. Parameters with biases are P, weights W, neurons N without the inputs.

    Raises:
        ValueError: if the circuit has no layers.
    """
    if not spec.layers:
        raise ValueError("without layers it is not known what backpropagation would store: give the layers")
    pairs = list(pairwise(spec.layers))
    weights, neurons, p = sum(a * b for a, b in pairs), sum(b for _, b in pairs), spec.parameters
    behind_first = sum(a * b for a, b in pairs[1:])
    theta, act, kept = spec.theta_bits, spec.activation_bits, spec.kept_bits
    inputs = spec.layers[0] + neurons - spec.layers[-1]  # numbers that enter a layer
    forward = p * theta + (inputs + neurons) * act
    update = 2 * p * kept // min(spec.tau_p, spec.tau_theta) + 2 * p * theta // spec.tau_theta
    own = spec.signs.state_bits + spec.cost_bits + spec.sum_bits
    circuit = Traffic("this circuit", p * kept + own, 2 * forward + update, 2 * weights)
    # An error has the bits of a weight's product, and those of two layers are there at a time.
    error = theta + act
    stored = (inputs + spec.layers[-1]) * act + 2 * max(spec.layers[1:]) * error + p * kept
    update = 2 * p * kept + 2 * p * theta // spec.tau_theta
    moved = forward + behind_first * theta + 2 * neurons * error + inputs * act + update
    return circuit, Traffic("backpropagation", stored, moved, 2 * weights + behind_first + 2 * neurons)
