"""How quickly the circuit is simulated: `python benchmarks/onchip.py speed`.

Rates are per second of processor time, all threads together, and the best of several; so other programs on the machine
disturb them little. Circuits that are not in the user's cache are compiled first, 49-4-4 in about a minute.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np
import optax

import mgd
from circuit_lanes import Variant, trained
from mgd._train import Session
from mgd.chips import MeanSquaredError
from mgd.engines.loop._instrument import Instrumented
from mgd.instruments import opened
from mgd.onchip import Circuit, FixedPointNetwork, Spec, Verilated
from mgd.onchip._array import Array
from mgd.onchip._instrument import Rtl
from onchip_widths import OF_LETTERS

XOR = Spec(layers=(2, 2, 1), merged=True)
_REPEATS, _LONG = 7, 10**9


def speed() -> None:
    """The table of rates."""
    xor, letters = dataclasses.replace(mgd.datasets.parity(bits=2), order="sequential"), mgd.datasets.nist7x7()
    rows = {
        "twin, 64 chips, 2-2-1": (_twin(XOR, xor, 64), "chip-timesteps"),
        "twin, 128 chips, 49-4-4": (_twin(OF_LETTERS, letters, 128), "chip-timesteps"),
        "the lanes of `circuit_lanes`, 128 chips, 49-4-4": (_lanes(OF_LETTERS, letters, 128), "chip-timesteps"),
        "Verilator, 2-2-1, a synapse for each": (_verilated(XOR, xor, 1_000_000), "clocks"),
        "Verilator, 2-2-1, one lane": (_verilated(dataclasses.replace(XOR, lanes=1), xor, 2_000_000), "clocks"),
        "Verilator, 49-4-4, a synapse for each": (_verilated(OF_LETTERS, letters, 50_000), "clocks"),
        "Verilator, 49-4-4, one lane": (
            _verilated(dataclasses.replace(OF_LETTERS, lanes=1), letters, 1_000_000),
            "clocks",
        ),
    }
    print("| simulated | millions a second |\n|---|---|")
    for name, (rate, unit) in rows.items():
        print(f"| {name} | {rate / 1e6:.2g} {unit} |", flush=True)
    by_hand, instrument = _trained_from_the_host(xor)
    print("\n| Verilated 2-2-1, trained from the host, all τ = 1 | a timestep |\n|---|---|")
    print(f"| a loop of NumPy around the compiled library | {1e6 / by_hand:.0f} µs |")
    print(f"| the instrument engine of `mgd` | {1e6 / instrument:.0f} µs, {by_hand / instrument:.1f} times that |")


def _best(once: Callable[[], int]) -> float:
    """The largest rate of several: what `once` counts, in a second of processor time."""
    rates = []
    for _ in range(_REPEATS):
        begin = time.process_time()
        count = once()
        rates.append(count / (time.process_time() - begin))
    return max(rates)


def _advanced(session: Session) -> float:
    """Timesteps a second of a session that is compiled before."""

    def once() -> int:
        before = session.snapshot.step
        session.advance()
        return session.snapshot.step - before

    once()
    return _best(once)


def _twin(spec: Spec, task: mgd.datasets.Task, chips: int) -> float:
    run = {"n_steps": _LONG, "log_every": _LONG, "n_replicas": chips, "key": jax.random.key(0), "engine": "measured"}
    return chips * _advanced(Session(FixedPointNetwork(spec), task, Circuit(spec), **run))


def _lanes(spec: Spec, task: mgd.datasets.Task, chips: int) -> float:
    marks = [20_000 * k for k in range(1, _REPEATS + 2)]
    run: Iterator = trained([Variant(spec)], task, n_chips=chips, n_steps=marks[-1], key=jax.random.key(0), marks=marks)
    next(run)  # compiles
    return _best(lambda: chips * 20_000 * (next(run)[0] > 0))


def _verilated(spec: Spec, task: mgd.datasets.Task, clocks: int) -> float:
    samples = task.train.x[:64].reshape(min(64, len(task.train)), -1)
    circuit = Verilated(spec, samples, task.train.y[:64])
    circuit.start(np.random.default_rng(0).integers(-16, 17, spec.parameters), 1)
    circuit.control(run=1)

    def once() -> int:
        circuit.clocks(clocks)
        return clocks

    rate = _best(once)
    circuit.close()
    return rate


def _trained_from_the_host(task: mgd.datasets.Task) -> tuple[float, float]:
    """Timesteps a second of a loop around the library alone, and of the instrument engine."""
    amplitude, rate = 0.25, 0.5
    start, steps = np.random.default_rng(0).uniform(-1, 1, XOR.parameters), 2.0**XOR.theta_fraction
    array, generator, n = Array(XOR), np.random.default_rng(1), 5000
    x, y = np.asarray(task.train.x), np.asarray(task.train.y)

    def by_hand() -> int:
        theta = start
        for step in range(n):
            array.present(x[step % 4, None], y[step % 4, None])
            change = amplitude * (2.0 * generator.integers(0, 2, XOR.parameters) - 1)
            both = np.round(np.stack([theta, theta + change]) * steps).astype(np.int32)
            costs, _ = array.answers(both)
            theta = theta - rate * (costs[1, 0] - costs[0, 0]) / amplitude**2 * change
        return n

    alone = _best(by_hand)
    array.close()
    algorithm = dataclasses.replace(Circuit(XOR).reference, optimizer=optax.sgd(rate))
    with opened(Rtl(XOR)) as instrument:
        engine = Instrumented(instrument, algorithm, start.astype(np.float32), cost=MeanSquaredError())
        session = Session(None, task, algorithm, engine=engine, n_steps=10**7, log_every=10**7, key=jax.random.key(0))
        return alone, _advanced(session)
