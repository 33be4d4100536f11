"""Whether runs come to the same parameters in two checkouts of mgd.

`python benchmarks/digests.py` prints the digest of the final parameters of each of its runs. With `--beside FOLDER`, a
checkout, the same runs are made there too, in a process of its own, and it prints which parameters are the same, and of
the others the largest difference relative to the largest parameter; it exits with code 1 if there are any. Runs are
short, and of as many parts as there are: engines, perturbations, baselines, optimizers, imperfections, and chips behind
I/O. What a run is made of is given in full, so that nothing is left to what a checkout chooses by itself.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

import mgd
from checkouts import checkout, environment
from mgd.algorithm import Accumulate, Algorithm, Backprop, HighPass, LowPass, Remeasured, TimeConstants, TwoSided
from mgd.chips import imperfect, mlp
from mgd.chips.imperfections import (
    ADC,
    DAC,
    ActivationVariation,
    CostNoise,
    CrossTalk,
    Drift,
    FlickerNoise,
    ParameterRange,
    PerturbationGain,
    Settling,
    SoftBoundsWrite,
    UpdateNoise,
)
from mgd.instruments import Simulated, opened
from mgd.perturbations import LFSR, Block, Gaussian, Rademacher, Sequential, Sinusoid, Walsh

KEY = jax.random.key(16)
WINDOW, HELD = TimeConstants(tau_x=4, tau_theta=8), TimeConstants(tau_x=20, tau_theta=20)
WINDOWS_OF_SIGNS = TimeConstants(tau_p=2, tau_x=4, tau_theta=8)
SLOW = TimeConstants(tau_x=8, tau_theta=4, tau_hp=16.0)
SQUARE = mlp((2, 2, 1), cost="mse", init="uniform")


def algorithm(
    times: TimeConstants = WINDOW, *, family: Any = None, baseline: Any = None, integrator: Any = None, **given: Any
) -> Algorithm:
    """Of signs, a re-measured baseline, windows and plain descent, but for what is given."""
    parts: dict[str, Any] = {"optimizer": optax.sgd(0.1)} | given
    return Algorithm(
        perturbation=family or Rademacher(0.05),
        baseline=baseline or Remeasured(),
        integrator=integrator or Accumulate(),
        time_constants=times,
        **parts,
    )


def descent(rate: float = 0.1, momentum: float | None = 0.9) -> optax.GradientTransformation:
    """With weight decay."""
    return optax.chain(optax.add_decayed_weights(1e-3), optax.sgd(rate, momentum))


def trained(chip: Any, how: Any, engine: str = "measured", *, sizes: tuple = (2,), **given: Any) -> np.ndarray:
    """The parameters of some replicas after a short run."""
    task = mgd.datasets.nist7x7() if sizes[0] == 49 else mgd.datasets.parity(bits=sizes[0])
    settings: dict[str, Any] = {"n_steps": 400, "n_replicas": 3, "batch": 1} | given
    return np.asarray(mgd.train(chip, task, how, engine=engine, key=KEY, **settings).theta)


def noisy(*around: Any, chip: Any = SQUARE) -> Any:
    """With these imperfections, from the outermost on; if none are given, with some of each side."""
    return imperfect(chip, *(around or (ActivationVariation(0.1), UpdateNoise(1e-3), CostNoise(1e-3))))


def behind_io(how: Algorithm, *, together: int = 0, batch: int = 1, chip: Any = SQUARE) -> np.ndarray:
    """The parameters of a simulated piece after it was trained as a chip behind I/O."""
    piece = Simulated(chip, key=KEY)
    piece.most_together = together
    with opened(piece) as guarded:
        task = mgd.datasets.parity(bits=2)
        result = mgd.train(guarded, task, how, n_steps=120, batch=batch, key=KEY, start=piece.start, cost="mse")
    return np.asarray(result.theta)


ONE = {"n_replicas": 1}
WRITTEN = SoftBoundsWrite(1e-3, 0.1, 2.0, -2.0, 0.1, 0.1, 0.1, 0.1, 0.1)
RUNS: dict[str, Callable[[], np.ndarray]] = {
    "measured, signs": partial(trained, SQUARE, algorithm(TimeConstants())),
    "measured, signs, one chip": partial(trained, SQUARE, algorithm(TimeConstants()), **ONE),
    "measured, a hold together, one chip": partial(trained, SQUARE, algorithm(HELD), **ONE),
    "measured, noise and momentum, one chip": partial(trained, noisy(), algorithm(optimizer=descent()), **ONE),
    "measured, to the bit, one chip": partial(trained, SQUARE, algorithm(bitwise=True), **ONE),
    "measured, noise and momentum": partial(trained, noisy(), algorithm(optimizer=descent())),
    "measured, Walsh, a batch": partial(trained, SQUARE, algorithm(family=Walsh(0.05)), batch=3),
    "measured, Gaussian, two-sided": partial(trained, SQUARE, algorithm(family=Gaussian(0.05), baseline=TwoSided())),
    "measured, register": partial(trained, SQUARE, algorithm(WINDOWS_OF_SIGNS, family=LFSR(0.05))),
    "measured, sequential": partial(trained, SQUARE, algorithm(family=Sequential(0.05))),
    "measured, blocks": partial(trained, SQUARE, algorithm(family=Block(Rademacher(0.05), n_blocks=3))),
    "measured, sinusoids, high-pass, low-pass": partial(
        trained, SQUARE, algorithm(SLOW, family=Sinusoid(0.05), baseline=HighPass(), integrator=LowPass())
    ),
    "measured, clamp, cosine": partial(
        trained,
        SQUARE,
        algorithm(optimizer=optax.sgd(optax.cosine_decay_schedule(0.2, 50)), modulation_limit=0.02),
    ),
    "measured, cross-entropy, 49-4-4": partial(
        trained, mlp((49, 4, 4), activation="tanh", cost="cross-entropy", init="uniform"), algorithm(), sizes=(49, 4, 4)
    ),
    "measured, cross-talk and settling": partial(trained, noisy(CrossTalk(0.1), Settling(0.5)), algorithm()),
    "measured, flicker noise": partial(trained, noisy(FlickerNoise(1e-3, octaves=4)), algorithm()),
    "measured, converters": partial(
        trained, noisy(PerturbationGain(0.1), DAC(12, -4.0, 4.0, own_line=True), ADC(14, 0.0, 1.0)), algorithm()
    ),
    "measured, drift and range": partial(trained, noisy(ParameterRange(-3.0, 3.0), Drift(1e-4, 1e-4)), algorithm()),
    "measured, soft bounds": partial(trained, noisy(WRITTEN), algorithm()),
    "fused, signs": partial(trained, SQUARE, algorithm(TimeConstants()), "fused", n_replicas=40),
    "fused, noise and momentum": partial(trained, noisy(), algorithm(optimizer=descent()), "fused", n_replicas=40),
    "fused, Walsh, 4-bit parity": partial(
        trained, mlp((4, 4, 1)), algorithm(family=Walsh(0.05), optimizer=descent(0.1, None)), "fused", sizes=(4, 4, 1)
    ),
    "fused, normal, two-sided, clamp": partial(
        trained, SQUARE, algorithm(family=Gaussian(0.05), baseline=TwoSided(), modulation_limit=0.02), "fused"
    ),
    "fused, high-pass, low-pass": partial(
        trained, SQUARE, algorithm(SLOW, family=Sinusoid(0.05), baseline=HighPass(), integrator=LowPass()), "fused"
    ),
    "sampled, signs": partial(trained, noisy(CostNoise(1e-3)), algorithm(), "sampled"),
    "sampled, Walsh": partial(trained, SQUARE, algorithm(family=Walsh(0.05)), "sampled"),
    "backprop": partial(trained, SQUARE, Backprop(descent()), "auto"),
    "behind I/O, one by one": partial(behind_io, algorithm()),
    "behind I/O, holds together": partial(behind_io, algorithm(HELD), together=20, batch=2),
    "behind I/O, noise": partial(behind_io, algorithm(optimizer=descent()), chip=noisy(CostNoise(1e-3))),
}


def made() -> dict[str, np.ndarray]:
    """The final parameters of each run."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mgd.MgdWarning)  # short runs are doubted, and rightly
        for name, run in RUNS.items():
            print(name, file=sys.stderr, flush=True)
            found[name] = run()
    return found


