"""Faults of instruments and their lines: how many wrong costs teach, for each kind of chip.

    python benchmarks/faults.py [--seeds N] [--kind NAME] [--fault NAME]

Trains a simulated 2-2-1 chip without noise (XOR, 320 timesteps, τ_x = 8, τ_θ = 16) behind lines in this process, once
without faults and then with seeded ones, for each kind of chip and each fault. Before each cost is kept, it is compared
with that of the same parameters, perturbation and sample on a chip without a line. Lines are as bad as can be: a
doubled reply always comes between the next query and its answer, and a late one is the first on the next connection.
The chip records the largest parameter that it ever had (its limit is 10). Prints a Markdown table: of each kind and
fault how many wrong costs taught, of how many faults, and in how many runs the final θ was that of the quiet run to the
bit. Why runs ended early goes to stderr.
"""

import argparse
import itertools
import random
import re
import sys
import tempfile
import warnings
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax

import mgd
from mgd.bench import Slipped
from mgd.engines import Data, Instrumented, Options
from mgd.instruments import (
    AbstractInstrument,
    Limits,
    Scpi,
    Simulated,
    Speaker,
    from_callables,
    opened,
)
from mgd.instruments._scpi._parts import PartTables
from mgd.instruments._scpi._settings import ScpiSettings
from mgd.instruments._scpi._several import Several
from mgd.instruments._virtual._messages import Messages
from mgd.runs._monitor import Monitor

STEPS, PIECES, P = 320, 4, 9
TASK = mgd.datasets.parity(bits=2)
ALGORITHM = mgd.discrete(
    perturbation=mgd.perturbations.Rademacher(0.1),
    optimizer=optax.sgd(0.5),
    time_constants=mgd.TimeConstants(tau_p=1, tau_x=8, tau_theta=16),
)
START = np.linspace(-1, 1, P).astype(np.float32)
LIMITS = {"low": -10.0, "high": 10.0}
# Of a mean square; chips with nothing else to check by have no range either.
RANGE = (0.0, 4.0)
RESOURCE = "TCPIP0::192.0.2.1::5025::SOCKET"
FAULTS = ("doubled", "late", "lost", "garbled", "digit", "overload", "reset", "stuck", "line lost")
# Faults of a run, about; measurements for which a readout sticks; and what it shows beyond its range, in turn.
MANY, STUCK, OVERLOADS = 4, 80, (9.9e37, 1e6, -0.5)


class World:
    """The chip itself, and its readout.

    Attributes:
        largest: the largest parameter that it had, its perturbation included.
    """

    def __init__(self, fault: str, seed: str, rate: float):
        self.piece = make_piece()
        self.speaker = Speaker(self.piece, serial="S1", inputs=(2,), outputs=1)
        self.fault, self.rate, self.random = fault, rate, random.Random(f"{fault} {seed}")
        self.faults = self.messages = 0
        self.largest = 0.0
        self._overloads, self._left, self._last = itertools.cycle(OVERLOADS), 0, 0.0
        self._overload_due = False
        measure, batch = self.piece.measure_cost, self.piece.measure_batch
        self.piece.measure_cost = lambda: self._shown(measure())
        self.piece.measure_batch = lambda signals: np.array([self._shown(c) for c in batch(signals)], np.float32)

    def draw(self) -> str:
        """The fault that befalls a message; "" for none."""
        self.messages += 1
        if self.rate == 0 or self.messages < 20 or self.random.random() >= self.rate:
            return ""
        if self.fault == "stuck" and not self.faults:
            self._left, self.faults = STUCK, 1
        self._overload_due = self._overload_due or self.fault == "overload"
        return self.fault

    def _shown(self, cost: float) -> float:
        if self._overload_due:
            self._overload_due, self.faults = False, self.faults + 1
            return next(self._overloads)
        if self._left:
            self._left -= 1
            return self._last
        self._last = float(cost)
        return self._last

    def watch(self) -> None:
        """Sees which parameters it has."""
        both = self.speaker._theta + self.speaker._perturbation
        self.largest = max(self.largest, float(np.abs(both).max()))

    def reset(self, role: str) -> None:
        """One instrument resets itself: all, or its part of the chip."""
        speaker = self.speaker
        if role == "":
            speaker.reset()
        elif role == "dac":
            speaker._safe()
        elif role == "generator":
            speaker._x = speaker._y = speaker._announced = None
            speaker._current = False
        else:
            speaker._measurements = 0


