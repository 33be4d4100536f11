"""The instrument engine against the measured one, and what it keeps when a chip fails."""

import dataclasses
import os
import subprocess
import sys
from contextlib import suppress
from itertools import chain

import jax
import numpy as np
import optax
import pytest

import mgd
from mgd import HardwareError, LimitError, RunError
from mgd.algorithm import TwoSided
from mgd.chips.imperfections import ActivationVariation, PerturbationGain
from mgd.engines import Data, Instrumented, Measured, Options
from mgd.instruments import AbstractInstrument, Guarded, Identity, Limits, Simulated, from_callables, opened
from mgd.perturbations import Block, Gaussian, Walsh

KEY = jax.random.key(3)
CHIP = mgd.chips.mlp((2, 2, 1))
TASK = mgd.datasets.parity(bits=2)
WIDE = Limits.uniform(9, -100.0, 100.0)


def times(**taus) -> mgd.TimeConstants:
    return mgd.TimeConstants(**{"tau_p": 1, "tau_x": 1, "tau_theta": 1, **taus})


ALGORITHMS = {
    "every step": mgd.discrete(optimizer=optax.sgd(0.5)),
    "windows": mgd.discrete(optimizer=optax.sgd(0.5), time_constants=times(tau_x=4, tau_theta=4)),
    "uneven": mgd.discrete(optimizer=optax.sgd(0.5), time_constants=times(tau_p=2, tau_x=6, tau_theta=9)),
    "two-sided": mgd.discrete(
        optimizer=optax.sgd(0.5), baseline=TwoSided(), time_constants=times(tau_x=4, tau_theta=4)
    ),
    "momentum": mgd.discrete(optimizer=optax.sgd(0.1, 0.9), time_constants=times(tau_x=4, tau_theta=4)),
    "analog": mgd.analog(optimizer=optax.sgd(0.1)),
    # The host tells these two, and a compiled program the third.
    "gaussian": mgd.discrete(perturbation=Gaussian(0.03), optimizer=optax.sgd(0.07, 0.83), modulation_limit=0.01),
    "blocks": mgd.discrete(
        perturbation=Block(Walsh(0.1), n_blocks=3), optimizer=optax.sgd(0.3), time_constants=times(tau_theta=3)
    ),
    "weight decay": mgd.discrete(optimizer=optax.chain(optax.add_decayed_weights(0.01), optax.sgd(0.3))),
}


def engine(algorithm, instrument: AbstractInstrument, **options) -> Instrumented:
    start = Simulated(CHIP, key=KEY).start
    return Instrumented(Guarded(instrument), algorithm, start, cost=CHIP.loss, options=Options(**options))  # pyright: ignore[reportArgumentType]


def train(of: Instrumented, *pieces: int) -> np.ndarray:
    data, progress = Data.of(TASK.train), of.init(1, key=KEY)
    for n in pieces:
        progress = of.advance(data, progress, n)
    return np.asarray(progress.state.theta[0])


