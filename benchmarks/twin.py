"""A network trained by backpropagation, put on virtual chips whose neurons vary, and trained further there.

`python benchmarks/twin.py FIGURE.png` trains one 49-4-4 network on NIST7x7 through its model (the twin). Then it
serves 12 chips of the same design, one after the other, each in a process of its own behind a socket. Their neurons
vary by 25 %, each chip's in its own way. `mgd train` trains each twice by Adam, from the twin's parameters at a small
learning rate, and from scratch at that of the defaults. It prints and draws the accuracy against cost measurements,
the median and the quartiles over the chips. It takes some ten minutes.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import xarray as xr

from mgd.runs import read_metrics

CHIPS, VARIATION, STEPS = 12, 0.25, 50_000
LEVELS = (0.8, 0.85, 0.9, 0.95)
MGD = (sys.executable, "-m", "mgd")
# From scratch, the rate is that of the defaults, about 0.1; what begins nearly right would be undone by it.
RATE = 0.03
CHIP = """
name = "virtual chip whose neurons vary"
[chip]
inputs = [49]
outputs = 4
hidden = [4]
cost = "mse"
[imperfect]
activation-variation = {variation}
[instrument]
kind = "scpi"
resource = "TCPIP0::127.0.0.1::{port}::SOCKET"
at_limit = "saturate"
test_samples = 2000
[serve]
seed = {seed}
limits = [-20.0, 20.0]
"""


def train(out: Path, *options: object) -> xr.Dataset:
    """The metrics of one run by `mgd train`."""
    command = [*MGD, "train", "nist7x7", *map(str, options), "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)
    return read_metrics(out)


def on_chip(folder: Path, seed: int, twin: Path) -> dict[str, xr.Dataset]:
    """The metrics of one served chip, from each start."""
    file = folder / f"chip{seed}.toml"
    file.write_text(CHIP.format(variation=VARIATION, seed=seed, port=5025))
    served = subprocess.Popen([*MGD, "chip", "serve", str(file), "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        line = served.stdout.readline() if served.stdout else ""
        file.write_text(CHIP.format(variation=VARIATION, seed=seed, port=line.rsplit("::", 2)[1]))
        options, gently = (
            ("--chip", file, "--steps", STEPS, "--seed", seed),
            ("--optimizer", "adam", "--learning-rate", RATE),
        )
        return {
            "from the twin": train(folder / f"twin{seed}", *options, *gently, "--start", twin),
            "from scratch": train(folder / f"scratch{seed}", *options),
        }
    finally:
        served.terminate()
        served.communicate()


def quartiles(values: np.ndarray) -> str:
    low, middle, high = np.quantile(100 * values, (0.25, 0.5, 0.75))
    return f"{middle:.1f} % ({low:.1f} … {high:.1f})"


def reached(measurements: np.ndarray, accuracy: np.ndarray, level: float) -> str:
    """Measurements until the median chip has an accuracy."""
    at = np.flatnonzero(np.median(accuracy, 0) >= level)
    return f"{int(measurements[at[0]]):,}" if at.size else "not reached"


def main(figure: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        twin = train(folder / "twin", "--algorithm", "backprop", "--replicas", 1)
        in_model = float(twin.accuracy[0, -1])
        runs = [on_chip(folder, seed, folder / "twin") for seed in range(1, CHIPS + 1)]
    print(f"NIST7x7, 49-4-4, {CHIPS} served chips whose neurons vary by {VARIATION:.0%}, {STEPS:,} timesteps")
    print(f"of Adam, at {RATE} from the twin; quartiles in parentheses. The twin in its model: {in_model:.1%}")
    curves = {}
    for start in runs[0]:
        measurements = runs[0][start].cost_measurements.values
        accuracy = np.concatenate([run[start].accuracy.values for run in runs])
        curves[start] = measurements, accuracy
        print(f"{start}: at the start {quartiles(accuracy[:, 0])}, at the end {quartiles(accuracy[:, -1])}")
        print("  cost measurements until the median chip has", end="")
        print(";".join(f" {level:.0%}: {reached(measurements, accuracy, level)}" for level in LEVELS))
    draw(curves, in_model, figure)


def draw(curves: dict[str, tuple[np.ndarray, np.ndarray]], twin: float, path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for (name, (measurements, accuracy)), colour in zip(curves.items(), ("#1f77b4", "#d62728"), strict=True):
        x = np.maximum(measurements, 1)
        low, middle, high = np.quantile(100 * accuracy, (0.25, 0.5, 0.75), axis=0)
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(x, middle, color=colour, linewidth=2, label=name)
    axes.axhline(100 * twin, color="0.5", linewidth=0.8, linestyle="--")
    axes.annotate(
        "the twin, in its model", (1, 100 * twin), (0, 3), textcoords="offset points", color="0.4", fontsize=8
    )
    axes.set(xscale="log", xlabel="cost measurements per chip", ylabel="test accuracy (%)", ylim=(0, 102))
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "twin.png")
