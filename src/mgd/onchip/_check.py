"""Checks what was generated: it is clean, learns the twin's bits, and keeps what its modules promise."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .._errors import MgdError
from ._build import verilators_version
from ._formal import proofs as prove
from ._proof import Trajectory, bench_of_top, learnt, measurements, trajectory
from ._spec import Spec

_NEEDED = {"verilator": "verilator", "iverilog": "iverilog", "vvp": "iverilog"}
# Icarus says this of every constant bit of a vector in an always_comb, and does what is meant.
_NO_FAULT = "constant selects in always_"


def check(folder: str | Path, *, proofs: bool = False) -> Iterator[str]:
    """Checks a folder that `generate` wrote, whose RTL may have been changed since: yields a line for each check.

    The linter must have nothing to say of the top module, and a host on its bus, simulated by Icarus, must read the
    parameters that the twin has learnt. The twin is that of the folder's spec.toml. An array of your own, as a module
    `mgd_array` in the folder `array`, takes the place of a model: the twin is given its costs.

    Args:
        folder: it stays as it is.
        proofs: whether Yosys also proves, for 25 clocks and small widths, what front end, sequencer, registers and
            crossing promise; that takes a minute or so.

    Raises:
        ValueError: if it is no such folder.
        MgdError: if a tool is missing, or a check fails.
    """
    folder = Path(folder)
    for name in ("spec.toml", "mgd_top.sv", "rtl"):
        if not (folder / name).exists():
            raise ValueError(f"{folder} has no {name}: give a folder that mgd onchip generate has made")
    for tool, package in _NEEDED.items():
        if shutil.which(tool) is None:
            raise MgdError(f"the check needs {tool}, which is not installed: sudo apt-get install {package}")
    verilators_version()
    spec = Spec.read(folder / "spec.toml")
    sources = [folder / "mgd_top.sv", *sorted((folder / "rtl").glob("*.sv"))]
    _run(["verilator", "--lint-only", "-Wall", "--top-module", "mgd_top", *sources], "the linter")
    yield f"lint: nothing to say ({_version('verilator', '--version')})"
    twin, array = trajectory(spec), _array(folder, spec)
    said = _simulated(bench_of_top(spec, twin, own_array=bool(array)), [*sources, *array])
    last = next((line for line in said if line.startswith(("PASS: ", "FAIL: "))), "FAIL: it said nothing")
    if last.startswith("FAIL"):
        raise MgdError(f"{folder}: the RTL is not its twin: {last.removeprefix('FAIL: ')}")
    if array:
        count = _compare(folder, spec, twin, said)
        yield f"array: {', '.join(path.name for path in array)} answered {count} times"
    yield f"twin: {last.removeprefix('PASS: ')} ({_version('iverilog', '-V')})"
    if proofs:
        yield from prove(folder / "rtl")


def _array(folder: Path, spec: Spec) -> list[Path]:
    """The user's array; none if there is no such folder."""
    found = sorted(path for kind in ("*.sv", "*.v") for path in (folder / "array").glob(kind))
    if found and spec.layers:
        raise ValueError(
            f"{folder / 'array'}: the circuit of {folder / 'spec.toml'} has a network of its own: give parameters in "
            "place of layers, or take this folder away"
        )
    return found


def _simulated(bench: str, sources: list[Path]) -> list[str]:
    """What a bench says in Icarus, in lines."""
    with tempfile.TemporaryDirectory() as work:
        file, program = Path(work) / "mgd_top_bench.sv", Path(work) / "bench.vvp"
        file.write_text(bench, encoding="utf-8")
        _run(["iverilog", "-g2012", "-s", "mgd_top_bench", "-o", program, file, *sources], "Icarus")
        return _run(["vvp", "-n", program], "the simulation").splitlines()


def _compare(folder: Path, spec: Spec, twin: Trajectory, said: list[str]) -> int:
    """Compares what a circuit has learnt of the user's array with what its twin learns of the same costs: how many."""
    costs, theta = ([line.split()[1] for line in said if line.startswith(name)] for name in ("COST ", "THETA "))
    unknown = next((number for number, cost in enumerate(costs, 1) if not cost.isdigit()), None)
    if unknown is not None:
        raise MgdError(f"{folder / 'array'}: the cost of measurement {unknown} has bits that are not known")
    due = learnt(spec, twin, [int(cost) for cost in costs[: measurements(spec, twin.stops[-1].timesteps)]])
    for number, (found, wanted) in enumerate(zip(theta, due, strict=True)):
        if int(found) != wanted:
            raise MgdError(f"{folder}: the RTL is not its twin: parameter {number} is {found}, and the twin's {wanted}")
    return len(costs)


def _run(command: list, who: str) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip() and _NO_FAULT not in line]
        raise MgdError(f"{who} refuses the circuit: {lines[0] if lines else f'it ended with {done.returncode}'}")
    return done.stdout


def _version(tool: str, option: str) -> str:
    said = subprocess.run([tool, option], capture_output=True, text=True).stdout
    return " ".join(said.split("\n", 1)[0].split("(")[0].split()[:4])
