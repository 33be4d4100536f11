"""Optimizers of other packages and ours, from the same starts, given the same number of measurements of one cost.

The cost is the mean squared error over a fixed batch, so it is deterministic. A measurement is one call of it, and
every call that an optimizer makes is counted, in whatever it makes it for.
"""

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import mgd
from mgd.engines import Measured
from peer_loops import numpy_first

SEEDS = range(5)
Run = Callable[["Contest", int], tuple[np.ndarray, int]]


@dataclass
class Contest:
    """One cost to bring down.

    Attributes:
        title: for the table.
        sizes: of the network.
        task: whose training samples, all of them, are the batch.
        budget: measurements that may be made.
        must: the cost that a tuned optimizer's median must be below, as a share of that at the start.
        ours: our learning rate.
    """

    title: str
    sizes: tuple[int, ...]
    task: mgd.datasets.Task
    budget: int
    must: float
    ours: float

    def __post_init__(self):
        self.chip = mgd.chips.mlp(self.sizes, cost="mse", init="uniform")
        self.x, self.y = np.asarray(self.task.train.x, np.float32), np.asarray(self.task.train.y, np.float32)
        self.measurements = 0
        # One object for all runs: with another, even an equal one, programs would be compiled again.
        self.algorithm = mgd.discrete(optimizer=optax.sgd(self.ours))

    def start(self, seed: int) -> np.ndarray:
        """The parameters at which `mgd.train` starts with that key."""
        return np.asarray(Measured(self.chip, self.algorithm).init(1, key=jax.random.key(seed)).state.theta[0])

    def exact(self, theta: np.ndarray) -> float:
        """The cost, not counted."""
        theta = np.broadcast_to(np.asarray(theta, np.float64), (len(self.x), len(theta)))
        return float(((numpy_first(theta, self.x, self.sizes) - self.y) ** 2).mean())

    def measure(self, theta: np.ndarray) -> float:
        """The cost, for optimizers that call it with one vector of numbers; counted."""
        self.measurements += 1
        (hidden, inputs), outputs, a = self.sizes[1::-1], self.sizes[2], self.sizes[1] * self.sizes[0]
        b = a + hidden + outputs * hidden
        z = 1 / (1 + np.exp(theta[a : a + hidden] - self.x @ theta[:a].reshape(hidden, inputs).T))
        out = 1 / (1 + np.exp(theta[b:] - z @ theta[a + hidden : b].reshape(outputs, hidden).T))
        difference = (out - self.y).reshape(-1)
        return float(difference @ difference) / len(difference)


def contests() -> list[Contest]:
    """XOR with all four samples, and NIST7x7 with a batch of 100."""
    letters = mgd.datasets.nist7x7().train.subset(slice(0, 100))
    letters = mgd.datasets.from_arrays(letters.x, letters.y)
    return [
        Contest("XOR, 2-2-1, batch of all 4", (2, 2, 1), mgd.datasets.parity(2), 5_000, 0.75, 5.0),
        Contest("NIST7x7, 49-4-4, batch of 100", (49, 4, 4), letters, 5_000, 0.5, 5.0),
    ]


def ours(contest: Contest, seed: int) -> tuple[np.ndarray, int]:
    """`mgd.train`, discrete, its learning rate set by hand."""
    result = mgd.train(
        contest.chip,
        contest.task,
        contest.algorithm,
        n_steps=contest.budget // 2,
        key=jax.random.key(seed),
        batch=len(contest.x),
        engine="measured",
        log_every=contest.budget,
    )
    return np.asarray(result.theta[0]), 2 * result.n_steps


def evosax(contest: Contest, seed: int, population: int, rate: float, std: float) -> tuple[np.ndarray, int]:
    """Open-ES, all generations in one compiled scan; its mean is what it gives."""
    start = jnp.asarray(contest.start(seed))
    made = _evosax_program(contest, population, rate, std)
    return np.asarray(made(start, jax.random.key(seed))), contest.budget // population * population


_PROGRAMS: dict[tuple, Callable] = {}


