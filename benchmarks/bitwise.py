"""What `bitwise` costs in simulation: the measured engine with and without, timed in turn; prints a table."""

import dataclasses
import statistics

import mgd
from measured import engine_seconds
from mgd.engines import Measured

ROUNDS = 5
# Network, replicas, samples a measurement, timesteps of a round.
CASES = (
    ((2, 2, 1), 1, 1, 100_000),
    ((49, 4, 4), 1, 1, 50_000),
    ((49, 4, 4), 1, 64, 20_000),
    ((49, 100, 50, 4), 1, 1, 5_000),
    ((49, 4, 4), 100, 1, 2_000),
    ((2, 2, 1), 1000, 1, 4_000),
)


def main() -> None:
    """Prints the table."""
    print("| network | replicas | samples a measurement | µs a timestep | bitwise | ratio |")
    print("|---" * 6 + "|")
    for sizes, replicas, batch, steps in CASES:
        task = mgd.datasets.parity(2) if sizes[0] == 2 else mgd.datasets.nist7x7()
        plain = mgd.discrete()
        runs = [
            engine_seconds(
                Measured(mgd.chips.mlp(sizes, cost="mse", init="uniform"), algorithm, batch), task, replicas, steps
            )
            for algorithm in (plain, dataclasses.replace(plain, bitwise=True))
        ]
        pairs = [[run() / steps for run in runs] for _ in range(ROUNDS)]
        before, after = (1e6 * statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        name = "-".join(map(str, sizes))
        print(f"| {name} | {replicas} | {batch} | {before:.2f} | {after:.2f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
