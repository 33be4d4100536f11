"""A whole calibration, of simulated chips whose faults are known: what it finds, and that its settings train."""

import math
import re
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import install_import_hook

import mgd
from mgd import HardwareError
from mgd.chips.imperfections import ADC, DAC, CostNoise, Delay, PerturbationGain, Settling, StuckCells
from mgd.instruments import AbstractInstrument, Guarded, Limits, Simulated, from_callables, opened

with install_import_hook("mgd.calibration", "beartype.beartype"):
    from mgd.calibration import Calibration, calibrate
    from mgd.theory import best_hold

XOR, PARITY = mgd.datasets.parity(bits=2), mgd.datasets.parity(bits=4)
SMALL, LARGER = mgd.chips.mlp((2, 2, 1)), mgd.chips.mlp((4, 4, 1))


def measure(piece: Simulated, task, *, batch: int = 4, **settings) -> Calibration:
    with opened(piece, alone=False) as guarded:
        return calibrate(guarded, task, batch=batch, key=jax.random.key(0), start=piece.start, **settings)


def piece_of(chip, *imperfections, seed: int = 3) -> Simulated:
    return Simulated(mgd.chips.imperfect(chip, *imperfections), key=jax.random.key(seed))


def own(piece: Simulated, kind) -> np.ndarray:
    """What the piece is made of: its only array of that type and size."""
    (found,) = (x for x in jax.tree.leaves(piece._device) if x.shape == (piece.n_params,) and x.dtype == kind)
    return np.asarray(found)


def is_near(quantity, truth: float, errors: float = 4.5) -> bool:
    return abs(quantity.value - truth) <= errors * quantity.error


TOLD: list[tuple[int, int]] = []


@pytest.fixture(scope="module")
def noisy() -> Calibration:
    """A 2-2-1 chip with nothing but noise."""
    return measure(piece_of(SMALL, CostNoise(0.002)), XOR, budget=12_000, on_progress=lambda *pair: TOLD.append(pair))


@pytest.mark.long
def test_noise_is_found_and_nothing_that_is_not_there(noisy):
    assert is_near(noisy.cost_noise, 0.002)
    assert noisy.cost_noise.error < 0.0002
    assert noisy.slow_noise.value < 2 * noisy.slow_noise.error
    assert is_near(noisy.drift, 0.0)
    assert (noisy.delay.value, noisy.delay.error) == (0, 0)
    assert noisy.settling.value < 3 * noisy.settling.error
    assert noisy.tau_p == 1
    assert (noisy.dead, noisy.no_perturbation, noisy.no_write, noisy.unresolved) == ((), (), (), ())


@pytest.mark.long
def test_progress_is_told_and_the_budget_nearly_used(noisy):
    done = [one for one, _ in TOLD]
    assert done == sorted(done)
    assert {total for _, total in TOLD} == {12_000}
    assert max(done) == noisy.measurements
    assert 10_000 < noisy.measurements <= 12_000


@pytest.mark.long
def test_delay_and_settling_are_found_together_and_the_hold_is_made_for_them():
    found = measure(piece_of(SMALL, Settling(2.0), CostNoise(0.0005), Delay(3)), XOR, budget=26_000)
    assert (found.delay.value, found.delay.error) == (3, 0)
    assert is_near(found.settling, 2.0)
    assert found.settling.error < 0.3
    assert math.isclose(found.settling_seconds.value, found.settling.value * found.seconds_per_measurement)
    assert found.tau_p == best_hold(3, found.settling.value) > best_hold(3, 0.0)
    assert found.tau_x == found.tau_theta
    assert "delay 3" in " ".join(found.why)


@pytest.fixture(scope="module")
def broken() -> tuple[Calibration, Simulated]:
    """A 4-4-1 chip with cells that are stuck, and others whose perturbation is too large or too small."""
    piece = piece_of(LARGER, StuckCells(stuck=0.15), PerturbationGain(0.2), CostNoise(0.0002), seed=5)
    return measure(piece, PARITY, batch=16, budget=16_000), piece


@pytest.mark.long
def test_stuck_cells_are_found_by_name_and_no_others(broken):
    found, piece = broken
    stuck = np.flatnonzero(own(piece, bool)).tolist()
    assert 2 <= len(stuck) <= 8
    assert found.dead == tuple(stuck)
    assert (found.no_perturbation, found.no_write, found.unresolved) == ((), (), ())
    assert 0 < found.false_alive < 0.01