class Line:
    """One connection to an instrument, on which faults befall messages."""

    def __init__(self, world: World, role: str, left: deque[bytes]):
        self._world, self._role, self._messages, self._binary = world, role, Messages(), False
        self._inbox, self._for_next, left_over = deque[bytes](left), left, len(left)
        self._is_lost = False
        for _ in range(left_over):
            left.popleft()

    def send(self, message: bytes) -> None:
        if self._is_lost:
            raise ConnectionResetError("the line was lost")
        self._messages.feed(message)
        while (units := self._messages.take()) is not None:
            self._deal_with(units)

    def _deal_with(self, units: list[bytes]) -> None:
        world, fault = self._world, self._world.draw()
        if fault in ("lost", "line lost"):
            world.faults += 1
            self._is_lost = fault == "line lost"
            return
        if fault == "reset":
            world.faults += 1
            world.reset(self._role)
            self._binary = False
        reply, self._binary = world.speaker.answer(units, binary=self._binary)
        world.watch()
        if not reply:
            return
        world.faults += fault in ("late", "garbled", "digit", "doubled")
        if fault == "late":
            self._for_next.append(reply)
            return
        if fault == "garbled":
            reply = bytes([0xB7]) + reply[1:]
        if fault == "digit":
            reply = self._other_digit(reply)
        self._inbox.append(reply)
        if fault == "doubled":
            self._inbox.append(reply)

    def _other_digit(self, reply: bytes) -> bytes:
        """Another digit among the first three after a point, or of a length if there is none."""
        found = re.search(rb"\.[0-9]{3}", reply)
        places = [k for k, byte in enumerate(reply) if byte in b"0123456789"]
        if found is None and not places:
            return reply
        draw = self._world.random
        k = draw.choice(places) if found is None else found.start() + 1 + draw.randrange(3)
        digit = (reply[k] - ord("0") + 1 + draw.randrange(8)) % 10
        return reply[:k] + str(digit).encode() + reply[k + 1 :]

    def receive(self) -> bytes:
        if self._is_lost:
            raise ConnectionResetError("the line was lost")
        if not self._inbox:
            raise TimeoutError("timed out")
        return self._inbox.popleft()

    def stale(self) -> bytes:
        return b""

    def close(self) -> None:
        self._inbox.clear()


@dataclass
class Kind:
    """A kind of chip.

    Attributes:
        make: the instrument of a world.
        checks: what it gives to check by.
    """

    make: Callable[[World], AbstractInstrument]
    checks: str


def scpi(**settings: Any) -> Callable[[World], AbstractInstrument]:
    """A chip of one instrument, with these settings."""
    believable = settings.pop("believable", RANGE)
    given: dict[str, Any] = {"resource": RESOURCE, "most_together": 8, "n_params": P, "limits": LIMITS} | settings
    given["commands"] = {"batch": ""} | settings.get("commands", {})

    def make(world: World) -> AbstractInstrument:
        left = deque[bytes]()
        made = Scpi(ScpiSettings.of(given), connect=lambda: Line(world, "", left))
        made.believable = believable
        return made

    return make


def several(world: World) -> AbstractInstrument:
    """A DAC, a generator and a meter, each with a line of its own."""
    dac = {"set": "PAR:DATA {data}", "readback": "PAR:DATA?", "perturb": "PERT:DATA {data}", "safe": "SYST:SAFE"}
    generator = {"input": "INP:SHAP {shape};:INP:DATA {data}", "target": "TARG:DATA {data}"}
    meter = {"cost": "MEAS:COST?", "counter": "MEAS:COUN?"}
    tables = {
        "dac": {"resource": RESOURCE, "n_params": P, "limits": LIMITS, "commands": dac},
        "generator": {"resource": RESOURCE + "2", "commands": generator | {"input_readback": "INP:DATA?"}},
        "meter": {"resource": RESOURCE + "3", "commands": meter},
    }
    found = PartTables.of(tables)
    assert found is not None
    left = {name: deque[bytes]() for name in found.parts}
    made = Several(
        found, {name: Scpi(part, lambda name=name: Line(world, name, left[name])) for name, part in found.parts.items()}
    )
    made.believable = RANGE
    return made


@dataclass
class Lab:
    """A lab's own functions, which write text and read a line."""

    world: World
    left: deque[bytes] = field(default_factory=deque)
    line: Any = None

    def open(self) -> None:
        self.line = Line(self.world, "", self.left)

    def ask(self, query: str) -> str:
        self.line.send(query.encode() + b"\n")
        return self.line.receive().decode().strip()

    def write(self, command: str, values: np.ndarray) -> None:
        self.line.send(f"{command} {','.join(f'{value:.9g}' for value in values.ravel())}\n".encode())

    def present(self, x: np.ndarray, target: np.ndarray) -> None:
        self.write("INP:DATA", x)
        self.write("TARG:DATA", target)

    def parameters(self) -> np.ndarray:
        return np.array([float(part) for part in self.ask("PAR:DATA?").split(",")], np.float32)


