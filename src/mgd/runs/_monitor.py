"""What a run on a chip tells of itself while it goes on, one line of JSON at each checkpoint."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..engines import Told

FILE = "diagnostics.jsonl"


class Monitor:
    """Gathers diagnostics from what is measured anyway.

    Args:
        n_params: P.
        calibration: the one that the run uses, or None.
    """

    def __init__(self, n_params: int, calibration: Any):
        self.calibration = calibration

    def watch(self, told: Told, n: int, baseline: Float[np.ndarray, " m"]) -> None:
        """Takes in what a chunk told."""

    def write(self, folder: Path, step: int, tally: dict[str, int]) -> None:
        """Appends a line; one that a kill cuts short is left out by who reads."""
        line = {"step": step, "time": round(time.time(), 3), **tally}
        with (folder / FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