@pytest.mark.long
def test_the_gain_of_each_parameter_is_found_with_its_error(broken):
    found, piece = broken
    # Only of the gain: a stuck cell has neither.
    (true,) = (x for x in jax.tree.leaves(piece._device) if x.shape == (25,) and x.dtype == jnp.float32 and x.min() > 0)
    gain, error = np.array(found.gain), np.array(found.gain_error)
    told = np.isfinite(gain)
    assert told.sum() >= 12
    assert not told[list(found.dead)].any()
    assert np.abs(gain - true)[told].max() < 0.25
    assert (np.abs(gain - true)[told] < 4 * error[told]).all()
    # The errors are no excuse: without them, 1 would do for all.
    assert np.median(error[told]) < 0.1
    assert np.std(true[told]) > 2 * np.std((gain - true)[told])


class Miswired(Simulated):
    """One parameter's perturbation line is open, another's write does nothing, a third has neither."""

    def set_parameters(self, theta):
        theta = np.array(theta)
        theta[[2, 3]] = 0.5
        super().set_parameters(theta)

    def measure_batch(self, signals):
        signals = np.array(signals)
        signals[:, [1, 2]] = 0
        return super().measure_batch(signals)


@pytest.mark.long
def test_an_open_line_and_a_write_that_does_nothing_are_told_apart():
    chip = mgd.chips.imperfect(SMALL, CostNoise(0.0002))
    found = measure(Miswired(chip, key=jax.random.key(3)), XOR, budget=24_000)
    assert (found.no_perturbation, found.dead, found.no_write) == ((1,), (2,), (3,))


@pytest.mark.parametrize("verb", ["measure_batch", "set_parameters"])
@pytest.mark.long
@pytest.mark.enough("measure_batch")
def test_a_chip_that_stops_answering_is_not_waited_for_for_ever(verb):
    piece, answer, asked = Simulated(SMALL, key=jax.random.key(3)), getattr(Simulated, verb), []
    never = threading.Event()

    def silent(values):
        asked.append(verb)
        if len(asked) == 20:
            assert not never.wait(200), "it was waited for"
        return answer(piece, values)

    measure(piece, XOR, budget=8000)  # so that no answer has to be compiled first
    setattr(piece, verb, silent)
    with pytest.raises(
        HardwareError, match=r"simulated .* has not answered for \d+ s, and its driver still waits: check"
    ):
        measure(piece, XOR, budget=8000, give_up_seconds=2.0)


@pytest.mark.parametrize(
    "shut", [pytest.param(0.36, id="near the start", marks=pytest.mark.long), pytest.param(1.0, id="everywhere")]
)
@pytest.mark.slow
def test_a_parameter_that_matters_little_at_the_start_is_not_called_dead_unless_it_never_answers(shut):
    theta, rng = np.zeros(4), np.random.default_rng(0)

    def cost() -> float:
        gate = max(0.0, abs(theta[0]) - shut)
        return float(np.sum((theta[:3] - 0.3) ** 2) + gate * theta[3] + 1e-3 * rng.standard_normal())

    def write(values: np.ndarray) -> None:
        theta[:] = values

    chip = from_callables(set_parameters=write, measure_cost=cost, limits=Limits.uniform(4, -1.0, 1.0, "V"))
    with opened(chip, alone=False) as guarded:
        found = calibrate(guarded, XOR, batch=1, key=jax.random.key(0), budget=16_000)
    assert found.dead == ((3,) if shut == 1.0 else ())


@pytest.fixture(scope="module")
def larger() -> tuple[Calibration, Simulated]:
    """A 4-4-1 chip with noise."""
    piece = piece_of(LARGER, CostNoise(0.001))
    return measure(piece, PARITY, batch=16, budget=16_000), piece


