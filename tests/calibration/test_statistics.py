"""The arithmetic of a calibration on records with known answers: right, and with the right standard errors."""

import math

import numpy as np
import pytest
from jaxtyping import install_import_hook

with install_import_hook("mgd.calibration", "beartype.beartype"):
    from mgd.calibration._moments import Ratio
    from mgd.calibration._noise import allan_deviation, noise_of, resolution
    from mgd.calibration._range import range_of
    from mgd.calibration._staircase import look
    from mgd.calibration._timing import timing_of
    from mgd.theory import Facts, best_amplitude, best_hold, choose, share_seen


def _scores(found, truth) -> np.ndarray:
    """How far each is from the truth, in its own standard errors."""
    return np.array([(one.value - truth) / one.error for one in found])


def _are_standard(scores) -> bool:
    """Whether these have the mean 0 and the spread 1 that standard errors promise, to 4.5 of their own errors."""
    n = len(scores)
    return abs(scores.mean()) < 4.5 / math.sqrt(n) and abs(scores.std() - 1) < 4.5 / math.sqrt(2 * n)


def test_white_noise_is_found_with_its_error():
    rng = np.random.default_rng(1)
    found = [noise_of(0.3 + 0.02 * rng.standard_normal(500)) for _ in range(400)]
    assert _are_standard(_scores([one.white for one in found], 0.02))
    assert np.mean([one.slow.value < 2 * one.slow.error for one in found]) > 0.97
    drifts = _scores([one.drift for one in found], 0.0)
    assert 0.9 < drifts.std() < 1.3  # Student's t of 14 degrees: 1.08


def test_drift_is_found_with_its_error_and_is_slow_noise():
    rng, at = np.random.default_rng(2), np.arange(1000)
    found = [noise_of(0.01 * rng.standard_normal(1000) + 1e-4 * at) for _ in range(300)]
    assert abs(np.mean([one.drift.value for one in found]) / 1e-4 - 1) < 0.01
    assert 0.9 < _scores([one.drift for one in found], 1e-4).std() < 1.3
    assert abs(np.mean([one.slow.value for one in found]) / (1e-4 * 1000 / math.sqrt(12)) - 1) < 0.02
    assert all(one.slow.value > 2 * one.slow.error / 3 for one in found)


def test_the_allan_deviation_of_white_noise_falls_as_the_root_of_the_length():
    costs = np.random.default_rng(3).standard_normal(200_000)
    for length in (1, 4, 64):
        assert abs(allan_deviation(costs, length) * math.sqrt(length) - 1) < 4 * math.sqrt(length / 200_000)


@pytest.mark.parametrize("bits", [4, 8, 12, 16])
def test_a_converters_step_is_found(bits):
    rng, step = np.random.default_rng(bits), 1 / (2**bits - 1)
    costs = np.float32(step) * np.round(rng.uniform(0.2, 0.4, 500) / step).astype(np.float32)
    assert abs(resolution(costs) / step - 1) < 1e-3


def test_costs_in_float32_have_no_step():
    costs = np.random.default_rng(4).uniform(0.2, 0.4, 3000).astype(np.float32)
    assert resolution(costs) is None
    assert resolution(costs[:3]) is None


def _late(code, delay: int, tau: float, sigma: float, rng) -> np.ndarray:
    """What a chip of that delay and settling answers to a code."""
    r, cost, costs = math.exp(-1 / tau) if tau else 0.0, code[0], []
    for bit in code:
        cost = bit + (cost - bit) * r
        costs.append(cost)
    late = np.concatenate([np.full(delay, costs[0]), costs])[: len(code)]
    return 0.5 + 0.1 * late + sigma * rng.standard_normal(len(code))


@pytest.mark.parametrize(("delay", "tau"), [(0, 0.0), (5, 0.0), (0, 2.0), (3, 0.7), (20, 6.0)])
def test_delay_and_settling_are_found_with_their_errors(delay, tau):
    rng, found = np.random.default_rng(5), []
    for _ in range(25):
        code = rng.choice([-1.0, 1.0], 1000)
        found.append(timing_of(code, _late(code, delay, tau, 0.03, rng), lags=64))
    assert all(one.seen for one in found)
    assert all(abs(one.delay.value - delay) <= one.delay.error for one in found)
    assert np.mean([one.delay.error == 0 for one in found]) > 0.9
    if tau:
        assert _are_standard(_scores([one.settling for one in found], tau))
    else:
        assert np.mean([one.settling.value <= 3 * one.settling.error for one in found]) > 0.9


