"""Two checkouts of mgd, run by the same scripts."""

import argparse
import os
import subprocess
import sys
from pathlib import Path


def checkout(given: str) -> Path:
    """A folder with a checkout of mgd, as an argument of a command.

    Raises:
        ArgumentTypeError: if it is none, or what is imported from there is not its own.
    """
    folder = Path(given).resolve()
    if not (folder / "src" / "mgd").is_dir():
        raise argparse.ArgumentTypeError(f"{given} is no checkout of mgd: it has no src/mgd")
    program = [sys.executable, "-c", "import mgd; print(mgd.__file__)"]
    found = subprocess.run(program, env=environment(folder), check=True, capture_output=True, text=True).stdout
    if not Path(found.strip()).is_relative_to(folder):
        raise argparse.ArgumentTypeError(f"mgd of {given} cannot be imported: {found.strip()} comes before it")
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Of a process that imports mgd from a checkout."""
    return os.environ | {"PYTHONPATH": str(folder / "src")}
