"""Replies that slip and chips that reset themselves: no cost of another question is kept."""

import itertools

import jax
import numpy as np
import optax
import pytest

import mgd
from mgd import HardwareError, LimitError
from mgd.bench import Bench, Pending
from mgd.engines import Data, Instrumented, Options
from mgd.instruments import (
    Identity,
    Limits,
    Recorder,
    Replay,
    checked_range,
    from_callables,
    load_instrument,
    opened,
)

KEY = jax.random.key(3)
TASK = mgd.datasets.parity(bits=2)
STEPS = 240
ALGORITHM = mgd.discrete(
    perturbation=mgd.perturbations.Rademacher(0.1),
    optimizer=optax.sgd(0.5),
    time_constants=mgd.TimeConstants(tau_p=1, tau_x=8, tau_theta=16),
)
# Without lines of their own, perturbations are set as parameters, so that one command sets all.
SUMS = {"perturb": "", "batch": ""}
CHIPS = {
    "all checks": {},
    "no error queue": {"commands": {"error": ""}},
    "no read-back": {"verify": False},
    "only an identity": {"verify": False, "commands": {"error": ""}},
    "sums": {"commands": SUMS},
    "sums, only an identity": {"verify": False, "commands": {"error": ""} | SUMS},
}


def run(instrument, pieces=(100, 37, STEPS - 137)) -> tuple[np.ndarray, list[float], Instrumented]:
    """The parameters that a chip is trained to, the costs that were kept, and the engine."""
    kept: list[float] = []
    options = Options(keep=lambda costs: kept.extend(costs.tolist()), give_up_seconds=20.0)
    with opened(instrument) as guarded:
        start = np.linspace(-1, 1, 9).astype(np.float32)
        loop = Instrumented(guarded, ALGORITHM, start, cost=mgd.chips.MeanSquaredError(), options=options)
        data, progress = Data.of(TASK.train), loop.init(1, key=KEY)
        for n in pieces:
            progress = loop.advance(data, progress, n)
        return np.asarray(progress.state.theta[0]), kept, loop


def scpi(resource: str, folder, **settings):
    settings = {"resource": resource, "timeout_seconds": 2.0, "most_together": 1} | settings
    return load_instrument("scpi", settings, folder)


_DUE: list[tuple[np.ndarray, list[float]]] = []


@pytest.fixture
def due(serve_here, tmp_path) -> tuple[np.ndarray, list[float]]:
    """What a chip without faults is trained to: parameters, and the costs on the way."""
    if not _DUE:
        with serve_here() as resource:
            theta, kept, loop = run(scpi(resource, tmp_path))
        assert (loop.bench.recoveries, loop.bench.voided) == (0, 0)
        _DUE.append((theta, kept))
    return _DUE[0]


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.quick("all checks")
def test_a_doubled_reply_is_found_and_what_followed_is_measured_again(name, due, serve_here, tmp_path):
    with serve_here(seed=1, latency_seconds=0.003, double=0.02, double_seconds=0.001) as resource:
        theta, kept, loop = run(scpi(resource, tmp_path, **CHIPS[name]))
    assert loop.bench.voided > 0
    assert len(kept) == ALGORITHM.counts(STEPS).cost_measurements
    # Text and blocks, sums and lines of their own come to the same up to rounding.
    np.testing.assert_allclose(kept, due[1], rtol=1e-5)
    np.testing.assert_allclose(theta, due[0], atol=1e-4)


@pytest.mark.parametrize("name", ["all checks", "no error queue", "sums"])
@pytest.mark.long
@pytest.mark.enough("all checks")
def test_a_chip_that_resets_itself_is_found_where_it_is_read_back(name, due, serve_here, tmp_path):
    with serve_here(seed=2, reset=0.02) as resource:
        theta, kept, loop = run(scpi(resource, tmp_path, **CHIPS[name]))
    assert loop.bench.recoveries > 0
    np.testing.assert_allclose(kept, due[1], rtol=1e-5)
    np.testing.assert_allclose(theta, due[0], atol=1e-4)


@pytest.mark.slow
def test_a_run_with_slips_is_replayed_to_the_bit(due, serve_here, tmp_path):
    with serve_here(seed=1, latency_seconds=0.003, double=0.02, reset=0.01) as resource:
        theta, kept, loop = run(Recorder(scpi(resource, tmp_path), tmp_path / "recording"))
    assert loop.bench.voided > 0
    again, kept_again, _ = run(Replay(tmp_path / "recording"), pieces=(STEPS,))
    assert again.tobytes() == theta.tobytes()
    assert kept_again == kept