def test_no_response_is_none():
    rng = np.random.default_rng(6)
    found = [timing_of(rng.choice([-1.0, 1.0], 500), rng.standard_normal(500), lags=64) for _ in range(100)]
    assert not any(one.seen for one in found)


@pytest.mark.parametrize(("delay", "tau"), [(0, 0.0), (2, 0.0), (0, 1.5), (2, 1.5)])
def test_the_hold_is_the_best_there_is(delay, tau):
    worth = {tau_p: share_seen(tau_p, delay, tau) ** 2 / tau_p for tau_p in range(1, 60)}
    assert best_hold(delay, tau) == max(worth, key=worth.__getitem__)


def test_the_share_seen_is_that_of_a_response():
    """Held for τ_p with the code at +1 after −1: the mean of what is read has 2γ − 1 of the way."""
    code = np.repeat([-1.0, 1.0], [40, 9])
    read = (_late(code, 2, 1.5, 0.0, np.random.default_rng(0)) - 0.5) / 0.1
    assert abs((read[40:].mean() + 1) / 2 - share_seen(9, 2, 1.5)) < 1e-9


def _ladder(u, w, h, sigma, rng, top=1.0):
    amplitudes = top * 0.5 ** np.arange(14)[::-1]
    odd, even = np.outer(u, amplitudes) + np.outer(w, amplitudes**3), np.outer(h, amplitudes**2) / 2
    return amplitudes, *(part + sigma * rng.standard_normal(part.shape) for part in (odd, even))


@pytest.mark.parametrize("sigma", [1e-7, 1e-3])
def test_slope_and_bends_are_found_with_their_errors(sigma):
    rng, found = np.random.default_rng(7), []
    for _ in range(100):
        u, w, h = rng.standard_normal((3, 24)) * np.array([[0.1], [0.05], [0.2]])
        found.append(range_of(*_ladder(u, w, h, sigma, rng), odd_error=sigma, even_error=sigma))
    assert abs(np.mean([one.slope.value for one in found]) / 0.1 - 1) < 0.06
    assert abs(np.mean([one.quadratic.value for one in found]) / 0.2 - 1) < 0.06
    assert abs(np.median([one.cubic.value for one in found]) / 0.5 - 1) < 0.12
    assert abs(np.median([one.linear.value for one in found]) / math.sqrt(0.1 / 0.5) - 1) < 0.06
    for name, truth in (("slope", 0.1), ("quadratic", 0.2)):
        assert 0.7 < _scores([getattr(one, name) for one in found], truth).std() < 1.4


def test_steps_of_the_parameters_bound_the_amplitude_from_below():
    """Perturbations of less than half a step do not show."""
    rng = np.random.default_rng(8)
    amplitudes, odd, even = _ladder(rng.standard_normal(16), np.zeros(16), np.zeros(16), 1e-6, rng)
    odd = np.where(amplitudes < 0.02, 1e-6 * rng.standard_normal(odd.shape), odd)
    found = range_of(amplitudes, odd, even, odd_error=1e-6, even_error=1e-6)
    assert found.smallest == amplitudes[amplitudes > 0.02][0]
    assert found.largest == 1.0


def test_a_slope_under_the_noise_is_refused():
    rng = np.random.default_rng(9)
    with pytest.raises(ValueError, match="slope of the cost is lost in its noise of 1 "):
        range_of(*_ladder(*np.zeros((3, 16)), 1.0, rng), odd_error=1.0, even_error=1.0)  # pyright: ignore[reportCallIssue]


def test_the_amplitude_is_the_one_of_least_error():
    """Of one-sided differences of C = g·x + ½xᵀHx with noise, over many codes."""
    rng, p, t, sigma = np.random.default_rng(10), 12, 12, 0.01
    g, half = rng.standard_normal(p), rng.standard_normal((p, p)) * 0.3
    hessian = half + half.T
    codes = rng.choice([-1.0, 1.0], (2000, t, p))
    second = np.sum((codes @ hessian) * codes, axis=2)

    def error(a: float) -> float:
        noise = sigma * rng.standard_normal((2000, t)) * math.sqrt(2)
        c = a * codes @ g + a**2 * second / 2 + noise
        estimate = (c[:, None] @ codes)[:, 0] / (a * t)
        return float(np.mean((estimate - g) ** 2))

    quadratic = math.sqrt(float(np.mean(second**2)))
    chosen = best_amplitude(
        noise=sigma * math.sqrt(2),
        gradient=float(np.linalg.norm(g)),
        quadratic=quadratic,
        cubic=0.0,
        lowest=1e-4,
        highest=10.0,
    )
    # The error has the crosstalk of other parameters in it too, which no amplitude changes.
    floor = float(g @ g) * (p - 1) / t / p
    best = min(error(a) - floor for a in np.geomspace(3e-3, 1, 15))
    # best + 0.01 ‖g‖²/P is what may be let go for a larger amplitude.
    assert error(chosen) - floor < 1.15 * best + 0.0115 * float(g @ g) / p
    assert chosen > math.sqrt(2 * sigma * math.sqrt(2) / quadratic)


