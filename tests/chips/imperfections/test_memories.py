"""Imperfections of memories and writes against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgd.chips.imperfections import DAC, Drift, ParameterRange, SoftBoundsWrite, UpdateNoise

KEY = jax.random.key(13)
N = 40_000


def store(theta, delta, *, key):
    return theta + delta


def written(memory, theta, delta, *, own=None, key=KEY) -> np.ndarray:
    theta, delta = (jnp.broadcast_to(jnp.asarray(v, jnp.float32), (N,)) for v in (theta, delta))
    return np.asarray(memory.write(own, theta, delta, store=store, key=key), np.float64)


def test_update_noise_is_each_parameters_own(within):
    after = written(UpdateNoise(0.2), 1.0, 0.5)
    assert within(after, 1.5)
    assert within((after - 1.5) ** 2, 0.04)
    assert within((after[1:] - 1.5) * (after[:-1] - 1.5), 0)
    assert not np.array_equal(after, written(UpdateNoise(0.2), 1.0, 0.5, key=jax.random.key(1)))


def test_a_range_stops_writes_and_takes_a_start_in():
    memory = ParameterRange(-1.0, 2.0)
    take = lambda theta, delta: written(memory, theta, delta)[0]
    assert take(1.5, 0.25) == 1.75
    assert take(1.5, 3.0) == 2
    assert take(-0.5, -3.0) == -1
    assert take(7.0, -0.5) == 1.5  # from the end where it was held, not from where it was wanted
    theta, wiggle = memory.enter(None, jnp.array([7.0, -7.0, 0.5]), jnp.ones(3), key=KEY)
    assert (theta.tolist(), wiggle.tolist()) == ([2.0, -1.0, 0.5], [1.0, 1.0, 1.0])


# Writes by pulses.


def pulse(cell: SoftBoundsWrite, theta, delta, **more) -> np.ndarray:
    return written(cell, theta, delta, own=cell.spread(N, key=jax.random.key(5)), **more)


def test_a_request_is_rounded_to_whole_pulses_without_bias(within):
    after = pulse(SoftBoundsWrite(0.01, w_max=1e4, w_min=-1e4), 0.0, 0.023)
    assert np.allclose(np.unique(after.round(6)), [0.02, 0.03])
    assert within(after, 0.023)
    after = pulse(SoftBoundsWrite(0.01, w_max=1e4, w_min=-1e4), 0.0, -0.003)
    assert np.allclose(np.unique(after.round(6)), [-0.01, 0])
    assert within(after, -0.003)


def test_a_request_of_nothing_writes_nothing():
    assert (pulse(SoftBoundsWrite(0.01, dw_min_ctoc=0.5), 0.25, 0.0) == 0.25).all()


@pytest.mark.parametrize(("sign", "bound"), [(1, 2.0), (-1, -1.0)])
def test_many_pulses_at_once_are_as_many_one_by_one(sign, bound):
    cell = SoftBoundsWrite(0.0625, up_down=0.25, w_max=2.0, w_min=-1.0)
    theta, step = 0.5, 0.0625 * (1 + 0.25 * sign)
    for n in range(1, 30):
        theta += sign * step * (1 - theta / bound)
        assert pulse(cell, 0.5, sign * n * 0.0625)[0] == pytest.approx(theta, rel=1e-5)
    assert pulse(cell, 0.5, sign * 1e3)[0] == pytest.approx(bound, rel=1e-5)


@pytest.mark.parametrize("up_down", [-0.3, 0.0, 0.2])
def test_up_and_down_pulses_lead_to_the_symmetry_point(up_down):
    cell = SoftBoundsWrite(0.01, up_down=up_down, w_max=2.0, w_min=-1.0)
    own = cell.spread(1, key=KEY)
    expected = 2 * up_down / ((1 + up_down) / 2 + (1 - up_down))

    def pair(theta, _):
        for delta in (0.01, -0.01):
            theta = cell.take(own, theta, jnp.full(1, delta), store=store, key=KEY)
        return theta, None

    for start in (-0.9, 1.9):
        theta, _ = jax.lax.scan(pair, jnp.full(1, start), None, length=1500)
        assert abs(float(theta[0]) - expected) < 0.01  # a pulse


def test_cycle_to_cycle_noise_grows_with_the_root_of_the_pulses_and_differs_at_each_write(within):
    cell = SoftBoundsWrite(0.01, w_max=1e4, w_min=-1e4, dw_min_ctoc=0.4)
    for n in (1, 9):
        noise = pulse(cell, 0.0, n * 0.01) - n * 0.01
        assert within(noise, 0)
        assert within(noise**2, 0.4**2 * 0.01**2 * n)
    assert not np.array_equal(pulse(cell, 0.0, 0.01), pulse(cell, 0.0, 0.01, key=jax.random.key(1)))


def test_device_to_device_spread_is_fixed_and_of_the_given_size(within):
    cell = SoftBoundsWrite(0.01, w_max=1e4, w_min=-1e4, dw_min_dtod=0.2)
    up, down = pulse(cell, 0.0, 0.01), pulse(cell, 0.0, -0.01, key=jax.random.key(1))
    assert within(up / 0.01, 1)
    assert within((up / 0.01 - 1) ** 2, 0.04)
    assert np.allclose(up, -down, atol=1e-6)
    cell = SoftBoundsWrite(0.01, up_down=0.1, w_max=1e4, w_min=-1e4, up_down_dtod=0.2)
    up, down = pulse(cell, 0.0, 0.01), pulse(cell, 0.0, -0.01, key=jax.random.key(1))
    assert within((up + down) / 0.02, 0.1)
    assert within(((up + down) / 0.02 - 0.1) ** 2, 0.04)
    assert np.allclose(up - down, 0.02, atol=1e-6)


def test_bounds_spread_and_hold_what_is_in_the_cell(within):
    cell = SoftBoundsWrite(0.01, w_max=2.0, w_min=-1.0, w_max_dtod=0.1, w_min_dtod=0.2)
    top, bottom = pulse(cell, 0.0, 1e3), pulse(cell, 0.0, -1e3)
    assert within(top, 2)
    assert within((top - 2) ** 2, 0.04)
    assert within(bottom, -1)
    assert within((bottom + 1) ** 2, 0.04)
    own = cell.spread(N, key=jax.random.key(5))
    held, _ = cell.enter(own, jnp.full(N, 9.0), jnp.zeros(N), key=KEY)
    assert np.allclose(held, top, rtol=1e-5)


# Drift.


def test_leak_is_exponential_and_a_write_acts_on_what_is_left():
    drift, own = Drift(leak=0.1), jnp.zeros(2)
    theta = jnp.array([1.0, -2.0])
    for _ in range(7):
        _, own = drift.leave(own, theta, jnp.float32(0), key=KEY)
    left = np.array([1, -2]) * 0.9**7
    assert np.allclose(drift.enter(own, theta, theta, key=KEY)[0], left, rtol=1e-5)
    seen = []

    def stop_at(theta, delta, *, key):
        seen.append(np.asarray(theta))
        return jnp.minimum(theta + delta, 0.5)

    theta = drift.write(own, theta, jnp.array([0.3, 0.3]), store=stop_at, key=KEY)
    assert np.allclose(seen[0], left, rtol=1e-5)
    assert np.allclose(drift.enter(own, theta, theta, key=KEY)[0], np.minimum(left + 0.3, 0.5), rtol=1e-5)


def test_drift_is_a_random_walk(within):
    drift, own = Drift(sigma=0.1), jnp.zeros(N)
    keys = jax.random.split(KEY, 9)
    for key in keys:
        _, own = drift.leave(own, jnp.ones(N), jnp.float32(0), key=key)
    theta, wiggle = drift.enter(own, jnp.ones(N), jnp.ones(N), key=KEY)
    moved = np.asarray(theta, np.float64) - 1
    assert within(moved, 0)
    assert within(moved**2, 9 * 0.01)
    assert within(moved[1:] * moved[:-1], 0)
    assert np.array_equal(wiggle, np.ones(N))


# Converters.


def test_a_write_is_rounded_to_the_nearest_level_or_lost():
    dac = DAC(5, 0.0, 31.0)
    delta = np.linspace(-2, 2, N)
    assert np.allclose(written(dac, 7.0, delta), 7 + np.round(delta), atol=1e-5)
    theta = jnp.full(N, 7.0)
    for _ in range(5):  # there is no finer copy that would add them up
        theta = dac.write(None, theta, jnp.full(N, 0.4), store=store, key=KEY)
    assert (theta == 7).all()


def test_stochastic_rounding_is_unbiased(within):
    dac = DAC(5, 0.0, 31.0, stochastic=True)
    after = written(dac, 7.0, 0.3)
    assert np.array_equal(np.unique(after), [7, 8])
    assert within(after, 7.3)
    after = written(dac, 7.0, -1.9)
    assert np.array_equal(np.unique(after), [5, 6])
    assert within(after, 5.1)
    assert (written(dac, 7.0, 0.0) == 7).all()


@pytest.mark.parametrize("stochastic", [True, False])
def test_what_a_converter_holds_ends_at_its_ends(stochastic):
    dac = DAC(3, -1.0, 1.0, stochastic)
    assert np.allclose(written(dac, 0.9, 5.0), 1)
    assert np.allclose(written(dac, -0.9, -5.0), -1)
    assert np.allclose(dac.enter(None, jnp.array([9.0, -9.0]), jnp.zeros(2), key=KEY)[0], [1, -1])


def test_the_error_of_a_converter_is_uniform(within):
    theta = jax.random.uniform(KEY, (N,), minval=-1.0, maxval=1.0)
    applied, _ = DAC(6, -1.0, 1.0).enter(None, theta, jnp.zeros(N), key=KEY)
    error = np.asarray(applied, np.float64) - np.asarray(theta, np.float64)
    assert within(error, 0)
    assert within(error**2, (2 / 63) ** 2 / 12)


def test_parameter_and_perturbation_share_the_converter_or_not():
    theta, wiggle = jnp.array([3.2, 3.2, 3.2, 30.8]), jnp.array([0.2, 0.6, -0.9, 2.0])
    applied, shared = DAC(5, 0.0, 31.0).enter(None, theta, wiggle, key=KEY)
    assert np.allclose(applied, [3, 3, 3, 31])
    assert np.allclose(shared, [0, 1, -1, 0])
    applied, own = DAC(5, 0.0, 31.0, own_line=True).enter(None, theta, wiggle, key=KEY)
    assert np.allclose(applied, [3, 3, 3, 31])
    assert np.array_equal(own, wiggle)


def test_a_converter_with_a_finer_copy_keeps_every_update_and_shows_the_nearest_level():
    dac = DAC(5, 0.0, 31.0, finer_copy=True)
    theta = jnp.full(N, 7.0)
    for _ in range(10):
        theta = dac.write(None, theta, jnp.full(N, 0.04), store=store, key=KEY)
    assert np.allclose(theta, 7.4, atol=1e-5)
    assert (dac.enter(None, theta, jnp.zeros(N), key=KEY)[0] == 7).all()
    assert (dac.enter(None, theta + 0.2, jnp.zeros(N), key=KEY)[0] == 8).all()
    assert np.allclose(dac.write(None, theta, jnp.full(N, 99.0), store=store, key=KEY), 31)