def test_a_chip_whose_replies_are_always_doubled_is_given_up(serve_here, tmp_path):
    def train(resource: str) -> None:
        with opened(scpi(resource, tmp_path, retries=0), patience_seconds=2.0) as guarded:
            options = Options(give_up_seconds=2.0)
            start, cost = np.zeros(9, np.float32), mgd.chips.MeanSquaredError()
            loop = Instrumented(guarded, ALGORITHM, start, cost=cost, options=options)
            loop.advance(Data.of(TASK.train), loop.init(1, key=KEY), STEPS)

    with (
        serve_here(latency_seconds=0.003, double=1.0) as resource,
        pytest.raises(HardwareError, match=r"no reply could be matched|gave no valid answer|was answered"),
    ):
        train(resource)


def test_costs_that_were_replayed_are_given_back_when_what_followed_is_void():
    done, pending = [], Pending(iter([1.0, 2.0, 3.0]))
    known = pending.known()
    assert (next(known), next(known)) == (1.0, 2.0)
    pending.put_off(lambda: done.append("first"), sure=False)
    pending.void()
    pending.catch_up()
    assert done == []
    assert list(pending.known()) == [1.0, 2.0, 3.0]
    pending.put_off(lambda: done.append("second"), sure=False)
    pending.put_off(lambda: done.append("third"))
    pending.settle()
    pending.catch_up()
    assert done == ["second", "third"]
    assert list(pending.known()) == []


class Toy:
    """A chip whose readings are told what to be."""

    def __init__(self, readings, high: float = 1.0, **settings):
        self.readings, self.theta, self.high = iter(readings), np.zeros(2, np.float32), high
        self.settings = settings
        self.opened = 0

    def instrument(self):
        return from_callables(
            set_parameters=lambda theta: setattr(self, "theta", theta),
            measure_cost=self.cost,
            limits=Limits.uniform(2, -1.0, self.high),
            identify=lambda: Identity("house", "toy", "S1"),
            address="toy",
            **self.settings,
        )

    def cost(self) -> float:
        told = next(self.readings, None)
        return float(((self.theta - 0.5) ** 2).sum()) if told is None else told


def steps_of(toy: Toy, n: int, **options) -> tuple[np.ndarray, Instrumented]:
    algorithm = mgd.discrete(perturbation=mgd.perturbations.Rademacher(0.1), optimizer=optax.sgd(0.1))
    with opened(toy.instrument()) as guarded:
        loop = Instrumented(
            guarded, algorithm, np.zeros(2, np.float32), cost=mgd.chips.MeanSquaredError(), options=Options(**options)
        )
        progress = loop.advance(Data.of(TASK.train), loop.init(1, key=KEY), n)
        return np.asarray(progress.state.theta[0]), loop


@pytest.mark.parametrize("no_number", [9.9e37, -9.9e37, np.inf, np.nan, 1e30])
@pytest.mark.quick("-9.9e+37", "nan")
def test_what_is_no_reading_is_asked_again_then_skipped_and_counted(no_number):
    clean, _ = steps_of(Toy([]), 50)
    once, loop = steps_of(Toy([None] * 20 + [no_number]), 50)
    assert once.tobytes() == clean.tobytes()
    assert (loop.skipped, loop.bench.recoveries) == (0, 0)
    found, loop = steps_of(Toy([None] * 20 + [no_number] * 12), 50)
    assert loop.skipped > 0
    assert np.abs(found - clean).max() < 0.1
    assert np.isfinite(found).all()


@pytest.mark.parametrize("glitch", [-0.25, 1e9])
@pytest.mark.quick("-0.25")
def test_a_reading_outside_the_believable_range_is_asked_again_then_skipped_and_counted(glitch):
    clean, _ = steps_of(Toy([]), 50)
    once, loop = steps_of(Toy([None] * 20 + [glitch], believable=(0, 4)), 50)
    assert once.tobytes() == clean.tobytes()
    assert (loop.skipped, loop.bench.instrument.unbelievable) == (0, 1)
    _, loop = steps_of(Toy([None] * 20 + [glitch] * 12, believable=(0, 4)), 50)
    assert loop.skipped == 8
    assert loop.bench.instrument.unbelievable == 12


def test_without_a_range_a_negative_mean_square_teaches():
    clean, _ = steps_of(Toy([]), 50)
    wrong, _ = steps_of(Toy([None] * 20 + [-0.25]), 50)
    assert wrong.tobytes() != clean.tobytes()