FACTS = {
    "n_params": 9,
    "cost": 0.25,
    "noise": 0.0,
    "gradient": 0.1,
    "quadratic": 0.0,
    "cubic": 0.0,
    "curvature": 0.5,
    "curvature_error": 0.0,
    "lowest": 1e-3,
    "linear": 0.5,
    "allowed": 1.0,
    "delay": 0,
    "settling": 0.0,
    "spread": 0.0,
    "load": 0.0,
    "unit": "V",
}


def _choice(**changes):
    return choose(Facts(**(FACTS | changes)))


def test_a_clean_chip_gets_the_window_of_the_theory():
    """cos² = ¼ at v = (P − 1)/T = 3; descent takes half of 1/(c(1 + v)), Adam a third of the range."""
    clean = _choice(n_params=151)
    assert (clean.tau_p, clean.tau_x, clean.tau_theta, clean.amplitude) == (1, 13, 52, 0.5)
    assert abs(clean.angle - math.degrees(math.acos(1 / math.sqrt(1 + 150 / 52)))) < 1e-6
    assert abs(clean.descent_rate - 0.5 / (0.5 * 4)) < 1e-3
    assert clean.learning_rate == 0.167


def test_the_window_of_a_large_chip_ends_where_more_updates_are_worth_more():
    large = _choice(n_params=1210)
    assert (large.tau_x, large.tau_theta) == (32, 64)
    assert abs(large.angle - math.degrees(math.acos(1 / math.sqrt(1 + 1209 / 64)))) < 1e-6
    assert "more updates" in " ".join(large.why)


def test_noise_lengthens_the_window_by_as_much_as_it_adds_and_shortens_adams_steps():
    """2σ²/(a²g²) = 0.64·P beside P − 1."""
    noisy = _choice(noise=0.02, linear=0.05 / math.sqrt(0.02), n_params=76, batch=64)
    extra = 2 * 0.02**2 / (noisy.amplitude * 0.1) ** 2
    assert noisy.tau_theta == math.ceil((75 + 76 * extra) / 3)
    assert abs(noisy.snr - 1 / extra) < 0.01 * noisy.snr
    assert abs(noisy.learning_rate / (0.05 / math.sqrt(0.02) / 3 / math.sqrt(1 + extra)) - 1) < 0.01


def test_even_levels_are_moved_by_whole_numbers_and_uneven_ones_by_two_or_more():
    even = _choice(noise=1e-4, quadratic=4.0, cubic=1.0, level=0.06, even=True, lowest=0.06)
    assert min(abs(even.amplitude / 0.06 / 1.02 - n) for n in (2, 3, 4)) < 0.01
    uneven = _choice(noise=1e-4, quadratic=4.0, cubic=1.0, level=0.06, lowest=0.06)
    assert uneven.amplitude > 0.119
    coarse = _choice(noise=1e-4, quadratic=4.0, level=0.6, even=True, lowest=0.6, linear=0.2)
    assert coarse.amplitude == 0.612  # one level, though it is beyond the linear range
    for one, word in ((even, "a whole number"), (uneven, "uneven"), (coarse, "1.02 levels of 0.6 V")):
        assert word in " ".join(one.why)


@pytest.mark.parametrize("even", [False, True])
def test_the_amplitude_moves_the_cost_by_more_than_a_step_of_its_readout_or_it_is_refused(even):
    level = 0.03 if even else 0.0
    found = _choice(noise=1e-9, quadratic=9.0, cubic=9.0, readout_step=0.01, level=level, even=even)
    assert found.amplitude * 0.1 >= 0.0199
    with pytest.raises(ValueError, match=r"read in steps of 0\.06, and perturbations of 0\.5 V move it by 0\.05: take"):
        _choice(readout_step=0.06)


