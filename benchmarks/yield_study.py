"""How many chips of a batch learn, by how much their devices vary: 10,000 chips, 100,000 steps each, in one command.

`python benchmarks/yield_study.py` trains 2,000 chips (49-4-4 on NIST7x7) at each of five spreads σ_a of the activation,
with the fused engine, and prints for each the accuracy of the middle chip and the share that is within five points of
the middle chip without spread. `--chips 200` is a small one. Seed 0; intervals are two standard errors of a share.
"""

import argparse
import time

import jax
import numpy as np
import optax

import mgd
from mgd.chips.imperfections import ActivationVariation

SPREADS = (0.0, 0.1, 0.25, 0.5, 1.0)
STEPS, MARGIN = 100_000, 0.05


def accuracies(sigma: float, chips: int, steps: int) -> np.ndarray:
    """Of each chip on the test set, after training."""
    algorithm = mgd.discrete(
        perturbation=mgd.perturbations.Rademacher(0.05),
        time_constants=mgd.TimeConstants(tau_theta=16),
        optimizer=optax.sgd(0.3),
    )
    chip = mgd.chips.imperfect(mgd.chips.mlp((49, 4, 4), init="glorot", cost="mse"), ActivationVariation(sigma))
    task = mgd.datasets.nist7x7()
    result = mgd.train(
        chip, task, algorithm, n_steps=steps, n_replicas=chips, engine="fused", key=jax.random.key(0), log_every=steps
    )
    return np.asarray(result.accuracy)


def main() -> None:
    """Prints the table, and the time of it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=int, default=10_000, help="of all spreads together")
    parser.add_argument("--steps", type=int, default=STEPS)
    given = parser.parse_args()
    started, each, enough = time.perf_counter(), given.chips // len(SPREADS), 0.0
    print("| σ_a | chips | accuracy (5 %, middle, 95 %) | yield |\n|---|---|---|---|")
    for sigma in SPREADS:
        found = accuracies(sigma, each, given.steps)
        enough = enough or float(np.median(found)) - MARGIN
        share = float(np.mean(found >= enough))
        low, middle, high = 100 * np.quantile(found, (0.05, 0.5, 0.95))
        error = 2 * (share * (1 - share) / each) ** 0.5
        print(f"| {sigma} | {each:,} | {low:.1f}, {middle:.1f}, {high:.1f} % | {share:.1%} ± {error:.1%} |", flush=True)
    seconds = time.perf_counter() - started
    steps = each * len(SPREADS) * given.steps
    print(f"\n{steps:.3g} chip-steps in {seconds:.1f} s, {1e9 * seconds / steps:.1f} ns each, all included.")


if __name__ == "__main__":
    main()
