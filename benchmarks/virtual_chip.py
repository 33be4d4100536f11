"""A chip behind a socket, trained beside eight that are simulated: accuracy against measurements, as a figure.

`python benchmarks/virtual_chip.py FIGURE.png` serves `examples/virtual-chip.toml` in a process of its own, trains it
with `mgd train --chip` and eight of the same design with `--simulate`, and prints both. It takes some minutes.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
import numpy as np

from mgd.runs import read_metrics, read_summary

CHIP = Path(__file__).parents[1] / "examples" / "virtual-chip.toml"
SETTINGS = [
    "--perturbation",
    "walsh",
    "--tau-x",
    "256",
    "--tau-theta",
    "256",
    "--learning-rate",
    "4",
    "--schedule",
    "cosine",
    "--steps",
    "512000",
]
MGD = (sys.executable, "-m", "mgd")


def train(out: Path, *more: str) -> dict:
    """One run; its summary."""
    command = [*MGD, "train", "nist7x7", "--chip", str(CHIP), *SETTINGS, *more, "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    summary = read_summary(out)
    assert summary is not None
    return summary


def draw(real: Path, simulated: Path, path: Path) -> None:
    """Accuracy of the served chip, and the mean and range of the simulated ones."""
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    band, curve = (read_metrics(run) for run in (simulated, real))
    x, y = band.cost_measurements.values[1:], 100 * band.accuracy.values[:, 1:]
    axes.fill_between(
        x, y.min(0), y.max(0), color="#1f77b4", alpha=0.25, linewidth=0, label="simulated: range of 8 chips"
    )
    axes.plot(x, y.mean(0), color="#1f77b4", label="simulated: their mean")
    x, y = curve.cost_measurements.values[1:], 100 * curve.accuracy.values[0, 1:]
    axes.plot(x, y, "o-", color="#d62728", markersize=3, label="served over TCP: one chip")
    axes.set(xscale="log", ylim=(0, 100), xlabel="cost measurements (each of 64 images)", ylabel="accuracy (%)")
    axes.set_title("NIST7x7 on a noisy, drifting chip with 8-bit converters")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Serves, trains, simulates, draws, prints."""
    with tempfile.TemporaryDirectory() as folder:
        real, simulated = Path(folder) / "real", Path(folder) / "simulated"
        server = subprocess.Popen([*MGD, "chip", "serve", str(CHIP)], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            server.stdout.readline()
            found = train(real)
        finally:
            server.terminate()
            server.communicate()
        expected = train(simulated, "--simulate", "--replicas", "8")
        chips = 100 * np.array(expected["accuracy_per_replica"])
        draw(real, simulated, Path(sys.argv[1]))
    counts = found["counts"]
    print(json.dumps({"settings": " ".join(SETTINGS), **counts}))
    print(f"served over TCP: {100 * found['accuracy']:.1f} % in {found['seconds']:.0f} s; 4,028 test samples")
    print(f"simulated, 8 chips: mean {chips.mean():.1f} %, {chips.min():.1f} … {chips.max():.1f} %; 4,028 test samples")


if __name__ == "__main__":
    main()
