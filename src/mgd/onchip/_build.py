"""Compiles a top module and its modules by Verilator into a library of this process, once. Nothing here imports JAX."""

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from platformdirs import user_cache_path

from .._errors import HardwareError
from ._top import rtl

# The first version whose simulation has the order of events that the RTL is written for.
_OLDEST = 5


def lacking() -> str:
    """What is not installed that Verilating needs, and how to install it; empty if nothing."""
    for tool in ("verilator", "g++"):
        if shutil.which(tool) is None:
            return f"needs {tool} to be simulated, which is not installed: sudo apt-get install verilator g++"
    return ""


def verilators_version() -> str:
    """What Verilator says of its version.

    Raises:
        HardwareError: if it is too old.
    """
    said = subprocess.run(["verilator", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Verilator (\d+)\.(\d+)", said)
    if found is not None and int(found[1]) < _OLDEST:
        raise HardwareError(
            f"Verilator {found[1]}.{found[2]} is too old: install {_OLDEST}.000 or newer, such as that of Debian 12"
        )
    return said


def compiled(
    top: str,
    text: str,
    harness: Path,
    *,
    files: dict[str, str] | None = None,
    sources: Sequence[Path] = (),
    cache: str | Path | None = None,
) -> Path:
    """The folder of a compiled circuit, `circuit.so`; if it is not there, it is compiled.

    Args:
        top: the name of the top module.
        text: the top module, in which `@FOLDER@` stands for the folder.
        harness: the program in C++ that makes a library of it.
        files: what else is to be in the folder when the circuit begins, by name.
        sources: further modules.
        cache: the folder for compiled circuits; by default one of the user's.

    Raises:
        HardwareError: if Verilator or a compiler is missing, or refuses the circuit.
    """
    if said := lacking():
        raise HardwareError(f"the RTL {said}")
    home = user_cache_path("mgd") / "onchip" if cache is None else Path(cache)
    home.mkdir(parents=True, exist_ok=True)
    # Code for this processor: a cache in a home that is shared is not taken for another's.
    processor = subprocess.run(["g++", "-march=native", "-Q", "--help=target"], capture_output=True).stdout
    digest = hashlib.sha256(verilators_version().encode() + processor + text.encode() + repr(files).encode())
    for part in (Path(__file__), *sorted(rtl().glob("*.sv")), *sources, harness):
        digest.update(part.read_bytes())
    folder = home / digest.hexdigest()[:24]
    if not (folder / "circuit.so").exists():
        folder.mkdir(exist_ok=True)
        for name, content in (files or {}).items():
            (folder / name).write_text(content)
        (folder / f"{top}.sv").write_text(text.replace("@FOLDER@", str(folder)))
        with tempfile.TemporaryDirectory(dir=home) as work:
            library = _verilated(
                top, [folder / f"{top}.sv", *sorted(rtl().glob("*.sv")), *sources], harness, Path(work)
            )
            library.replace(folder / "circuit.so")  # whole, or not there
    return folder


def _verilated(top: str, sources: list[Path], harness: Path, work: Path) -> Path:
    command = ["verilator", "--cc", "--build", "-O3", "-Wno-lint", "--top-module", top, "--Mdir", work]
    command += ["--x-assign", "fast", "--x-initial", "fast", "--noassert"]
    command += [
        "-CFLAGS",
        "-fPIC -O2 -march=native",
        "-LDFLAGS",
        "-shared -fPIC",
        "--exe",
        "-o",
        "circuit.so",
        *sources,
        harness,
    ]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr + done.stdout).strip().splitlines() or [f"it ended with {done.returncode}"]
        raise HardwareError(f"Verilator did not compile the circuit: {lines[0]}")
    return work / "circuit.so"