@pytest.mark.long
def test_the_linear_range_is_where_the_slope_is_wrong_by_a_tenth(larger):
    found, _ = larger
    x, y = jnp.asarray(PARITY.train.x, jnp.float32), jnp.asarray(PARITY.train.y, jnp.float32)
    rng, a = np.random.default_rng(0), found.linear_range.value
    cost = jax.jit(jax.vmap(lambda theta: LARGER.measure(theta, jnp.zeros(25), x, y, key=jax.random.key(0))[0]))
    codes = rng.choice([-1.0, 1.0], (400, 25))
    # As points are drawn: in the middle tenth of −10 … 10.
    thetas = rng.uniform(-1, 1, (400, 25))
    slopes = []
    for amplitude in (a, 0.02):
        plus, minus = (np.asarray(cost(jnp.asarray(thetas + s * amplitude * codes, jnp.float32))) for s in (1, -1))
        slopes.append((plus - minus) / (2 * amplitude))
    wrong = math.sqrt(np.mean((slopes[0] - slopes[1]) ** 2) / np.mean(slopes[1] ** 2))
    assert 0.05 < wrong < 0.2, wrong
    assert found.amplitude <= a
    assert found.linear_range.error < 0.2 * a


@pytest.mark.parametrize("bits", [5, 8, 10])
@pytest.mark.enough("8")
@pytest.mark.long
def test_a_converters_step_is_found_and_a_perturbation_moves_the_cost_by_more(bits):
    found = measure(piece_of(SMALL, ADC(bits, 0.0, 1.0)), XOR, budget=6000)
    assert abs(found.readout_step * (2**bits - 1) - 1) < 0.01
    assert found.cost_noise.value < found.readout_step / 2
    assert 0 < found.expected_snr < math.inf
    assert found.amplitude * found.gradient_norm.value > found.readout_step  # pyright: ignore[reportOperatorIssue]
    assert "steps of" in " ".join(found.why)
    assert found.level is None


def test_a_readout_so_coarse_that_nothing_moves_it_is_refused():
    with opened(piece_of(SMALL, ADC(1, 0.0, 1.0)), alone=False) as guarded, pytest.raises(HardwareError):
        calibrate(guarded, XOR, batch=4, key=jax.random.key(0), budget=6000)


@pytest.mark.parametrize(("bits", "noise"), [(5, 5e-4), (6, 0.0), (8, 0.0), (8, 5e-4)])
@pytest.mark.long
@pytest.mark.enough("8-0.0005")
def test_an_amplitude_is_no_less_than_a_level_of_the_parameters(bits, noise):
    """Of an 8-bit converter an amplitude of a twenty-eighth of a level was once advised."""
    imperfections = [DAC(bits, -10.0, 10.0), *([CostNoise(noise)] if noise else [])]
    found, level = measure(piece_of(SMALL, *imperfections), XOR, budget=12_000), 20.0 / (2**bits - 1)
    assert abs(found.level / level - 1) < 0.06
    assert found.levels_even
    assert level < found.amplitude < 5 * level
    assert found.tau_theta <= 64
    assert f"levels of {found.level:.3g}" in " ".join(found.why)


def with_levels(step) -> AbstractInstrument:
    """Six parameters without lines for perturbations, set to whole numbers of steps, each of its own."""
    theta, weights, rng = np.zeros(6), np.linspace(0.5, 1.5, 6), np.random.default_rng(0)

    def write(values: np.ndarray) -> None:
        theta[:] = np.round(values / step) * step

    return from_callables(
        set_parameters=write,
        measure_cost=lambda: float(np.sum(weights * (theta - 0.3) ** 2) + 1e-4 * rng.standard_normal()),
        limits=Limits.uniform(6, -1.0, 1.0, "V"),
    )


def calibrated(chip: AbstractInstrument, budget: int, seed: int = 0) -> Calibration:
    with opened(chip, alone=False) as guarded:
        return calibrate(guarded, XOR, batch=1, key=jax.random.key(seed), budget=budget)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.slow
def test_of_levels_that_differ_from_parameter_to_parameter_the_widest_counts(seed):
    found = calibrated(with_levels(np.array([0.01, 0.02, 0.08, 0.05, 0.01, 0.12])), 8000, seed)
    assert not found.levels_even
    assert abs(found.level / 0.12 - 1) < 0.1
    assert found.amplitude > 0.2
    assert "uneven" in " ".join(found.why)


@pytest.mark.long
def test_a_perturbation_may_need_more_than_an_eighth_of_the_range():
    found = calibrated(with_levels(2 / 7), 6000)
    assert abs(found.level * 7 / 2 - 1) < 0.05
    assert found.amplitude > 2 / 7


