"""Where a chip behind I/O starts, by one rule, and how close to its limits it comes."""

import jax
import numpy as np
import optax
import pytest

import mgd
from mgd.engines import Data, Instrumented, Options, parameters_at_start, start_within
from mgd.engines._start import check_room, room_within
from mgd.instruments import Guarded, Limits, from_callables

KEY = jax.random.key(4)
LIMITS = Limits.uniform(9, -1.0, 3.0, "V")
OWN = np.linspace(-1, 1, 9).astype(np.float32)
NETWORK = mgd.chips.mlp((2, 2, 1))


def chip(limits: Limits = LIMITS, **more) -> Guarded:
    return Guarded(from_callables(set_parameters=lambda theta: None, measure_cost=lambda: 0.0, limits=limits, **more))


def network_start(of: int = 0) -> np.ndarray:
    return np.asarray(NETWORK.init(key=jax.random.split(jax.random.fold_in(KEY, of))[0]))


def test_what_is_asked_for_goes_before_the_chips_own_and_that_before_the_network():
    own, bare = chip(start=OWN), chip()
    given = np.zeros(9, np.float32)
    for start, due in (
        (parameters_at_start(own, key=KEY, given=given, network=NETWORK), given),
        (parameters_at_start(own, key=KEY, given="network", network=NETWORK), network_start()),
        (parameters_at_start(own, key=KEY, network=NETWORK), OWN),
        (parameters_at_start(bare, key=KEY, chip=2, network=NETWORK), network_start(2)),
    ):
        np.testing.assert_array_equal(start, due)
    drawn = parameters_at_start(own, key=KEY, given=0.25)
    assert 0.1 < np.abs(drawn - 1).max() <= 0.25
    assert 0.1 < np.abs(parameters_at_start(bare, key=KEY) - 1).max() <= 0.2


@pytest.mark.parametrize(
    ("network", "words"),
    [(None, "no network to start from"), (mgd.chips.mlp((2, 3, 1)), "has 13 parameters and the chip 9")],
)
def test_a_network_that_is_not_there_or_another_is_refused(network, words):
    with pytest.raises(ValueError, match=words):
        parameters_at_start(chip(), key=KEY, given="network", network=network)


def test_a_start_is_within_the_limits_however_far_it_may_be():
    limits = Limits(np.array([-0.3, 0.1, 1e38]), np.array([0.3, np.nextafter(np.float32(0.1), 1), 3e38]))
    for spread in (None, 0.0, 1.0, 3e38):
        limits.check(start_within(limits, key=KEY, spread=spread), "parameter")


def test_a_parameter_that_stops_short_of_a_limit_has_room_for_a_perturbation_to_the_last_bit():
    rng = np.random.default_rng(0)
    low = rng.uniform(-10, 10, 20_000).round(3)
    limits = Limits(low, low + rng.uniform(1, 5, low.size).round(2))
    for amplitude in (0.05, 0.1, 0.3, 1e-3, 1 / 3, 1e-9):
        largest = np.float32(amplitude)
        least, most = room_within(limits, float(largest))
        limits.check(least - largest, "parameter")
        limits.check(most + largest, "parameter")
    # As float32 adds them, some of them had none.
    outside = (limits.low + np.float32(0.3)) - np.float32(0.3) < limits.low
    assert outside.any()


def test_a_start_at_its_limits_is_given_room():
    ends = np.where(np.arange(9) % 2, LIMITS.low, LIMITS.high)
    algorithm = mgd.discrete(perturbation=mgd.perturbations.Rademacher(0.25), optimizer=optax.sgd(0.1))
    task = mgd.datasets.parity(bits=2)

    def engine(**options) -> Instrumented:
        return Instrumented(chip(), algorithm, ends, cost=NETWORK.loss, options=Options(**options))

    of = engine(saturate=True)
    assert np.abs(of.start - ends).tolist() == [0.25] * 9
    of.advance(Data.of(task.train), of.init(1, key=KEY), 4)
    other = engine()
    with pytest.raises(mgd.LimitError, match="with its perturbation, parameter"):
        other.advance(Data.of(task.train), other.init(1, key=KEY), 4)


def test_limits_without_room_are_refused():
    with pytest.raises(ValueError, match=r"limits of parameter 1 are 0 … 0.5 V, which leaves no room for a pert.* 0.3"):
        check_room(Limits(np.array([-1.0, 0.0]), np.array([1.0, 0.5]), "V"), 0.3)


def test_training_in_python_starts_from_the_chips_own():
    algorithm, task = mgd.discrete(optimizer=optax.sgd(1e-9)), mgd.datasets.parity(bits=2)
    result = mgd.train(chip(start=OWN / 2), task, algorithm, n_steps=2, key=KEY)
    np.testing.assert_allclose(result.theta[0], OWN / 2, atol=1e-6)
