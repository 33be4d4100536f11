"""Imperfections of the measured cost against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mgd.chips.imperfections import ADC, CostNoise, Delay, FlickerNoise, Settling

KEY = jax.random.key(11)


def read_all(readout, costs, key=KEY) -> np.ndarray:
    """The costs as read, one after the other."""

    def turn(memory, told):
        cost, k = told
        read, memory = readout.read(memory, cost, key=k)
        return memory, read

    start, rest = jax.random.split(key)
    keys = jax.random.split(rest, len(costs))
    return jax.lax.scan(turn, readout.start(key=start), (jnp.asarray(costs, jnp.float32), keys))[1]


def test_cost_noise_is_white_of_the_given_deviation(within):
    noise = np.asarray(read_all(CostNoise(0.3), np.full(20_000, 2.0)), np.float64) - 2
    assert within(noise, 0)
    assert within(noise**2, 0.09)
    assert within(noise[1:] * noise[:-1], 0)


def test_relative_noise_is_a_part_of_the_cost_as_it_is(within):
    both = CostNoise(0.3, relative=0.2)
    for cost in (0.0, 2.0, -5.0):
        noise = np.asarray(read_all(both, np.full(20_000, cost)), np.float64) - cost
        assert within(noise, 0)
        assert within(noise**2, 0.09 + 0.04 * cost**2)
        assert within(noise[1:] * noise[:-1], 0)
    slope = jax.grad(lambda cost: CostNoise(relative=0.5).read(None, cost, key=KEY)[0])(jnp.float32(2))
    assert slope == 1, "noise is no part of a gradient"


def flicker(n: int, replicas: int, octaves: int = 12) -> np.ndarray:
    keys = jax.random.split(KEY, replicas)
    noise = jax.jit(jax.vmap(lambda key: read_all(FlickerNoise(0.5, octaves), np.zeros(n), key)))(keys)
    return np.asarray(noise, np.float64)


def test_flicker_noise_has_its_variance_and_correlations_from_the_first_measurement(within):
    noise = flicker(65, 4000, octaves=6)
    for n in (0, 1, 64):
        assert within(noise[:, n], 0)
        assert within(noise[:, n] ** 2, 0.25)
    for lag in (1, 8, 64):
        expected = 0.25 / 6 * sum(np.exp(-lag / 2**k) for k in range(6))
        assert within(noise[:, 0] * noise[:, lag], expected), lag


def test_flicker_noise_has_a_spectrum_of_one_over_f():
    n, replicas = 4096, 48
    noise = flicker(n, replicas) * np.hanning(n)
    power = (np.abs(np.fft.rfft(noise)) ** 2).mean(0)
    frequency = np.fft.rfftfreq(n)
    between = (frequency > 1 / 1000) & (frequency < 1 / 20)
    # Each octave counts once, whatever number of frequencies lies in it.
    log_f, log_p = np.log(frequency[between]), np.log(power[between])
    (slope, _), covariance = np.polyfit(log_f, log_p, 1, w=np.exp(-log_f / 2), cov=True)
    assert abs(slope + 1) < 0.08 + 5 * np.sqrt(covariance[0, 0])
    assert np.sqrt(covariance[0, 0]) < 0.05


def test_adc_rounds_to_its_levels_with_uniform_error(within):
    costs = np.asarray(jax.random.uniform(KEY, (20_000,), minval=0.2, maxval=1.8), np.float32)
    read = np.asarray(read_all(ADC(4, 0.2, 1.8), costs), np.float64)
    step = 1.6 / 15
    assert np.allclose(np.unique(read), 0.2 + step * np.arange(16), atol=1e-6)
    error = read - costs
    assert np.abs(error).max() < step / 2 + 1e-6
    assert within(error, 0)
    # At the two ends the error is one-sided; its square is the same.
    assert within(error**2, step**2 / 12)


@pytest.mark.parametrize(("cost", "read"), [(-5.0, -1.0), (7.0, 1.0), (np.inf, 1.0), (0.9, 1.0), (0.2, 1 / 3)])
def test_adc_saturates(cost, read):
    assert float(read_all(ADC(2, -1.0, 1.0), [cost])[0]) == pytest.approx(read, rel=1e-6)


def test_a_cost_that_is_no_number_stays_none():
    assert np.isnan(read_all(ADC(2, -1.0, 1.0), [np.nan])[0])


@pytest.mark.parametrize("k", [0, 1, 2, 7])
def test_delay_is_exactly_k_measurements_and_starts_with_the_first(k):
    costs = np.arange(3, 23, dtype=np.float32)
    assert np.array_equal(read_all(Delay(k), costs), costs[np.maximum(np.arange(20) - k, 0)])


def test_settling_approaches_each_final_cost_by_its_time_constant():
    costs = np.concatenate([np.full(3, 2.0), np.full(6, 5.0), np.full(4, 1.0)])
    read = np.asarray(read_all(Settling(1.7), costs), np.float64)
    left = np.exp(-np.arange(1, 7) / 1.7)
    assert np.allclose(read[:3], 2)
    assert np.allclose(read[3:9], 5 - 3 * left, rtol=1e-6)
    assert np.allclose(read[9:], 1 + (read[8] - 1) * left[:4], rtol=1e-6)
