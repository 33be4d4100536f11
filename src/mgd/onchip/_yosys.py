"""Yosys, of PyPI or of the system: what it counts after a script."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .._errors import MgdError

# The wheel is a module, which prints what it does: it runs in a process of its own, as the program does.
_WHEEL = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.stdin.read().splitlines():
    libyosys.run_pass(line, design)
"""
# What newer versions count, and is nothing in a circuit.
_NO_CELL = "$scopeinfo"


def counted(script: Sequence[str]) -> tuple[str, dict[str, dict[str, int]]]:
    """What counted the cells, with its version, and the cells of each module after a script, by their kinds.

    Raises:
        MgdError: if Yosys is not installed, or refuses the script.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.json"
        # Version 0.23 leaves a comma at the end, and with a top and other modules writes what is no JSON.
        run([*script, "setattr -mod -unset top", f"tee -q -o {path} stat -json"])
        found = json.loads(re.sub(r",\s*}", "}", path.read_text()))
    names = {name: name.removeprefix("\\") for name in found["modules"]}
    return found["creator"].split("(")[0].strip(), {
        names[name]: {kind: number for kind, number in module["num_cells_by_type"].items() if kind != _NO_CELL}
        for name, module in found["modules"].items()
    }


def run(script: Sequence[str]) -> str:
    """Runs commands, and returns what Yosys says.

    Raises:
        MgdError: if Yosys is not installed, or refuses the script.
    """
    command, given = _command(script)
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line] or ["it says nothing"]
        raise MgdError(f"Yosys refuses the circuit: {lines[-1]}")
    return done.stdout


def _command(script: Sequence[str]) -> tuple[list[str], str | None]:
    if importlib.util.find_spec("pyosys") is not None:
        return [sys.executable, "-c", _WHEEL], "\n".join(script)
    if shutil.which("yosys") is None:
        raise MgdError(
            "cells are counted by yosys, which is not installed: sudo apt-get install yosys, or pip install "
            "'mgd[onchip]'"
        )
    return ["yosys", "-p", "; ".join(script)], None
