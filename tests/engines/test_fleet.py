"""Fleets: what several chips learn together, and what is left when one dies."""

import threading
import time

import equinox
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import mgd
from mgd import HardwareError, RunError
from mgd.engines import Data, Fleet, Instrumented, Options
from mgd.engines.loop._fleet import Trained
from mgd.instruments import AbstractInstrument, Guarded, Identity, Limits, Simulated

KEY = jax.random.key(5)
CHIP = mgd.chips.mlp((2, 2, 1))
TASK = mgd.datasets.parity(bits=2)
WIDE = Limits.uniform(9, -100.0, 100.0)
WINDOWS = mgd.discrete(optimizer=optax.sgd(0.5, 0.9), time_constants=mgd.TimeConstants(tau_p=1, tau_x=4, tau_theta=8))
START = np.asarray(CHIP.init(key=KEY))


class Mortal(AbstractInstrument):
    """A simulated chip that dies at some measurement."""

    reads, own_line, n_params, limits = "both", True, 9, WIDE

    def __init__(self, number: int, dies_at: int = -1, silently: bool = False):
        self.inner = Simulated(CHIP, key=jax.random.fold_in(KEY, number), limits=WIDE)
        self.address, self.measured = f"chip {number}", 0
        self.dies_at, self.silently = dies_at, silently

    def open(self):
        self._live()

    def close(self):
        pass

    def identify(self):
        return Identity("mgd", "mortal", self.address)

    def set_parameters(self, theta):
        self._live()
        self.inner.set_parameters(theta)

    def perturb(self, perturbation):
        self.inner.perturb(perturbation)

    def present(self, x, target):
        self.inner.present(x, target)

    def measure_cost(self):
        self.measured += 1
        self._live()
        return self.inner.measure_cost()

    def read_outputs(self):
        self._live()
        return self.inner.read_outputs()

    def safe_state(self):
        pass

    def _live(self):
        if 0 <= self.dies_at <= self.measured:
            if self.silently:
                threading.Event().wait()
            raise HardwareError("no reply", passing=True)


def answers(piece: Simulated) -> None:
    """Has all be compiled that a first answer would wait for."""
    piece.set_parameters(START)
    piece.present(TASK.train.x[:1], TASK.train.y[:1])
    piece.perturb(0 * START)
    piece.measure_cost()
    piece.read_outputs()


def member(instrument: Mortal, algorithm=WINDOWS, **options) -> Instrumented:
    """One that dies is given up soon; one that lives may take as long as a busy machine makes it."""
    patience = 200.0
    if instrument.dies_at >= 0:
        answers(instrument.inner)
        patience = 1.0
    return Instrumented(
        Guarded(instrument), algorithm, START, cost=CHIP.loss, options=Options(give_up_seconds=patience, **options)
    )


def fleet(*instruments: Mortal, trained: Trained = "shared", **more) -> Fleet:
    return Fleet([member(each) for each in instruments], trained=trained, **more)


def train(of: Fleet | Instrumented, n_chips: int, *pieces: int):
    data, progress = Data.of(TASK.train), of.init(n_chips, key=KEY)
    for n in pieces:
        progress = of.advance(data, progress, n)
    return progress


def by_hand(chips: range, n_windows: int) -> np.ndarray:
    """The same by ask and tell alone: every chip's G from its own seeds, and their mean to the optimizer."""
    data, states = Data.of(TASK.train), []
    for chip in chips:
        _, run_key = jax.random.split(jax.random.fold_in(KEY, chip))
        states.append(WINDOWS.init(jnp.asarray(START), key=run_key))
    ask, tell = equinox.filter_jit(WINDOWS.ask), equinox.filter_jit(WINDOWS.tell)
    measure = equinox.filter_jit(CHIP.measure)
    estimate, conclude = equinox.filter_jit(WINDOWS.estimate), equinox.filter_jit(WINDOWS.conclude)
    rows = equinox.filter_jit(lambda probe: probe.rows(len(data.y), 1))
    for _ in range(n_windows):
        sums = []
        for state in states:
            total = jnp.zeros(9)
            for _ in range(8):
                # The baseline is measured only where it is due; the perturbed cost always, as the last.
                for slot in range(int(state.clock.slot), 2):
                    probe, state = ask(state, slot=slot)
                    x, y = data.show(rows(probe))
                    cost, _ = measure(probe.theta, probe.perturbation, x, y, device=None, key=KEY)
                    before, (state, info) = state, tell(state, cost, slot=slot)
                    if slot == 1:
                        total = total + estimate(before, info.modulation)
            sums.append(total)
        mean = jnp.stack(sums).mean(0)
        states = [conclude(state, mean) for state in states]
    return np.asarray(states[0].theta)


@pytest.mark.long
def test_one_set_of_parameters_follows_the_mean_of_all_chips():
    progress = train(fleet(Mortal(0), Mortal(1), Mortal(2)), 3, 8, 24)
    found = np.asarray(progress.state.theta)
    assert (found == found[0]).all()
    np.testing.assert_allclose(found[0], by_hand(range(3), 4), rtol=1e-4, atol=1e-5)
    assert np.abs(found[0] - by_hand(range(2), 4)).max() > 1e-3