def made_beside(folder: Path) -> dict[str, np.ndarray]:
    """The same of another checkout."""
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "theta.npz"
        command = [sys.executable, __file__, "--save", str(file)]
        subprocess.run(command, check=True, env=environment(folder))
        with np.load(file) as saved:
            return dict(saved)


def digest(theta: np.ndarray) -> str:
    """Of parameters, to the bit."""
    return hashlib.sha256(theta.tobytes()).hexdigest()[:16]


def compared(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Whether parameters are the same, or by how much they differ."""
    if ours.shape != theirs.shape:
        return f"{theirs.shape} became {ours.shape}"
    if ours.tobytes() == theirs.tobytes():
        return "same"
    return f"{np.abs(ours - theirs).max() / np.abs(theirs).max():.1e}"


def main() -> int:
    """The table; 1 if anything differs."""
    parser = argparse.ArgumentParser(description="Whether runs come to the same parameters in two checkouts of mgd.")
    parser.add_argument("--beside", type=checkout, metavar="FOLDER", help="another checkout of mgd, to compare with")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the parameters of all runs, and no more")
    given = parser.parse_args()
    ours = made()
    if given.save:
        np.savez(given.save, **ours)  # pyright: ignore[reportArgumentType]
        return 0
    if not given.beside:
        print("| run | digest |\n|---|---|")
        print("\n".join(f"| {name} | {digest(theta)} |" for name, theta in ours.items()))
        return 0
    theirs = made_beside(given.beside)
    told = {name: compared(theta, theirs[name]) for name, theta in ours.items()}
    print("| run | digest | beside |\n|---|---|---|")
    print("\n".join(f"| {name} | {digest(ours[name])} | {how} |" for name, how in told.items()))
    return int(any(how != "same" for how in told.values()))


if __name__ == "__main__":
    sys.exit(main())
