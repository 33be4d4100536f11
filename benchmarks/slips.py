"""Replies that slip and chips that reset themselves: how many runs are taught by another question's costs.

    python benchmarks/slips.py [--seeds N] [--source OTHER/src]

Trains a served 2-2-1 chip without noise, for each kind of chip file (with and without read-back, an error queue, a
count of parameters, lines of their own for the perturbation), while its wire doubles replies, answers too late, or the
chip resets itself. A run is taught wrongly if a cost that it kept is not that of a run without faults. `--source`
takes the trainer from another checkout; the chips are always served by this one.
"""

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

CHIP = "name = 'small'\n[chip]\ninputs = [2]\noutputs = 1\nhidden = [2]\n"
STEPS = 320
FAULTS = {
    "doubled": {"latency_seconds": 0.003, "double": 0.01, "double_seconds": 0.001},
    "late": {"late": 0.01, "late_seconds": 0.4},
    "reset": {"reset": 0.01},
}
YES_NO = ("yes", "no")


def kinds() -> dict[tuple[str, ...], dict]:
    """Settings of every kind of chip file, by what it has: read-back, error queue, count, own lines."""
    found = {}
    for read_back, errors, counted, own in itertools.product(YES_NO, repeat=4):
        commands = {} if errors == "yes" else {"error": ""}
        commands |= {} if own == "yes" else {"perturb": "", "batch": ""}
        settings = {"commands": commands, "verify": read_back == "yes", "most_together": 1, "timeout_seconds": 0.25}
        settings |= {} if counted == "yes" else {"n_params": 9, "limits": {"low": -10.0, "high": 10.0}}
        found[read_back, errors, counted, own] = settings
    return found


def train(jobs: list[dict]) -> None:
    """Trains on one served chip after the other, and prints what was kept of each as a line of JSON."""
    import jax
    import optax

    import mgd
    from mgd.engines import Data, Instrumented, Options
    from mgd.instruments import opened
    from mgd.instruments._scpi import load

    task = mgd.datasets.parity(bits=2)
    algorithm = mgd.discrete(
        perturbation=mgd.perturbations.Rademacher(0.1),
        optimizer=optax.sgd(0.5),
        time_constants=mgd.TimeConstants(tau_p=1, tau_x=8, tau_theta=16),
    )
    for job in jobs:
        costs: list[float] = []
        error = None
        options = Options(keep=lambda kept, costs=costs: costs.extend(kept.tolist()), give_up_seconds=10.0)
        try:
            with opened(load(job, Path()), patience_seconds=10.0) as chip:
                start = np.linspace(-1, 1, 9).astype(np.float32)
                loop = Instrumented(chip, algorithm, start, cost=mgd.chips.MeanSquaredError(), options=options)
                data, progress = Data.of(task.train), loop.init(1, key=jax.random.key(3))
                for _ in range(4):
                    progress = loop.advance(data, progress, STEPS // 4)
        except Exception as raised:
            error = f"{type(raised).__name__}: {raised}"
        print(json.dumps({"costs": costs, "error": error}), flush=True)


class Chips:
    """Served chips on ports of this process."""

    def __init__(self, folder: Path):
        self._loop, self._servers, self._folder = asyncio.new_event_loop(), [], folder
        (folder / "chip.toml").write_text(CHIP)
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def serve(self, **faults: Any) -> tuple[str, Counter[str]]:
        """Serves one more: its resource, and the faults that it will have had."""
        from mgd.instruments._virtual._server import Server
        from mgd.instruments._virtual._settings import ServeSettings
        from mgd.runs._chip_file import read_chip_file
        from mgd.runs._served import make_speaker

        # The piece is always the same; the seed is that of the faults.
        settings = ServeSettings(**faults)
        piece = ServeSettings(**{**faults, "seed": 0})
        server = Server(make_speaker(read_chip_file(self._folder / "chip.toml"), piece), settings)
        listening = asyncio.run_coroutine_threadsafe(server.listen("127.0.0.1", 0), self._loop).result(10)
        return f"TCPIP0::127.0.0.1::{listening.sockets[0].getsockname()[1]}::SOCKET", server.faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--source", type=Path, default=Path(__file__).parents[1] / "src")
    parser.add_argument("--jobs", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.jobs:
        train(json.loads(chosen.jobs))
        return
    print(
        "| read-back | error queue | count | own lines | fault | faults | runs | taught wrongly | costs wrong | ended |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    totals: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"PYTHONPATH": str(chosen.source.resolve()), "XDG_STATE_HOME": folder}
        chips = Chips(Path(folder))
        for kind, settings in kinds().items():
            served = [("none", *chips.serve())]
            served += [
                (name, *chips.serve(seed=seed, **fault))
                for name, fault in FAULTS.items()
                for seed in range(chosen.seeds)
            ]
            jobs = json.dumps([settings | {"resource": resource} for _, resource, _ in served])
            done = subprocess.run(
                [sys.executable, __file__, "--jobs", jobs], env=env, capture_output=True, text=True, check=True
            )
            found = [json.loads(line) for line in done.stdout.splitlines()]
            due = np.array(found[0]["costs"])
            for name in FAULTS:
                row: Counter[str] = Counter()
                for (fault, _, faults), one in zip(served, found, strict=True):
                    if fault != name:
                        continue
                    costs = np.array(one["costs"])
                    wrong = int((~np.isclose(costs, due[: len(costs)], rtol=1e-4)).sum())
                    row += Counter(faults=sum(faults.values()), runs=1, wrongly=int(wrong > 0), wrong=wrong)
                    row["ended"] += one["error"] is not None
                totals += row
                print(f"| {' | '.join(kind)} | {name} | " + " | ".join(str(row[k]) for k in COLUMNS) + " |", flush=True)
    print("| all | | | | | " + " | ".join(str(totals[k]) for k in COLUMNS) + " |")


COLUMNS = ("faults", "runs", "wrongly", "wrong", "ended")

if __name__ == "__main__":
    main()
