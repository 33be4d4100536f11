"""The command line in the process of a test, which has compiled already; and the parameters that a run came to."""

from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

import mgd.cli


def command(*words: str) -> int:
    """Runs a command; gives its exit code."""
    with pytest.raises(SystemExit) as exit_, jax.numpy_dtype_promotion("standard"):
        mgd.cli.main(list(words))
    return int(exit_.value.code or 0)


def theta(run: str) -> np.ndarray:
    return load_file(Path(run) / "theta.safetensors")["theta"]