def test_late_costs_hold_the_sample_for_a_window():
    late = _choice(delay=2, spread=0.01)
    assert late.tau_p == 6
    assert late.tau_x == late.tau_theta
    assert "walsh" in late.why[-1]


def test_slow_presentations_and_large_batches_hold_the_sample_longer():
    """√(P · batch · (1 + load)), in whole shares of a window of 51."""
    assert [_choice(n_params=151, load=load, batch=batch).tau_x for load, batch in ((0.0, 1), (3.0, 1), (0.0, 64))] == [
        13,
        25,
        50,
    ]


def test_without_a_curvature_the_rate_is_what_the_cost_allows():
    flat = _choice(curvature=-0.1, curvature_error=1e-6)
    v = 1 / math.cos(math.radians(flat.angle)) ** 2
    assert abs(flat.descent_rate / (0.5 * 2 * 0.25 / 0.1**2 / v) - 1) < 0.01
    assert "no curvature" in " ".join(flat.why)


def _costs(at, width, noise, rng) -> np.ndarray:
    """Along a parameter of levels so far apart, 0 for none, of a chip that bends."""
    rounded = np.round((at + 0.3 * width) / width) * width if width else at
    return 0.3 + 0.1 * np.tanh(1.5 * rounded) + 0.02 * rounded**2 + noise * rng.standard_normal(len(at))


@pytest.mark.parametrize("noise", [0.0, 1e-4, 3e-3])
def test_steps_are_found_where_they_are_and_nowhere_else(noise):
    """Of those with four points and more: finer ones are for a nearer look. 0.003 is a fifth to a half of a step."""
    rng, at = np.random.default_rng(7), np.linspace(-1.0, 1.0, 48)
    for width in (0.2, 0.25, 0.4, 0.6, 0.9):
        found = look(at, _costs(at, width, noise, rng), max(noise, 3e-8)).steps
        assert found is not None
        assert abs(found.mean / width - 1) < 0.08
        assert found.even
    for width in (0.0, 0.01, 0.03):
        assert all(look(at, _costs(at, width, noise, rng), max(noise, 3e-8)).steps is None for _ in range(20))


def test_uneven_steps_are_told_from_even_ones_and_the_widest_counts():
    rng, at = np.random.default_rng(8), np.linspace(-1.0, 1.0, 48)
    levels = np.array([-0.9, -0.6, -0.5, 0.5, 0.7])
    costs = 0.3 + 0.1 * levels[np.argmin(np.abs(at[:, None] - levels), axis=1)] + 1e-4 * rng.standard_normal(48)
    found = look(at, costs, 1e-4).steps
    assert found is not None
    assert not found.even
    # A level ends half way to the next: at −0.75, −0.55, 0 and 0.6.
    assert abs(found.widest - 0.6) < 0.05


def test_one_step_or_none_is_flat_and_noise_hides_small_ones():
    rng, at = np.random.default_rng(9), np.linspace(-1.0, 1.0, 48)
    for costs in (0.3 + 1e-4 * rng.standard_normal(48), np.where(at > 0.2, 0.4, 0.3) + 1e-4 * rng.standard_normal(48)):
        told = look(at, costs, 1e-4)
        assert told.flat
        assert told.steps is None
    assert look(at, 0.3 + 0.01 * at + 0.01 * rng.standard_normal(48), 0.01).hidden


def test_a_range_is_none_where_the_next_amplitude_shows_far_more_than_its_slope_promises():
    """Below half a level, codes show a few parameters that are about to change, and nothing of the others."""
    rng, amplitudes = np.random.default_rng(10), 0.5 ** np.arange(14)[::-1]
    slopes = rng.standard_normal(16)
    steps = np.round(amplitudes / 0.06) * 0.06 * slopes[:, None] + 1e-4 * rng.standard_normal((16, 14))
    hidden = 0.01 * amplitudes * slopes[:, None]
    found = range_of(amplitudes, steps + hidden, 0 * steps, odd_error=1e-4, even_error=1e-4)
    assert found.smallest > 0.06 / 2
    assert abs(found.slope.value / math.sqrt(np.mean(slopes**2)) - 1) < 0.1


def test_a_ratio_forgets():
    ratio = Ratio()
    for value in (1.0, 1.0, 0.0, 0.0):
        ratio.add(value, 1.0, keep=0.5)
    assert abs(ratio.value_and_error()[0] - (0.125 + 0.25) / 1.875) < 1e-12
