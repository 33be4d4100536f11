"""A long run by simulation of time: 10⁸ measurements through the batch path, with all that a run on a chip keeps.

`python benchmarks/long_run.py` trains a stand-in for a chip that answers at once, in batches of 8,192, by
`mgd train --chip`, and prints how much memory the process takes as it goes on, and what it leaves on the disk.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mgd.runs import read_summary

MEASUREMENTS = int(float(sys.argv[1])) if len(sys.argv) > 1 else 100_000_000
TAU = 8192
MODULE = """
import numpy as np
from mgd.instruments import Limits, from_callables

def chip():
    rng, state = np.random.default_rng(0), {"theta": np.zeros(9, np.float32)}
    def together(signals):
        signals = state["theta"] + signals
        return np.square(signals - 0.5).mean(1) + rng.normal(0, 0.01, len(signals))
    return from_callables(
        set_parameters=lambda theta: state.update(theta=np.array(theta)),
        perturb=lambda wiggle: None,
        present=lambda x, target: None,
        measure_cost=lambda: float(np.square(state["theta"] - 0.5).mean() + rng.normal(0, 0.01)),
        measure_batch=together,
        limits=Limits.uniform(9, -2.0, 2.0),
        address="stand-in",
    )
"""
CHIP = '[instrument]\nkind = "callables"\nbuild = "stand_in:chip"\nat_limit = "saturate"\n'


def resident(process: subprocess.Popen) -> float:
    """MB that a process takes."""
    try:
        text = Path(f"/proc/{process.pid}/status").read_text()
    except FileNotFoundError:
        return 0.0
    found = [line for line in text.splitlines() if line.startswith("VmRSS")]
    return int(found[0].split()[1]) / 1024 if found else 0.0


def size(folder: Path) -> float:
    """MB in a directory."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def main() -> None:
    """Trains, watches, prints."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "stand_in.py").write_text(MODULE)
        (folder / "chip.toml").write_text(CHIP)
        steps = str(MEASUREMENTS * TAU // (TAU + 1) // TAU * TAU)
        words = ["train", "parity", "--chip", "chip.toml", "--tau-x", str(TAU), "--tau-theta", str(TAU)]
        words += ["--learning-rate", "0.01", "--steps", steps, "--out", "run"]
        started = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "mgd", *words], cwd=folder)
        seen: list[tuple[float, float, float]] = []
        while process.poll() is None:
            time.sleep(1.0)
            if (folder / "run").exists():
                journals = sum(file.stat().st_size for file in (folder / "run").glob("costs-*")) / 1e6
                seen.append((time.monotonic() - started, resident(process), journals))
        assert process.returncode == 0
        summary = read_summary(folder / "run")
        assert summary is not None
        seen = [row for row in seen if row[1]]
        print("| of the time | resident memory | journal |\n|---|---|---|")
        for share in (0.1, 0.25, 0.5, 0.75, 1.0):
            _, memory, journal = seen[min(len(seen) - 1, int(share * len(seen)))]
            print(f"| {share:.0%} | {memory:.0f} MB | {journal:.1f} MB |")
        counts = summary["counts"]
        log = (folder / "run" / "diagnostics.jsonl").stat().st_size / 1e6
        print(f"{counts['cost_measurements']:,} measurements in {summary['seconds']:.0f} s")
        print(f"left on the disk: {size(folder / 'run'):.2f} MB, of which diagnostics {log:.2f} MB; ")
        print(f"largest journal: {max(row[2] for row in seen):.1f} MB, four bytes a measurement since a checkpoint")


if __name__ == "__main__":
    main()