@pytest.mark.parametrize(
    ("most", "own_line"),
    [
        pytest.param(0, True, id="one by one-own line"),
        pytest.param(3, False, id="batches-sums"),
        pytest.param(0, False, id="one by one-sums", marks=pytest.mark.long),
        pytest.param(3, True, id="batches-own line", marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.quick(
    "every step-one by one-own line", "analog-one by one-own line", "every step-batches-sums", "two-sided-batches-sums"
)
def test_it_trains_as_the_measured_engine_and_counts_as_the_algorithm(name, most, own_line):
    algorithm, kept = ALGORITHMS[name], []
    simulated = Simulated(CHIP, key=KEY, limits=WIDE, own_line=own_line)
    simulated.most_together = most
    found = train(engine(algorithm, simulated, keep=lambda costs: kept.extend(costs.tolist())), 50, 1, 149)
    measured = Measured(CHIP, algorithm)
    expected = measured.advance(Data.of(TASK.train), measured.init(1, key=KEY), 200).state.theta[0]
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)
    assert len(kept) == algorithm.counts(200).cost_measurements


@pytest.mark.as_shipped
@pytest.mark.parametrize(
    "most", [pytest.param(0, id="one by one"), pytest.param(3, id="batches", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.quick("every step-one by one")
@pytest.mark.enough(
    "windows-batches",
    "uneven-one by one",
    "two-sided-batches",
    "momentum-one by one",
    "gaussian-batches",
    "blocks-one by one",
    "weight decay-batches",
)
def test_bitwise_it_is_the_measured_engine_to_the_bit(name, most):
    algorithm = dataclasses.replace(ALGORITHMS[name], bitwise=True)
    simulated = Simulated(CHIP, key=KEY, limits=WIDE, own_line=not most)
    simulated.most_together = most
    found = train(engine(algorithm, simulated), 133, 267)
    measured = Measured(CHIP, algorithm)
    expected = measured.advance(Data.of(TASK.train), measured.init(1, key=KEY), 400).state.theta[0]
    assert np.array_equal(found, expected), np.abs(found - expected).max()
    # It is no other training than without.
    plain = Measured(CHIP, ALGORITHMS[name])
    alike = plain.advance(Data.of(TASK.train), plain.init(1, key=KEY), 400).state.theta[0]
    np.testing.assert_allclose(found, alike, rtol=5e-3, atol=5e-4)


IMAGES = mgd.datasets.nist7x7()
CHIPS = {
    # Of these, products of one image with a layer are sums, whose order is the compiler's choice.
    "wide": mgd.chips.mlp((49, 32, 4), cost="mse", init="uniform"),
    "deep": mgd.chips.mlp((49, 100, 50, 4), cost="mse", init="uniform"),
    "imperfect": mgd.chips.imperfect(
        mgd.chips.mlp((49, 32, 4), cost="mse", init="uniform"), ActivationVariation(0.2), PerturbationGain(0.1)
    ),
}


@pytest.mark.as_shipped
@pytest.mark.parametrize("batch", [1, pytest.param(8, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.long
def test_bitwise_it_is_so_for_chips_of_any_size(name, batch):
    chip, algorithm = CHIPS[name], mgd.discrete(time_constants=times(tau_x=4, tau_theta=4), bitwise=True)
    simulated, data = Simulated(chip, key=KEY), Data.of(IMAGES.train)
    loop = Instrumented(Guarded(simulated), algorithm, simulated.start, cost=mgd.chips.MeanSquaredError(), batch=batch)  # pyright: ignore[reportArgumentType]
    measured = Measured(chip, algorithm, batch)
    found, expected = (each.advance(data, each.init(1, key=KEY), 60).state.theta[0] for each in (loop, measured))
    assert np.array_equal(found, expected), np.abs(found - expected).max()


EXACT = """
import numpy as np, test_instrument as t
from mgd.engines import Data, Measured
for name, algorithm in t.ALGORITHMS.items():
    measured = Measured(t.CHIP, algorithm)
    expected = measured.advance(Data.of(t.TASK.train), measured.init(1, key=t.KEY), 1000).state.theta[0]
    found = t.train(t.engine(algorithm, t.Simulated(t.CHIP, key=t.KEY, limits=t.WIDE)), 333, 667)
    assert np.array_equal(found, expected), (name, found - expected)
    print(name)
"""


@pytest.mark.slow
def test_without_fused_multiply_adds_it_is_the_measured_engine_to_the_bit():
    """XLA contracts multiply-adds where it likes, by program; on processors without, both engines are the same."""
    done = subprocess.run(
        [sys.executable, "-c", EXACT],
        capture_output=True,
        text=True,
        check=False,
        cwd=os.path.dirname(__file__),
        env={**os.environ, "XLA_FLAGS": "--xla_cpu_max_isa=AVX", "PYTHONPATH": os.path.dirname(__file__)},
    )
    assert done.stdout.split("\n")[:-1] == list(ALGORITHMS), done.stdout + done.stderr[-2000:]


@pytest.mark.parametrize("cut", [0, 1, 7, 40, 126])
@pytest.mark.parametrize("name", ["windows", "uneven", "two-sided", "analog"])
@pytest.mark.quick("windows-126", "two-sided-126")
def test_from_kept_costs_it_goes_on_to_the_same_bits_wherever_it_was_cut(name, cut):
    kept: list[float] = []
    whole = train(engine(ALGORITHMS[name], Simulated(CHIP, key=KEY), keep=lambda c: kept.extend(c.tolist())), 100)
    asked: list[float] = []
    again = engine(
        ALGORITHMS[name], Simulated(CHIP, key=KEY), replay=iter(kept[:cut]), keep=lambda c: asked.extend(c.tolist())
    )
    assert np.array_equal(train(again, 30, 70), whole)
    assert asked == kept[cut:]


class Flaky(AbstractInstrument):
    """A simulated chip whose verbs fail by plan, and which forgets everything when it is opened again."""

    address, reads, own_line = "flaky", "cost", True

    def __init__(self, faults: dict[int, Exception], most_together: int = 0):
        self.faults, self.calls, self.most_together = faults, 0, most_together
        self.inner = Simulated(CHIP, key=KEY, limits=WIDE)
        self.n_params, self.limits = 9, WIDE

    def _call(self, verb: str, *arguments):
        self.calls += 1
        if self.calls in self.faults:
            raise self.faults[self.calls]
        return getattr(self.inner, verb)(*arguments)

    def open(self):
        self.inner = Simulated(CHIP, key=KEY, limits=WIDE)

    def close(self):
        self.inner = None

    def identify(self):
        return self.inner.identify()

    def set_parameters(self, theta):
        self._call("set_parameters", theta)

    def perturb(self, perturbation):
        self._call("perturb", perturbation)

    def present(self, x, target):
        self._call("present", x, target)

    def measure_cost(self):
        return self._call("measure_cost")

    def measure_batch(self, signals):
        return self._call("measure_batch", signals)

    def safe_state(self):
        self.inner.safe_state()


@pytest.mark.parametrize("most", [0, 5])
@pytest.mark.parametrize(
    "fault", [HardwareError("late", passing=True), ConnectionResetError("gone"), TimeoutError("slow")]
)
@pytest.mark.quick("fault1-5", "fault2-5")
def test_what_fails_and_passes_leaves_no_trace_but_in_the_log(fault, most, caplog):
    calm, flaky = Flaky({}, most), Flaky(dict.fromkeys(range(3, 400, 7), fault), most)  # pyright: ignore[reportArgumentType]
    kept: list[float] = []
    of = engine(ALGORITHMS["windows"], flaky, keep=lambda c: kept.extend(c.tolist()))
    assert np.array_equal(train(of, 40), train(engine(ALGORITHMS["windows"], calm), 40))
    assert of.bench.recoveries > 3
    assert len(kept) == 50
    said = [record.getMessage() for record in caplog.records if record.name == "mgd"]
    assert sum("opened again" in line and str(fault) in line for line in said) == of.bench.recoveries


def test_a_chip_that_stays_away_is_given_up_with_its_address_and_the_last_error():
    flaky = Flaky(dict.fromkeys(range(20, 10_000), HardwareError("no reply to MEAS:COST?", passing=True)))
    kept: list[float] = []
    of = engine(ALGORITHMS["windows"], flaky, give_up_seconds=0.3, keep=lambda c: kept.extend(c.tolist()))
    with pytest.raises(HardwareError, match=r"flaky gave no valid answer for 0.3 s \(no reply to MEAS:COST\?\)"):
        train(of, 40)
    assert 5 < len(kept) < 20


@pytest.mark.parametrize("most", [0, 5])
def test_what_cannot_be_kept_ends_the_run_and_leaves_no_gap(most):
    whole: list[float] = []
    train(engine(ALGORITHMS["windows"], Flaky({}, most), keep=lambda c: whole.extend(c.tolist())), 40)
    kept: list[float] = []
    failed: list[bool] = []

    def keep(costs: np.ndarray) -> None:
        if len(kept) >= 17 and not failed:
            failed.append(True)
            raise OSError(28, "No space left on device")
        kept.extend(costs.tolist())

    flaky = Flaky({}, most)
    with pytest.raises(RunError, match=r"the measurements cannot be kept: .*No space left on device"):
        train(engine(ALGORITHMS["windows"], flaky, keep=keep), 40)
    assert 17 <= len(kept) < len(whole)
    assert kept == whole[: len(kept)]


@pytest.mark.parametrize("hold", [1, 4])
def test_what_can_wait_is_done_while_the_chip_works_and_once(hold):
    order: list[str] = []

    class Slow(Flaky):
        def while_waiting(self, work):
            self.work = work

        def measure_cost(self):
            order.append("asked")
            self.work()
            order.append("answered")
            return super().measure_cost()

    algorithm = mgd.discrete(optimizer=optax.sgd(0.5), time_constants=times(tau_x=hold, tau_theta=hold))
    train(engine(algorithm, Slow({}), keep=lambda costs: order.append("kept")), 8)
    n = algorithm.counts(8).cost_measurements
    assert order == ["asked", "answered", *["asked", "kept", "answered"] * (n - 1), "kept"]


def test_an_error_that_does_not_pass_ends_the_run_at_once():
    flaky = Flaky({9: HardwareError("wrong chip")})
    with pytest.raises(HardwareError, match="wrong chip"):
        train(engine(ALGORITHMS["windows"], flaky), 40)
    assert flaky.calls == 9


@pytest.mark.parametrize("name", ["windows", "two-sided", "analog"])
def test_a_measurement_that_cannot_be_made_is_skipped_counted_and_teaches_nothing(name):
    class Skipping(Flaky):
        def measure_cost(self):
            self.calls += 1
            if self.calls % 11 == 0:
                raise HardwareError("no convergence", skip=True)
            return self.inner.measure_cost()

    told = []
    of = engine(
        ALGORITHMS[name], Skipping({}), watch=lambda of_chunk, n, b: told.extend(of_chunk.modulations[:n].tolist())
    )
    assert np.isfinite(train(of, 100)).all()
    assert of.skipped >= 9
    if name != "analog":  # whose high-pass goes on from the costs before
        assert sum(value == 0 for value in told) >= of.skipped // 2
    assert sum(value != 0 for value in told) > 50


@pytest.mark.parametrize("cut", [1, 5, 6, 37])
@pytest.mark.parametrize("name", ["windows", "two-sided", "analog"])
def test_what_was_skipped_is_kept_as_such(name, cut):
    """So that a run that goes on in the middle of a hold knows that its baseline was not measured."""

    class Picky(Flaky):
        def measure_cost(self):
            # By what is on the chip, the baseline too: the same measurements cannot be made, whenever they are tried.
            on_it = np.asarray(self.inner._theta) + np.asarray(self.inner._perturbation)
            if self.calls > 3 and int(1e4 * abs(on_it.sum())) % 6 == 0:
                raise HardwareError("no convergence", skip=True)
            return super().measure_cost()

    kept: list[float] = []
    of = engine(ALGORITHMS[name], Picky({}), keep=lambda c: kept.extend(c.tolist()))
    whole = train(of, 60)
    assert np.isnan(kept).sum() == of.skipped >= 3
    later = Picky({})
    later.calls = 10
    again = engine(ALGORITHMS[name], later, replay=iter(kept[:cut]))
    assert np.array_equal(train(again, 20, 40), whole)
    assert again.skipped == of.skipped


def test_a_parameter_that_would_leave_its_limits_stops_the_run_before_it_is_sent():
    sent: list[np.ndarray] = []
    chip = from_callables(
        set_parameters=sent.append,
        measure_cost=lambda: float(-np.sum(sent[-1])),  # the cost falls for ever
        limits=Limits.uniform(9, -2.0, 2.0, "V"),
    )
    with pytest.raises(LimitError, match="outside its limits of -2 … 2 V"):
        train(engine(mgd.discrete(optimizer=optax.sgd(0.5)), chip), 400)
    assert np.abs(sent).max() <= 2.0


@pytest.mark.long
def test_saturating_parameters_stop_short_of_their_limits_by_the_perturbation():
    sent: list[np.ndarray] = []
    chip = from_callables(
        set_parameters=sent.append, measure_cost=lambda: float(-np.sum(sent[-1])), limits=Limits.uniform(9, -2.0, 2.0)
    )
    windows = mgd.discrete(optimizer=optax.sgd(0.5), time_constants=times(tau_x=64, tau_theta=64))
    theta = train(engine(windows, chip, saturate=True), 64 * 20)
    np.testing.assert_allclose(theta, 1.99, rtol=1e-5)
    assert np.abs(sent).max() <= 2.0


def test_accuracy_is_that_of_the_outputs_and_cost_alone_gives_none():
    both = Simulated(CHIP, key=KEY)
    of = engine(ALGORITHMS["windows"], both)
    data, progress = Data.of(TASK.test), of.init(1, key=KEY)
    measured = Measured(CHIP, ALGORITHMS["windows"])
    expected = measured.evaluate(measured.init(1, key=KEY), data)
    np.testing.assert_allclose(np.array(of.evaluate(progress, data)), np.array(expected), rtol=1e-6)
    both = Simulated(CHIP, key=KEY)
    both.reads = "cost"
    accuracy, cost = engine(ALGORITHMS["windows"], both).evaluate(progress, data)
    assert np.isnan(accuracy[0])
    np.testing.assert_allclose(cost, expected[1], rtol=1e-6)


def test_an_evaluation_that_cannot_be_made_gives_none_and_is_counted():
    class Skipping(Simulated):
        def read_outputs(self):
            raise HardwareError("no convergence", skip=True)

    of = engine(ALGORITHMS["windows"], Skipping(CHIP, key=KEY))
    accuracy, cost = of.evaluate(of.init(1, key=KEY), Data.of(TASK.test))
    assert np.isnan(accuracy[0])
    assert np.isnan(cost[0])
    assert of.skipped == 1


def test_chips_that_give_outputs_alone_are_trained_by_the_cost_of_these():
    outputs, cost = Simulated(CHIP, key=KEY, limits=WIDE, own_line=False), Simulated(CHIP, key=KEY, limits=WIDE)
    outputs.reads, outputs.most_together = "outputs", 0
    one, other = (train(engine(ALGORITHMS["windows"], of), 40) for of in (outputs, cost))
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


class Skipping(Simulated):
    """A chip that cannot be measured at a third of all settings; it gives outputs, one by one or together."""

    reads = reads_together = "outputs"

    def __init__(self, most_together: int):
        super().__init__(CHIP, key=KEY, limits=WIDE, own_line=False)
        self.most_together, self.asked = most_together, 0

    def read_outputs(self):
        self.asked += 1
        if self.asked > 2 and int(1e4 * abs(float(self._theta[3]))) % 3 == 0:
            raise HardwareError("no convergence", skip=True)
        return super().read_outputs()

    def read_batch(self, signals):
        found = np.full((len(signals), 1, 1), np.nan, np.float32)
        for signal, outputs in zip(signals, found, strict=True):
            self.set_parameters(signal)
            with suppress(HardwareError):
                outputs[:] = self.read_outputs()
        return found


@pytest.mark.parametrize("most", [3, *(pytest.param(many, marks=pytest.mark.long) for many in (1, 100))])
@pytest.mark.parametrize("name", ["every step", "windows", "uneven", "two-sided", "analog"])
def test_what_cannot_be_measured_in_a_batch_is_skipped_as_it_is_one_by_one(name, most):
    runs = []
    for together in (0, most):
        kept: list[float] = []
        of = engine(ALGORITHMS[name], Skipping(together), keep=lambda costs, kept=kept: kept.extend(costs.tolist()))
        runs.append((train(of, 60, 36), kept, of.skipped))
        again = engine(ALGORITHMS[name], Skipping(together), replay=iter(kept))  # which asks nothing of the chip
        assert np.array_equal(train(again, 60, 36), runs[-1][0])
        assert again.skipped == of.skipped
    (theta, kept, skipped), (theta_together, kept_together, skipped_together) = runs
    assert 20 < skipped == skipped_together == np.isnan(kept).sum()
    np.testing.assert_allclose(theta_together, theta, rtol=1e-5)
    np.testing.assert_allclose(kept_together, kept, rtol=1e-5)


def test_a_chip_that_is_another_when_the_line_comes_back_is_refused():
    class Swapped(Flaky):
        def identify(self):
            return Identity("mgd", "flaky", "S1" if self.calls < 20 else "S2")

    with opened(Swapped({20: HardwareError("reset", passing=True)})) as guarded:
        of = Instrumented(guarded, ALGORITHMS["windows"], Simulated(CHIP, key=KEY).start, cost=CHIP.loss)  # pyright: ignore[reportArgumentType]
        with pytest.raises(
            HardwareError, match="flaky: mgd,flaky,S2, answers instead of mgd,flaky,S1,: connect that chip"
        ):
            train(of, 40)


def test_a_batch_that_cannot_be_measured_is_skipped_whole():
    class Sometimes(Skipping):
        def read_batch(self, signals):
            self.asked += 1
            if self.asked in (3, 4):
                raise HardwareError("no convergence", skip=True)
            return np.stack([(self.set_parameters(signal), Simulated.read_outputs(self))[1] for signal in signals])

    of = engine(ALGORITHMS["windows"], Sometimes(100))
    train(of, 40)
    assert of.skipped == 2 * 5  # four timesteps and their baseline


def test_a_batch_whose_first_cost_cannot_be_measured_ends_the_run():
    class Never(Skipping):
        def read_batch(self, signals):
            return np.full((len(signals), 1, 1), np.nan, np.float32)

    with pytest.raises(HardwareError, match="the first cost of the run could not be measured: start at"):
        train(engine(ALGORITHMS["windows"], Never(100)), 4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_replicas": 3}, "replicas must be 1, got 3"),
        ({"start": np.zeros(4)}, "9 parameters, and its start has shape"),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    start = given.get("start", np.zeros(9))
    of = Instrumented(Guarded(Simulated(CHIP, key=KEY)), mgd.discrete(), start, cost=CHIP.loss)
    with pytest.raises(ValueError, match=message):
        of.init(given.get("n_replicas", 1), key=KEY)


def test_every_presentation_is_put_in_front_once_and_every_write_written_once():
    calls = []
    chip = from_callables(
        set_parameters=lambda theta: calls.append("set"),
        perturb=lambda theta: calls.append("perturb"),
        present=lambda x, y: calls.append("present"),
        measure_cost=lambda: 0.5,
        limits=WIDE,
    )
    algorithm = ALGORITHMS["uneven"]
    train(engine(algorithm, chip), 36)
    counts = algorithm.counts(36)
    assert calls.count("present") == counts.sample_loads
    assert calls.count("set") == counts.parameter_writes  # the first in place of the last, which nothing follows
    assert list(chain(calls))[:2] == ["present", "set"]


def test_a_task_may_change_while_the_chip_is_trained():
    """Samples that turn, as for a chip that tracks: shown as they are now, not as they were when it began."""
    algorithm = ALGORITHMS["windows"]
    first = Data.of(TASK.train)
    second = Data(first.x, 1 - first.y, first.offset, first.scale)
    of = engine(algorithm, Simulated(CHIP, key=KEY, limits=WIDE))
    measured = Measured(CHIP, algorithm)
    found, expected = of.init(1, key=KEY), measured.init(1, key=KEY)
    for data in (first, second, first):
        found, expected = of.advance(data, found, 40), measured.advance(data, expected, 40)
    np.testing.assert_allclose(found.state.theta, expected.state.theta, rtol=1e-3, atol=1e-4)
    unchanged = engine(algorithm, Simulated(CHIP, key=KEY, limits=WIDE))
    assert np.abs(train(unchanged, 120) - np.asarray(found.state.theta[0])).max() > 0.01


@pytest.mark.long
def test_a_baseline_is_known_between_samples_and_updates_that_are_never_together():
    """Where τ_x and τ_θ have no common divisor, a hold is one timestep, and its baseline may be that of the last."""
    algorithm = mgd.algorithm.discrete(
        perturbation=mgd.perturbations.Rademacher(0.1),
        optimizer=optax.sgd(0.5),
        time_constants=mgd.algorithm.TimeConstants(tau_p=1, tau_x=3, tau_theta=8),
        bitwise=True,
    )
    chip, task = mgd.chips.mlp((2, 2, 1)), mgd.datasets.parity(bits=2)
    run = {"n_steps": 100, "key": jax.random.key(1), "start": np.linspace(-1, 1, 9, dtype=np.float32)}
    with mgd.instruments.opened(mgd.instruments.Simulated(chip, key=run["key"])) as instrument:
        real = mgd.train(instrument, task, algorithm, **run, progress=False)
    simulated = mgd.train(chip, task, algorithm, engine="measured", **run, progress=False)
    np.testing.assert_array_equal(real.theta, simulated.theta)
