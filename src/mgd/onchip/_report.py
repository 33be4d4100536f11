"""What a circuit takes: cells by module, counted by Yosys; beside it, what backpropagation would store and move."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from itertools import pairwise

from .._errors import MgdError
from ._generate import modules
from ._spec import Spec
from ._top import core_parameters

# Cells of an iCE40 that are counted, by what they are called here.
_KINDS = {"LUT4": "SB_LUT4", "flip-flops": "SB_DFF", "carries": "SB_CARRY", "memories": "SB_RAM40_4K"}
_SECTION = re.compile(r"^=== (.*) ===$", re.MULTILINE)
_CELLS = re.compile(r"^ +(\S+) +(\d+)$", re.MULTILINE)


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
    """Cells of a core on an iCE40.

    Attributes:
        tool: what counted them, with its version.
        parts: by module, each synthesised by itself.
        total: of the core as one piece, which is smaller, as its modules share logic.
    """

    tool: str
    parts: tuple[Part, ...]
    total: dict[str, int]


def area(spec: Spec) -> Area:
    """The cells of `mgd_core` for a circuit.

    Raises:
        MgdError: if Yosys is not installed, or refuses the circuit.
    """
    if shutil.which("yosys") is None:
        raise MgdError("the report needs yosys, which is not installed: sudo apt-get install yosys")
    said = subprocess.run(["yosys", "-V"], capture_output=True, text=True).stdout
    apart, whole = _stat(spec, "-noflatten"), _stat(spec, "")
    tree, parts = _instances(apart), []
    for module, cells in _sections(apart).items():
        if number := tree.get(module, 0):
            counted = {kind: number * count for kind, count in _counted(cells).items()}
            if any(counted.values()):
                parts.append(Part(_plain(module), number, counted))
    (total,) = [_counted(cells) for cells in _sections(whole).values()]
    return Area(said.split("(")[0].strip(), tuple(_joined(parts)), total)


def _stat(spec: Spec, option: str) -> str:
    files = " ".join(str(path) for path in modules())
    settings = " ".join(f"-set {name} {value}" for name, value in core_parameters(spec).items())
    script = f"read_verilog -sv -defer {files}; chparam {settings} mgd_core; synth_ice40 -top mgd_core {option}; stat"
    done = subprocess.run(["yosys", "-p", script], capture_output=True, text=True)
    if done.returncode:
        raise MgdError(f"Yosys refuses the circuit: {(done.stderr.strip().splitlines() or ['it says nothing'])[-1]}")
    return done.stdout[done.stdout.rindex("Printing statistics") :]


def _sections(text: str) -> dict[str, dict[str, int]]:
    """The cells of each module, by its name."""
    names, found = list(_SECTION.finditer(text)), {}
    for place, name in enumerate(names):
        end = names[place + 1].start() if place + 1 < len(names) else len(text)
        if name[1] != "design hierarchy":
            found[name[1]] = {kind: int(count) for kind, count in _CELLS.findall(text[name.end() : end])}
    return found


def _instances(text: str) -> dict[str, int]:
    """How many there are of each module in the whole design."""
    sections = _sections(text)
    found = dict.fromkeys(sections, 0)

    def count(module: str, number: int) -> None:
        found[module] += number
        for inner, times in sections[module].items():
            if inner in sections:
                count(inner, number * times)

    count(next(name for name in sections if _plain(name) == "mgd_core"), 1)
    return found


def _plain(module: str) -> str:
    """The name of a module whose parameters Yosys has written into it."""
    return next(part for part in re.split(r"[\\$]", module) if part.startswith("mgd_"))


def _counted(cells: dict[str, int]) -> dict[str, int]:
    return {
        kind: sum(count for name, count in cells.items() if name.startswith(start)) for kind, start in _KINDS.items()
    }


def _joined(parts: list[Part]) -> list[Part]:
    """One part for each module, whatever its parameters, the largest first."""
    joined: dict[str, Part] = {}
    for part in parts:
        before = joined.get(part.module, Part(part.module, 0, dict.fromkeys(_KINDS, 0)))
        cells = {kind: before.cells[kind] + part.cells[kind] for kind in _KINDS}
        joined[part.module] = Part(part.module, before.instances + part.instances, cells)
    return sorted(joined.values(), key=lambda part: -part.cells["LUT4"])


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