@pytest.mark.parametrize("far", [90.0, -1e12])
@pytest.mark.quick("90.0")
def test_a_cost_far_beyond_all_before_is_believed_only_if_it_comes_again(far):
    clean, _ = steps_of(Toy([]), 100)
    once, loop = steps_of(Toy([None] * 80 + [far]), 100)
    assert once.tobytes() == clean.tobytes()
    assert (loop.skipped, loop.bench.far_beyond) == (0, 1)
    never_the_same = [far * 10**k for k in range(3)]
    other, loop = steps_of(Toy([None] * 80 + never_the_same), 100)
    assert (loop.skipped, loop.bench.far_beyond) == (2, 1)  # with it the cost of which it was the baseline
    assert np.abs(other - clean).max() < 0.1
    with pytest.raises(LimitError, match="parameter 0 would be set to"):  # it teaches, as an honest cost should
        steps_of(Toy([None] * 80 + [far, 1.1 * far]), 100)


def test_in_a_batch_each_reading_is_believed_by_itself():
    def train(glitches: list[float], **settings) -> tuple[np.ndarray, Instrumented]:
        theta, left = np.zeros(2, np.float32), iter(glitches)

        def batch(signals: np.ndarray) -> np.ndarray:
            costs = ((signals - 0.5) ** 2).sum(1)
            costs[-1] = next(left, costs[-1])
            return costs

        chip = from_callables(
            set_parameters=lambda given: np.copyto(theta, given),
            measure_cost=lambda: float(((theta - 0.5) ** 2).sum()),
            measure_batch=batch,
            limits=Limits.uniform(2, -1.0, 1.0),
            **settings,
        )
        algorithm = mgd.discrete(optimizer=optax.sgd(0.1), time_constants=mgd.TimeConstants(1, 16, 16))
        with opened(chip) as guarded:
            start, cost = np.zeros(2, np.float32), mgd.chips.MeanSquaredError()
            loop = Instrumented(guarded, algorithm, start, cost=cost)
            progress = loop.advance(Data.of(TASK.train), loop.init(1, key=KEY), 160)
            return np.asarray(progress.state.theta[0]), loop

    clean, _ = train([])
    fine, loop = train([0.5] * 6 + [7.0])
    same, _ = train([0.5] * 6)
    assert fine.tobytes() == same.tobytes() != clean.tobytes()
    assert (loop.skipped, loop.bench.far_beyond) == (0, 1)
    once, loop = train([-1.0], believable=(0, 4))
    assert once.tobytes() == clean.tobytes()
    assert (loop.skipped, loop.bench.instrument.unbelievable) == (0, 1)
    _, loop = train([-1.0] * 3, believable=(0, 4))
    assert (loop.skipped, loop.bench.instrument.unbelievable) == (1, 3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((1.0, 1.0), r"believable must be a range with low < high, got \[1\.0, 1\.0\]"),
        ((2.0, -1.0), r"low < high, got \[2\.0, -1\.0\]"),
        ((0.0, np.nan), "low < high"),
        ((0.0, 9.9e37), "stand for no reading"),
        ((1.0,), r"such as \[0, 2\.5\], got \(1\.0,\)"),
        ("0 to 1", "lowest and the highest reading"),
    ],
)
def test_a_believable_range_that_is_none_is_refused_before_anything_is_opened(given, said):
    with pytest.raises(ValueError, match=said):
        checked_range(given)
    if isinstance(given, tuple) and len(given) == 2:
        with pytest.raises(ValueError, match=said):
            Toy([], believable=given).instrument()


def test_a_chip_without_any_reading_is_given_up():
    with pytest.raises(HardwareError, match="gave no reading: check the detector"):
        steps_of(Toy([None] * 20 + [9.9e37] * 10**6), 100_000, give_up_seconds=0.5)
    with pytest.raises(HardwareError, match=r"toy: measure_cost gave nan, which is not a valid reading"):
        steps_of(Toy(itertools.repeat(np.nan)), 10)


def test_narrower_limits_after_an_opening_anew_end_the_run(make_chip):
    class Narrowed(make_chip().__class__):
        def open(self) -> None:
            super().open()
            if self.asked.count("open") > 1:
                self.limits = Limits.uniform(3, -0.5, 0.5, "V")

    chip = Narrowed()
    chip.fails["measure_cost"] = [HardwareError("chip 1: the line was lost", passing=True)]
    with opened(chip) as guarded:
        bench = Bench(guarded, mgd.chips.MeanSquaredError(), give_up_seconds=5.0)
        bench.place_sample(np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32), 0)
        bench.place_parameters(np.ones(3, np.float32), 0)
        with pytest.raises(
            HardwareError, match=r"its limits are -0\.5 … 0\.5 V after it was opened again, and were -2 … 2"
        ):
            bench.measure(np.zeros(3, np.float32))
        since = chip.asked[chip.asked.index("close") :]
    assert "set_parameters" not in since  # nothing was set after that