def functions(*, canaries: bool) -> Callable[[World], AbstractInstrument]:
    """A chip of a lab's own functions, with or without what can be checked."""

    def make(world: World) -> AbstractInstrument:
        lab = Lab(world)
        more: dict[str, Any] = {"identify": lambda: lab.ask("*IDN?"), "read_parameters": lab.parameters}
        more = more | {"believable": RANGE} if canaries else {}
        return from_callables(
            open=lab.open,
            set_parameters=lambda theta: lab.write("PAR:DATA", theta),
            perturb=lambda perturbation: lab.write("PERT:DATA", perturbation),
            present=lab.present,
            measure_cost=lambda: float(lab.ask("MEAS:COST?")),
            limits=Limits.uniform(P, -10.0, 10.0),
            **more,
        )

    return make


KINDS = {
    # All but the last four have a range.
    "counter": Kind(
        scpi(commands={"counter": "MEAS:COUN?", "input_readback": "INP:DATA?"}),
        "counter, read-back of parameters and inputs, error queue",
    ),
    "read-back": Kind(scpi(commands={"input_readback": "INP:DATA?"}), "read-back of both, error queue"),
    "text": Kind(scpi(binary=False, commands={"error": "", "input_readback": "INP:DATA?"}), "read-back of both; text"),
    "one a message": Kind(
        scpi(binary=False, compound=False, commands={"input_readback": "INP:DATA?"}),
        "read-back of both, error queue; text, one command a message",
    ),
    "sums": Kind(scpi(commands={"perturb": "", "input_readback": "INP:DATA?"}), "read-back of both; θ + θ̃ is set"),
    "batches": Kind(
        scpi(commands={"input_readback": "INP:DATA?", "batch": "MEAS:BATC? {data}"}), "read-back of both; batches of 8"
    ),
    "several": Kind(several, "DAC, generator and meter; read-back, counter"),
    "own functions": Kind(functions(canaries=True), "identify, read_parameters"),
    "parameters alone": Kind(scpi(believable=None), "read-back of parameters alone, error queue; no range"),
    "error queue": Kind(scpi(verify=False, believable=None), "error queue, identity; no range"),
    "identity": Kind(scpi(verify=False, commands={"error": ""}, believable=None), "identity alone; no range"),
    "nothing": Kind(functions(canaries=False), "own functions without canaries"),
}


def make_piece() -> Simulated:
    """The chip, always the same."""
    return Simulated(mgd.chips.mlp((2, 2, 1)), key=jax.random.key(5))