@pytest.mark.long
def test_levels_for_which_there_is_no_room_are_refused():
    with pytest.raises(HardwareError, match=r"levels are fine enough|needs room for two levels"):
        calibrated(with_levels(2 / 3), 6000)


@pytest.mark.parametrize("budget", [3353, 4001, 9999])
@pytest.mark.parametrize("kind", ["plain", "levels"])
@pytest.mark.enough("plain-4001")
@pytest.mark.long
def test_no_more_is_spent_than_the_budget(budget, kind):
    asked = []
    chip = with_levels(0.05 if kind == "levels" else 1e-9)
    inner = chip.measure_cost
    chip.measure_cost = lambda: (asked.append(1), inner())[1]
    found = calibrated(chip, budget)
    assert found.measurements == len(asked) <= budget
    assert len(asked) > 0.8 * budget


class Counted(Simulated):
    """It counts what is measured."""

    asked = 0

    def measure_batch(self, signals):
        self.asked += len(signals)
        return super().measure_batch(signals)


@pytest.mark.parametrize("budget", [5000, 20_500])
@pytest.mark.parametrize(
    "imperfections",
    [
        (DAC(8, -6.0, 6.0), CostNoise(5e-4)),
        (DAC(8, -6.0, 6.0), CostNoise(5e-4), ADC(12, 0.0, 1.0)),
        (DAC(10, -6.0, 6.0, own_line=True, finer_copy=True), CostNoise(1e-3, relative=1e-3)),
    ],
    ids=["dac", "both", "own line"],
)
@pytest.mark.long
@pytest.mark.enough("both-5000")
def test_with_converters_and_noise_no_more_is_spent_than_the_budget(budget, imperfections):
    """Of 20,500 measurements, 80,726 were once made."""
    chip = Counted(mgd.chips.imperfect(SMALL, *imperfections), key=jax.random.key(3))
    found = measure(chip, XOR, budget=budget)
    assert found.measurements == chip.asked <= budget
    assert chip.asked > 0.8 * budget


@pytest.mark.parametrize(
    "imperfections",
    [
        (StuckCells(stuck=0.4), CostNoise(0.002)),
        (CostNoise(0.002), Delay(1)),
        (Settling(3.0), ADC(8, 0.0, 1.0), Delay(2)),
    ],
    ids=["stuck", "delay", "settling"],
)
@pytest.mark.long
@pytest.mark.enough("delay")
def test_a_budget_that_is_too_small_is_told_the_least_that_suffices(imperfections):
    """What costs that come late take is known only after their delay is, and is told then."""
    piece, told, budget = piece_of(SMALL, *imperfections), [], 100
    while len(told) < 4:
        try:
            found = measure(piece, XOR, budget=budget)
        except ValueError as error:
            (least,) = re.findall(r"needs at least (\d+) measurements, got (\d+)", str(error))
            told.append(int(least[0]))
            assert int(least[1]) == budget < told[-1]
            budget = told[-1]
        else:
            assert found.measurements <= budget
            break
    assert 1 <= len(told) <= 3


@pytest.mark.long
def test_the_settings_train_xor(noisy):
    """On 16 chips of the design that one was calibrated of, with all its noise."""
    found, chip = noisy, mgd.chips.imperfect(SMALL, CostNoise(0.002))
    algorithm = mgd.discrete(
        perturbation=mgd.perturbations.Rademacher(amplitude=found.amplitude),
        time_constants=mgd.TimeConstants(tau_p=found.tau_p, tau_x=found.tau_x, tau_theta=found.tau_theta),
        optimizer=optax.chain(optax.add_decayed_weights(3e-4), optax.sgd(found.descent_rate)),
    )
    result = mgd.train(chip, XOR, algorithm, n_steps=100_000, n_replicas=16, batch=found.batch, key=jax.random.key(1))
    # What is left are chips that sit in a flat place of XOR's cost, as they do with any settings.
    assert float(jnp.mean(result.accuracy)) > 0.85
    assert int(result.solved.sum()) >= 11


