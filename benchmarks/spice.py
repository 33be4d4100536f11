"""Operating points a second of a 49×4 crossbar in ngspice, and how much of the time is ours; prints a table.

Seconds are those of the thread that does all the work, the median of rounds: other programs may be running. A
measurement is a sweep over its samples; with random signs half of the parameters change from one to the next, with
other families all. "Ours" is what ngspice does not take by itself with the same commands, made up beforehand, and
inputs that are constant: no values worked out, no callbacks, no vectors copied.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mgd.instruments import load_instrument
from mgd.instruments._spice import Spice

ROWS, COLUMNS = 49, 4
LOAD_OHMS, MIDDLE_MILLISIEMENS, AMPLITUDE = 100.0, 0.1, 0.001
SAMPLES = (1, 4, 16, 64, 256)
PATTERNS, ROUNDS, ROUND_SECONDS = 200, 5, 0.4


def crossbar(folder: Path) -> Spice:
    """A weight is the difference of two conductances, from a row to the two lines of a column."""
    lines = ["crossbar", *(f"v{i} in{i} 0 0.5" for i in range(ROWS))]
    for j in range(COLUMNS):
        lines += [f"rlp{j} p{j} 0 {LOAD_OHMS}", f"rlm{j} m{j} 0 {LOAD_OHMS}"]
        lines += [f"rp{i}_{j} in{i} p{j} 10k\nrm{i}_{j} in{i} m{j} 10k" for i in range(ROWS)]
    (folder / "crossbar.cir").write_text("\n".join(lines) + "\n")
    settings = {
        "netlist": "crossbar.cir",
        "parameters": [f"rp{i}_{j} - rm{i}_{j}" for i in range(ROWS) for j in range(COLUMNS)],
        "inputs": [f"v{i}" for i in range(ROWS)],
        "outputs": [f"v(p{j},m{j})" for j in range(COLUMNS)],
        "conductance_unit": 1e-3,
        "middle": MIDDLE_MILLISIEMENS,
        "limits": {"low": -0.15, "high": 0.15, "unit": "mS"},
    }
    chip = load_instrument("spice", settings, folder)
    assert isinstance(chip, Spice)
    return chip


def seconds_each(measure: Callable[[int], None]) -> float:
    """The median over rounds of the seconds that one call takes."""
    measure(0)
    rounds = []
    for _ in range(ROUNDS):
        calls, started = 0, time.thread_time()
        while time.thread_time() - started < ROUND_SECONDS:
            calls += 1
            measure(calls)
        rounds.append((time.thread_time() - started) / calls)
    return statistics.median(rounds)


def check(outputs: np.ndarray, theta: np.ndarray, x: np.ndarray) -> None:
    """Raises if these are not the outputs of the crossbar: a fast wrong answer."""
    weights = theta.reshape(ROWS, COLUMNS).astype(float)
    plus, minus = (MIDDLE_MILLISIEMENS + sign * weights / 2 for sign in (1, -1))
    load = 1e3 / LOAD_OHMS
    np.testing.assert_allclose(outputs, x @ plus / (plus.sum(0) + load) - x @ minus / (minus.sum(0) + load), atol=1e-6)


def perturbations(n_params: int) -> dict[str, list[np.ndarray]]:
    """The signs of measurements that follow each other, again and again."""
    rng, ones = np.random.default_rng(1), np.ones(n_params, np.float32)
    return {
        "parameters held": [ones],
        "random signs": [rng.choice([-1.0, 1.0], n_params).astype(np.float32) for _ in range(PATTERNS)],
        "all change": [ones, -ones],
    }


def ours(chip: Spice, samples: int) -> list[float]:
    """Seconds of a measurement, by what is perturbed."""
    rng, found = np.random.default_rng(0), []
    theta = rng.uniform(-0.1, 0.1, chip.n_params).astype(np.float32)
    x = rng.random((samples, ROWS)).astype(np.float32)
    with chip:
        chip.present(x, np.zeros((samples, COLUMNS), np.float32))
        for signs in perturbations(chip.n_params).values():
            thetas = [theta + np.float32(AMPLITUDE) * each for each in signs]

            def measure(call: int, thetas: list[np.ndarray] = thetas) -> None:
                chip.set_parameters(thetas[call % len(thetas)])
                chip.read_outputs()

            found.append(seconds_each(measure))
        chip.set_parameters(theta)
        check(chip.read_outputs(), theta, x)
    return found


def alone(chip: Spice, samples: int) -> list[float]:
    """The same of ngspice by itself."""
    sweep, found = ["destroy all", f"dc vmgdsweep 0 {samples - 1} 1"], []
    with chip:
        spice = chip._open()
        spice.release()
        spice.circuit(chip.netlist.driven(chip._inputs, "0.5", chip._kept))
        for signs in perturbations(chip.n_params).values():
            steps = []
            for now, before in zip(signs, [signs[-1], *signs], strict=False):
                pairs = zip(chip._targets, now, now != before, strict=True)
                changed = [(name, sign) for pair, sign, is_new in pairs if is_new for name in pair]
                steps.append([f"alter {name}={9876.54321 + 10 * sign:.9g}" for name, sign in changed] + sweep)

            def measure(call: int, steps: list[list[str]] = steps) -> None:
                spice.commands(steps[call % len(steps)])

            found.append(seconds_each(measure))
    return found


def main() -> None:
    """Prints the table."""
    print("| samples a measurement |", " | ".join(f"{what}: points/s | ours" for what in perturbations(1)), "|")
    print("|---" * 7 + "|")
    with tempfile.TemporaryDirectory() as folder:
        chip = crossbar(Path(folder))
        for samples in SAMPLES:
            cells = [f"{samples}"]
            for mine, its in zip(ours(chip, samples), alone(chip, samples), strict=True):
                cells += [f"{samples / mine:,.0f}", f"{max(0.0, 1 - its / mine):.0%}"]
            print("| " + " | ".join(cells) + " |", flush=True)
    with chip:
        print(f"\nngspice {chip.identify().version}, Python {sys.version.split()[0]}, {chip.n_params} pairs altered")


if __name__ == "__main__":
    main()