class Oracle:
    """Compares each cost with that of a chip without a line, before it is kept.

    Attributes:
        wrong: costs that were kept, and are not those.
    """

    def __init__(self, loop: Instrumented):
        self._bench, self._piece = loop.bench, make_piece()
        self._right: list[float] = []
        self._sure = self._kept = self.wrong = 0
        measure, measure_batch, make_sure = loop.bench.measure, loop.bench.measure_batch, loop.bench.make_sure

        def one(signal: np.ndarray, meanwhile: Callable[[], None] = lambda: None) -> float:
            return self._beside(lambda: measure(signal, meanwhile), signal[None])

        def many(signals: np.ndarray, meanwhile: Callable[[], None] = lambda: None) -> np.ndarray:
            return self._beside(lambda: measure_batch(signals, meanwhile), signals)

        def sure() -> None:
            self._beside(make_sure, np.zeros((0, P), np.float32))
            self._sure = len(self._right)

        loop.bench.measure, loop.bench.measure_batch, loop.bench.make_sure = one, many, sure

    def _beside(self, measured: Callable[[], Any], signals: np.ndarray) -> Any:
        try:
            found = measured()
        except Slipped:
            del self._right[self._sure :]
            raise
        except mgd.HardwareError as error:
            if error.skip:
                self._right += [np.nan] * len(signals)
            raise
        bench, piece = self._bench, self._piece
        if len(signals):
            piece.present(bench._x, bench._target)
        for signal in signals:
            piece.set_parameters(bench._theta if bench.instrument.own_line else signal)
            if bench.instrument.own_line:
                piece.perturb(signal)
            self._right.append(piece.measure_cost())
        return found

    def keep(self, costs: np.ndarray) -> None:
        """Takes costs that are kept."""
        right = np.array(self._right[self._kept : self._kept + len(costs)])
        known = ~np.isnan(costs)
        self.wrong += int((~np.isclose(costs, right, rtol=1e-5, atol=1e-7))[known].sum())
        self._kept += len(costs)


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        theta: at its end; None if it ended before.
        wrong: wrong costs that were kept.
        faults: that there were.
        messages: that were sent.
        largest: parameter that the chip had.
        skipped: measurements.
        warned: whether a stuck readout was warned of.
        error: that ended it.
    """

    theta: np.ndarray | None
    wrong: int
    faults: int
    messages: int
    largest: float
    skipped: int
    warned: bool
    error: str


def train(kind: Kind, fault: str = "none", seed: int = 0, rate: float = 0.0) -> Outcome:
    """Trains a chip of a kind, with faults at this rate a message."""
    world, theta, error = World(fault, f"{kind.checks} {seed}", rate), None, ""
    chip = kind.make(world)
    oracles: list[Oracle] = []
    loop: Instrumented | None = None
    monitor = Monitor(P, ALGORITHM)
    warned = False
    try:
        with opened(chip, alone=False, patience_seconds=10.0) as guarded:
            options = Options(
                keep=lambda costs: oracles[0].keep(costs), watch=monitor.watch, give_up_seconds=10.0, saturate=True
            )
            loop = Instrumented(guarded, ALGORITHM, START, cost=mgd.chips.MeanSquaredError(), options=options)
            if _LENDER:
                loop.share_program(_LENDER[0])
            _LENDER[:] = [loop]
            oracles.append(Oracle(loop))
            data, progress = Data.of(TASK.train), loop.init(1, key=jax.random.key(3))
            with tempfile.TemporaryDirectory() as folder:
                for piece in range(PIECES):
                    progress = loop.advance(data, progress, STEPS // PIECES)
                    with warnings.catch_warnings(record=True) as told:
                        warnings.simplefilter("always")
                        monitor.write(Path(folder), piece, {})
                    warned = warned or any("did not change at all" in str(each.message) for each in told)
            theta = np.asarray(progress.state.theta[0])
    except (mgd.HardwareError, mgd.LimitError) as raised:
        error = f"{type(raised).__name__}: {raised}"
    return Outcome(
        theta,
        sum(oracle.wrong for oracle in oracles),
        world.faults,
        world.messages,
        world.largest,
        0 if loop is None else loop.skipped,
        warned,
        error,
    )


_LENDER: list[Instrumented] = []


def campaign(kinds: list[str], faults: list[str], seeds: int) -> None:
    """All of these, and the table: of each kind and fault, the wrong costs that taught, and the faults."""
    print(f"| chip | has to check by | {' | '.join(faults)} | skipped | final θ | ended early | largest θ + θ̃ |")
    print("|---" * (6 + len(faults)) + "|")
    totals: Counter[str] = Counter()
    for name in kinds:
        kind = KINDS[name]
        quiet = train(kind)
        assert quiet.theta is not None, quiet.error
        assert quiet.wrong == 0
        row: Counter[str] = Counter()
        cells, largest = [], quiet.largest
        for fault in faults:
            found = [train(kind, fault, seed, MANY / quiet.messages) for seed in range(seeds)]
            wrong, n = sum(one.wrong for one in found), sum(one.faults for one in found)
            warned = sum(one.warned for one in found)
            cells.append(f"{wrong} of {n}" + (f", told {warned}" if fault == "stuck" else ""))
            largest = max(largest, *(one.largest for one in found))
            row += Counter(faults=n, wrong=wrong, runs=seeds, skipped=sum(one.skipped for one in found))
            for seed, one in enumerate(found):
                is_equal = one.theta is not None and one.theta.tobytes() == quiet.theta.tobytes()
                row += Counter(equal=int(is_equal), ended=int(bool(one.error)))
                if one.error:
                    print(f"{name}, {fault}, seed {seed}: {one.error}", file=sys.stderr)
        totals += row
        end = f"{row['skipped']} | {row['equal']} of {row['runs']} | {row['ended']} | {largest:.2f} |"
        print(f"| {name} | {kind.checks} | {' | '.join(cells)} | {end}", flush=True)
    print(f"\n{totals['faults']} faults in {totals['runs']} runs, {totals['wrong']} wrong costs, ", end="")
    print(f"{totals['equal']} times the final θ of the quiet run, {totals['ended']} runs ended early.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--kind", choices=list(KINDS), action="append")
    parser.add_argument("--fault", choices=FAULTS, action="append")
    chosen = parser.parse_args()
    campaign(chosen.kind or list(KINDS), chosen.fault or list(FAULTS), chosen.seeds)


if __name__ == "__main__":
    main()
