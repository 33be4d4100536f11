"""Lint, format and types are tests like any other."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["pyright", "--pythonpath", sys.executable, "src"],
        pytest.param(["pyright", "--pythonpath", sys.executable], marks=pytest.mark.long),
    ],
    ids=["lint", "format", "types", "types of tests"],
)
def test_nothing_to_mend(command):
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