def test_a_run_that_ends_within_a_window_measures_to_its_end_and_changes_nothing_more():
    kept: dict[int, list[float]] = {0: [], 1: []}
    members = [member(Mortal(chip), keep=lambda costs, to=kept[chip]: to.extend(costs.tolist())) for chip in range(2)]
    of = Fleet(members)
    progress = train(of, 2, 16, 5)
    assert int(progress.state.clock.step) == 21
    assert np.array_equal(progress.state.theta, train(fleet(Mortal(0), Mortal(1)), 2, 16).state.theta)
    assert [len(costs) for costs in kept.values()] == [WINDOWS.counts(21).cost_measurements] * 2


def test_chips_that_train_their_own_are_so_many_runs_side_by_side():
    progress = train(fleet(Mortal(0), Mortal(1), trained="own"), 2, 30, 35)
    for chip in range(2):
        alone = member(Mortal(chip))
        data, expected = Data.of(TASK.train), alone.init(1, key=KEY, replica=chip)
        for n in (30, 35):
            expected = alone.advance(data, expected, n)
        assert np.array_equal(progress.state.theta[chip], expected.state.theta[0])


@pytest.mark.parametrize("silently", [False, True], ids=["fails", "hangs"])
@pytest.mark.quick("fails")
def test_a_chip_that_dies_is_dropped_and_the_others_go_on(silently):
    told = []
    of = fleet(Mortal(0), Mortal(1, dies_at=13, silently=silently), Mortal(2), on_drop=lambda *what: told.append(what))
    progress = train(of, 3, 32)
    # A window of 8 has two presentations, so ten measurements: it lived through one.
    assert of.dropped == {1: 8}
    assert [what[:2] for what in told] == [(1, 8)]
    assert "chip 1 " in told[0][2]
    lived, after = by_hand(range(3), 1), by_hand(range(3), 4)
    assert np.abs(np.asarray(progress.state.theta[0]) - after).max() > 1e-4
    one_window = train(fleet(Mortal(0), Mortal(1), Mortal(2)), 3, 8).state.theta[0]
    np.testing.assert_allclose(one_window, lived, rtol=1e-4, atol=1e-5)
    accuracy, cost = of.evaluate(progress, Data.of(TASK.test))
    assert np.isnan(accuracy).tolist() == [False, True, False]
    assert np.isnan(cost).tolist() == [False, True, False]


@pytest.mark.long
def test_when_none_is_left_the_run_ends_with_what_the_last_one_said():
    with pytest.raises(
        HardwareError, match=r"no chip of the fleet answers; the last error was chip . gave no valid answer"
    ):
        train(fleet(Mortal(0, dies_at=5), Mortal(1, dies_at=25)), 2, 80)


@pytest.mark.long
def test_costs_that_were_kept_stand_for_a_chip_that_is_gone():
    """The run is the same, though a chip that died in it is not asked again."""
    kept: dict[int, list[float]] = {0: [], 1: []}

    def keeping(chip: int):
        return lambda costs: kept[chip].extend(costs.tolist())

    first = Fleet([member(Mortal(0), keep=keeping(0)), member(Mortal(1, dies_at=25), keep=keeping(1))])
    whole = train(first, 2, 40)
    assert first.dropped == {1: 16}
    again = Fleet([member(Mortal(0), replay=iter(kept[0][:31])), member(Mortal(1, dies_at=0), replay=iter(kept[1]))])
    again.dropped[1] = 16
    assert np.array_equal(train(again, 2, 40).state.theta, whole.state.theta)
    assert again.dropped == {1: 16}


def test_what_does_not_go_together_is_refused():
    small = Simulated(mgd.chips.mlp((2, 1, 1)), key=KEY)
    other = Instrumented(Guarded(small), WINDOWS, np.zeros(5, np.float32), cost=CHIP.loss)
    with pytest.raises(ValueError, match=r"equal numbers of parameters, got \[9, 5\]"):
        Fleet([member(Mortal(0)), other])
    with pytest.raises(ValueError, match="need windows, and the analog algorithm has none"):
        Fleet([member(Mortal(0), mgd.analog()), member(Mortal(1), mgd.analog())])
    far = Mortal(1)
    far.limits = Limits.uniform(9, 200.0, 300.0)
    with pytest.raises(
        ValueError, match=r"parameter 0 has no value within the limits of all chips of the fleet .200.01 … 99.99."
    ):
        fleet(Mortal(0), far)
    with pytest.raises(ValueError, match="a fleet of 2 chips is as many replicas, got 3"):
        fleet(Mortal(0), Mortal(1)).init(3, key=KEY)


def test_when_one_chip_ends_the_run_the_others_are_at_rest_before_they_are_left():
    """A thread that went on would write to a chip that has been put in its safe state."""

    class Slow(Mortal):
        def measure_cost(self):
            time.sleep(0.05)
            return super().measure_cost()

    class Broken(Mortal):
        def measure_cost(self):
            raise RunError("the disk is full")

    slow, others = Slow(0), set(threading.enumerate())
    of = fleet(slow, Broken(1))
    with pytest.raises(RunError, match="the disk is full"):
        train(of, 2, 80)
    of.halt(10.0)
    measured = slow.measured
    for thread in set(threading.enumerate()) - others:
        thread.join(60)
    assert slow.measured == measured
    with pytest.raises(HardwareError, match="chip 0: the run is ending"):
        of.members[0].bench.measure(np.zeros(9, np.float32))
