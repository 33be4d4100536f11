"""Forty settings of noise and rate, fifty chips each: as one run whose replicas differ in them, and as forty runs.

`python benchmarks/vary.py` prints a table. Programs are counted as JAX compiles them; runs "as before" compile all of
them anew for each setting, as they did when numbers were constants of a program. Engines are taken in turn.
"""

import itertools
import sys
import time
from collections.abc import Callable

import jax
import numpy as np
import optax

import mgd
from mgd.chips.imperfections import CostNoise

SIGMAS, RATES, CHIPS = np.geomspace(1e-4, 3e-2, 8), np.geomspace(0.05, 1.0, 5), 50
SETTINGS = list(itertools.product(SIGMAS, RATES))
TASK, KEY = mgd.datasets.parity(bits=2), jax.random.key(0)
WINDOWS = mgd.algorithm.TimeConstants(tau_x=4, tau_theta=16)
# Of each engine, time constants and timesteps.
ENGINES = {
    "measured": (mgd.algorithm.TimeConstants(), 10_000),
    "sampled": (WINDOWS, 20_000),
    "fused": (mgd.algorithm.TimeConstants(), 10_000),
}
_COMPILED = "/jax/core/compile/backend_compile_duration"


def run(engine: str, sigma: float, rate: float, n_replicas: int, vary: dict | None = None) -> mgd.Result:
    """One run; what varies takes the place of sigma and rate."""
    times, n_steps = ENGINES[engine]
    chip = mgd.chips.imperfect(mgd.chips.mlp((2, 2, 1)), CostNoise(float(sigma)))
    algorithm = mgd.discrete(optimizer=optax.sgd(float(rate)), time_constants=times)
    return mgd.train(chip, TASK, algorithm, n_steps=n_steps, n_replicas=n_replicas, key=KEY, engine=engine, vary=vary)


def together(engine: str) -> list[np.ndarray]:
    """All settings in one run."""
    sigmas, rates = (np.repeat(column, CHIPS) for column in np.transpose(SETTINGS))
    n_replicas = CHIPS * len(SETTINGS)
    result = run(engine, SIGMAS[0], RATES[0], n_replicas, {"cost-noise.sigma": sigmas, "learning_rate": rates})
    return np.split(np.asarray(result.cost), len(SETTINGS))


def apart(engine: str, *, anew: bool) -> list[np.ndarray]:
    """A run for each setting, in this process; `anew` compiles everything for each."""
    costs = []
    for sigma, rate in SETTINGS:
        if anew:
            jax.clear_caches()
        costs.append(np.asarray(run(engine, sigma, rate, CHIPS).cost))
    return costs


def counted(what: Callable[[], list[np.ndarray]]) -> tuple[float, int, list[np.ndarray]]:
    """Seconds, programs compiled, and what came of it; nothing is there when it begins."""
    programs = 0

    def note(event: str, duration_secs: float, **kwargs: object) -> None:
        nonlocal programs
        programs += event == _COMPILED

    jax.clear_caches()
    jax.monitoring.register_event_duration_secs_listener(note)
    started = time.perf_counter()
    costs = what()
    seconds = time.perf_counter() - started
    jax.monitoring.unregister_event_duration_listener(note)
    return seconds, programs, costs


def main() -> None:
    """The table."""
    ways = {
        "one run": together,
        "a run each": lambda engine: apart(engine, anew=False),
        "a run each, as before": lambda engine: apart(engine, anew=True),
    }
    print(f"{len(SETTINGS)} settings of {CHIPS} chips each, 2-2-1 on XOR:\n")
    print("| engine | how | programs compiled | seconds | against one run |\n|---|---|---|---|---|")
    for engine in sys.argv[1:] or ENGINES:
        first, reference = 0.0, None
        for name, way in ways.items():
            seconds, programs, costs = counted(lambda way=way, engine=engine: way(engine))
            first, reference = first or seconds, reference or costs
            # The chips of the first setting have the same keys in every way; those of the others have not.
            assert np.allclose(costs[0], reference[0], rtol=0.01), f"other chips than in one run: {costs[0]}"
            print(f"| {engine} | {name} | {programs} | {seconds:.1f} | {seconds / first:.1f}× |", flush=True)


if __name__ == "__main__":
    main()