@pytest.mark.long
def test_what_was_expected_of_a_window_is_what_it_gives(larger):
    """The angle between G and the gradient, at the start, of 300 windows with the settings chosen."""
    found, piece = larger
    theta, zero = jnp.asarray(piece.start), jnp.zeros(25)
    x, y = jnp.asarray(PARITY.train.x, jnp.float32), jnp.asarray(PARITY.train.y, jnp.float32)
    gradient = jax.grad(lambda t: LARGER.measure(t, zero, x, y, key=jax.random.key(0))[0])(theta)
    rng = np.random.default_rng(1)
    codes = rng.choice([-1.0, 1.0], (300, found.tau_theta // found.tau_p, 25)).astype(np.float32)
    with opened(piece, alone=False) as chip:
        chip.present(np.asarray(x), np.asarray(y))
        chip.set_parameters(np.asarray(theta))
        costs = chip.measure_batch((found.amplitude * codes).reshape(-1, 25)).reshape(codes.shape[:2])
        before = chip.measure_batch(np.zeros((300, 25), np.float32))
    estimates = np.einsum("wt,wtp->wp", costs - before[:, None], codes)
    along, sizes = estimates @ np.asarray(gradient), np.sqrt(np.mean(np.sum(estimates**2, axis=1)))
    angle = math.degrees(math.acos(np.mean(along) / np.linalg.norm(gradient) / sizes))
    # The gradient is smaller or larger at each of the four places that were measured.
    assert abs(angle - found.expected_angle) < 15, (angle, found.expected_angle)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("imperfection", "n_steps", "least"),
    [(CostNoise(0.001), 300_000, 0.9), (DAC(8, -6.0, 6.0, finer_copy=True), 19_648, 0.75)],
    ids=["noise", "8 bits"],
)
def test_the_settings_train_nist7x7(imperfection, n_steps, least):
    """Of an 8-bit converter, an amplitude of a seventh of a level and windows of 29,184 came to 22 %."""
    task, chip = mgd.datasets.nist7x7(), mgd.chips.imperfect(mgd.chips.mlp((49, 4, 4)), imperfection)
    piece = Simulated(chip, key=jax.random.key(1), limits=Limits.uniform(220, -6.0, 6.0))
    found = measure(piece, task, batch=64)
    rate = optax.cosine_decay_schedule(found.learning_rate, n_steps // found.tau_theta)
    algorithm = mgd.discrete(
        perturbation=mgd.perturbations.Rademacher(amplitude=found.amplitude),
        time_constants=mgd.TimeConstants(tau_p=found.tau_p, tau_x=found.tau_x, tau_theta=found.tau_theta),
        optimizer=optax.adam(rate),
    )
    result = mgd.train(chip, task, algorithm, n_steps=n_steps, n_replicas=4, batch=64, key=jax.random.key(1))
    assert float(jnp.mean(result.accuracy)) > least


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": 2000}, r"a calibration of 9 parameters needs at least 3641 measurements, got 2000"),
        ({"budget": True}, "must be a whole number of measurements, got True"),
        ({"start": np.zeros(4, np.float32)}, "the chip has 9 parameters, and its start has shape"),
        ({"cost": "mae"}, "mae"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_measured(settings, message):
    piece = piece_of(SMALL)
    with pytest.raises(ValueError, match=message):
        calibrate(Guarded(piece), XOR, batch=4, key=jax.random.key(0), **settings)
    assert piece._asked == 0


def chip_with_cost(cost):
    rng = np.random.default_rng(0)
    return from_callables(
        set_parameters=lambda theta: None, measure_cost=lambda: cost(rng), limits=Limits.uniform(3, -1.0, 1.0, "V")
    )


def test_a_chip_whose_cost_is_not_a_number_is_a_fault_of_the_chip():
    with (
        opened(chip_with_cost(lambda rng: math.nan), alone=False) as guarded,
        pytest.raises(HardwareError, match="gave nan"),
    ):
        calibrate(guarded, XOR, batch=1, key=jax.random.key(0))


@pytest.mark.parametrize(
    "cost", [lambda rng: 0.5, lambda rng: 0.5 + 0.01 * rng.standard_normal()], ids=["still", "noise"]
)
@pytest.mark.enough("still")
@pytest.mark.long
def test_a_silent_chip_is_said_to_be_silent(cost):
    with opened(chip_with_cost(cost), alone=False) as guarded, pytest.raises(HardwareError) as raised:
        calibrate(guarded, XOR, batch=1, key=jax.random.key(0), budget=6000)
    assert "no perturbation of up to 0.25 V changes the cost by more than its noise" in str(raised.value)
    assert "check that parameters and cost are connected" in str(raised.value)