def _evosax_program(contest: Contest, population: int, rate: float, std: float) -> Callable:
    from evosax.algorithms import Open_ES  # pyright: ignore[reportMissingImports]

    told = contest.title, population, rate, std
    if told in _PROGRAMS:
        return _PROGRAMS[told]
    x, y, chip = jnp.asarray(contest.x), jnp.asarray(contest.y), contest.chip
    strategy = Open_ES(
        population, jnp.zeros(chip.n_params), optimizer=optax.sgd(rate), std_schedule=optax.constant_schedule(std)
    )
    params = strategy.default_params
    costs = jax.vmap(lambda theta: jnp.mean(chip.cost(chip.respond(theta, x, key=jax.random.key(0)), y)))

    @jax.jit
    def program(start, key):
        def generation(state, key):
            ask, tell = jax.random.split(key)
            people, state = strategy.ask(ask, state, params)
            return strategy.tell(tell, people, costs(people), state, params)[0], None

        keys = jax.random.split(key, contest.budget // population)
        return strategy.get_mean(jax.lax.scan(generation, strategy.init(key, start, params), keys)[0])

    return _PROGRAMS.setdefault(told, program)


def nevergrad(contest: Contest, seed: int, a: float | None, c: float | None) -> tuple[np.ndarray, int]:
    """SPSA of its registry; the average of its iterates is what it gives. Its a and c are attributes."""
    import nevergrad as ng  # pyright: ignore[reportMissingImports]

    parametrization = ng.p.Array(init=contest.start(seed).astype(np.float64))
    parametrization.random_state.seed(seed)
    optimizer: Any = ng.optimizers.registry["SPSA"](parametrization, budget=contest.budget)
    if a is not None:
        optimizer.a, optimizer.c = a, c
    contest.measurements = 0
    return optimizer.minimize(contest.measure).value, contest.measurements


def qiskit(contest: Contest, seed: int, rate: float | None, perturbation: float | None) -> tuple[np.ndarray, int]:
    """SPSA of qiskit-algorithms; without settings it calibrates them by 50 measurements."""
    from qiskit_algorithms.optimizers import SPSA  # pyright: ignore[reportMissingImports]
    from qiskit_algorithms.utils import algorithm_globals  # pyright: ignore[reportMissingImports]

    algorithm_globals.random_seed = seed
    steps = (contest.budget - (50 if rate is None else 0) - 1) // 2  # and one of the result
    contest.measurements = 0
    start = contest.start(seed).astype(np.float64)
    optimizer: Any = SPSA(maxiter=steps, learning_rate=rate, perturbation=perturbation)
    result = optimizer.minimize(contest.measure, start)
    return np.asarray(result.x), contest.measurements


def entrants(contest: Contest) -> list[tuple[str, str, Run, bool]]:
    """Name, settings, how to run, and whether it must bring the cost down. Tuned by hand: a few values were tried."""
    small = contest.sizes[0] == 2
    people, rate, std = (20, 3.0, 0.3) if small else (20, 1.0, 0.3)
    a, c = (100.0, 0.1) if small else (300.0, 0.1)
    step = 2.0 if small else 1.0
    return [
        ("mgd, measured engine", f"η = {contest.ours:g}, Δθ = 0.01", ours, True),
        (
            "evosax Open-ES",
            f"defaults (sgd 0.001, std 1), population {people}",
            lambda p, s: evosax(p, s, people, 1e-3, 1.0),
            False,
        ),
        (
            "evosax Open-ES",
            f"tuned: sgd {rate:g}, std {std:g}, population {people}",
            lambda p, s: evosax(p, s, people, rate, std),
            True,
        ),
        ("nevergrad SPSA", "defaults (a = 1e-5, c = 0.1)", lambda p, s: nevergrad(p, s, None, None), False),
        ("nevergrad SPSA", f"tuned: a = {a:g}, c = {c:g}", lambda p, s: nevergrad(p, s, a, c), True),
        ("qiskit-algorithms SPSA", "defaults (calibrates itself)", lambda p, s: qiskit(p, s, None, None), False),
        (
            "qiskit-algorithms SPSA",
            f"tuned: learning rate {step:g}, perturbation 0.01",
            lambda p, s: qiskit(p, s, step, 0.01),
            True,
        ),
    ]


def rows(contest: Contest, missing: dict[str, str]) -> list[str]:
    """Rows of the table of one contest: every entrant runs with each seed, seed by seed in turn."""
    field = [e for e in entrants(contest) if e[0].split()[0] not in missing]
    at_start = statistics.median(contest.exact(contest.start(seed)) for seed in SEEDS)
    seconds, costs, made = ({k: [] for k in range(len(field))} for _ in range(3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        firsts = [_first_call(contest, entrant) for entrant in field]
        for seed in SEEDS:
            for k, (*_, run, _must) in enumerate(field):
                started = time.perf_counter()
                theta, measurements = run(contest, seed)
                seconds[k].append(time.perf_counter() - started)
                costs[k].append(contest.exact(theta))
                made[k].append(measurements)
    table = []
    for k, (name, settings, _, must) in enumerate(field):
        taken, reached = statistics.median(seconds[k]), statistics.median(costs[k])
        ratio = statistics.median(s / o for s, o in zip(seconds[k], seconds[0], strict=True))
        if not np.isfinite(reached) or (must and reached > contest.must * at_start):
            raise SystemExit(
                f"{name} ({settings}) on {contest.title}: cost {reached:.3g} after {max(made[k])} measurements, and "
                f"{contest.must:g} of {at_start:.3g} at the start was to be reached: a fast wrong answer"
            )
        table.append(
            f"| {contest.title} | {name} | {settings} | {max(made[k]):,} | {taken:.3g} s | {ratio:.2g}× | "
            f"{firsts[k]} | {at_start:.3g} | {reached:.2g} | {min(costs[k]):.2g} … {max(costs[k]):.2g} |"
        )
        print(table[-1], file=sys.stderr, flush=True)
    return table


def _first_call(contest: Contest, entrant: tuple[str, str, Run, bool]) -> str:
    """The time of a first run, of those that compile in it."""
    if not entrant[0].startswith(("mgd", "evosax")):
        return ""
    started = time.perf_counter()
    entrant[2](contest, 0)
    return f"{time.perf_counter() - started:.2g} s"
