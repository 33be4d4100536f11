"""Operating points a second of a 49×4 crossbar in ngspice, and how much of the time is ours; prints a table.

Seconds are those of the thread that does all the work, the median of rounds: other programs may be running. A
measurement is a sweep over its samples. "Alone" is ngspice with the same
commands, made up beforehand, and inputs that are constant: no values worked out, no callbacks, no vectors copied.
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
ROUNDS, ROUND_SECONDS = 5, 0.4


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


def ours(chip: Spice, samples: int) -> tuple[float, float]:
    """Seconds of a measurement with parameters as they were, and with each of them perturbed anew."""
    rng = np.random.default_rng(0)
    theta = rng.uniform(-0.1, 0.1, chip.n_params).astype(np.float32)
    x = rng.random((samples, ROWS)).astype(np.float32)
    sides = [theta + np.float32(AMPLITUDE) * sign for sign in (1, -1)]  # every parameter changes every time

    def perturbed(call: int) -> None:
        chip.set_parameters(sides[call % 2])
        chip.read_outputs()

    with chip:
        chip.present(x, np.zeros((samples, COLUMNS), np.float32))
        chip.set_parameters(theta)
        held, changed = seconds_each(lambda call: (chip.read_outputs(), None)[1]), seconds_each(perturbed)
        chip.set_parameters(theta)
        check(chip.read_outputs(), theta, x)
    return held, changed


def alone(chip: Spice, samples: int) -> tuple[float, float]:
    """The same of ngspice by itself."""
    names = [name for pair in chip._targets for name in pair]
    sides = [[f"alter {name}={value:.9g}" for name in names] for value in (9876.54321, 10123.4567)]
    sweep = ["destroy all", f"dc vmgdsweep 0 {samples - 1} 1"]
    with chip:
        spice = chip._open()
        spice.release()
        spice.circuit(chip.netlist.driven(chip._inputs, "0.5", chip._kept))
        return (
            seconds_each(lambda call: spice.commands(sweep)),
            seconds_each(lambda call: spice.commands(sides[call % 2] + sweep)),
        )


def main() -> None:
    """Prints the table."""
    print("| samples a measurement | parameters held: points/s | ours | all perturbed: points/s | ours |")
    print("|---|---|---|---|---|")
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
