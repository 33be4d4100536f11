"""What a calibration's settings are worth: the virtual chip of examples/, calibrated and trained, seed by seed.

    python benchmarks/calibration.py [MEASUREMENTS] [SEED ...]

Each seed is another piece and another start. It is trained with the settings of `mgd calibrate`; over the same windows
by plain descent at the rate that the calibration gives for it; and as `mgd calibrate` advised before: plain descent,
tau_x 3 and tau_theta 78.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "virtual-chip.toml"
DESCENT = ("--optimizer", "sgd", "--schedule", "constant")
RUNS = {
    "calibrated": (64, ()),
    "plain descent, same windows": (64, DESCENT),
    "as advised before": (
        3,
        (*DESCENT, "--tau-x=3", "--tau-theta=78", "--amplitude=0.145", "--learning-rate=5.76"),
    ),
}


def mgd(*arguments: object) -> str:
    command = [sys.executable, "-m", "mgd", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def accuracies(measurements: int, seed: int, folder: Path) -> dict[str, float]:
    """The test accuracy that each way of training comes to."""
    serve = [sys.executable, "-m", "mgd", "chip", "serve", str(EXAMPLE), "--port", "0", "--seed", str(seed)]
    server = subprocess.Popen(serve, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        found = re.search(r"TCPIP0::\S+::SOCKET", server.stdout.readline())
        assert found
        chip = folder / f"chip-{seed}.toml"
        chip.write_text(re.sub(r'resource = ".*"', f'resource = "{found[0]}"', EXAMPLE.read_text()))
        calibration = folder / f"calibration-{seed}.toml"
        mgd("calibrate", chip, "--out", calibration, "--seed", seed)
        reached = {}
        for name, (tau_x, options) in RUNS.items():
            steps = int(measurements / (1 + 1 / tau_x))
            out = folder / f"{name.replace(' ', '-')}-{seed}"
            common = ("--chip", chip, "--calibration", calibration, "--steps", steps, "--seed", seed, "--out", out)
            mgd("train", "nist7x7", *common, *options)
            summary = json.loads((out / "summary.json").read_text())
            reached[name] = 100 * summary["accuracy"]
        return reached
    finally:
        server.terminate()
        server.wait(20)


if __name__ == "__main__":
    measurements, seeds = int((sys.argv[1:] or ["20000"])[0]), [int(one) for one in sys.argv[2:]] or [1, 2, 3]
    with tempfile.TemporaryDirectory() as folder:
        print(f"test accuracy of nist7x7 after {measurements:,} measurements, in percent", flush=True)
        for seed in seeds:
            reached = accuracies(measurements, seed, Path(folder))
            print(f"seed {seed}: " + ", ".join(f"{name} {value:.1f}" for name, value in reached.items()), flush=True)
