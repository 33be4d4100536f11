"""Operating points a second of a 49×4 crossbar in ngspice, and how much of the time is ours; prints two tables.

A measurement is a sweep over its samples; with random signs half of the parameters change from one to the next, with
other families all.

The first is of batches of measurements of one sample, in processes of their own, by the clock on the wall: of a
crossbar of 196 conductances, and of one of 196 pairs of them.

The second is of measurements one by one, in this process, of pairs. Seconds are those of the thread that does all the
work, the median of rounds: other programs may be running. "Ours" is what ngspice does not take by itself with the same
commands, made up beforehand, and inputs that are constant: no values worked out, no callbacks, no vectors copied.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mgd.instruments import AbstractInstrument, Spice, load_instrument

ROWS, COLUMNS = 49, 4
LOAD_OHMS, MIDDLE_MILLISIEMENS, AMPLITUDE = 100.0, 0.1, 0.001
SAMPLES = (1, 4, 16, 64, 256)
PATTERNS, ROUNDS, ROUND_SECONDS = 200, 5, 0.4
BATCH = 1000


def crossbar(folder: Path, *, pairs: bool, **more: int) -> AbstractInstrument:
    """A weight is a conductance from a row to the line of a column, or the difference of two of them, to two lines."""
    lines = ["crossbar", *(f"v{i} in{i} 0 0.5" for i in range(ROWS))]
    for j, side in ((j, side) for j in range(COLUMNS) for side in ("pm" if pairs else "p")):
        lines += [f"rl{side}{j} {side}{j} 0 {LOAD_OHMS}", *(f"r{side}{i}_{j} in{i} {side}{j} 10k" for i in range(ROWS))]
    (folder / "crossbar.cir").write_text("\n".join(lines) + "\n")
    names = ("rp{0} - rm{0}", "v(p{0},m{0})") if pairs else ("rp{0}", "v(p{0})")
    settings = {
        "netlist": "crossbar.cir",
        "parameters": [names[0].format(f"{i}_{j}") for i in range(ROWS) for j in range(COLUMNS)],
        "inputs": [f"v{i}" for i in range(ROWS)],
        "outputs": [names[1].format(j) for j in range(COLUMNS)],
        "conductance_unit": 1e-3,
        "limits": {"low": -0.15, "high": 0.15, "unit": "mS"} if pairs else {"low": 0.01, "high": 0.3, "unit": "mS"},
        **({"middle": MIDDLE_MILLISIEMENS} if pairs else {}),
    }
    return load_instrument("spice", settings | more, folder)


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


def check(outputs: np.ndarray, theta: np.ndarray, x: np.ndarray, *, pairs: bool) -> None:
    """Raises if these are not the outputs of the crossbar: a fast wrong answer."""
    weights = theta.reshape(ROWS, COLUMNS).astype(float)
    plus, minus = (MIDDLE_MILLISIEMENS + sign * weights / 2 for sign in (1, -1)) if pairs else (weights, 0 * weights)
    load = 1e3 / LOAD_OHMS
    np.testing.assert_allclose(outputs, x @ plus / (plus.sum(0) + load) - x @ minus / (minus.sum(0) + load), atol=1e-6)


def batches(folder: Path, *, pairs: bool, processes: int) -> list[float]:
    """Points a second of batches, by what is perturbed."""
    chip = crossbar(folder, pairs=pairs, processes=processes)
    rng, found = np.random.default_rng(0), []
    low, high = chip.limits.low + 2 * AMPLITUDE, chip.limits.high - 2 * AMPLITUDE
    theta, x = rng.uniform(low, high).astype(np.float32), rng.random((1, ROWS)).astype(np.float32)
    with chip:
        chip.present(x, np.zeros((1, COLUMNS), np.float32))
        for signs in perturbations(chip.n_params).values():
            rows = np.stack([theta + np.float32(AMPLITUDE) * signs[k % len(signs)] for k in range(BATCH)])
            outputs, seconds = chip.read_batch(rows), []
            for place in (0, BATCH // 2, BATCH - 1):
                check(outputs[place], rows[place], x, pairs=pairs)
            for _ in range(ROUNDS):
                started = time.perf_counter()
                chip.read_batch(rows)
                seconds.append(time.perf_counter() - started)
            found.append(BATCH / statistics.median(seconds))
    return found


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
        check(chip.read_outputs(), theta, x, pairs=True)
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
                alters = [f"alter {name}={9876.54321 + 10 * sign:.9g}" for name, sign in changed]
                steps.append([text.encode() for text in alters + sweep])

            def measure(call: int, steps: list[list[bytes]] = steps) -> None:
                spice.commands(steps[call % len(steps)])

            found.append(seconds_each(measure))
    return found


def main() -> None:
    """Prints the tables."""
    print("| crossbar | processes |", " | ".join(f"{what}: points/s" for what in perturbations(1)), "|")
    print("|---" * 5 + "|")
    with tempfile.TemporaryDirectory() as folder:
        for pairs, processes in ((pairs, n) for pairs in (False, True) for n in sorted({1, os.cpu_count() or 1})):
            cells = [f"{ROWS * COLUMNS} {'pairs' if pairs else 'conductances'}", str(processes)]
            cells += [f"{points:,.0f}" for points in batches(Path(folder), pairs=pairs, processes=processes)]
            print("| " + " | ".join(cells) + " |", flush=True)
    print("\n| samples a measurement |", " | ".join(f"{what}: points/s | ours" for what in perturbations(1)), "|")
    print("|---" * 7 + "|")
    with tempfile.TemporaryDirectory() as folder:
        chip = crossbar(Path(folder), pairs=True)
        assert isinstance(chip, Spice)
        for samples in SAMPLES:
            cells = [f"{samples}"]
            for mine, its in zip(ours(chip, samples), alone(chip, samples), strict=True):
                cells += [f"{samples / mine:,.0f}", f"{max(0.0, 1 - its / mine):.0%}"]
            print("| " + " | ".join(cells) + " |", flush=True)
    with chip:
        print(f"\nngspice {chip.identify().version}, Python {sys.version.split()[0]}, {chip.n_params} pairs altered")


if __name__ == "__main__":
    main()
